//! HTTP/1.1 with a client: read a head, decide, answer; and again.

mod body;
mod early;
mod head;
mod lent;
mod pump;
mod read;
mod tunnel;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

use self::body::ClientBody;
use self::early::Early;
use self::head::Wire;
use self::lent::Lent;
use self::pump::{Pump, Sent};
use super::ask::{Asked, Peer, ask, refuse};
use super::buffers::Buffers;
use super::deadline::Deadline;
use super::live::Link;
use super::transport::Transport;
use crate::cache::SchemeClass;
use crate::http1::{Framing, HeadStorage, MAX_HEAD, RequestHead, Version, find_head_end, parse_request};
use crate::origin::RequestBody;
use crate::pipeline::{Answer, AnswerHead, Begun, Refused, RequestLength, Work};
use crate::policy::fields::RequestFields;
use crate::telemetry::Protocol;

/// Read at once, at least.
const READ: usize = 4 * 1024;

/// How long a kept connection may still ask something once the server is leaving. It is answered, with the word that the
/// connection ends; a connection closed under a request that is on its way would fail it.
const LEAVE: Duration = Duration::from_secs(1);

/// Serves one client's connection to its end; `early` has been read from it already.
pub async fn serve<S: Transport>(stream: S, early: &[u8], peer: Peer, link: Link) {
    let mut buffers = Buffers::default();
    if !early.is_empty() {
        buffers = Buffers::take();
        buffers.input.extend_from_slice(early);
    }
    let mut connection = Connection {
        stream,
        peer,
        link,
        buffers,
        deadline: Deadline::default(),
    };
    loop {
        match connection.exchange().await {
            After::KeepAlive => {}
            After::Close => {
                connection.stream.farewell();
                break;
            }
            After::Linger => {
                tunnel::linger(&mut connection.stream).await;
                break;
            }
            After::Abort => {
                connection.stream.abort();
                break;
            }
        }
    }
    connection.buffers.give_back();
}

/// What becomes of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
    /// Close, but let the client read the answer first although it may still be sending.
    Linger,
    /// Close so that the client cannot take what it has for the whole.
    Abort,
}

struct Connection<S> {
    stream: S,
    peer: Peer,
    link: Link,
    buffers: Buffers,
    deadline: Deadline,
}

/// What the bytes received so far come to.
enum Step {
    NeedMore,
    /// Answered at once.
    Answer(Answer<'static>, Wire),
    /// Needs the origin.
    Execute(Box<Execute>),
}

struct Execute {
    work: Box<Work>,
    framing: Framing,
    expects_continue: bool,
    wire: Wire,
}

impl<S: Transport> Connection<S> {
    /// One request and its answer.
    async fn exchange(&mut self) -> After {
        // An unfinished head is looked at again only when it has doubled, however slowly it trickles in; often enough to
        // refuse early what can never become one.
        let (mut scanned, mut look_at) = (0, 1);
        let step = loop {
            let come = self.buffers.input.len();
            if come >= look_at || find_head_end(&self.buffers.input, scanned).is_some() {
                match self.step() {
                    Step::NeedMore => look_at = (2 * come).min(MAX_HEAD).max(come + 1),
                    step => break step,
                }
            }
            scanned = come;
            if let Err(after) = self.receive().await {
                return after;
            }
        };
        match step {
            Step::Answer(answer, wire) => self.send(answer, wire).await,
            Step::Execute(execute) => Box::pin(self.execute(*execute)).await,
            Step::NeedMore => After::Close,
        }
    }

    /// Waits for more of a head. Between requests the connection holds no buffer.
    async fn receive(&mut self) -> Result<(), After> {
        let within_head = !self.buffers.input.is_empty();
        match poll_fn(|cx| self.poll_receive(within_head, cx)).await {
            Received::Some => Ok(()),
            Received::End => Err(After::Close),
            Received::TooLate => Err(self
                .refuse(Refused::new(StatusCode::REQUEST_TIMEOUT, "head-timeout"))
                .await),
        }
    }

    fn poll_receive(&mut self, within_head: bool, cx: &mut Context<'_>) -> Poll<Received> {
        if self.buffers.input.capacity() == 0 {
            self.buffers = Buffers::take();
        }
        match read::poll_read(&mut self.stream, &mut self.buffers.input, READ, cx) {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Poll::Ready(Received::End),
            Poll::Ready(Ok(_)) => {
                if !within_head {
                    // That was the idle one; a head has its own.
                    self.deadline.clear();
                }
                Poll::Ready(Received::Some)
            }
            Poll::Pending if within_head => {
                self.deadline.set_if_unset(self.link.edge.config.client.head_timeout);
                self.deadline.poll_passed(cx).map(|()| Received::TooLate)
            }
            Poll::Pending => {
                std::mem::take(&mut self.buffers).give_back();
                match self.link.poll_leaving(cx) {
                    Poll::Ready(()) => self.deadline.set_to_at_most(LEAVE),
                    Poll::Pending => self.deadline.set_if_unset(self.link.edge.config.client.idle_timeout),
                }
                self.deadline.poll_passed(cx).map(|()| Received::End)
            }
        }
    }

