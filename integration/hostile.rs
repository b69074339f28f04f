//! Hostile bytes against the parsers of the wire: a table of known attacks (`hostile/heads.txt`), and properties that must hold of any bytes,
//! tried on random ones and on damaged good ones. Each run tries the same; `VERGE_SEED` tries others.

#![allow(clippy::unwrap_used)]

#[path = "hostile/heads.rs"]
mod heads;
#[path = "hostile/random.rs"]
mod random;

use std::borrow::Cow;

use bytes::BytesMut;
use heads::cases;
use random::Random;
use verge::http1::chunked::{CHUNK_END, ChunkedDecoder, LAST_CHUNK, chunk_head};
use verge::http1::{BodyPiece, HeadStorage, find_head_end, parse_request, parse_response};
use verge::target::{Target, normalise_host, normalise_path};

/// The answer to a head and to the target it holds: a status, `more`, or `ok` with what was understood.
fn verdict(bytes: &[u8]) -> (String, String) {
    let mut storage = HeadStorage::new();
    match parse_request(bytes, &mut storage) {
        Err(refusal) => (refusal.status().to_string(), refusal.detail().into()),
        Ok(None) => ("more".into(), String::new()),
        // CONNECT names no resource to make a target of.
        Ok(Some((head, len))) if head.method == "CONNECT" => ("ok".into(), format!("{head:?} {len}")),
        Ok(Some((head, len))) => match Target::new(head.method, head.target, head.host_value) {
            Err(fault) => ("400".into(), fault.detail().into()),
            Ok(target) => ("ok".into(), format!("{head:?} {target:?} {len}")),
        },
    }
}

