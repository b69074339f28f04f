//! What a client sent, made safe for a line of a log.

const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Something that bytes are appended to.
pub trait Out {
    /// Appends `text`.
    fn put(&mut self, text: &[u8]);
}

impl Out for Vec<u8> {
    fn put(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }
}

/// Bytes that are looked at together.
const STEP: usize = 16;

/// Appends `text` as a JSON string, with its quotation marks. What is not UTF-8 becomes U+FFFD, as
/// [`String::from_utf8_lossy`] has it.
pub fn json(out: &mut impl Out, text: &[u8]) {
    out.put(b"\"");
    json_inner(out, text);
    out.put(b"\"");
}

/// The same, without the quotation marks.
#[inline]
pub fn json_inner(out: &mut impl Out, text: &[u8]) {
    match is_plain(text) {
        true => out.put(text),
        false => json_of_any(out, text),
    }
}

#[cold]
fn json_of_any(out: &mut impl Out, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        runs(
            out,
            valid,
            |byte| byte < b' ' || byte == b'"' || byte == b'\\',
            json_byte,
        );
        if !chunk.invalid().is_empty() {
            out.put("\u{fffd}".as_bytes());
        }
    }
}

fn json_byte(out: &mut impl Out, byte: u8) {
    match byte {
        b'"' => out.put(b"\\\""),
        b'\\' => out.put(b"\\\\"),
        b'\n' => out.put(b"\\n"),
        b'\r' => out.put(b"\\r"),
        b'\t' => out.put(b"\\t"),
        _ => {
            out.put(b"\\u00");
            hex(out, byte, HEX_LOWER);
        }
    }
}

/// Appends `text` as nginx writes it between quotation marks: what is not printable ASCII, quotation marks and backslashes
/// as `\x22`; nothing as `-`.
pub fn combined(out: &mut impl Out, text: &[u8]) {
    if text.is_empty() {
        return out.put(b"-");
    }
    combined_part(out, text);
}

/// The same for a part, which may be empty.
pub fn combined_part(out: &mut impl Out, text: &[u8]) {
    if is_plain(text) {
        return out.put(text);
    }
    let escaped = |byte| !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\';
    runs(out, text, escaped, |out, byte| {
        out.put(b"\\x");
        hex(out, byte, HEX_UPPER);
    });
}

/// Copies runs of bytes that may stay as they are, and has the others written by `escape`.
fn runs<O: Out>(out: &mut O, text: &[u8], escaped: impl Fn(u8) -> bool, escape: impl Fn(&mut O, u8)) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if escaped(*byte) {
            out.put(&text[from..at]);
            escape(out, *byte);
            from = at + 1;
        }
    }
    out.put(&text[from..]);
}

fn hex(out: &mut impl Out, byte: u8, digits: &[u8; 16]) {
    out.put(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// Whether nothing has to be escaped in either form. Steps that overlap look at what is left over.
fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk() {
        for step in text.as_chunks().0 {
            if !is_plain_step(step) {
                return false;
            }
        }
        return is_plain_step(last);
    }
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => is_plain_word(*first) && is_plain_word(*last),
        _ => is_plain_short(text),
    }
}

/// The same for fewer than eight bytes.
fn is_plain_short(text: &[u8]) -> bool {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some([a, b, c, d]), Some([e, f, g, h])) => is_plain_word([*a, *b, *c, *d, *e, *f, *g, *h]),
        _ => text.iter().all(|byte| is_plain_word([*byte; 8])),
    }
}

/// Without a way out of the loop, so that all bytes are looked at together.
fn is_plain_step(step: &[u8; STEP]) -> bool {
    let odd = |byte: u8| (byte.wrapping_sub(b' ') > b'~' - b' ') | (byte == b'"') | (byte == b'\\');
    !step.iter().fold(false, |any, byte| any | odd(*byte))
}

/// The same for eight bytes in one register: the high bit of each byte shows what is odd about it.
fn is_plain_word(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_ne_bytes(word);
    // No byte borrows from the next one unless the one before is odd.
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * u64::from(b' '));
    let is = |byte: u8| is_zero(word ^ (ONES * u64::from(byte)));
    (word | control | is(b'"') | is(b'\\') | is(0x7f)) & HIGH == 0
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
