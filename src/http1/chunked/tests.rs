use http::HeaderMap;

use super::*;

#[derive(Default, Debug, PartialEq)]
struct Outcome {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    rest: Vec<u8>,
}

/// What a body decodes to when its bytes arrive in two parts.
fn decode(text: &str, cut: usize) -> Result<Outcome, ChunkError> {
    let (mut decoder, mut buf, mut outcome) = (ChunkedDecoder::new(), BytesMut::new(), Outcome::default());
    for part in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
        buf.extend_from_slice(part);
        while !outcome.ended {
            match decoder.decode(&mut buf)? {
                BodyPiece::Data(data) => outcome.data.extend_from_slice(&data),
                BodyPiece::NeedMore => break,
                BodyPiece::End { trailers } => (outcome.ended, outcome.trailers) = (true, trailers),
            }
        }
    }
    outcome.rest = buf.to_vec();
    Ok(outcome)
}

/// The same, however the bytes arrive.
fn decode_split(text: &str) -> Result<Outcome, ChunkError> {
    let whole = decode(text, text.len());
    for cut in 0..text.len() {
        assert_eq!(decode(text, cut), whole, "{text:?} cut at {cut}");
    }
    whole
}

#[test]
fn bodies() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(255));
    let cases = [
        ("0\r\n\r\nGET", "", "GET"),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
        (
            "2\r\nhe\r\n00000000000000A;a=b; c=\"d\"\r\nllo, there\r\n000\r\n\r\n",
            "hello, there",
            "",
        ),
        ("3\r\n\r\n\r\r\n0;last\r\n\r\n", "\r\n\r", ""),
        (&long, "a", ""),
    ];
    for (text, data, rest) in cases {
        let got = decode_split(text).unwrap();
        assert_eq!(
            (got.data, got.rest, got.ended, got.trailers),
            (data.into(), rest.into(), true, None),
            "{text:?}"
        );
    }
}

#[test]
fn trailers() {
    let got = decode_split("0\r\nDigest: a\r\nContent-Length: 5\r\nX-B: c\r\n\r\nrest").unwrap();
    let fields = got.trailers.unwrap();
    assert_eq!(
        (fields.len(), &fields["digest"], &fields["x-b"], &got.rest[..]),
        (2, &"a".parse().unwrap(), &"c".parse().unwrap(), &b"rest"[..])
    );
    assert_eq!(decode_split("0\r\nHost: a\r\n\r\n").unwrap().trailers, None);
}

#[test]
fn errors() {
    let cases = [
        ("\r\n", ChunkError::Size),
        ("g\r\n", ChunkError::Size),
        ("0x5\r\nhello", ChunkError::Size),
        ("+5\r\nhello", ChunkError::Size),
        (" 5\r\nhello", ChunkError::Size),
        ("5 \r\nhello", ChunkError::Size),
        ("5 ;a\r\nhello", ChunkError::Size),
        ("5\nhello", ChunkError::Size),
        ("5;a\nhello", ChunkError::Size),
        ("10000000000000000\r\n", ChunkError::Size),
        ("5;a\rb\r\nhello", ChunkError::Extension),
        ("5;a\0\r\nhello", ChunkError::Extension),
        ("5\r\nhello0\r\n\r\n", ChunkError::DataEnd),
        ("5\r\nhello\n0\r\n\r\n", ChunkError::DataEnd),
        ("5\r\nhello\r0\r\n\r\n", ChunkError::DataEnd),
        ("4\r\nhello\r\n0\r\n\r\n", ChunkError::DataEnd),
        ("0\r\nA: b\n\r\n", ChunkError::Trailers),
        ("0\r\nA : b\r\n\r\n", ChunkError::Trailers),
        ("0\r\nA: b\r\n c\r\n\r\n", ChunkError::Trailers),
        ("0\r\n\rGET / HTTP/1.1\r\n\r\n", ChunkError::Trailers),
    ];
    for (text, error) in cases {
        assert_eq!(decode_split(text), Err(error), "{text:?}");
    }
}

#[test]
fn bounds() {
    let long = format!("1;{}\r\na\r\n", "x".repeat(256));
    assert_eq!(decode_split(&long), Err(ChunkError::ExtensionTooLong));
    let unending = format!("1;{}", "x".repeat(300));
    assert_eq!(decode_split(&unending), Err(ChunkError::ExtensionTooLong));
    let wasteful = format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(50);
    assert_eq!(decode(&wasteful, 0), Err(ChunkError::ExtensionTooLong));
    let modest = format!("{}0\r\n\r\n", "1;\r\na\r\n".repeat(100_000));
    assert_eq!(decode(&modest, 0).unwrap().data.len(), 100_000);
    assert_eq!(
        decode(&format!("0\r\nA: {}", "b".repeat(9000)), 0),
        Err(ChunkError::TrailersTooLong)
    );
    assert_eq!(
        decode(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(65)), 0),
        Err(ChunkError::Trailers)
    );
}

#[test]
fn heads() {
    for (len, text) in [
        (0, "0\r\n"),
        (10, "a\r\n"),
        (4096, "1000\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        assert_eq!(&*chunk_head(len), text.as_bytes());
    }
}