    /// Reads a head and decides on it. A hit needs nothing more than this.
    fn step(&mut self) -> Step {
        self.link.renew();
        let mut storage = HeadStorage::new();
        let (step, consumed) = match parse_request(&self.buffers.input, &mut storage) {
            Ok(None) => return Step::NeedMore,
            Ok(Some((head, consumed))) => (self.decide(&head), consumed),
            Err(refusal) => {
                let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
                (self.unread(Refused::new(status, refusal.detail())), 0)
            }
        };
        bytes::Buf::advance(&mut self.buffers.input, consumed);
        self.deadline.clear();
        step
    }

    fn decide(&self, head: &RequestHead<'_>) -> Step {
        let asked = Asked {
            method: head.method,
            target: head.target,
            scheme: None,
            host: head.host_value,
            fields: head.fields,
            version: match head.version {
                Version::Http10 => "1.0",
                Version::Http11 => "1.1",
            },
            body: match head.framing {
                Framing::None => RequestLength::None,
                Framing::Length(length) => RequestLength::Known(length),
                Framing::Chunked => RequestLength::Unknown,
            },
        };
        let wire = Wire {
            http10: head.version == Version::Http10,
            keep_alive: head.keep_alive && !self.link.is_leaving(),
            trailers: head.version == Version::Http11 && head.fields.takes_trailers(),
        };
        match ask(&self.link.edge, &self.peer, &asked) {
            Err(why) => self.refused(why, Some(&asked), head.method),
            Ok(Begun::Answer(answer)) => Step::Answer(
                answer,
                Wire {
                    // What nobody reads stands before the next request.
                    keep_alive: wire.keep_alive && head.framing == Framing::None,
                    ..wire
                },
            ),
            Ok(Begun::Work(work)) => Step::Execute(Box::new(Execute {
                work,
                framing: head.framing,
                expects_continue: head.expects_continue,
                wire,
            })),
        }
    }

    /// An answer after which nothing more is read.
    fn refused(&self, why: Refused, asked: Option<&Asked<'_>>, method: &str) -> Step {
        let wire = Wire {
            http10: false,
            keep_alive: false,
            trailers: false,
        };
        Step::Answer(refuse(&self.link.edge, &self.peer, asked, method, why), wire)
    }

    /// The same, to a head that could not be read.
    fn unread(&self, why: Refused) -> Step {
        // As far as answers differ by it.
        let method = match self.buffers.input.starts_with(b"HEAD ") {
            true => "HEAD",
            false => "GET",
        };
        self.refused(why, so_far(&self.buffers.input).as_ref(), method)
    }

    async fn refuse(&mut self, why: Refused) -> After {
        match self.unread(why) {
            Step::Answer(answer, wire) => self.send(answer, wire).await,
            _ => After::Close,
        }
    }

    async fn send(&mut self, answer: Answer<'_>, wire: Wire) -> After {
        self.buffers.output.clear();
        self.send_behind(answer, wire).await
    }

    /// Sends an answer behind what is in the output buffer.
    async fn send_behind(&mut self, mut answer: Answer<'_>, wire: Wire) -> After {
        let edge = &self.link.edge;
        let mut tally = answer.tally(self.protocol());
        let limits = &edge.config.client;
        let mut pump = Pump::new(&mut self.buffers.output, answer, wire, limits, &mut self.deadline);
        let sent = match pump.try_send(&mut self.stream) {
            Some(sent) => sent,
            None => {
                tally.begun(&*edge.clock);
                let input = &mut self.buffers.input;
                pump.send(&mut self.stream, |stream, cx| read::poll_gone(stream, input, cx))
                    .await
            }
        };
        tally.ended(&edge.sites, pump.body_bytes, sent.is_whole(), &*edge.clock);
        after(sent, wire)
    }

    /// What is spoken, as it is counted.
    fn protocol(&self) -> Protocol {
        match self.peer.scheme {
            SchemeClass::Clear => Protocol::H1,
            SchemeClass::Secure => Protocol::H1Tls,
        }
    }

    async fn execute(&mut self, execute: Execute) -> After {
        match execute.framing {
            Framing::None => self.execute_without_body(execute).await,
            _ => self.execute_with_body(execute).await,
        }
    }

