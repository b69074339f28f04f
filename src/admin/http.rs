//! HTTP/1 on the admin listener, by hyper: HTTP/1.0 without `Host` as well, which simple health checks speak.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::guard::{Guard, Refusal};
use super::routes::{self, Call, Reply};
use crate::node::Node;

/// Connections at a time; the next ones wait.
const MOST: usize = 256;

/// From the first byte of a request's head to its last, and between requests.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request's body.
const MAX_BODY: usize = 16 << 20;

/// A running admin listener; ends with the process, or when dropped.
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

/// Binds the admin listener's address.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, String> {
    let taken = |error: io::Error| {
        format!(
            "cannot listen on {address} for the admin API: {error}; name another address as [server] admin, or \"off\""
        )
    };
    let socket = std::net::TcpListener::bind(address).map_err(taken)?;
    socket.set_nonblocking(true).map_err(taken)?;
    Ok(socket)
}

impl Admin {
    /// Serves `node`'s API on `socket`, on threads of its own.
    pub fn start(node: &Arc<Node>, socket: std::net::TcpListener) -> io::Result<Admin> {
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(8)
            .thread_name("verge-admin")
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(socket)?
        };
        runtime.spawn(accept(Arc::clone(node), listener, address));
        Ok(Admin {
            address,
            _runtime: runtime,
        })
    }
}

async fn accept(node: Arc<Node>, listener: TcpListener, address: SocketAddr) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    serve(node, stream, address).await;
                    drop(place);
                });
            }
            // Mostly the process is out of file descriptors, and only time frees some.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(node: Arc<Node>, stream: TcpStream, address: SocketAddr) {
    let service = service_fn(move |request| {
        let node = Arc::clone(&node);
        async move { Ok::<_, Infallible>(answer(node, request, address).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // An error is of the client's making, and it has been told if it could be.
    let _ = served.await;
}

async fn answer(node: Arc<Node>, request: Request<Incoming>, address: SocketAddr) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let method = match head.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    let route = match routes::find(method, head.uri.path()) {
        Ok(route) => route,
        Err(allowed) if allowed.is_empty() => {
            return response(Reply::error(
                StatusCode::NOT_FOUND,
                "there is nothing here; GET / lists what there is",
            ));
        }
        Err(allowed) => {
            let mut refused = response(Reply::error(StatusCode::METHOD_NOT_ALLOWED, "not with this method"));
            if let Ok(allowed) = allowed.join(", ").parse() {
                refused.headers_mut().insert(ALLOW, allowed);
            }
            return refused;
        }
    };
    let edge = node.server.edge();
    let token = edge.config.admin.as_ref().and_then(|admin| admin.token.clone());
    let guard = Guard::new(address, token);
    if let Err(Refusal { status, why }) = guard.allows(route.access, &head.headers) {
        let mut refused = response(Reply::error(status, why));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = hyper::header::HeaderValue::from_static("Bearer");
            refused.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        return refused;
    }
    let Ok(body) = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await else {
        return response(Reply::error(StatusCode::REQUEST_TIMEOUT, "the body did not come"));
    };
    let Ok(body) = body else {
        return response(Reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "at most 16 MiB; send several requests",
        ));
    };
    let call = Call {
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: body.to_bytes(),
    };
    // Some read files, or look at every entry of a large cache.
    let replied = tokio::task::spawn_blocking(move || (route.reply)(&node, &call)).await;
    response(replied.unwrap_or_else(|_| Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "a fault of Verge's")))
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(reply.kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    response
}
