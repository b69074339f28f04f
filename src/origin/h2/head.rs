//! The head of a request in HTTP/2.

use http::header::{CONTENT_LENGTH, HOST, TE};
use http::{HeaderValue, Request, Uri, Version};

use crate::origin::request::{Framing, anticipates_content, check};
use crate::origin::{FetchError, FetchRequest};
use crate::policy::hop::strip_hop_by_hop;

/// The head to send. An error means that the request must not be sent.
pub(in crate::origin) fn head(
    request: &FetchRequest,
    tls: bool,
    host: &str,
    framing: Framing,
) -> Result<Request<()>, FetchError> {
    check(request, host)?;
    let mut head = Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri(request, tls, host)?;
    *head.version_mut() = Version::HTTP_2;
    let fields = head.headers_mut();
    fields.clone_from(&request.fields);
    // RFC 9113 section 8.2.2: no field of a connection. An upgrade that was asked for goes the same way: HTTP/2 has none
    // (section 8.6), and an origin may always answer as if it had not been asked for (RFC 9110 section 7.8).
    strip_hop_by_hop(fields);
    fields.remove(HOST);
    fields.remove(CONTENT_LENGTH);
    match framing {
        Framing::Length(length) => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        // RFC 9110 section 8.6: a method that anticipates content says that there is none.
        Framing::None if anticipates_content(&request.method) => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        Framing::None | Framing::Chunked => {}
    }
    if request.trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(head)
}

/// `:scheme`, `:authority` and `:path` (RFC 9113 section 8.3.1).
fn uri(request: &FetchRequest, tls: bool, host: &str) -> Result<Uri, FetchError> {
    let uri = Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(host)
        .path_and_query(request.target.as_str())
        .build()
        .map_err(|_| FetchError::RequestBody)?;
    // A reader of URIs drops what is none of an origin's business, such as a fragment. Asked for must be what was keyed.
    let same = uri.path_and_query().is_some_and(|path| path.as_str() == request.target);
    same.then_some(uri).ok_or(FetchError::RequestBody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    fn request(target: &str) -> FetchRequest {
        FetchRequest {
            method: Method::POST,
            target: target.to_owned(),
            host: "example.com:8080".to_owned(),
            fields: HeaderMap::new(),
            upgrade: Some("websocket".to_owned()),
            interims: None,
            trailers: true,
        }
    }

    #[test]
    fn nothing_of_a_connection_is_sent() {
        let mut request = request("/a?b");
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("te", "gzip"),
            ("host", "a"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ] {
            request.fields.insert(name, HeaderValue::from_static(value));
        }
        let head = head(&request, true, &request.host, Framing::None).unwrap();
        assert_eq!(head.uri(), "https://example.com:8080/a?b");
        let mut fields: Vec<_> = head.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        fields.sort_unstable();
        let expected: [(&str, &[u8]); 3] = [("accept", b"*/*"), ("content-length", b"0"), ("te", b"trailers")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_would_be_asked_for_otherwise_is_not_sent() {
        for (target, host) in [("/a#b", "a"), ("/a b", "a"), ("/a", "a/b"), ("/a", ""), ("/a", "a\nb")] {
            assert!(
                head(&request(target), false, host, Framing::None).is_err(),
                "{target} {host}"
            );
        }
        let mut all = request("*");
        all.method = Method::OPTIONS;
        assert!(head(&all, false, "a", Framing::None).is_ok());
    }
}
