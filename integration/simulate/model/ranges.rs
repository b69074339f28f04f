//! Reading ranges, as they are asked for and as they are answered.

use crate::ledger::Content;

/// `bytes a-b/c` as `(a, b + 1, c)`.
pub(super) fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, of) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, last) = range.split_once('-')?;
    Some((from.parse().ok()?, last.parse::<u64>().ok()? + 1, of.parse().ok()?))
}

/// What a range of one part asks of `size` bytes; of several, what is left if the others lie beyond the end.
pub(super) fn single(range: &str, size: u64) -> Option<(u64, u64)> {
    let specs = range.strip_prefix("bytes=")?.split(',');
    let mut parts = specs.filter_map(|spec| {
        let (first, last) = spec.split_once('-')?;
        match (first, last) {
            ("", last) => Some((size.saturating_sub(last.parse().ok()?), size)),
            (first, "") => Some((first.parse().ok()?, size)),
            (first, last) => Some((first.parse().ok()?, (last.parse::<u64>().ok()? + 1).min(size))),
        }
    });
    parts.find(|(from, to)| from < to)
}

/// Whether every part is what its `Content-Range` says, and there is at least one.
pub(super) fn parts_are_right(body: &[u8], boundary: &str, content: &Content) -> bool {
    let mut rest = body;
    let begin = format!("\r\n--{boundary}\r\n");
    let end = format!("\r\n--{boundary}--\r\n");
    let mut parts = 0;
    while let Some(part) = rest.strip_prefix(begin.as_bytes()) {
        let Some(blank) = part.windows(4).position(|four| four == b"\r\n\r\n") else {
            return false;
        };
        let head = String::from_utf8_lossy(&part[..blank]).into_owned();
        let said = head.lines().find_map(|line| line.strip_prefix("Content-Range: "));
        let Some((from, to, of)) = said.and_then(content_range) else {
            return false;
        };
        let (body, wanted) = (&part[blank + 4..], content.bytes.get(from as usize..to as usize));
        let right = of == content.bytes.len() as u64 && wanted.is_some_and(|wanted| body.starts_with(wanted));
        if !right {
            return false;
        }
        rest = &body[(to - from) as usize..];
        parts += 1;
    }
    parts > 0 && rest == end.as_bytes()
}
