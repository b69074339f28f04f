//! HTTP/2 with a client. The h2 crate frames; what is asked is decided as over HTTP/1.1. Hits are answered where they are
//! read, those of one read in one write; whatever has to wait for something gets a task of its own.

mod body;
mod head;
mod io;
mod ledger;
mod send;
mod watch;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};

use self::body::ClientBody;
use self::head::Lines;
use self::io::Io;
use self::ledger::{Ledger, Piece};
use self::send::{Sending, send_now};
use super::ask::{Asked, Peer, ask, refuse};
use super::deadline::Deadline;
use super::live::Link;
use super::transport::Transport;
use crate::cache::SchemeClass;
use crate::http1::MAX_HEAD;
use crate::origin::{Interims, RequestBody};
use crate::pipeline::{Answer, AnswerBody, Begun, BodyLength, Edge, Refused, RequestLength, Work};
use crate::telemetry::Protocol;

/// Requests that are taken before other connections have their turn.
const TURN: usize = 64;

/// The same of requests that have to wait for something: each sets off a fetch as a rule, which costs ten times as much.
const WORK_TURN: usize = 2;

/// Bytes of a body that are given to the h2 crate at once; larger ones follow as they are taken.
const AT_ONCE: usize = 256 * 1024;

/// Bytes that answers given at once may have queued on one connection. They are the cache's own, and take no more room.
const QUEUED: usize = 4 * 1024 * 1024;

/// Bytes of a request's body that may come before the origin has taken any: of one, and of all on a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How long a connection that was ended for a flood stays open, unread: a close with bytes unread could keep its client
/// from learning why.
const PENALTY: Duration = Duration::from_secs(1);

/// Serves one client's connection to its end; `early` has been read from it already. If it is ended for a flood, `flooded`
/// is told.
pub async fn serve<S: Transport>(stream: S, early: Bytes, peer: Peer, link: Link, flooded: impl Fn()) {
    let limits = link.edge.config.client;
    let io = Io::new(stream, early, Arc::clone(&link.edge.clock), limits);
    let mut handshake = server::Builder::new()
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(MAX_HEAD as u32)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(AT_ONCE)
        .handshake::<_, Piece>(io.clone());
    let shaken = std::future::poll_fn(|cx| {
        io.begin_turn();
        let shaken = Pin::new(&mut handshake).poll(cx);
        match io.poll_send(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            _ => shaken.map(Result::ok),
        }
    });
    let Ok(Some(h2)) = tokio::time::timeout(limits.head_timeout, shaken).await else {
        return;
    };
    let protocol = match peer.scheme {
        SchemeClass::Clear => Protocol::H2c,
        SchemeClass::Secure => Protocol::H2,
    };
    let mut connection = Connection {
        h2,
        io,
        peer,
        link,
        ledger: Arc::default(),
        open: Arc::default(),
        idle: Deadline::default(),
        closing: false,
        flooded: false,
        protocol,
    };
    connection.idle.set(limits.idle_timeout);
    std::future::poll_fn(|cx| connection.poll(cx)).await;
    if connection.flooded {
        flooded();
        tokio::time::sleep(PENALTY).await;
    }
}

struct Connection<S> {
    h2: server::Connection<Io<S>, Piece>,
    io: Io<S>,
    peer: Peer,
    link: Link,
    ledger: Arc<Ledger>,
    /// Requests that have a task.
    open: Arc<AtomicUsize>,
    idle: Deadline,
    /// The client has been told that no more is taken.
    closing: bool,
    /// The client sent a flood; the connection ends as soon as that is told.
    flooded: bool,
    /// What is spoken, as it is counted.
    protocol: Protocol,
}

/// What asking the crate for a request comes to.
enum Accepted {
    Request(Box<Request<RecvStream>>, SendResponse<Piece>),
    NoneNow,
    Over,
}

