//! An origin that is a function of the request, and notes what it was asked.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

use crate::harness::{Asked, Origin, bytes};

/// What the origin was asked, as far as it came whole.
#[derive(Clone, Default)]
pub struct Views(Arc<Mutex<Vec<String>>>);

impl Views {
    /// What it was asked since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Answers all requests to `origin`.
pub fn serve(origin: &Origin, views: Views) {
    origin.answer_all(move |mut asked| {
        let Ok(body) = asked.body() else { return asked.close() };
        let body = body.to_vec();
        views.0.lock().push(view(&asked, &body));
        answer(asked);
    });
}

/// The request as any transport should have brought it.
fn view(asked: &Asked, body: &[u8]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in &asked.head.fields {
        let value = match name.as_str() {
            // RFC 9110 7.6.3: the version is that of the message received.
            "via" => value
                .replace("1.1 verge", "VERSION verge")
                .replace("2.0 verge", "VERSION verge"),
            "x-forwarded-proto" => value.replace("https", "http"),
            "forwarded" => value.replace("proto=https", "proto=http"),
            "x-request-id" => format!("{} digits", value.len()),
            _ => value.clone(),
        };
        lines.push(format!("{name}: {value}"));
    }
    lines.sort();
    format!(
        "{} {lines:?} {} bytes {}",
        asked.line(),
        body.len(),
        body[..body.len().min(40)].escape_ascii()
    )
}

/// `name`, status, fields (`|` between them) and body of each kind.
pub const KINDS: [(&str, &str, &str, Content); 30] = [
    (
        "small",
        "200 OK",
        "Cache-Control: max-age=60|ETag: \"v1\"|Content-Type: text/plain",
        Content::Text,
    ),
    (
        "weak",
        "200 OK",
        "Cache-Control: max-age=60|ETag: W/\"v1\"|Content-Type: text/plain",
        Content::Text,
    ),
    (
        "modified",
        "200 OK",
        "Cache-Control: max-age=60|Last-Modified: Mon, 13 Nov 2023 00:00:00 GMT",
        Content::Text,
    ),
    (
        "empty",
        "200 OK",
        "Cache-Control: max-age=60|ETag: \"v1\"",
        Content::Empty,
    ),
    (
        "large",
        "200 OK",
        "Cache-Control: max-age=60|ETag: \"v1\"",
        Content::Large,
    ),
    (
        "chunked",
        "200 OK",
        "Cache-Control: max-age=60|ETag: \"v1\"",
        Content::Chunked,
    ),
    (
        "chunked-once",
        "200 OK",
        "Cache-Control: no-store",
        Content::ChunkedLong,
    ),
    ("none", "204 No Content", "Cache-Control: max-age=60", Content::None),
    ("none-once", "204 No Content", "Cache-Control: no-store", Content::None),
    (
        "moved",
        "301 Moved Permanently",
        "Cache-Control: max-age=60|Location: /elsewhere?x=1",
        Content::Text,
    ),
    (
        "missing",
        "404 Not Found",
        "Cache-Control: max-age=60|Content-Type: text/html",
        Content::Text,
    ),
    ("gone", "410 Gone", "", Content::Text),
    ("failing", "500 Internal Server Error", "Retry-After: 7", Content::Text),
    (
        "vary",
        "200 OK",
        "Cache-Control: max-age=60|Vary: Accept-Language, Accept-Encoding",
        Content::Text,
    ),
    ("vary-all", "200 OK", "Cache-Control: max-age=60|Vary: *", Content::Text),
    (
        "cookies",
        "200 OK",
        "Cache-Control: max-age=60|Set-Cookie: a=1; Path=/|Set-Cookie: b=2; HttpOnly",
        Content::Text,
    ),
    (
        "cookies-once",
        "200 OK",
        "Set-Cookie: a=1|Set-Cookie: b=2|Cache-Control: private",
        Content::Text,
    ),
    (
        "no-store",
        "200 OK",
        "Cache-Control: no-store|ETag: \"v1\"",
        Content::Text,
    ),
    (
        "no-cache",
        "200 OK",
        "Cache-Control: no-cache|ETag: \"v1\"",
        Content::Text,
    ),
    (
        "no-cache-field",
        "200 OK",
        "Cache-Control: max-age=60, no-cache=\"x-one\"|X-One: 1",
        Content::Text,
    ),
    (
        "private-field",
        "200 OK",
        "Cache-Control: max-age=60, private=\"set-cookie\"|Set-Cookie: a=1",
        Content::Text,
    ),
    (
        "shared",
        "200 OK",
        "Cache-Control: max-age=0, s-maxage=60, must-revalidate",
        Content::Text,
    ),
    (
        "aged",
        "200 OK",
        "Cache-Control: max-age=60|Age: 17|Via: 1.0 far",
        Content::Text,
    ),
    (
        "expires",
        "200 OK",
        "Date: Tue, 14 Nov 2023 22:13:20 GMT|Expires: Tue, 14 Nov 2023 22:20:00 GMT",
        Content::Text,
    ),
    (
        "secure",
        "200 OK",
        "Cache-Control: max-age=60|Strict-Transport-Security: max-age=5",
        Content::Text,
    ),
    (
        "odd",
        "200 OK",
        "Cache-Control: max-age=60|X-Odd: caf\u{e9}\t\u{ff}\u{80} \"q|X-Empty:|x-TWICE: 1|X-Twice: 2, 3",
        Content::Text,
    ),
    (
        "odd-once",
        "200 OK",
        "X-Odd: caf\u{e9}\t\u{ff}\u{80} \"q|X-Empty:|x-TWICE: 1|X-Twice: 2, 3|Cache-Control: private",
        Content::Text,
    ),
    (
        "hop",
        "200 OK",
        "Cache-Control: max-age=60|Connection: keep-alive, X-Hop|Keep-Alive: timeout=5|X-Hop: 1|Proxy-Connection: x|Upgrade: h2c",
        Content::Text,
    ),
    ("hints", "200 OK", "Cache-Control: max-age=60", Content::Hinted),
    (
        "reset",
        "429 Too Many Requests",
        "Content-Language: de|Accept-Ranges: none|Content-Disposition: inline",
        Content::Text,
    ),
];

/// The content of large bodies.
static MUCH: LazyLock<Vec<u8>> = LazyLock::new(|| bytes(1 << 20));

/// A response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Says what the request was.
    Text,
    Empty,
    /// 1 MiB.
    Large,
    /// Of a length that the head does not say; comes at once with it, since the fetch of a longer one may end once nobody reads.
    Chunked,
    /// The same with 100,000 bytes.
    ChunkedLong,
    /// None, and no length.
    None,
    /// As `Text`, after a `103`.
    Hinted,
}

