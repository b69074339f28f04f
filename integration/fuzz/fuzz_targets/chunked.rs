//! A chunked body decodes to the same however its bytes arrive, and what was encoded decodes to what it was: the first byte of the input is
//! the length of the parts that it arrives in, and of the chunks that it is sent in.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use verge::http1::BodyPiece;
use verge::http1::chunked::{CHUNK_END, ChunkError, ChunkedDecoder, LAST_CHUNK, chunk_head};

/// The data, and whether it ended.
fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, bool), ChunkError> {
    let (mut decoder, mut buf, mut data) = (ChunkedDecoder::new(), BytesMut::new(), Vec::new());
    let mut parts = bytes.chunks(step);
    loop {
        match decoder.decode(&mut buf)? {
            BodyPiece::Data(piece) => data.extend_from_slice(&piece),
            BodyPiece::End { .. } => return Ok((data, true)),
            BodyPiece::NeedMore => match parts.next() {
                Some(part) => buf.extend_from_slice(part),
                None => return Ok((data, false)),
            },
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let step = usize::from(*step).max(1);
    assert_eq!(decode(bytes, step), decode(bytes, bytes.len().max(1)));

    let chunks = bytes
        .chunks(step)
        .flat_map(|part| [&*chunk_head(part.len()), part, CHUNK_END].concat());
    let coded: Vec<u8> = chunks.chain(LAST_CHUNK.iter().copied()).collect();
    assert_eq!(decode(&coded, step), Ok((bytes.to_vec(), true)));
});