    async fn execute_without_body(&mut self, Execute { mut work, wire, .. }: Execute) -> After {
        let edge = Arc::clone(&self.link.edge);
        // RFC 9110 15.2: HTTP/1.0 knows no interim responses.
        let mut early = (!wire.http10).then(|| Early::new(work.interims()));
        let mut answer = {
            let mut working = std::pin::pin!(work.execute(&edge, None));
            let (stream, input) = (&mut self.stream, &mut self.buffers.input);
            let answered = poll_fn(|cx| match working.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => {
                    if let Some(early) = &mut early {
                        early.send(stream, cx);
                    }
                    read::poll_gone(stream, input, cx).map(|()| None)
                }
            });
            match answered.await {
                Some(answer) => answer,
                None => return After::Close,
            }
        };
        begin_output(&mut self.buffers.output, early);
        match answer.upgraded.take() {
            None => self.send_behind(answer, wire).await,
            Some(origin) => {
                self.send_behind(answer, wire).await;
                tunnel::tunnel(&mut self.stream, self.buffers.input.split(), origin).await;
                After::Close
            }
        }
    }

    /// The body is read while the answer is written, so both hold the stream by turns.
    async fn execute_with_body(&mut self, execute: Execute) -> After {
        let Execute {
            mut work,
            framing,
            expects_continue,
            wire,
        } = execute;
        let (edge, protocol) = (Arc::clone(&self.link.edge), self.protocol());
        let limits = &edge.config.client;
        let stream = Mutex::new(&mut self.stream);
        let input = Mutex::new(&mut self.buffers.input);
        let ended = AtomicBool::new(false);
        let mut early = (!wire.http10).then(|| Early::new(work.interims()));
        let expected = expects_continue.then(|| work.interims());
        let mut body = ClientBody::new(
            Lent(&stream),
            &input,
            &ended,
            framing,
            work.allowance(&edge),
            expected,
            limits,
        );
        // While the body is read, reading it shows whether the client is there.
        let poll_gone = |cx: &mut Context<'_>| match ended.load(Ordering::Relaxed) {
            true => read::poll_gone(&mut Lent(&stream), &mut input.lock(), cx),
            false => Poll::Pending,
        };
        let wanted: Option<&mut (dyn RequestBody + '_)> = Some(&mut body);
        let mut working = std::pin::pin!(work.execute(&edge, wanted));
        let answered = poll_fn(|cx| match working.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => {
                if let Some(early) = &mut early {
                    early.send(&mut Lent(&stream), cx);
                }
                poll_gone(cx).map(|()| None)
            }
        });
        let Some(mut answer) = answered.await else {
            return After::Close;
        };
        let unread = matches!(answer.head, AnswerHead::Own(..)) && !ended.load(Ordering::Relaxed);
        let wire = Wire {
            keep_alive: wire.keep_alive && !unread,
            ..wire
        };
        begin_output(&mut self.buffers.output, early);
        let mut tally = answer.tally(protocol);
        tally.begun(&*edge.clock);
        let mut pump = Pump::new(&mut self.buffers.output, answer, wire, limits, &mut self.deadline);
        let sent = pump.send(&mut Lent(&stream), |_, cx| poll_gone(cx)).await;
        tally.ended(&edge.sites, pump.body_bytes, sent.is_whole(), &*edge.clock);
        match after(sent, wire) {
            After::KeepAlive if !ended.load(Ordering::Relaxed) => After::Linger,
            after => after,
        }
    }
}

/// Begins the output with what has to go out before the answer.
fn begin_output(output: &mut Vec<u8>, early: Option<Early>) {
    output.clear();
    if let Some(early) = early {
        output.extend_from_slice(&early.rest());
    }
}

/// What the first line of a head that cannot be read seems to say; for the log.
fn so_far(input: &[u8]) -> Option<Asked<'_>> {
    let end = memchr::memchr(b'\n', input)?;
    let line = std::str::from_utf8(input[..end].trim_ascii_end()).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    Some(Asked {
        method,
        target,
        scheme: None,
        host: None,
        fields: RequestFields::new(&[]),
        version: match version {
            "HTTP/1.0" => "1.0",
            "HTTP/1.1" => "1.1",
            _ => return None,
        },
        body: RequestLength::None,
    })
}

/// What came of waiting for bytes.
enum Received {
    Some,
    End,
    TooLate,
}

fn after(sent: Sent, wire: Wire) -> After {
    match sent {
        Sent::Whole if wire.keep_alive => After::KeepAlive,
        Sent::Whole => After::Linger,
        Sent::ToBeClosed => After::Linger,
        Sent::Broken => After::Abort,
        Sent::Gone => After::Close,
    }
}
