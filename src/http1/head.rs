//! What the heads of both kinds of message share: where they end, and the fields that decide how the message is read.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The most field lines in a head.
pub const MAX_FIELDS: usize = 100;

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// From the minor version as httparse gives it, which knows no other than 0 and 1.
    pub(super) fn of_minor(minor: u8) -> Self {
        if minor == 0 { Version::Http10 } else { Version::Http11 }
    }
}

/// Where a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Just past the empty line.
    At(usize),
    /// Nowhere: a line ends without CR. RFC 9112 2.2 lets a recipient accept that; those that do and those that do not disagree.
    BareLf(usize),
    /// Not within these bytes.
    Unseen,
}

/// Looks for the empty line. Each line end is judged by what is before it, so one that was seen need not be seen again: the next look
/// starts `from` where this one's bytes ended.
pub(super) fn find_end(buf: &[u8], from: usize) -> End {
    let from = from.min(buf.len());
    for at in memchr::memchr_iter(b'\n', &buf[from..]).map(|at| at + from) {
        if at == 0 || buf[at - 1] != b'\r' {
            return End::BareLf(at + 1);
        }
        if at >= 2 && buf[at - 2] == b'\n' {
            return End::At(at + 1);
        }
    }
    End::Unseen
}

/// Whether an LF without CR is among these bytes. Without a way out of the loop, so that it is done sixteen bytes at a time.
pub(super) fn has_bare_lf(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else {
        return false;
    };
    let mut bare = *first == b'\n';
    for (before, byte) in bytes.iter().zip(rest) {
        bare |= (*byte == b'\n') & (*before != b'\r');
    }
    bare
}

/// The bytes of a token (RFC 9110 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// RFC 9110 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// RFC 9110 5.6.2.
pub(super) fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| is_token_byte(*byte))
}

/// `1*DIGIT` within 64 bits (RFC 9110 8.6): no sign, no space, no list.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// The elements of a comma-separated list without surrounding whitespace, the empty ones left out (RFC 9110 5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// What a `Transfer-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Exactly `chunked`, in one line.
    Chunked,
    /// Codings of RFC 9112 7 that Verge does not undo, chunked at the end or not at all.
    Unsupported,
    /// One word that no coding is called, nor could be read as chunked.
    Unknown,
    /// What somebody could read as chunked and somebody else not.
    Ambiguous,
}

/// Reads the field's only value; several lines are given as `None`.
pub(super) fn coding(value: Option<&[u8]>) -> Coding {
    let Some(value) = value else { return Coding::Ambiguous };
    if value.eq_ignore_ascii_case(b"chunked") {
        return Coding::Chunked;
    }
    let codings = match value.iter().rposition(|byte| *byte == b',') {
        Some(comma) if value[comma + 1..].trim_ascii().eq_ignore_ascii_case(b"chunked") => &value[..comma],
        _ => value,
    };
    const REGISTERED: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    let registered = |name: &[u8]| REGISTERED.iter().any(|known| name.eq_ignore_ascii_case(known));
    if codings
        .split(|byte| *byte == b',')
        .all(|name| registered(name.trim_ascii()))
    {
        Coding::Unsupported
    } else if is_strange_word(value) {
        Coding::Unknown
    } else {
        Coding::Ambiguous
    }
}

fn is_strange_word(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    !lower.is_empty()
        && lower.iter().all(u8::is_ascii_alphanumeric)
        && memchr::memmem::find(&lower, b"chunked").is_none()
}

/// Whether a connection outlives a message, by its version and its `Connection` options (RFC 9112 9.3): `close` wins over all.
pub(super) fn keeps_alive<'a>(version: Version, options: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut close, mut keep) = (false, version == Version::Http11);
    for option in options {
        close |= option.eq_ignore_ascii_case(b"close");
        keep |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep && !close
}

/// The fields as a map whose values share `block`, which they were parsed from. `None` if one of them is none to the `http` crate.
pub(super) fn field_map<'a>(
    block: &Bytes,
    fields: impl ExactSizeIterator<Item = &'a httparse::Header<'a>>,
) -> Option<HeaderMap> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(block.slice_ref(field.value)).ok()?;
        map.try_append(name, value).ok()?;
    }
    Some(map)
}