fn answer(mut asked: Asked) {
    let path = asked.head.word(1).to_owned();
    // `/kind/NUMBER/KIND…`, or any path at all.
    let kind = path.split(['/', '?']).nth(3).unwrap_or("");
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    let (_, status, fields, content) = *known.unwrap_or(&KINDS[0]);
    let unsafe_condition = asked.field("if-match") == Some("\"other\"") && asked.head.word(0) != "GET";
    let (status, content) = match unsafe_condition {
        true => ("412 Precondition Failed", Content::Text),
        false => (status, content),
    };
    let text = format!("{} for {path}\n", asked.head.word(0)).into_bytes();
    let body = match content {
        Content::Text | Content::Hinted => text,
        Content::Empty | Content::None => Vec::new(),
        Content::Large => MUCH.clone(),
        Content::Chunked => MUCH[..1000].to_vec(),
        Content::ChunkedLong => MUCH[..100_000].to_vec(),
    };
    if content == Content::Hinted {
        asked.tx("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    }
    let is_head = asked.head.word(0) == "HEAD";
    let message = response(
        status,
        fields,
        content,
        if is_head { None } else { Some(&body) },
        body.len(),
    );
    // The edge may have what it wants already.
    asked.try_tx(message);
}

fn response(status: &str, fields: &str, content: Content, body: Option<&[u8]>, length: usize) -> Vec<u8> {
    let lines = fields.split('|').filter(|line| !line.is_empty());
    let mut head = format!("HTTP/1.1 {status}\r\n");
    lines.for_each(|line| head.push_str(&format!("{line}\r\n")));
    match content {
        Content::None => {}
        Content::Chunked | Content::ChunkedLong => head.push_str("Transfer-Encoding: chunked\r\n"),
        _ => head.push_str(&format!("Content-Length: {length}\r\n")),
    }
    head.push_str("\r\n");
    let mut message: Vec<u8> = head.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    match (content, body) {
        (_, None) => {}
        (Content::Chunked | Content::ChunkedLong, Some(body)) => {
            for piece in body.chunks(length / 3) {
                message.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                message.extend_from_slice(piece);
                message.extend_from_slice(b"\r\n");
            }
            message.extend_from_slice(b"0\r\n\r\n");
        }
        (_, Some(body)) => message.extend_from_slice(body),
    }
    message
}
