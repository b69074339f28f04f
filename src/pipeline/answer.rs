//! The answer to a request, before any transport has written it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    AGE, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::admit::Denied;
use super::body::{AnswerBody, Following, Rest, Segment};
use super::decide::{LOOP_DETECTED, Own, Refused, Serve};
use super::request::RequestView;
use super::shape::Shape;
use crate::cache::Held;
use crate::cache::object::Head;
use crate::origin::{Duplex, FetchError};
use crate::policy::cache_status::{self, CacheStatus, Fwd};
use crate::policy::range::ByteRange;
use crate::telemetry::{Outcome, Protocol, Record, Tally};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// An answer: a head, and a body to be read from where it is.
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// Where its fields come from.
    pub head: AnswerHead,
    /// What `Cache-Status` says.
    pub cache_status: CacheStatus,
    /// `Age`, in whole seconds, where it applies.
    pub age: Option<u64>,
    /// How the body is delimited.
    pub length: BodyLength,
    /// The body.
    pub body: AnswerBody<'a>,
    /// What `Strict-Transport-Security` says, if the site says it; then the origin's is not sent.
    pub hsts: Option<HeaderValue>,
    /// What is noted of its request.
    pub record: Record,
    /// The origin's raw connection, after a `101`.
    pub upgraded: Option<Box<dyn Duplex>>,
}

/// Where an answer's fields come from.
pub enum AnswerHead {
    /// All of a stored head; over HTTP/1.1 its [`Head::wire`] is sent as it stands.
    Stored(Arc<Head>),
    /// Those of a stored head that fit a part of its body or none of it, and these.
    Part(Arc<Head>, Vec<(HeaderName, HeaderValue)>),
    /// What an origin sent.
    Passed(Box<HeaderMap>),
    /// The edge's own: a `Proxy-Status` error and its detail, if it is one, and these.
    Own(&'static str, Option<&'static str>, Vec<(HeaderName, HeaderValue)>),
}

/// A field's value: one that is kept, and costs little to share, or one made for this answer.
#[derive(Clone, Copy, Debug)]
pub enum FieldValue<'a> {
    /// Kept.
    Kept(&'a HeaderValue),
    /// Made for this answer.
    Made(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    /// The value's bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            FieldValue::Kept(value) => value.as_bytes(),
            FieldValue::Made(bytes) => bytes,
        }
    }
}

/// How an answer's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body whatever the fields say: `HEAD`, `304`, `204`, `1xx`.
    NoBody,
    /// So many bytes.
    Known(u64),
    /// As many as come.
    Unknown,
}

