//! The body of an answer, read piece by piece by whatever transport sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_RANGE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::forward;
use crate::cache::Held;
use crate::cache::fill::Follower;
use crate::origin::{BoxFuture, Fetch, FetchError, FetchRequest, ReadBody};
use crate::policy::range::ByteRange;

/// Where an answer's body comes from.
pub enum AnswerBody<'a> {
    /// There is none.
    Empty,
    /// All of it is here.
    Pieces(SmallVec<[Bytes; 1]>),
    /// It is read behind a fill.
    Follow(Box<Following>),
    /// It comes straight from the origin.
    Stream(Box<dyn ReadBody + 'a>),
}

impl AnswerBody<'_> {
    /// The next piece; `None` at the end. After an end or an error it is not polled again.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        match self {
            AnswerBody::Empty => Poll::Ready(None),
            AnswerBody::Pieces(pieces) if pieces.is_empty() => Poll::Ready(None),
            AnswerBody::Pieces(pieces) => Poll::Ready(Some(Ok(pieces.remove(0)))),
            AnswerBody::Follow(following) => following.poll_piece(cx),
            AnswerBody::Stream(body) => body.poll_piece(cx),
        }
    }

    /// The trailer fields, once the end was reached, if there were any that may be used.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        match self {
            AnswerBody::Stream(body) => body.take_trailers(),
            _ => None,
        }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        std::future::poll_fn(|cx| self.poll_piece(cx)).await
    }
}

/// A stretch of an answer's body.
#[derive(Clone, Debug)]
pub enum Segment {
    /// These bytes: what stands between the parts of a multipart body.
    Text(Bytes),
    /// These of the stored body.
    Range(ByteRange),
    /// The stored body to its end.
    All,
}

/// A body that is read behind a fill.
pub struct Following {
    source: Source,
    segments: VecDeque<Segment>,
    /// Offset in the stored body.
    offset: u64,
    rest: Option<Rest>,
}

enum Source {
    Fill(Follower),
    /// What is here of a stored body, and a fill of what is missing.
    Patched(Held, Follower),
    Asking(BoxFuture<'static, Result<Resumed, FetchError>>),
    Origin(Resumed),
}

/// A body's bytes up to its end, straight from the origin.
struct Resumed {
    body: Box<dyn ReadBody>,
    /// What has come and may still be wanted.
    piece: Bytes,
    /// Offset of `piece` in the whole body.
    at: u64,
    /// The whole body's length.
    end: u64,
}

impl Resumed {
    /// What there is at `offset`, which never gets smaller; `None` at the end.
    fn poll_at(&mut self, offset: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        loop {
            let passed = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let skipped = self.piece.split_to(passed.min(self.piece.len()));
            self.at += skipped.len() as u64;
            if !self.piece.is_empty() {
                return Poll::Ready(Some(Ok(self.piece.clone())));
            }
            match std::task::ready!(self.body.poll_piece(cx)) {
                Some(Ok(piece)) => self.piece = piece,
                None if self.at < self.end => return Poll::Ready(Some(Err(FetchError::Incomplete))),
                end => return Poll::Ready(end),
            }
        }
    }
}

/// How a reader that fell behind gets the rest: by asking the origin for it, if the body is still the same.
pub struct Rest {
    /// The origin.
    pub fetch: Arc<dyn Fetch>,
    /// The request that brought the body.
    pub request: FetchRequest,
    /// The body's strong ETag.
    pub etag: HeaderValue,
    /// Bytes of it in all, if known.
    pub length: Option<u64>,
}

impl Following {
    /// The stretches `segments` of what `follower`'s fill brings.
    pub fn new(follower: Follower, segments: impl IntoIterator<Item = Segment>, rest: Option<Rest>) -> Self {
        Following::of(Source::Fill(follower), segments, rest)
    }

