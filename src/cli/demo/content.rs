//! What the sample origin has to give.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

/// Bytes of the large file.
pub(super) const LARGE: usize = 8 * 1024 * 1024;

/// Bytes of each of its lines, the line's end included.
const LINE: usize = 16;

/// How long the slow page takes.
const SLOW: Duration = Duration::from_millis(500);

/// A resource of the sample origin.
pub(super) struct Resource {
    /// `Content-Type`
    pub(super) kind: &'static str,
    /// `Cache-Control`
    pub(super) control: &'static str,
    /// `Cache-Tag`
    pub(super) tag: Option<&'static str>,
    /// A strong `ETag`.
    pub(super) etag: Option<&'static str>,
    /// How long it takes to make.
    pub(super) takes: Duration,
    /// What it says.
    pub(super) body: Bytes,
}

/// The resource at `path`; `count` says how often it has been asked for.
pub(super) fn at(path: &str, count: usize) -> Option<Resource> {
    let html = |control, etag, body: String| Resource {
        kind: "text/html; charset=utf-8",
        control,
        tag: None,
        etag,
        takes: Duration::ZERO,
        body: body.into(),
    };
    let image = |kind, etag, body: Bytes| Resource {
        kind,
        control: "max-age=3600",
        tag: Some("images"),
        etag: Some(etag),
        takes: Duration::ZERO,
        body,
    };
    Some(match path {
        "/" => html("max-age=60, stale-if-error=600", Some("\"v1\""), START.to_owned()),
        "/logo.svg" => image("image/svg+xml", "\"logo-1\"", Bytes::from_static(LOGO.as_bytes())),
        "/photo.png" => image("image/png", "\"photo-1\"", photo()),
        "/large" => Resource {
            kind: "text/plain",
            etag: Some("\"large-1\""),
            tag: None,
            ..image("", "", large(0..LARGE))
        },
        "/slow" => Resource {
            takes: SLOW,
            ..html("max-age=60", None, format!("<p>This took {} ms.\n", SLOW.as_millis()))
        },
        "/account" => html(
            "private",
            None,
            format!("<p>Your page, made for you alone. It is number {count}.\n"),
        ),
        "/members" => html("max-age=3600", None, "<p>For those who have a link.\n".to_owned()),
        _ => return None,
    })
}

const START: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Verge: the sample origin</title>
<style>body { font: 1.1em/1.6 sans-serif; max-width: 36em; margin: 3em auto; padding: 0 1em }</style>
<img src="/logo.svg" alt="" width="96" height="96">
<h1>It works</h1>
<p>This page came through an edge. Look at <code>Cache-Status</code> and <code>Age</code> among the fields of its
response, reload, and look again.
<ul>
<li><a href="/photo.png">A picture</a>, fresh for an hour, tagged <code>images</code>
<li><a href="/large">A large file</a> in which every line says its own offset
<li><a href="/slow">A slow page</a> that the origin makes once, however many ask
<li><a href="/account">A private page</a> that is never stored
</ul>
"#;

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96">
<path d="M8 16 48 84 88 16" fill="none" stroke="#1b6ac9" stroke-width="14" stroke-linejoin="round"/>
<circle cx="48" cy="30" r="9" fill="#f0a020"/>
</svg>
"##;

/// The bytes of the large file in `range`: lines that say, in decimal, where they begin.
pub(super) fn large(range: Range<usize>) -> Bytes {
    static WHOLE: OnceLock<Bytes> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| {
        let lines = (0..LARGE)
            .step_by(LINE)
            .map(|at| format!("{at:0width$}\n", width = LINE - 1));
        lines.collect::<String>().into()
    });
    whole.slice(range)
}

/// Pixels on each side of the picture.
const SIDE: u32 = 96;

/// A PNG picture: colours that run into each other, not compressed.
fn photo() -> Bytes {
    let mut pixels = Vec::new();
    for y in 0..SIDE {
        // Each row begins with its filter: none.
        pixels.push(0);
        for x in 0..SIDE {
            pixels.extend([(40 + x * 2) as u8, (40 + y * 2) as u8, (255 - x - y) as u8]);
        }
    }
    let mut header = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    // Eight bits a channel, red, green and blue, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", stored(&pixels)), (b"IEND", Vec::new())] {
        let named = [kind.as_slice(), &data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&named);
        png.extend(crc32(&named).to_be_bytes());
    }
    png.into()
}

/// `data` as a zlib stream of one stored block (RFC 1950, RFC 1951 3.2.4).
fn stored(data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(data);
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => crc >> 1 ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_large_file_says_where_one_is() {
        assert_eq!(large(0..32), "000000000000000\n000000000000016\n");
        assert_eq!(large(20..36), "00000000016\n0000");
        assert_eq!(large(0..LARGE).len(), LARGE);
    }

    #[test]
    fn the_picture_has_its_checksums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(stored(b"a")[8..], 0x0062_0062u32.to_be_bytes());
        let rows = SIDE * (SIDE * 3 + 1);
        assert!(rows <= u32::from(u16::MAX), "a stored block holds no more");
        assert!(photo().ends_with(b"IEND\xae\x42\x60\x82"));
    }
}