impl<'a> Answer<'a> {
    /// A stored version, all of whose wanted body is here. Does not allocate for a whole body or its head.
    pub fn stored(serve: Serve, now: Duration) -> Answer<'static> {
        let head = &serve.version.head;
        let age = Some(head.freshness.age(now).as_secs());
        let (pieces, from) = (serve.body, serve.from);
        let read = |segments: SmallVec<[Segment; 1]>| AnswerBody::Pieces(cut(&pieces, from, &segments));
        let mut answer = shaped(Arc::clone(head), &serve.shape, read, serve.status);
        if serve.shape == Shape::Whole {
            answer.body = AnswerBody::Pieces(pieces);
        }
        answer.age = age;
        answer.hsts = serve.hsts;
        answer
    }

    /// A stored version, not all of whose wanted body is in RAM. `rest`: how what turns out to be gone could be had again.
    pub fn stored_below(serve: Serve, held: Held, rest: Option<Rest>, now: Duration) -> Answer<'static> {
        let head = Arc::clone(&serve.version.head);
        let age = Some(head.freshness.age(now).as_secs());
        let mut answer = Answer::following(head, &serve.shape, serve.status, age, |segments| {
            Following::stored(held, segments, rest)
        });
        answer.hsts = serve.hsts;
        answer
    }

    /// A version that is still on its way.
    pub fn following(
        head: Arc<Head>,
        shape: &Shape,
        status: CacheStatus,
        age: Option<u64>,
        follow: impl FnOnce(SmallVec<[Segment; 1]>) -> Following,
    ) -> Answer<'static> {
        let mut answer = shaped(
            head,
            shape,
            |segments| AnswerBody::Follow(Box::new(follow(segments))),
            status,
        );
        answer.age = age;
        answer
    }

    /// What the edge answers by itself to this request.
    pub fn own(own: Own, request: &RequestView<'_>) -> Answer<'static> {
        match own {
            Own::Refuse(refused) => Answer::refused(refused),
            Own::Redirect(port) => Answer::redirected(request, port),
            Own::Deny(denied) => Answer::denied(denied),
        }
    }

    /// An answer of the edge itself.
    pub fn refused(refused: Refused) -> Answer<'static> {
        let mut fields = Vec::new();
        match refused.status {
            // RFC 9110 15.6.4
            StatusCode::SERVICE_UNAVAILABLE => fields.push((RETRY_AFTER, HeaderValue::from_static("1"))),
            // RFC 9110 15.5.6
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NO_CONTENT => {
                fields.push((
                    ALLOW,
                    HeaderValue::from_static("GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"),
                ));
            }
            _ => {}
        }
        // RFC 9209 2.3.27
        let error = match refused.detail {
            LOOP_DETECTED => "proxy_loop_detected",
            _ => "",
        };
        own(refused.status, error, Some(refused.detail), fields)
    }

    /// What a client gets that has no good token. What others get is not to be judged by it: nobody stores it.
    fn denied(denied: Denied) -> Answer<'static> {
        let Denied { reason, answer } = denied;
        let mut fields = vec![(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        fields.extend(answer.location.and_then(|location| field(LOCATION, location)));
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            fields.push((RETRY_AFTER, HeaderValue::from_static("1")));
        }
        own(answer.status, "http_request_denied", Some(reason.code()), fields)
    }

    /// Sends the client to the same place at this port of `https`.
    pub fn redirected(request: &RequestView<'_>, port: u16) -> Answer<'static> {
        let (name, _) = crate::target::split_port(&request.host);
        let mut location = format!("https://{name}");
        if port != 443 {
            location.push_str(&format!(":{port}"));
        }
        location.push_str(&request.path);
        if let Some(query) = request.query {
            location.push('?');
            location.push_str(query);
        }
        // RFC 9110 15.4.2, 15.4.9: after a 301 many clients turn a POST into a GET.
        let status = match request.is_get_or_head() {
            true => StatusCode::MOVED_PERMANENTLY,
            false => StatusCode::PERMANENT_REDIRECT,
        };
        let fields = field(LOCATION, location).into_iter().collect();
        own(status, "", Some("redirect-to-https"), fields)
    }

    /// What a client gets in place of a response that the origin did not give.
    pub fn failed(error: FetchError) -> Answer<'static> {
        own(error.status(), error.proxy_error(), None, Vec::new())
    }

    /// The same, with a field more. Only for the edge's own.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let AnswerHead::Own(_, _, fields) = &mut self.head {
            fields.push((name, value));
        }
        self
    }

    /// The same for a request with this method: RFC 9110 9.3.2 allows no body to `HEAD`, not even one of the edge's own.
    pub fn answering(mut self, method: &str) -> Self {
        if method == "HEAD" && matches!(self.head, AnswerHead::Own(..)) {
            self.length = BodyLength::NoBody;
            self.body = AnswerBody::Empty;
        }
        self
    }

    /// What the cache did for it.
    pub fn outcome(&self) -> Outcome {
        let status = &self.cache_status;
        match (&self.head, status.fwd) {
            (AnswerHead::Own(..), _) => Outcome::Edge,
            (_, Some(Fwd::Bypass | Fwd::Method | Fwd::Request)) if !status.hit => Outcome::Pass,
            _ if matches!(status.detail, Some("stale-while-revalidate" | "stale-if-error")) => Outcome::Stale,
            _ if status.hit => Outcome::Hit,
            _ if status.collapsed => Outcome::Collapsed,
            _ if status.fwd_status == Some(304) => Outcome::Revalidated,
            _ => Outcome::Miss,
        }
    }

    /// How it is counted and logged, over this protocol; for once, because the line goes with it.
    pub fn tally(&mut self, protocol: Protocol) -> Tally {
        let record = std::mem::take(&mut self.record);
        Tally::new(record, protocol, self.status, self.outcome(), self.detail())
    }

    /// What more there is to say about it: that of `Cache-Status`, or the error for which the edge answers itself.
    fn detail(&self) -> Option<&'static str> {
        let error = match self.head {
            AnswerHead::Own(error, ..) => Some(error).filter(|error| !error.is_empty()),
            _ => None,
        };
        self.cache_status.detail.or(error)
    }

    /// Gives every field of the head, but for those of the connection and of framing other than `Content-Length`.
    pub fn each_field(&self, mut give: impl FnMut(&HeaderName, FieldValue<'_>)) {
        self.each_of_head(|name, value| {
            if self.hsts.is_none() || *name != STRICT_TRANSPORT_SECURITY {
                give(name, value);
            }
        });
        if let Some(hsts) = &self.hsts {
            give(&STRICT_TRANSPORT_SECURITY, FieldValue::Kept(hsts));
        }
        if let (BodyLength::Known(length), false) = (self.length, matches!(self.head, AnswerHead::Stored(_))) {
            let mut text = itoa::Buffer::new();
            give(&CONTENT_LENGTH, FieldValue::Made(text.format(length).as_bytes()));
        }
        if let Some(age) = self.age {
            let mut text = itoa::Buffer::new();
            give(&AGE, FieldValue::Made(text.format(age).as_bytes()));
        }
    }

    /// No fewer fields than [`Answer::each_field`] gives.
    pub fn fields_at_most(&self) -> usize {
        const OF_ANSWER: usize = 6;
        OF_ANSWER
            + match &self.head {
                AnswerHead::Stored(head) => head.fields.len(),
                AnswerHead::Part(head, more) => head.fields.len() + more.len(),
                AnswerHead::Passed(fields) => fields.len(),
                AnswerHead::Own(_, _, more) => more.len(),
            }
    }

    fn each_of_head(&self, mut give: impl FnMut(&HeaderName, FieldValue<'_>)) {
        match &self.head {
            AnswerHead::Stored(head) => {
                for (name, value) in &head.fields {
                    give(name, FieldValue::Kept(value));
                }
            }
            AnswerHead::Part(head, more) => {
                let kept = head.fields.iter().filter(|(name, _)| self.keeps(name));
                kept.chain(more)
                    .for_each(|(name, value)| give(name, FieldValue::Kept(value)));
            }
            AnswerHead::Passed(fields) => {
                // The answer to a `HEAD` says how long that to a `GET` would be (RFC 9110 9.3.2).
                let no_body = self.length == BodyLength::NoBody;
                let kept = fields.iter().filter(|(name, _)| no_body || *name != CONTENT_LENGTH);
                kept.for_each(|(name, value)| give(name, FieldValue::Kept(value)));
            }
            AnswerHead::Own(error, detail, more) => {
                more.iter()
                    .for_each(|(name, value)| give(name, FieldValue::Kept(value)));
                give(&CONTENT_TYPE, FieldValue::Made(b"text/plain; charset=utf-8"));
                give(&PROXY_STATUS, FieldValue::Made(&proxy_status(error, *detail)));
            }
        }
    }

    /// Appends the value of `Cache-Status`.
    pub fn write_cache_status(&self, out: &mut Vec<u8>) {
        cache_status::write(out, &self.cache_status);
    }

    /// Whether a part of a response, or word that it has not changed, keeps the field of the whole.
    fn keeps(&self, name: &HeaderName) -> bool {
        match self.status {
            StatusCode::PARTIAL_CONTENT => {
                let AnswerHead::Part(_, more) = &self.head else {
                    return true;
                };
                *name != CONTENT_LENGTH && !more.iter().any(|(own, _)| own == name)
            }
            // RFC 9110 15.4.5: representation metadata is left out.
            StatusCode::NOT_MODIFIED => ![
                CONTENT_LENGTH,
                CONTENT_TYPE,
                CONTENT_ENCODING,
                CONTENT_LANGUAGE,
                CONTENT_DISPOSITION,
            ]
            .contains(name),
            // 412 and 416 are not of the representation at all.
            _ => *name == http::header::DATE || *name == http::header::VIA,
        }
    }
}

/// RFC 9209
fn proxy_status(error: &str, detail: Option<&str>) -> Vec<u8> {
    let mut status = b"verge".to_vec();
    if !error.is_empty() {
        status.extend_from_slice(b"; error=");
        status.extend_from_slice(error.as_bytes());
    }
    if let Some(detail) = detail {
        status.extend_from_slice(b"; details=\"");
        status.extend_from_slice(detail.as_bytes());
        status.push(b'"');
    }
    status
}

fn own(
    status: StatusCode,
    error: &'static str,
    detail: Option<&'static str>,
    fields: Vec<(HeaderName, HeaderValue)>,
) -> Answer<'static> {
    let text = match status {
        StatusCode::NO_CONTENT => Bytes::new(),
        status => {
            let why = detail.unwrap_or(error);
            let reason = status.canonical_reason().unwrap_or("");
            Bytes::from(format!("{} {reason}: {why}\n", status.as_str()))
        }
    };
    let length = match status {
        StatusCode::NO_CONTENT => BodyLength::NoBody,
        _ => BodyLength::Known(text.len() as u64),
    };
    Answer {
        status,
        head: AnswerHead::Own(error, detail, fields),
        cache_status: CacheStatus {
            detail,
            ..CacheStatus::default()
        },
        age: None,
        length,
        body: AnswerBody::Pieces(SmallVec::from_buf([text])),
        hsts: None,
        record: Record::default(),
        upgraded: None,
    }
}

