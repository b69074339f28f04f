//! Binary as text: the alphabets that tokens are written in.

use std::sync::LazyLock;

use data_encoding::{BASE64URL_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE, Specification};

/// base64url (RFC 4648 5), with padding or without it.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(unpadded(text)).ok()
}

/// The same, where so many bytes are expected; does not allocate.
pub(super) fn base64url_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    exact(&BASE64URL_NOPAD, unpadded(text))
}

/// base64url without padding.
pub(super) fn to_base64url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// base64 in either alphabet, with padding or without it: how people write keys.
pub(super) fn any_base64(text: &str) -> Option<Vec<u8>> {
    let url: String = text
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    base64url(&url)
}

fn unpadded(text: &str) -> &[u8] {
    let padded = text.len().is_multiple_of(4);
    let bare = text.strip_suffix("==").or(text.strip_suffix('='));
    bare.filter(|_| padded).unwrap_or(text).as_bytes()
}

/// Hexadecimal digits, in either case.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// The same, where so many bytes are expected; does not allocate.
pub(super) fn hex_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    exact(&HEXLOWER_PERMISSIVE, text.as_bytes())
}

/// Hexadecimal digits in lower case.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// base64 with `-`, `_` and `~` for `+`, `=` and `/`, as CloudFront has it.
pub(super) static CLOUDFRONT: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~".to_owned();
    specification.padding = Some('_');
    specification.encoding().ok()
});

fn exact<const N: usize>(encoding: &Encoding, text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if encoding.decode_len(text.len()) != Ok(N) {
        return None;
    }
    let written = encoding.decode_mut(text, &mut bytes).ok()?;
    (written == N).then_some(bytes)
}

/// Whole seconds since 1970, as all tokens write them: digits alone, no sign, no zero in front.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = text.len() > 1 && text.starts_with('0');
    (digits && !leading).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hex() {
        assert_eq!(base64url("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(base64url("-_8="), Some(vec![0xfb, 0xff]));
        assert_eq!(base64url_exact::<2>("-_8"), Some([0xfb, 0xff]));
        assert_eq!(any_base64("+/8=\n"), Some(vec![0xfb, 0xff]));
        assert_eq!(hex("0aFF"), Some(vec![10, 255]));
        for text in ["-_9", "-_8==", "+/8", "-_8=8", "-", "é"] {
            assert_eq!(base64url(text), None, "{text}");
        }
        assert_eq!((base64url_exact::<3>("-_8"), hex_exact::<2>("0a")), (None, None));
        let cloudfront = CLOUDFRONT.as_ref().unwrap();
        assert_eq!(cloudfront.encode(&[0xfb, 0xff]), "-~8_");
    }

    #[test]
    fn times() {
        assert_eq!(seconds("1767225600"), Some(1_767_225_600));
        for text in ["", "-1", "+1", " 1", "1.0", "01", "1e9", "9999999999999", "١"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