impl<S: Transport> Connection<S> {
    /// Ready once the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.begin_turn();
        let (mut taken, mut works) = (0, 0);
        let over = loop {
            match self.accept(cx) {
                Accepted::Over => break true,
                Accepted::NoneNow => break false,
                Accepted::Request(request, respond) => {
                    taken += 1;
                    works += usize::from(self.take(*request, respond));
                }
            }
            if taken == TURN || works == WORK_TURN {
                cx.waker().wake_by_ref();
                break false;
            }
        };
        if over {
            return Poll::Ready(());
        }
        if let (Some(fault), false) = (self.io.fault(), self.flooded) {
            (self.flooded, self.closing) = (true, true);
            self.h2.abrupt_shutdown(fault);
            cx.waker().wake_by_ref();
        }
        if let Poll::Ready(Err(_)) = self.io.poll_send(cx) {
            return Poll::Ready(());
        }
        self.poll_leaving(cx);
        if taken > 0 {
            self.idle.set(self.link.edge.config.client.idle_timeout);
        }
        self.poll_idle(cx)
    }

    fn accept(&mut self, cx: &mut Context<'_>) -> Accepted {
        match self.h2.poll_accept(cx) {
            Poll::Pending => Accepted::NoneNow,
            Poll::Ready(Some(Ok((request, respond)))) => Accepted::Request(Box::new(request), respond),
            Poll::Ready(Some(Err(error))) => {
                // The crate watches for floods of its own kinds.
                self.flooded |= !error.is_remote() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
                Accepted::Over
            }
            Poll::Ready(None) => Accepted::Over,
        }
    }

    /// Tells the client once, when the server is leaving, that no more is taken.
    fn poll_leaving(&mut self, cx: &mut Context<'_>) {
        if !self.closing && self.link.poll_leaving(cx).is_ready() {
            self.closing = true;
            self.h2.graceful_shutdown();
            cx.waker().wake_by_ref();
        }
    }

    /// Ends a connection on which nobody has asked for anything, and nothing is on its way, for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limits = &self.link.edge.config.client;
        while self.idle.poll_passed(cx).is_ready() {
            let busy = self.open.load(Ordering::Relaxed) > 0 || self.ledger.queued() > 0;
            if self.closing && !busy {
                return Poll::Ready(());
            }
            if !busy {
                self.closing = true;
                self.h2.graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            self.idle.set(if self.closing {
                limits.io_timeout
            } else {
                limits.idle_timeout
            });
        }
        Poll::Pending
    }

    /// Decides on a request, and answers it if that can be done at once. Says whether it has to wait for something.
    fn take(&mut self, request: Request<RecvStream>, respond: SendResponse<Piece>) -> bool {
        self.link.renew();
        let (head, stream) = request.into_parts();
        let mut lines = Lines::new();
        let asked = head::asked(&head, stream.is_end_stream(), &mut lines);
        let (length, waits) = match &asked {
            Ok(asked) => (asked.body, head::waits(&asked.fields)),
            Err(_) => (RequestLength::None, Ok(false)),
        };
        let (edge, peer) = (&self.link.edge, &self.peer);
        let refused =
            |why: Refused, asked: &Asked<'_>| Begun::Answer(refuse(edge, peer, Some(asked), head.method.as_str(), why));
        let begun = match (asked, &waits) {
            (Err(why), _) => refused(why, &head::so_far(&head)),
            (Ok(asked), Err(why)) => refused(*why, &asked),
            (Ok(asked), Ok(_)) => ask(edge, peer, &asked).unwrap_or_else(|why| refused(why, &asked)),
        };
        match begun {
            Begun::Answer(answer) => {
                self.answer(answer, respond);
                false
            }
            Begun::Work(work) => {
                let body = Body {
                    stream,
                    length,
                    waits: waits == Ok(true),
                };
                self.work(work, body, respond);
                true
            }
        }
    }

    /// Sends an answer whose body is here.
    fn answer(&self, mut answer: Answer<'static>, mut respond: SendResponse<Piece>) {
        let response = head::response(&answer);
        let mut tally = answer.tally(self.protocol);
        let mut pieces = match answer.body {
            AnswerBody::Pieces(pieces) if answer.length != BodyLength::NoBody => pieces,
            _ => Default::default(),
        };
        let length = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        let edge = &self.link.edge;
        // An error means that the client has taken its request back.
        let Ok(mut stream) = respond.send_response(response, length == 0) else {
            return tally.ended(&edge.sites, 0, false, &*edge.clock);
        };
        if length == 0 || (self.ledger.queued() < QUEUED && send_now(&mut stream, &mut pieces, &self.ledger).is_ok()) {
            return tally.ended(&edge.sites, length, true, &*edge.clock);
        }
        tally.begun(&*edge.clock);
        let edge = Arc::clone(edge);
        let body = AnswerBody::Pieces(pieces);
        let limits = edge.config.client;
        let sending = Sending::new(body, stream, Arc::clone(&self.ledger), limits);
        let open = Open::new(&self.open);
        tokio::spawn(async move {
            let (bytes, whole) = sending.send().await;
            tally.ended(&edge.sites, bytes, whole, &*edge.clock);
            drop(open);
        });
    }

    /// Does what a request needs in a task of its own.
    fn work(&self, mut work: Box<Work>, body: Body, respond: SendResponse<Piece>) {
        let (edge, ledger, open) = (
            Arc::clone(&self.link.edge),
            Arc::clone(&self.ledger),
            Open::new(&self.open),
        );
        let body = body.into_client_body(&mut work, &edge);
        let protocol = self.protocol;
        tokio::spawn(async move {
            exchange(&edge, work, body, respond, ledger, protocol).await;
            drop(open);
        });
    }
}