/// The answer that `shape` makes of a stored head; `read` makes the body of these stretches of the stored one.
fn shaped(
    head: Arc<Head>,
    shape: &Shape,
    read: impl FnOnce(SmallVec<[Segment; 1]>) -> AnswerBody<'static>,
    cache_status: CacheStatus,
) -> Answer<'static> {
    let whole = head.content_length.map_or(BodyLength::Unknown, BodyLength::Known);
    let no_fields = Vec::new;
    let (status, head, length, body) = match shape {
        Shape::Whole if has_no_body(head.status) => (
            head.status,
            AnswerHead::Stored(head),
            BodyLength::NoBody,
            AnswerBody::Empty,
        ),
        Shape::Whole => {
            let body = read(SmallVec::from_buf([Segment::All]));
            (head.status, AnswerHead::Stored(head), whole, body)
        }
        Shape::HeadOnly => (
            head.status,
            AnswerHead::Stored(head),
            BodyLength::NoBody,
            AnswerBody::Empty,
        ),
        Shape::NotModified => (
            StatusCode::NOT_MODIFIED,
            AnswerHead::Part(head, no_fields()),
            BodyLength::NoBody,
            AnswerBody::Empty,
        ),
        Shape::PreconditionFailed => (
            StatusCode::PRECONDITION_FAILED,
            AnswerHead::Part(head, no_fields()),
            BodyLength::Known(0),
            AnswerBody::Empty,
        ),
        Shape::Unsatisfiable => {
            let range = format!("bytes */{}", head.content_length.unwrap_or(0));
            let fields = field(CONTENT_RANGE, range).into_iter().collect();
            (
                StatusCode::RANGE_NOT_SATISFIABLE,
                AnswerHead::Part(head, fields),
                BodyLength::Known(0),
                AnswerBody::Empty,
            )
        }
        Shape::Parts(parts) => {
            let Partial {
                fields,
                segments,
                length,
            } = partial(&head, parts);
            (
                StatusCode::PARTIAL_CONTENT,
                AnswerHead::Part(head, fields),
                BodyLength::Known(length),
                read(segments),
            )
        }
    };
    Answer {
        status,
        head,
        cache_status,
        age: None,
        length,
        body,
        hsts: None,
        record: Record::default(),
        upgraded: None,
    }
}

