//! What a client sent, made safe for a line of a log.

const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Bytes that are looked at together.
const STEP: usize = 16;

/// Appends `text` as a JSON string, with its quotation marks. What is not UTF-8 becomes U+FFFD, as
/// [`String::from_utf8_lossy`] has it.
pub fn json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    match is_plain(text) {
        true => out.extend_from_slice(text),
        false => json_inner(out, text),
    }
    out.push(b'"');
}

#[cold]
fn json_inner(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        runs(
            out,
            valid,
            |byte| byte < b' ' || byte == b'"' || byte == b'\\',
            json_byte,
        );
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn json_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            hex(out, byte, HEX_LOWER);
        }
    }
}

/// Appends `text` as nginx writes it between quotation marks: what is not printable ASCII, quotation marks and backslashes
/// as `\x22`; nothing as `-`.
pub fn combined(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        return out.push(b'-');
    }
    combined_part(out, text);
}

/// The same for a part, which may be empty.
pub fn combined_part(out: &mut Vec<u8>, text: &[u8]) {
    if is_plain(text) {
        return out.extend_from_slice(text);
    }
    let escaped = |byte| !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\';
    runs(out, text, escaped, |out, byte| {
        out.extend_from_slice(b"\\x");
        hex(out, byte, HEX_UPPER);
    });
}

/// Copies runs of bytes that may stay as they are, and has the others written by `escape`.
fn runs(out: &mut Vec<u8>, text: &[u8], escaped: impl Fn(u8) -> bool, escape: impl Fn(&mut Vec<u8>, u8)) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if escaped(*byte) {
            out.extend_from_slice(&text[from..at]);
            escape(out, *byte);
            from = at + 1;
        }
    }
    out.extend_from_slice(&text[from..]);
}

fn hex(out: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

/// Whether nothing has to be escaped in either form. Without a way out of the inner loop, so that it is done many bytes at
/// a time.
fn is_plain(text: &[u8]) -> bool {
    let odd = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | odd(*byte));
    let (steps, rest) = text.as_chunks::<STEP>();
    !steps.iter().any(|step| any(step)) && !any(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        json(&mut out, text);
        out
    }

    fn gives_back(text: &[u8]) {
        let out = json_of(text);
        assert!(out.iter().all(|byte| *byte >= b' '), "{}", out.escape_ascii());
        let read: String = serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {out:?}"));
        assert_eq!(read, String::from_utf8_lossy(text));
    }

    #[test]
    fn every_byte_wherever_it_stands() {
        for byte in 0..=255 {
            for length in 0..40 {
                let mut text = vec![b'a'; length];
                gives_back(&text);
                text.push(byte);
                gives_back(&text);
                text.extend_from_slice(&[b'b'; 20]);
                gives_back(&text);
            }
        }
    }

    #[test]
    fn random_bytes() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for _ in 0..20_000 {
            let length = next() % 60;
            let any: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            gives_back(&any);
            // Much that is valid, and much that breaks off.
            let parts = ["a", "é", "\u{20ac}", "\u{1f600}", "\"", "\\", "\n", "\0"];
            let text: String = (0..length).map(|_| parts[next() as usize % parts.len()]).collect();
            gives_back(text.as_bytes());
            gives_back(&text.as_bytes()[..text.len() * 2 / 3]);
        }
    }

    #[test]
    fn as_nginx_writes_it() {
        for (text, expected) in [
            (&b""[..], "-"),
            (b"-", "-"),
            (b"Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
            (b"a\"b\\c\n\x7f\xc3\xa9", "a\\x22b\\x5Cc\\x0A\\x7F\\xC3\\xA9"),
        ] {
            let mut out = Vec::new();
            combined(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