#[test]
fn known_attacks() {
    let mut failures = Vec::new();
    for (line, expected, head) in cases() {
        let (outcome, detail) = verdict(&head);
        if outcome != expected {
            failures.push(format!(
                "heads.txt:{line}: expected {expected}, got {outcome} {detail}: {}",
                head[..head.len().min(200)].escape_ascii()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases().count() >= 80);
}

/// Every byte at many offsets, since what reads them does so many at a time: RFC 9110 5.6.2 in names, 5.5 in values, visible in a target.
#[test]
fn every_byte_everywhere() {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    for byte in 0..=255u8 {
        for offset in (0..24).chain([31, 32, 33, 63, 64, 65, 100]) {
            let (before, after) = (vec![b'a'; offset], vec![b'a'; 40]);
            let place = |start: &[u8], end: &[u8]| [start, &before, &[byte], &after, end].concat();
            let name = place(b"GET / HTTP/1.1\r\nHost: x\r\n", b": b\r\n\r\n");
            // A colon ends a name; at the start it leaves none.
            assert_eq!(
                verdict(&name).0 == "ok",
                token(byte) || byte == b':' && offset > 0,
                "{byte:#x} in a name at {offset}"
            );
            let value = place(b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"\r\n\r\n");
            assert_eq!(
                verdict(&value).0 == "ok",
                byte == b'\t' || byte >= b' ' && byte != 0x7f,
                "{byte:#x} in a value at {offset}"
            );
            let query = place(b"GET /?", b" HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(
                verdict(&query).0 == "ok",
                byte.is_ascii_graphic() && byte != b'#',
                "{byte:#x} in a query at {offset}"
            );
        }
    }
}

/// What is decided of the first bytes of a stream stays decided, and nothing is decided before it can be.
fn check_splits(bytes: &[u8]) {
    let whole = verdict(bytes);
    let mut seen = 0;
    for cut in 0..=bytes.len() {
        let part = &bytes[..cut];
        let got = verdict(part);
        assert!(
            got.0 == "more" || got == whole || (got.0 == whole.0 && whole.0 != "ok"),
            "cut at {cut}: {got:?}, not {whole:?}"
        );
        // Whoever waits for `find_head_end` misses no head, and none that ended later than it says.
        let end = find_head_end(part, seen);
        assert!(
            end.is_some() || got.0 == "more" || whole.0 != "ok",
            "cut at {cut}: {got:?} was not announced"
        );
        assert!(end.is_none() || got.0 != "more", "cut at {cut}: announced too early");
        if end.is_some() {
            return;
        }
        seen = cut;
    }
}

#[test]
fn requests_in_pieces() {
    for (_, _, head) in cases().filter(|(_, _, head)| head.len() < 2000) {
        check_splits(&head);
    }
}

#[test]
fn damaged_requests() {
    let mut random = Random::new();
    let good: Vec<_> = cases()
        .map(|(_, _, head)| head)
        .filter(|head| head.len() < 2000)
        .collect();
    for _ in 0..5_000 {
        let mut head = random.pick(&good).clone();
        random.damage(&mut head);
        check_splits(&head);
    }
}

#[test]
fn damaged_responses() {
    const GOOD: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nETag: \"a\"\r\n\r\n",
        b"HTTP/1.0 304 Not Modified\r\nDate: x\r\nConnection: keep-alive, b\r\n\r\n",
        b"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\nContent-Type: text/html; charset=utf-8\r\n\r\n",
    ];
    let verdict = |bytes: &[u8]| parse_response(bytes, false, 4096).map(|got| got.map(|got| format!("{got:?}")));
    let mut random = Random::new();
    for _ in 0..5_000 {
        let mut head = random.pick(&GOOD).to_vec();
        random.damage(&mut head);
        let whole = verdict(&head);
        for cut in 0..head.len() {
            let got = verdict(&head[..cut]);
            assert!(
                got == Ok(None) || got == whole || got.is_err() && whole.is_err(),
                "cut at {cut}: {got:?}, not {whole:?}"
            );
        }
    }
}

/// Decodes bytes that arrive in parts of at most `step`: the data, and how it went on: `Some(rest)` at the end, `None` if more is needed.
fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let (mut decoder, mut buf, mut data) = (ChunkedDecoder::new(), BytesMut::new(), Vec::new());
    let mut parts = bytes.chunks(step);
    loop {
        match decoder.decode(&mut buf).map_err(|error| error.to_string())? {
            BodyPiece::Data(piece) => data.extend_from_slice(&piece),
            BodyPiece::End { .. } => {
                return Ok((
                    data,
                    Some(parts.fold(buf.to_vec(), |rest, part| [&rest, part].concat())),
                ));
            }
            BodyPiece::NeedMore => match parts.next() {
                Some(part) => buf.extend_from_slice(part),
                None => return Ok((data, None)),
            },
        }
    }
}

#[test]
fn chunked_there_and_back() {
    let mut random = Random::new();
    for _ in 0..500 {
        let (mut data, mut coded) = (Vec::new(), Vec::new());
        for _ in 0..random.below(5) {
            let piece: Vec<u8> = (0..1 + random.below(40)).map(|_| random.byte()).collect();
            data.extend_from_slice(&piece);
            coded.extend([&*chunk_head(piece.len()), &piece, CHUNK_END].concat());
        }
        coded.extend([LAST_CHUNK, b"next"].concat());
        for step in 1..=coded.len() {
            assert_eq!(
                decode(&coded, step),
                Ok((data.clone(), Some(b"next".to_vec()))),
                "in parts of {step}"
            );
        }
        random.damage(&mut coded);
        let whole = decode(&coded, coded.len().max(1));
        for step in 1..coded.len() {
            assert_eq!(
                decode(&coded, step),
                whole,
                "in parts of {step}: {}",
                coded.escape_ascii()
            );
        }
    }
}

#[test]
fn normal_stays_normal() {
    const PIECES: [&str; 24] = [
        "/", "/", ".", "..", "%2e", "%2E", "%", "%2f", "%5C", "%25", "%7e", "%00", "a", "B", "é", "\\", " ", "?", ";",
        ":", "[", "]", "80", "::1",
    ];
    let mut random = Random::new();
    for _ in 0..100_000 {
        let text: String = (0..random.below(12)).map(|_| *random.pick(&PIECES)).collect();
        let normals = [
            normalise_path(&format!("/{text}")).map(Cow::into_owned),
            normalise_host(&text).map(Cow::into_owned),
        ];
        if let Ok(path) = &normals[0] {
            assert!(
                matches!(normalise_path(path), Ok(Cow::Borrowed(_))),
                "/{text} became {path}"
            );
            assert!(
                !path.split('/').any(|segment| segment == "." || segment == ".."),
                "/{text} became {path}"
            );
            assert!(path.starts_with('/') && path.is_ascii(), "/{text} became {path}");
        }
        if let Ok(host) = &normals[1] {
            assert!(
                matches!(normalise_host(host), Ok(Cow::Borrowed(_))),
                "{text} became {host}"
            );
        }
    }
}