/// RFC 9110 6.4.1
pub(super) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn field(name: HeaderName, value: String) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?))
}

/// A `206`: its fields, and what it is put together from.
struct Partial {
    fields: Vec<(HeaderName, HeaderValue)>,
    segments: SmallVec<[Segment; 1]>,
    length: u64,
}

/// RFC 9110 15.3.7: one range by itself, several as `multipart/byteranges` (14.6).
fn partial(head: &Head, parts: &[ByteRange]) -> Partial {
    let complete = head.content_length.unwrap_or(0);
    let content_range = |range: &ByteRange| format!("bytes {}-{}/{complete}", range.start, range.end - 1);
    if let [range] = parts {
        return Partial {
            fields: field(CONTENT_RANGE, content_range(range)).into_iter().collect(),
            segments: SmallVec::from_buf([Segment::Range(*range)]),
            length: range.length(),
        };
    }
    // Names no content: the hash is keyed, so nobody who writes a body can know it.
    let boundary = format!("{:032x}", head.key.hash.rotate_left(64) ^ u128::from(head.generation));
    let content_type = head.fields.iter().find(|(name, _)| *name == CONTENT_TYPE);
    let mut segments = SmallVec::new();
    let mut length = 0;
    for range in parts {
        let mut text = BytesMut::from(format!("\r\n--{boundary}\r\n").as_bytes());
        if let Some((_, value)) = content_type {
            text.extend_from_slice(b"Content-Type: ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("Content-Range: {}\r\n\r\n", content_range(range)).as_bytes());
        length += text.len() as u64 + range.length();
        segments.push(Segment::Text(text.freeze()));
        segments.push(Segment::Range(*range));
    }
    let last = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    length += last.len() as u64;
    segments.push(Segment::Text(last));
    let multipart = format!("multipart/byteranges; boundary={boundary}");
    Partial {
        fields: field(CONTENT_TYPE, multipart).into_iter().collect(),
        segments,
        length,
    }
}

/// The stretches `segments` of the body of which `pieces` are what there is from `from` on.
fn cut(pieces: &[Bytes], from: u64, segments: &[Segment]) -> SmallVec<[Bytes; 1]> {
    let mut out = SmallVec::new();
    for segment in segments {
        match segment {
            Segment::Text(text) => out.push(text.clone()),
            Segment::All => out.extend(pieces.iter().cloned()),
            Segment::Range(range) => {
                let mut at = from;
                for piece in pieces {
                    let end = at + piece.len() as u64;
                    let (first, behind) = (range.start.clamp(at, end), range.end.clamp(at, end));
                    if first < behind {
                        out.push(piece.slice((first - at) as usize..(behind - at) as usize));
                    }
                    at = end;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_across_pieces() {
        let pieces = [Bytes::from_static(b"abc"), Bytes::from_static(b"def")];
        let range = |start, end| Segment::Range(ByteRange { start, end });
        let joined = |segments: &[Segment]| cut(&pieces, 0, segments).concat();
        assert_eq!(cut(&pieces, 10, &[range(12, 14)]).concat(), b"cd");
        assert_eq!(joined(&[range(2, 4)]), b"cd");
        assert_eq!(
            joined(&[range(5, 6), Segment::Text(Bytes::from_static(b"-")), range(0, 1)]),
            b"f-a"
        );
        assert_eq!(joined(&[Segment::All]), b"abcdef");
    }
}
