//! The task of a fill: fetch, take the head in, read the body, store.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::StatusCode;
use http::header::CONTENT_RANGE;

use super::chunks::Chunks;
use super::{Fill, Phase, part};
use crate::cache::below::Keeper;
use crate::cache::intake::{Arrived, Request, Taken, confirmed, take_in, with_length};
use crate::cache::object::{Body, Head, Version};
use crate::cache::{Cache, Permit, Remembered};
use crate::clock::{Clock, Now};
use crate::origin::{Fetch, FetchError, FetchRequest, Fetched, ReadBody};
use crate::planted::{self, Bug};
use crate::policy::fields::OwnedFields;
use crate::policy::reuse::is_error_for_stale;
use crate::policy::storable::{Asked, Unstorable};
use crate::policy::targeted::Targets;
use crate::policy::validator::selects;
use crate::policy::vary::{Vary, vary};
use crate::purge::Verdict;
use crate::store::{CHUNK, Reservation};

/// Bytes that are read before others have their turn, however fast the origin sends.
const TURN: u64 = 64 * 1024;

/// What a fill is to fetch, and for whom.
pub struct Order {
    /// The fill, new.
    pub fill: Arc<Fill>,
    /// Its place among those under way.
    pub permit: Permit,
    /// Where to fetch.
    pub fetch: Arc<dyn Fetch>,
    /// What to ask for.
    pub request: FetchRequest,
    /// What policy must know of the request.
    pub asked: Asked,
    /// The request's fields, from which `Vary` selects.
    pub fields: Arc<OwnedFields>,
    /// Which targeted fields govern.
    pub targets: Arc<Targets>,
    /// The stored version that the request asks to validate, and what it is stored under.
    pub validating: Option<(Arc<Version>, u128)>,
}

/// Runs a fill to its end.
pub async fn run(cache: Arc<Cache>, clock: Arc<dyn Clock>, order: Order) {
    let Order {
        fill,
        permit,
        fetch,
        request,
        asked,
        fields,
        targets,
        validating,
    } = order;
    let task = Task {
        cache: &cache,
        clock: &*clock,
        fill: &fill,
        request: Request {
            asked,
            fields: &fields,
            targets: &targets,
        },
    };
    let _ending = Ending {
        cache: &cache,
        fill: &fill,
    };
    let mut requested = clock.now();
    let mut fetched = self::fetch(&fill, &fetch, request.clone()).await;
    if let (Ok(answer), Some((stored, id))) = (&fetched, &validating)
        && answer.status == StatusCode::NOT_MODIFIED
    {
        if task.can_confirm(stored, answer) {
            return task.confirm(stored, *id, answer, requested);
        }
        requested = clock.now();
        fetched = self::fetch(&fill, &fetch, unconditional(request)).await;
    }
    match fetched {
        Ok(fetched) if fill.part.is_some() => task.take_part(fetched, requested).await,
        Ok(fetched) => task.take(fetched, requested).await,
        Err(error) => task.fail(error),
    }
    drop(permit);
}

fn unconditional(mut request: FetchRequest) -> FetchRequest {
    request.fields.remove(http::header::IF_NONE_MATCH);
    request.fields.remove(http::header::IF_MODIFIED_SINCE);
    request
}

/// The future's result, or [`FetchError::Abandoned`] as soon as nobody wants the fill any more.
async fn unless_given_up<T>(fill: &Fill, future: impl Future<Output = T>) -> Result<T, FetchError> {
    let mut future = pin!(future);
    poll_fn(|cx| match fill.poll_given_up(cx) {
        Poll::Ready(()) => Poll::Ready(Err(FetchError::Abandoned)),
        Poll::Pending => future.as_mut().poll(cx).map(Ok),
    })
    .await
}

struct Task<'a> {
    cache: &'a Arc<Cache>,
    clock: &'a dyn Clock,
    fill: &'a Arc<Fill>,
    request: Request<'a>,
}

/// However its task ends, be it by a panic or with its runtime, nobody is left waiting for a fill.
pub(super) struct Ending<'a> {
    pub(super) cache: &'a Cache,
    pub(super) fill: &'a Arc<Fill>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.cache.fills.remove(self.fill);
        self.fill.end_if_open();
    }
}