    /// The stretches `segments` of what is `held` and, where that lacks something, of what `follower`'s fill brings.
    pub fn patched(
        held: Held,
        follower: Follower,
        segments: impl IntoIterator<Item = Segment>,
        rest: Option<Rest>,
    ) -> Self {
        Following::of(Source::Patched(held, follower), segments, rest)
    }

    fn of(source: Source, segments: impl IntoIterator<Item = Segment>, rest: Option<Rest>) -> Self {
        let mut following = Following {
            source,
            segments: segments.into_iter().collect(),
            offset: 0,
            rest,
        };
        following.enter_segment();
        following
    }

    fn enter_segment(&mut self) {
        if let Some(Segment::Range(range)) = self.segments.front() {
            self.offset = range.start;
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        loop {
            let left = match self.segments.front() {
                None => return Poll::Ready(None),
                Some(Segment::Text(text)) => {
                    let text = text.clone();
                    self.next_segment();
                    return Poll::Ready(Some(Ok(text)));
                }
                Some(Segment::Range(range)) if range.end <= self.offset => {
                    self.next_segment();
                    continue;
                }
                Some(Segment::Range(range)) => range.end - self.offset,
                Some(Segment::All) => u64::MAX,
            };
            let piece = match std::task::ready!(self.poll_source(cx)) {
                Some(Ok(mut piece)) => {
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.offset += piece.len() as u64;
                    piece
                }
                Some(Err(FetchError::FellBehind)) if self.rest.is_some() => {
                    self.ask_for_rest();
                    continue;
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if left == u64::MAX => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(FetchError::Incomplete))),
            };
            return Poll::Ready(Some(Ok(piece)));
        }
    }

    fn next_segment(&mut self) {
        self.segments.pop_front();
        self.enter_segment();
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FetchError>>> {
        loop {
            match &mut self.source {
                Source::Fill(follower) => return follower.poll_at(self.offset, cx),
                Source::Patched(held, _) if self.offset >= held.length => return Poll::Ready(None),
                Source::Patched(held, follower) => {
                    return match held.at(self.offset) {
                        Some(bytes) => Poll::Ready(Some(Ok(bytes))),
                        None => follower.poll_at(self.offset, cx),
                    };
                }
                Source::Origin(body) => return body.poll_at(self.offset, cx),
                Source::Asking(answer) => match std::task::ready!(answer.as_mut().poll(cx)) {
                    Ok(body) => self.source = Source::Origin(body),
                    Err(_) => return Poll::Ready(Some(Err(FetchError::FellBehind))),
                },
            }
        }
    }

    /// Leaves the fill and asks for what is missing; done once.
    fn ask_for_rest(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.source = Source::Asking(Box::pin(ask(rest, self.offset)));
        }
    }
}

/// RFC 9110 15.3.7: only a `206` that goes from where it should to the end, of the same strong ETag, is the rest of the same
/// body.
async fn ask(rest: Rest, from: u64) -> Result<Resumed, FetchError> {
    let request = forward::rest_of(rest.request, rest.etag.clone(), from);
    let fetched = rest.fetch.fetch(request, None).await?;
    let same = fetched.fields.get(ETAG) == Some(&rest.etag) && fetched.status == StatusCode::PARTIAL_CONTENT;
    let end = fetched
        .fields
        .get(CONTENT_RANGE)
        .and_then(|value| end_of_rest(value, from));
    match end.filter(|end| same && rest.length.is_none_or(|length| length == *end)) {
        Some(end) => Ok(Resumed {
            body: fetched.body,
            piece: Bytes::new(),
            at: from,
            end,
        }),
        None => Err(FetchError::FellBehind),
    }
}

/// The complete length that `Content-Range` gives, if the range goes from `from` to its end.
fn end_of_rest(value: &HeaderValue, from: u64) -> Option<u64> {
    let (range, complete) = value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let complete = complete.parse::<u64>().ok()?;
    let is_rest = first.parse() == Ok(from) && last.parse::<u64>().ok()?.checked_add(1) == Some(complete);
    is_rest.then_some(complete)
}
