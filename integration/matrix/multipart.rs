//! `multipart/byteranges` (RFC 9110 14.6) as a client reads it.

use bytes::Bytes;

use crate::client::Got;

/// A stretch of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub first: usize,
    /// Bytes of the whole.
    pub complete: usize,
    pub body: Bytes,
}

impl Part {
    pub fn end(&self) -> usize {
        self.first + self.body.len()
    }
}

/// The parts of an answer that comes in several; none if it does not, or if something about them is wrong.
pub fn parts(got: &Got) -> Option<Vec<Part>> {
    let content_type = got.fields.get("content-type")?.to_str().ok()?;
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=")?;
    let text = [b"\r\n", &got.body[..]].concat();
    let mut pieces = split(&text, format!("\r\n--{boundary}").as_bytes());
    let last = pieces.pop()?;
    let preamble = pieces.first()?.is_empty() || *pieces.first()? == b"\r\n";
    if !preamble || !last.starts_with(b"--") {
        return None;
    }
    pieces[1..].iter().map(|piece| part(piece)).collect()
}

/// The part that a `206` with one range is.
pub fn single(got: &Got) -> Option<Part> {
    let (first, last, complete) = content_range(got.fields.get("content-range")?.to_str().ok()?)?;
    (last + 1 - first == got.body.len()).then(|| Part {
        first,
        complete,
        body: got.body.clone(),
    })
}

fn part(piece: &[u8]) -> Option<Part> {
    let head_ends = piece.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&piece[..head_ends]).ok()?.to_ascii_lowercase();
    let (mut content_type, mut range) = (None, None);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        match line.split_once(": ")? {
            ("content-type", value) => content_type = Some(value),
            ("content-range", value) => range = content_range(value),
            _ => return None,
        }
    }
    let (first, last, complete) = range?;
    let body = Bytes::copy_from_slice(&piece[head_ends + 4..]);
    (content_type == Some("text/plain") && last + 1 - first == body.len()).then_some(Part { first, complete, body })
}

fn content_range(value: &str) -> Option<(usize, usize, usize)> {
    let (range, complete) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = (first.parse().ok()?, last.parse().ok()?, complete.parse().ok()?);
    (range.0 <= range.1 && range.1 < range.2).then_some(range)
}

fn split<'a>(mut text: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = text.windows(by.len()).position(|window| window == by) {
        pieces.push(&text[..at]);
        text = &text[at + by.len()..];
    }
    pieces.push(text);
    pieces
}