/// Asks `origin`. Whoever reads the fill looks for the interim responses that come meanwhile.
pub(super) async fn fetch(
    fill: &Fill,
    origin: &Arc<dyn Fetch>,
    request: FetchRequest,
) -> Result<Fetched<'static>, FetchError> {
    let interims = request.interims.clone();
    let mut fetching = Arc::clone(origin).fetch(request, None);
    let told = poll_fn(|cx| {
        let fetched = fetching.as_mut().poll(cx);
        // The client whose request began the fill looks for them.
        if interims.as_ref().is_some_and(|interims| !interims.is_empty()) {
            fill.wake_readers();
        }
        fetched
    });
    unless_given_up(fill, told).await.and_then(|fetched| fetched)
}

/// The next piece of a body, once there may be more of it.
pub(super) async fn next_piece(fill: &Fill, body: &mut dyn ReadBody) -> Option<Result<bytes::Bytes, FetchError>> {
    poll_fn(|cx| {
        if fill.poll_given_up(cx).is_ready() {
            return Poll::Ready(Some(Err(FetchError::Abandoned)));
        }
        if !fill.window_is_open() {
            return Poll::Pending;
        }
        body.poll_piece(cx)
    })
    .await
}

impl Task<'_> {
    /// No response: those who wait are told, and for a moment those who come.
    fn fail(&self, error: FetchError) {
        self.cache.ended.failed(error);
        if error != FetchError::Abandoned {
            self.remember(Remembered::Failed(error));
        }
        self.cache.fills.remove(self.fill);
        self.fill.publish(Phase::Failed(error), false);
    }

    fn remember(&self, what: Remembered) {
        let settings = self.cache.settings();
        let ttl = match what {
            Remembered::Uncacheable => settings.uncacheable_ttl,
            Remembered::Failed(_) | Remembered::ServerError(_) => settings.failure_ttl,
        };
        if let Some(id) = self.fill.id {
            self.cache.memory.remember(id, what, self.clock.now().monotonic + ttl);
        }
    }

    async fn take(&self, fetched: Fetched<'_>, requested: Now) {
        let arrived = Arrived {
            status: fetched.status,
            fields: fetched.fields,
            content_length: fetched.content_length,
            requested,
            received: self.clock.now(),
        };
        let generation = self.cache.next_generation();
        let Taken { head, own, verdict } = take_in(self.cache.secret(), self.fill, generation, &self.request, arrived);
        let head = Arc::new(head);
        self.fill.set_own_head(own);
        let (phase, reservation) = match verdict {
            Ok(_) => {
                self.cache.announce(self.fill, &head, self.request.fields);
                self.cache.memory.forget(self.id(&head));
                let reservation = self.cache.ram.reserve(head.content_length.unwrap_or(CHUNK as u64));
                (Phase::Filling(Arc::clone(&head)), reservation)
            }
            Err(reason) => {
                self.refuse(&head, reason);
                self.cache.fills.remove(self.fill);
                (Phase::Passing(Arc::clone(&head), reason), None)
            }
        };
        let keeper = match &phase {
            Phase::Filling(_) => self.keeper(&head, reservation.is_some()),
            _ => None,
        };
        let (kept, below) = (reservation.is_some(), keeper.is_some());
        let chunks = Chunks::new(self.cache, self.fill, keeper, kept, head.body, 0);
        let result = if self.fill.publish(phase, kept) {
            self.read(fetched.body, &head, reservation, chunks).await
        } else {
            Err(FetchError::Abandoned)
        };
        if let Err(error) = result {
            self.cache.ended.failed(error);
            self.keep_part(&head, below);
        }
        self.cache.fills.remove(self.fill);
        self.fill.finish(result);
    }

    fn id(&self, head: &Head) -> u128 {
        self.request.fields.with(|fields| head.id(self.cache.secret(), fields))
    }

    /// What keeps the body on the SSD tier, if it goes there; `kept`: RAM keeps it too.
    fn keeper(&self, head: &Head, kept: bool) -> Option<Keeper> {
        let fits = kept || self.cache.can_spill(head.content_length.unwrap_or(0));
        let now = self.clock.monotonic();
        fits.then(|| self.cache.keeper(head, self.id(head), now)).flatten()
    }

    /// Only what the response said of itself is remembered: neither credentials nor a provoked error switch caching off.
    fn refuse(&self, head: &Head, reason: Unstorable) {
        if is_error_for_stale(head.status) {
            self.remember(Remembered::ServerError(head.status.as_u16()));
        } else if reason.says_response() && !head.status.is_client_error() && !head.status.is_server_error() {
            self.remember(Remembered::Uncacheable);
        }
    }

    /// Reads the body to its end and, if all of it was kept, stores the version.
    async fn read(
        &self,
        mut body: Box<dyn ReadBody + '_>,
        head: &Arc<Head>,
        mut reservation: Option<Reservation>,
        mut chunks: Chunks<'_>,
    ) -> Result<(), FetchError> {
        let (mut come, mut turn) = (0u64, 0);
        while let Some(piece) = next_piece(self.fill, &mut *body).await {
            let piece = match piece {
                Err(FetchError::Incomplete) if planted::is(Bug::ShortAsWhole) => break,
                piece => piece?,
            };
            come += piece.len() as u64;
            if head.content_length.is_some_and(|length| come > length) {
                return Err(FetchError::Protocol);
            }
            chunks.push(piece);
            if head.content_length.is_none() && !self.keeps_room(&mut reservation, come) {
                chunks.stop_keeping();
            }
            // Not before the end: who has the last byte finds the whole stored.
            if come - turn >= TURN && head.content_length != Some(come) {
                turn = come;
                tokio::task::yield_now().await;
            }
        }
        let whole = head.content_length.is_none_or(|length| length == come) || planted::is(Bug::ShortAsWhole);
        if !whole {
            return Err(FetchError::Incomplete);
        }
        self.keep(head, come, chunks);
        Ok(())
    }

    /// For a body of unknown length: whether there is room for what comes next.
    fn keeps_room(&self, reservation: &mut Option<Reservation>, come: u64) -> bool {
        let kept = match reservation {
            None => return true,
            Some(reservation) => come < reservation.bytes() || self.cache.ram.grow(reservation, CHUNK as u64),
        };
        if !kept {
            *reservation = None;
        }
        kept
    }

    /// Stores the version, if its body was kept whole, here or below.
    fn keep(&self, head: &Arc<Head>, length: u64, mut chunks: Chunks<'_>) {
        let stored = matches!(self.fill.phase(), Phase::Filling(_));
        let kept = self.fill.body().filter(|_| stored);
        if kept.is_none() && !(stored && chunks.spill()) {
            return self.cache.ended.unstored.up();
        }
        self.cache.ended.stored.up();
        // RFC 9110 8.6: a 204 says no length.
        let says_length = head.content_length.is_some() || head.status == StatusCode::NO_CONTENT;
        let head = match says_length {
            true => Arc::clone(head),
            false => Arc::new(with_length(head, length)),
        };
        let body = match kept {
            Some((whole, tail)) if whole.is_empty() => Body::Whole(tail),
            kept => {
                chunks.end(kept.map(|(_, tail)| tail));
                Body::Chunked {
                    name: head.body,
                    length,
                }
            }
        };
        let id = self.id(&head);
        self.store(Version::new(head, body), id, chunks.go_below());
    }

    /// Stores a version; `below`: on the SSD tier as well.
    fn store(&self, version: Version, id: u128, below: bool) {
        if below {
            version.goes_below();
        }
        self.cache.store(&Arc::new(version), id);
    }

    /// RFC 9111 3.3: what has come of a body that broke off, or that nobody wanted any more, is stored as a part if the rest
    /// of the same body can be had: the length is known, and a strong validator.
    fn keep_part(&self, head: &Arc<Head>, below: bool) {
        let Some(length) = head.content_length.filter(|_| head.validators.strong_etag().is_some()) else {
            return;
        };
        let filling = matches!(self.fill.phase(), Phase::Filling(_));
        let is_ok = head.status == StatusCode::OK;
        if filling && is_ok && self.fill.body().is_some_and(|(chunks, _)| !chunks.is_empty()) {
            let body = Body::Chunked {
                name: head.body,
                length,
            };
            self.store(Version::new(Arc::clone(head), body), self.id(head), below);
        }
    }

    /// A part of a body of which nothing was known: what it belongs to is stored as known in part (RFC 9111 3.3). Anything else
    /// is for nobody, and remembered.
    async fn take_part(&self, fetched: Fetched<'_>, requested: Now) {
        let status = fetched.status;
        let Some((span, length)) = self.fill.part.and_then(|part| part::part_as_asked(&fetched, part)) else {
            return self.refuse_part(status);
        };
        let mut fields = fetched.fields;
        fields.remove(CONTENT_RANGE);
        let arrived = Arrived {
            // RFC 9110 15.3.7: but for Content-Range the fields are those of the 200.
            status: StatusCode::OK,
            fields,
            content_length: Some(length),
            requested,
            received: self.clock.now(),
        };
        let (secret, generation) = (self.cache.secret(), self.cache.next_generation());
        let Taken { head, own, verdict } = take_in(secret, self.fill, generation, &self.request, arrived);
        if verdict.is_err() {
            return self.refuse_part(status);
        }
        let head = Arc::new(head);
        self.fill.set_own_head(own);
        let (id, name) = (self.id(&head), head.body);
        let keeper = self.keeper(&head, true);
        self.cache.announce(self.fill, &head, self.request.fields);
        self.cache.memory.forget(id);
        let version = Version::new(Arc::clone(&head), Body::Chunked { name, length });
        self.store(version, id, keeper.is_some());
        self.cache.fills.add_variant(self.fill, secret.part(name, span));
        part::bring(self.cache, self.fill, head, fetched.body, (name, span), keeper).await;
    }

    fn refuse_part(&self, status: StatusCode) {
        let until = self.clock.now().monotonic + self.cache.settings().uncacheable_ttl;
        let parts = self.cache.secret().parts_of(self.fill.key.hash);
        self.cache.memory.remember(parts, Remembered::Uncacheable, until);
        self.cache.ended.unstored.up();
        self.cache.fills.remove(self.fill);
        self.fill.publish(Phase::Refused(status), false);
    }

    /// Whether a `304` is about the stored version, and the version is still one that may be validated: a purge may have
    /// come since it was looked up, and what is hard purged must not come back.
    fn can_confirm(&self, stored: &Version, answer: &Fetched<'_>) -> bool {
        selects(&stored.head.validators, &answer.fields)
            && stored.verdict(&self.cache.purges) != Verdict::Hard
            && varies_as_before(stored, answer)
    }

    /// RFC 9111 4.3.4: the stored version gets the fields of the `304`, and is as fresh as they say.
    fn confirm(&self, stored: &Version, id: u128, answer: &Fetched<'_>, requested: Now) {
        let times = (requested, self.clock.now());
        let (head, forbidden) = confirmed(
            self.cache.secret(),
            self.fill,
            &self.request,
            &stored.head,
            &answer.fields,
            times,
        );
        let version = Arc::new(Version::new(Arc::new(head), stored.body.clone()));
        if stored.is_below() {
            version.goes_below();
        }
        match forbidden {
            None => self.cache.store(&version, id),
            Some(reason) => {
                self.cache.forget(stored, id);
                self.refuse(&version.head, reason);
            }
        }
        self.cache.ended.revalidated.up();
        self.cache.fills.remove(self.fill);
        self.fill.publish(Phase::Validated(version), true);
    }
}

/// Whether the `304` leaves the stored version selected by what selected it (RFC 9111 3.2, 4.1). Under another `Vary` it would
/// answer requests that it is not for, so all of the response is fetched anew.
fn varies_as_before(stored: &Version, answer: &Fetched<'_>) -> bool {
    match vary(&answer.fields) {
        Vary::Fields(spec) => stored.head.vary.as_ref().is_some_and(|selected| selected.spec == spec),
        // Without Vary the stored one stays; with `*` it is forbidden to keep the response at all.
        Vary::None | Vary::Star => true,
    }
}
