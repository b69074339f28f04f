//! The sample origin: a small HTTP/1.1 server that counts what it is asked.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::complain;
use super::content;
use crate::cache::object::wire_head;
use crate::clock::Clock;
use crate::http1::{BodyDecoder, BodyPiece, HeadStorage, RequestHead, parse_request};
use crate::policy::date;
use crate::policy::validator::{Precondition, precondition, validators};

/// The sample origin, as the walk sees it.
pub(super) struct Sample {
    /// Where it listens.
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    clock: Arc<dyn Clock>,
    /// By path, how often each was asked for.
    asked: Mutex<HashMap<String, usize>>,
    fails: AtomicBool,
}

impl Sample {
    /// Starts it on a thread of its own, which ends with the process.
    pub(super) fn start(clock: Arc<dyn Clock>) -> io::Result<Sample> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            clock,
            asked: Mutex::default(),
            fails: AtomicBool::new(false),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = Arc::clone(&state);
        std::thread::Builder::new()
            .name("sample-origin".to_owned())
            .spawn(move || runtime.block_on(serve(listener, served)))?;
        Ok(Sample { address, state })
    }

    /// How often `path` has been asked for.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.state.asked.lock().get(path).copied().unwrap_or(0)
    }

    /// Whether it answers everything with `503` from now on.
    pub(super) fn fail(&self, fails: bool) {
        self.state.fails.store(fails, Ordering::SeqCst);
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return complain(&format!("verge: the sample origin cannot listen: {error}")),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                // A connection that breaks is the client's to notice.
                tokio::spawn(async move { drop(converse(stream, &state).await) });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Answers the requests of one connection, one after another.
async fn converse(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::new();
    loop {
        let Some(taken) = take_head(&mut stream, &mut input, state).await? else {
            return Ok(());
        };
        let keep_alive = taken.keep_alive;
        drain(&mut stream, &mut input, taken.body).await?;
        tokio::time::sleep(taken.reply.takes).await;
        stream.write_all(&taken.reply.head).await?;
        stream.write_all(&taken.reply.body).await?;
        if !keep_alive {
            return stream.shutdown().await;
        }
    }
}

/// What a request comes to.
struct Taken {
    reply: Reply,
    body: BodyDecoder,
    keep_alive: bool,
}

struct Reply {
    head: Vec<u8>,
    body: Bytes,
    takes: Duration,
}

/// Reads a head and makes the reply; `None` at the end of the connection.
async fn take_head(stream: &mut TcpStream, input: &mut BytesMut, state: &State) -> io::Result<Option<Taken>> {
    loop {
        let mut storage = HeadStorage::new();
        let parsed = parse_request(input, &mut storage).map_err(|_| io::ErrorKind::InvalidData)?;
        if let Some((head, length)) = parsed {
            let taken = Taken {
                reply: reply(&head, state),
                body: BodyDecoder::new(head.framing),
                keep_alive: head.keep_alive,
            };
            input.advance(length);
            return Ok(Some(taken));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads a request's body, of which nothing is wanted.
async fn drain(stream: &mut TcpStream, input: &mut BytesMut, mut body: BodyDecoder) -> io::Result<()> {
    loop {
        match body.decode(input, false).map_err(|_| io::ErrorKind::InvalidData)? {
            BodyPiece::Data(_) => {}
            BodyPiece::End { .. } => return Ok(()),
            BodyPiece::NeedMore if stream.read_buf(input).await? == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            BodyPiece::NeedMore => {}
        }
    }
}

fn reply(request: &RequestHead<'_>, state: &State) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    let count = {
        let mut asked = state.asked.lock();
        let count = asked.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    let wall = state.clock.now().wall;
    let mut fields = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.insert(name, value);
        }
    };
    set(DATE, &date::format(wall));
    let resource = match content::at(path, count) {
        _ if state.fails.load(Ordering::SeqCst) => return plain(StatusCode::SERVICE_UNAVAILABLE, fields),
        _ if !matches!(request.method, "GET" | "HEAD") => return plain(StatusCode::METHOD_NOT_ALLOWED, fields),
        None => return plain(StatusCode::NOT_FOUND, fields),
        Some(resource) => resource,
    };
    set(CACHE_CONTROL, resource.control);
    if let Some(tag) = resource.tag {
        set(HeaderName::from_static("cache-tag"), tag);
    }
    if let Some(etag) = resource.etag {
        set(ETAG, etag);
    }
    // RFC 9110 13.1.2, 15.4.5
    if precondition(&request.fields, true, &validators(&fields)) == Precondition::NotModified {
        return written(StatusCode::NOT_MODIFIED, &fields, None, Bytes::new(), resource.takes);
    }
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(resource.kind));
    let length = Some(resource.body.len() as u64);
    let body = if request.method == "HEAD" {
        Bytes::new()
    } else {
        resource.body
    };
    written(StatusCode::OK, &fields, length, body, resource.takes)
}

/// An answer that only says its status.
fn plain(status: StatusCode, mut fields: HeaderMap) -> Reply {
    let text = format!("{status}\n");
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    written(status, &fields, Some(text.len() as u64), text.into(), Duration::ZERO)
}

fn written(status: StatusCode, fields: &HeaderMap, length: Option<u64>, body: Bytes, takes: Duration) -> Reply {
    let (wire, _) = wire_head(status, fields, length);
    let mut head = wire.to_vec();
    head.extend_from_slice(b"\r\n");
    Reply { head, body, takes }
}
