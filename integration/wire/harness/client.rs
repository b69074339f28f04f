//! A client: sends what it is told, reads strictly.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::message::{Framing, Head, Trouble, framing, read_body, read_head, unless_late};
use super::{PATIENCE, patient};

/// One connection to the edge, over TCP or something on top of it.
pub struct Client<S = TcpStream> {
    stream: BufReader<S>,
}

/// What a client got.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line and fields.
    pub head: Head,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn to(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        Client::over(patient(stream))
    }

    /// Connects with little room for what is on its way, so that a client which does not read is soon noticed.
    pub fn narrow(address: SocketAddr) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).unwrap();
        Client::over(patient(socket.into()))
    }

    /// Says that nothing more will be sent.
    pub fn end_sending(&mut self) -> &mut Client {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
        self
    }

    /// The same, if the connection is still there.
    pub fn try_end_sending(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Whether something came, or the connection ended, within 50 ms: to act slowly, not to bring about an order.
    pub fn answered_within_50ms(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let came = stream.peek(&mut [0]).is_ok();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        came
    }

    /// Leaves without reading what came.
    pub fn reset(self) {
        socket2::SockRef::from(self.stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// The same connection, to be used from another thread.
    pub fn again(&self) -> Client {
        Client::over(self.stream.get_ref().try_clone().unwrap())
    }
}

impl<S: Read + Write> Client<S> {
    /// Speaks over `stream`.
    pub fn over(stream: S) -> Client<S> {
        Client {
            stream: BufReader::new(stream),
        }
    }

    /// What it speaks over.
    #[allow(dead_code, reason = "for the tests of transports")]
    pub fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    /// Sends these bytes.
    pub fn tx(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends these bytes, if the edge still takes them.
    pub fn try_tx(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        unless_late(self.stream.get_mut().write_all(bytes.as_ref())).is_ok()
    }

    /// Asks for `path`.
    pub fn get(&mut self, path: &str) -> &mut Self {
        self.ask("GET", path, &[])
    }

    /// Sends a request without a body, with these field lines.
    pub fn ask(&mut self, method: &str, path: &str, fields: &[&str]) -> &mut Self {
        self.tx(request(method, path, fields))
    }

    /// Sends a request with this body.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> &mut Self {
        self.tx(request(method, path, &[&format!("Content-Length: {}", body.len())]) + body)
    }

    /// Reads a response.
    pub fn rx(&mut self) -> Response {
        self.try_rx()
            .unwrap_or_else(|trouble| panic!("no whole response: {trouble:?}"))
    }

    /// Reads a response, or sees that it cannot be had whole.
    pub fn try_rx(&mut self) -> Result<Response, Trouble> {
        let mut response = self.try_rx_head()?;
        response.body = self.try_rx_body(&response)?;
        Ok(response)
    }

    /// Reads a head that no body follows: the answer to `HEAD`, or the first part of an answer.
    pub fn rx_head(&mut self) -> Response {
        self.try_rx_head()
            .unwrap_or_else(|trouble| panic!("no response: {trouble:?}"))
    }

    /// The same, or sees that none comes.
    pub fn try_rx_head(&mut self) -> Result<Response, Trouble> {
        let head = read_head(&mut self.stream)?;
        match (head.word(0), head.word(1).parse()) {
            ("HTTP/1.1", Ok(status)) => Ok(Response {
                status,
                head,
                body: Vec::new(),
            }),
            _ => Err(Trouble::Malformed(head.first)),
        }
    }

    /// Reads the body that follows the head of `response`.
    pub fn try_rx_body(&mut self, response: &Response) -> Result<Vec<u8>, Trouble> {
        let framing = match response.status {
            100..=199 | 204 | 304 => Framing::Length(0),
            _ => framing(&response.head, Framing::UntilClose)?,
        };
        read_body(&mut self.stream, framing)
    }

    /// Reads so many bytes as they come.
    pub fn rx_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        unless_late(self.stream.read_exact(&mut bytes)).unwrap();
        bytes
    }

    /// Asks for `path` and reads the response.
    pub fn fetch(&mut self, path: &str) -> Response {
        self.get(path).rx()
    }

    /// Sees that the edge ends the connection, with nothing more on it.
    pub fn expect_close(&mut self) {
        let mut rest = Vec::new();
        match unless_late(self.stream.read_to_end(&mut rest)) {
            Ok(_) => assert!(rest.is_empty(), "before the close: {}", rest.escape_ascii()),
            Err(trouble) => assert_eq!(trouble, Trouble::Reset),
        }
    }

    /// Reads to the end of the connection, whatever comes.
    pub fn drain(&mut self) {
        self.rest();
    }

    /// What comes until the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = unless_late(self.stream.read_to_end(&mut rest));
        rest
    }

    /// The same, if the connection ends as it should.
    #[allow(dead_code, reason = "for the tests of transports")]
    pub fn try_rest(&mut self) -> Result<Vec<u8>, Trouble> {
        read_body(&mut self.stream, Framing::UntilClose)
    }
}

/// A request without a body.
pub fn request(method: &str, path: &str, fields: &[&str]) -> String {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: example.test\r\n{lines}\r\n")
}

impl Response {
    /// Checks status and body.
    #[track_caller]
    pub fn expect(self, status: u16, body: impl AsRef<[u8]>) -> Response {
        assert_eq!(self.status, status, "{:?} {}", self.head, self.body.escape_ascii());
        assert!(
            self.body == body.as_ref(),
            "{}: {}",
            self.head.first,
            Excerpt(&self.body)
        );
        self
    }

    /// Checks the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{:?} {}", self.head, Excerpt(&self.body));
        self
    }

    /// Checks that `Cache-Status` says all of `words`, separated by spaces.
    #[track_caller]
    pub fn cached(self, words: &str) -> Response {
        let said: Vec<&str> = self.head.field("cache-status").unwrap_or("").split("; ").collect();
        for word in words.split(' ') {
            assert!(said.contains(&word), "{word} is missing in {said:?}");
        }
        self
    }

    /// Checks a field; `None` where it must not be there.
    #[track_caller]
    pub fn has(self, name: &str, value: impl Into<Option<&'static str>>) -> Response {
        assert_eq!(self.head.field(name), value.into(), "{name} of {:?}", self.head);
        self
    }
}

/// The beginning of a body that may be large.
struct Excerpt<'a>(&'a [u8]);

impl std::fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.0[..self.0.len().min(400)];
        write!(f, "{} bytes: {}", self.0.len(), shown.escape_ascii())
    }
}
