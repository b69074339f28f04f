//! A client for HTTP/2: the h2 crate's, on a thread of its own, told what to do by the test's.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::edge::HOST;
use crate::harness::{Head, PATIENCE, Response};

/// Waits for `future`, but no longer than the tests do.
#[track_caller]
pub fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
    waited.unwrap_or_else(|_| panic!("nothing came for {PATIENCE:?}"))
}

/// How much the edge may send before the client says that it has taken some.
#[derive(Clone, Copy)]
pub struct Windows {
    /// On one stream.
    pub stream: u32,
    /// On all together.
    pub connection: u32,
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            stream: 1 << 20,
            connection: 1 << 24,
        }
    }
}

/// One connection to the edge.
pub struct H2 {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    driving: Option<JoinHandle<Result<(), h2::Error>>>,
    leave: Option<oneshot::Sender<()>>,
}

impl H2 {
    /// Connects, and begins with the preface.
    pub fn clear(address: SocketAddr, windows: Windows) -> H2 {
        H2::drive("http", windows, async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
    }

    /// Connects and shakes hands for `name`.
    pub fn secure(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> H2 {
        let (connector, name) = (TlsConnector::from(Arc::clone(config)), name.to_owned());
        H2::drive("https", Windows::default(), async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let name = ServerName::try_from(name).unwrap();
            let stream = connector.connect(name, stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            stream
        })
    }

    fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        scheme: &'static str,
        windows: Windows,
        connect: impl Future<Output = S> + Send + 'static,
    ) -> H2 {
        let (made, requests) = std::sync::mpsc::channel();
        let (leave, left) = oneshot::channel();
        let driving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut builder = Builder::new();
                builder
                    .initial_window_size(windows.stream)
                    .initial_connection_window_size(windows.connection)
                    .enable_push(false);
                let (requests, connection): (_, Connection<S, Bytes>) = builder.handshake(connect.await).await.unwrap();
                made.send(requests).unwrap();
                tokio::select! {
                    ended = connection => ended,
                    Ok(()) = left => Ok(()),
                }
            })
        });
        H2 {
            requests: requests.recv_timeout(PATIENCE).unwrap(),
            scheme,
            driving: Some(driving),
            leave: Some(leave),
        }
    }

    /// Asks for `path` of the tests' host.
    pub fn get(&mut self, path: &str) -> Stream {
        self.ask("GET", path, &[])
    }

    /// Asks for `path` and reads the response.
    pub fn fetch(&mut self, path: &str) -> Response {
        self.get(path).rx()
    }

    /// Sends a request without a body, with these field lines.
    pub fn ask(&mut self, method: &str, path: &str, fields: &[&str]) -> Stream {
        self.request(method, HOST, path, fields, true)
    }

    /// Sends a request whose body follows.
    pub fn begin(&mut self, method: &str, path: &str, fields: &[&str]) -> Stream {
        self.request(method, HOST, path, fields, false)
    }

    /// Sends a request head.
    pub fn request(&mut self, method: &str, host: &str, path: &str, fields: &[&str], end: bool) -> Stream {
        self.try_request(method, host, path, fields, end).unwrap()
    }

    /// Sends a request head, if the connection takes it.
    pub fn try_request(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        fields: &[&str],
        end: bool,
    ) -> Result<Stream, h2::Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let uri = http::Uri::builder().scheme(self.scheme).authority(host);
        *request.uri_mut() = uri
            .path_and_query(path)
            .build()
            .unwrap_or_else(|error| panic!("{host} {path}: {error}"));
        for line in fields {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
            request.headers_mut().append(name, value_of(value));
        }
        wait(poll_fn(|cx| self.requests.poll_ready(cx)))?;
        let (response, body) = self.requests.send_request(request, end)?;
        Ok(Stream {
            response,
            send: body,
            receive: None,
        })
    }

    /// How many requests the edge takes at a time.
    pub fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Waits until the connection is over, and says how.
    pub fn ended(mut self) -> Result<(), h2::Error> {
        self.driving.take().unwrap().join().unwrap()
    }

    /// Goes without a word.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // A connection that is over needs not be told.
        let _ = self.leave.take().map(|leave| leave.send(()));
        if let Some(driving) = self.driving.take() {
            let _ = driving.join();
        }
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.end();
    }
}