/// What of a request comes after its head.
struct Body {
    stream: RecvStream,
    length: RequestLength,
    /// The client waits for `100 Continue`.
    waits: bool,
}

impl Body {
    /// The body of `work`'s request, if it has one.
    fn into_client_body(self, work: &mut Work, edge: &Edge) -> Option<ClientBody> {
        let length = match self.length {
            RequestLength::None => return None,
            RequestLength::Known(length) => Some(length),
            RequestLength::Unknown => None,
        };
        let promise = self.waits.then(|| work.interims());
        let (allowance, limits) = (work.allowance(edge), edge.config.client);
        Some(ClientBody::new(self.stream, length, allowance, promise, limits))
    }
}

/// Brings the answer to a request and sends it. Ends early if the client takes the request back.
async fn exchange(
    edge: &Arc<Edge>,
    mut work: Box<Work>,
    mut body: Option<ClientBody>,
    mut respond: SendResponse<Piece>,
    ledger: Arc<Ledger>,
    protocol: Protocol,
) {
    let interims = work.interims();
    let takes_trailers = work.request.takes_trailers();
    let wanted = body.as_mut().map(|body| body as &mut (dyn RequestBody + '_));
    let mut working = std::pin::pin!(work.execute(edge, wanted));
    let answered = std::future::poll_fn(|cx| match working.as_mut().poll(cx) {
        Poll::Ready(answer) => {
            send_interims(&interims, &mut respond);
            Poll::Ready(Some(answer))
        }
        Poll::Pending => {
            send_interims(&interims, &mut respond);
            respond.poll_reset(cx).map(|_| None)
        }
    });
    let Some(mut answer) = answered.await else { return };
    let mut tally = answer.tally(protocol);
    tally.begun(&*edge.clock);
    let empty = answer.length == BodyLength::NoBody || answer.length == BodyLength::Known(0);
    let (bytes, whole) = match respond.send_response(head::response(&answer), empty) {
        Err(_) => (0, false),
        Ok(_) if empty => (0, true),
        Ok(stream) => {
            let sending = Sending::new(answer.body, stream, ledger, edge.config.client);
            sending.with_trailers(takes_trailers).send().await
        }
    };
    tally.ended(&edge.sites, bytes, whole, &*edge.clock);
}

fn send_interims(interims: &Interims, respond: &mut SendResponse<Piece>) {
    while let Some((status, fields)) = interims.pop() {
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        // An error means that the client has taken its request back.
        let _ = respond.send_informational(response);
    }
}

/// A request's place among those under way; dropping it frees the place.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
