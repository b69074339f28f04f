//! Writing a request head, anew from what was understood.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method};

use super::{FetchError, FetchRequest};

/// How the request's body is delimited (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The bytes of the head. An error means that the request must not be sent.
pub(super) fn head(request: &FetchRequest, host: &str, framing: Framing) -> Result<Vec<u8>, FetchError> {
    check(request, host)?;
    let mut out = Vec::with_capacity(size_of(request, host));
    push(&mut out, &[request.method.as_str(), " ", &request.target]);
    push(&mut out, &[" HTTP/1.1\r\nHost: ", host, "\r\n"]);
    push_fields(&mut out, &request.fields);
    match framing {
        Framing::Length(length) => {
            push(&mut out, &["Content-Length: ", &length.to_string(), "\r\n"]);
        }
        Framing::Chunked => push(&mut out, &["Transfer-Encoding: chunked\r\n"]),
        // RFC 9110 section 8.6: a method that anticipates content says that there is none.
        Framing::None if anticipates_content(&request.method) => {
            push(&mut out, &["Content-Length: 0\r\n"]);
        }
        Framing::None => {}
    }
    push_options(&mut out, request.upgrade.as_deref(), request.trailers);
    push(&mut out, &["\r\n"]);
    Ok(out)
}

/// What may be sent to an origin at all.
pub(super) fn check(request: &FetchRequest, host: &str) -> Result<(), FetchError> {
    // RFC 9112 section 11.1: no space or control character may reach a line that was not split there. The parser in
    // front has seen to it; a second look costs little, and a request of somebody else's making would cost much.
    let whole = is_visible(&request.target) && is_visible(host) && request.upgrade.as_deref().is_none_or(is_text);
    // RFC 9110 section 9.3.6: a tunnel, which a cache in front of an origin does not make.
    if !whole || request.method == Method::CONNECT {
        return Err(FetchError::RequestBody);
    }
    Ok(())
}

/// `Upgrade` and `TE` go with their connection options (RFC 9110 sections 7.8 and 10.1.4).
fn push_options(out: &mut Vec<u8>, upgrade: Option<&str>, trailers: bool) {
    match (upgrade, trailers) {
        (Some(_), true) => push(out, &["Connection: Upgrade, TE\r\n"]),
        (Some(_), false) => push(out, &["Connection: Upgrade\r\n"]),
        (None, true) => push(out, &["Connection: TE\r\n"]),
        (None, false) => {}
    }
    if let Some(protocol) = upgrade {
        push(out, &["Upgrade: ", protocol, "\r\n"]);
    }
    if trailers {
        push(out, &["TE: trailers\r\n"]);
    }
}

/// Whether sending the request twice does no more than sending it once (RFC 9110 section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// Whether a request of this method without content must say so (RFC 9110 section 8.6).
pub(super) fn anticipates_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn push_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        if is_ours(name) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Fields that are written from what is known here, never copied.
fn is_ours(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE].contains(name)
}

fn size_of(request: &FetchRequest, host: &str) -> usize {
    let fields: usize = request
        .fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    request.target.len() + host.len() + fields + 128
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b > b' ' && b != 0x7f)
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|b| b >= b' ' && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn request(method: Method) -> FetchRequest {
        FetchRequest {
            method,
            target: "/a?b".to_owned(),
            host: "example.com".to_owned(),
            fields: HeaderMap::from_iter([
                (HeaderName::from_static("accept"), HeaderValue::from_static("*/*")),
                (CONTENT_LENGTH, HeaderValue::from_static("7")),
            ]),
            upgrade: None,
            interims: None,
            trailers: false,
        }
    }

    fn text(request: &FetchRequest, framing: Framing) -> String {
        String::from_utf8(head(request, &request.host, framing).unwrap()).unwrap()
    }

    #[test]
    fn heads() {
        let rest = "/a?b HTTP/1.1\r\nHost: example.com\r\naccept: */*\r\n";
        for (method, framing, end) in [
            (Method::GET, Framing::None, ""),
            (Method::POST, Framing::None, "Content-Length: 0\r\n"),
            (Method::POST, Framing::Length(3), "Content-Length: 3\r\n"),
            (Method::GET, Framing::Chunked, "Transfer-Encoding: chunked\r\n"),
        ] {
            let shown = format!("{method} {rest}{end}\r\n");
            assert_eq!(text(&request(method), framing), shown);
        }
    }

    #[test]
    fn an_upgrade_and_trailers_have_their_connection_options() {
        for (upgrade, trailers, end) in [
            (
                Some("websocket"),
                false,
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ),
            (None, true, "Connection: TE\r\nTE: trailers\r\n\r\n"),
            (
                Some("h"),
                true,
                "Connection: Upgrade, TE\r\nUpgrade: h\r\nTE: trailers\r\n\r\n",
            ),
        ] {
            let mut request = request(Method::GET);
            request.upgrade = upgrade.map(str::to_owned);
            request.trailers = trailers;
            let head = text(&request, Framing::None);
            assert!(head.ends_with(end), "{head}");
        }
    }

    #[test]
    fn nothing_that_could_split_a_line_is_sent() {
        for target in ["/a b", "/a\r\nX: y", "/\u{7f}"] {
            let mut request = request(Method::GET);
            request.target = target.to_owned();
            assert!(head(&request, "h", Framing::None).is_err());
        }
        assert!(head(&request(Method::GET), "a\nb", Framing::None).is_err());
        assert!(head(&request(Method::CONNECT), "a", Framing::None).is_err());
    }
}