/// A value whose characters are its bytes.
fn value_of(text: &str) -> HeaderValue {
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    HeaderValue::from_bytes(&bytes).unwrap()
}

/// A request and its response.
pub struct Stream {
    response: ResponseFuture,
    send: SendStream<Bytes>,
    receive: Option<RecvStream>,
}

impl Stream {
    /// Reads a response.
    #[track_caller]
    pub fn rx(mut self) -> Response {
        self.try_rx()
            .unwrap_or_else(|error| panic!("no whole response: {error}"))
    }

    /// Reads a response, or sees that it cannot be had whole.
    pub fn try_rx(&mut self) -> Result<Response, h2::Error> {
        let mut response = self.try_rx_head()?;
        while let Some(piece) = self.try_rx_piece() {
            let piece = piece?;
            response.body.extend_from_slice(&piece);
            self.take(piece.len());
        }
        Ok(response)
    }

    /// Reads the head of a response.
    #[track_caller]
    pub fn rx_head(&mut self) -> Response {
        self.try_rx_head()
            .unwrap_or_else(|error| panic!("no response: {error}"))
    }

    fn try_rx_head(&mut self) -> Result<Response, h2::Error> {
        let (head, body) = wait(&mut self.response)?.into_parts();
        self.receive = Some(body);
        Ok(Response {
            status: head.status.as_u16(),
            head: Head {
                first: format!("HTTP/2 {}", head.status.as_u16()),
                fields: lines(&head.headers),
            },
            body: Vec::new(),
        })
    }

    /// Reads an interim response; `None` once the final one has come.
    pub fn rx_interim(&mut self) -> Option<(u16, Head)> {
        let interim = wait(poll_fn(|cx| self.response.poll_informational(cx)))?.unwrap();
        let head = Head {
            first: String::new(),
            fields: lines(interim.headers()),
        };
        Some((interim.status().as_u16(), head))
    }

    /// Reads some of the body, without opening the window again.
    pub fn try_rx_piece(&mut self) -> Option<Result<Bytes, h2::Error>> {
        wait(self.receive.as_mut().unwrap().data())
    }

    /// So many bytes of the body, without opening the window again.
    pub fn rx_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            bytes.extend_from_slice(&self.try_rx_piece().unwrap().unwrap());
        }
        bytes
    }

    /// Opens the windows by so many bytes.
    pub fn take(&mut self, length: usize) {
        let receive = self.receive.as_mut().unwrap();
        receive.flow_control().release_capacity(length).unwrap();
    }

    /// Whether the response has ended, with nothing more to come.
    pub fn is_over(&self) -> bool {
        self.receive.as_ref().unwrap().is_end_stream()
    }

    /// The trailer fields behind the body.
    pub fn trailers(&mut self) -> Option<Vec<(String, String)>> {
        let trailers = wait(self.receive.as_mut().unwrap().trailers()).unwrap();
        trailers.map(|trailers| lines(&trailers))
    }

    /// Sends some of the request's body as the edge makes room, and with `end` its end.
    pub fn tx(&mut self, bytes: impl Into<Bytes>, end: bool) {
        self.try_tx(bytes, end).unwrap();
    }

    /// The same, if the edge still takes it.
    pub fn try_tx(&mut self, bytes: impl Into<Bytes>, end: bool) -> Result<(), h2::Error> {
        let mut bytes = bytes.into();
        while !bytes.is_empty() {
            self.send.reserve_capacity(bytes.len());
            let room = match wait(poll_fn(|cx| self.send.poll_capacity(cx))) {
                Some(room) => room?,
                None => return Err(Reason::STREAM_CLOSED.into()),
            };
            let part = bytes.split_to(room.min(bytes.len()));
            self.send.send_data(part, end && bytes.is_empty())?;
            if end && bytes.is_empty() {
                return Ok(());
            }
        }
        match end {
            true => self.send.send_data(Bytes::new(), true),
            false => Ok(()),
        }
    }

    /// Takes the request back.
    pub fn cancel(mut self) {
        self.send.send_reset(Reason::CANCEL);
    }

    /// Waits until the edge resets the stream.
    pub fn reset(&mut self) -> Reason {
        wait(poll_fn(|cx| self.send.poll_reset(cx))).unwrap()
    }
}

/// Names and values; the bytes of a value are its characters.
fn lines(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    };
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), text(value));
    fields.iter().map(line).collect()
}
