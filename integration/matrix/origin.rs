//! The origin: a server that answers by RFC 9110, for every representation of [`Resource`]. It remembers nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::conditions::{Current, Verdict, evaluate, range_counts};
use crate::ranges::{Asked, read};
use crate::resource::{ASKED, Dates, Field, LANGUAGE, Resource};

/// What stands between the parts of a `206`.
const BOUNDARY: &str = "matrix-origin";

/// An answer, before it is sent.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<Field>,
    pub body: Bytes,
    /// Whether the length is said before the body.
    pub length_is_said: bool,
}

/// Serves on a port of its own, on the current runtime, until the process ends.
pub async fn start(dates: Dates) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| serve(request, dates));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

async fn serve(request: Request<Incoming>, dates: Dates) -> Result<Response<ReplyBody>, Infallible> {
    let (head, body) = request.into_parts();
    let received = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let reply = answer(head.method.as_str(), head.uri.path(), &head.headers, &received, &dates);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.fields {
        response = response.header(*name, value);
    }
    let body = ReplyBody {
        rest: reply.body,
        length_is_said: reply.length_is_said,
    };
    Ok(response.body(body).expect("all fields are valid"))
}

/// What the origin says to a request.
pub fn answer(method: &str, path: &str, fields: &HeaderMap, received: &[u8], dates: &Dates) -> Reply {
    let Some(resource) = Resource::of(path) else {
        return plain(404, dates, Bytes::from_static(b"no such resource"));
    };
    let language = fields
        .get(LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or(ASKED);
    let etag = resource.etag(language);
    let current = Current {
        etag: etag.as_deref(),
        last_modified: resource.last_modified(dates),
        date: dates.now,
    };
    // 13.2.1: conditions count where the answer would else be a 2xx, and not for a method that is about no representation.
    let conditional = resource.is_success() && method != "OPTIONS";
    let verdict = if conditional {
        evaluate(method, fields, &current)
    } else {
        Verdict::Perform
    };
    match (verdict, method) {
        (Verdict::Failed, _) => plain(412, dates, Bytes::new()),
        (Verdict::NotModified, _) => not_modified(&resource, dates, language),
        (Verdict::Perform, "GET" | "HEAD") => {
            let ranged = method == "GET" && resource.status() == 200 && range_counts(fields, &current);
            let range = fields
                .get("range")
                .filter(|_| ranged)
                .and_then(|value| value.to_str().ok());
            representation(&resource, range, dates, language)
        }
        (Verdict::Perform, _) => performed(&resource, method, received, dates, language),
    }
}

/// A response that is about no representation.
fn plain(status: u16, dates: &Dates, body: Bytes) -> Reply {
    let fields = vec![("date", httpdate::fmt_http_date(dates.now))];
    Reply {
        status,
        fields,
        body,
        length_is_said: true,
    }
}

/// 15.4.5: without what describes the content.
pub fn not_modified(resource: &Resource, dates: &Dates, language: &str) -> Reply {
    let mut fields = resource.fields(dates, language);
    fields.retain(|(name, _)| !["content-type", "content-language"].contains(name));
    Reply {
        status: 304,
        fields,
        body: Bytes::new(),
        length_is_said: true,
    }
}

/// What a method came to that does not ask for the representation.
fn performed(resource: &Resource, method: &str, received: &[u8], dates: &Dates, language: &str) -> Reply {
    let text = format!("{method} with {} bytes: {}", received.len(), resource.path());
    let body = if resource.status() == 204 {
        Bytes::new()
    } else {
        Bytes::from(text)
    };
    Reply {
        status: resource.status(),
        fields: resource.fields(dates, language),
        body,
        length_is_said: resource.length_is_said(),
    }
}

/// All of it, or these ranges.
pub fn representation(resource: &Resource, range: Option<&str>, dates: &Dates, language: &str) -> Reply {
    let body = resource.body(language);
    let whole = Reply {
        status: resource.status(),
        fields: resource.fields(dates, language),
        body,
        length_is_said: resource.length_is_said(),
    };
    match range.map(|range| read(range, whole.body.len())) {
        None | Some(Asked::Whole) => whole,
        Some(Asked::Unsatisfiable) => {
            let mut reply = plain(416, dates, Bytes::new());
            reply
                .fields
                .push(("content-range", format!("bytes */{}", whole.body.len())));
            reply
        }
        Some(Asked::Parts(parts)) => partial(whole, &parts),
    }
}

/// 15.3.7
fn partial(whole: Reply, parts: &[(usize, usize)]) -> Reply {
    let complete = whole.body.len();
    let content_range = |(first, last): (usize, usize)| format!("bytes {first}-{last}/{complete}");
    let mut fields = whole.fields;
    let body = match parts {
        [(first, last)] => {
            fields.push(("content-range", content_range((*first, *last))));
            whole.body.slice(*first..=*last)
        }
        _ => {
            fields.retain(|(name, _)| *name != "content-type");
            fields.push(("content-type", format!("multipart/byteranges; boundary={BOUNDARY}")));
            multipart(&whole.body, parts, content_range)
        }
    };
    Reply {
        status: 206,
        fields,
        body,
        length_is_said: true,
    }
}

/// 14.6
fn multipart(whole: &Bytes, parts: &[(usize, usize)], content_range: impl Fn((usize, usize)) -> String) -> Bytes {
    let mut body = Vec::new();
    for part in parts {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-type: text/plain\r\ncontent-range: {}\r\n\r\n",
            content_range(*part)
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&whole[part.0..=part.1]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Bytes::from(body)
}

/// A body whose length hyper is told, or not.
pub struct ReplyBody {
    rest: Bytes,
    length_is_said: bool,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = std::mem::take(&mut self.rest);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.length_is_said && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length_is_said {
            true => SizeHint::with_exact(self.rest.len() as u64),
            false => SizeHint::default(),
        }
    }
}
