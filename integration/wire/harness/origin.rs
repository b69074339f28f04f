//! A scripted origin: it hands over each request and leaves the rest to the script.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::message::{Framing, Head, Trouble, framing, read_body, read_head, unless_late};
use super::{PATIENCE, patient};

/// A server on a port of its own.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Mutex<Receiver<Asked>>,
    counts: Arc<Counts>,
    seen: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

impl Origin {
    /// Starts listening.
    pub fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        let (counts, stopping) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let listening = {
            let (counts, stopping) = (Arc::clone(&counts), Arc::clone(&stopping));
            std::thread::spawn(move || listen(&listener, &sender, &counts, &stopping))
        };
        Origin {
            address,
            asked: Mutex::new(asked),
            counts,
            seen: Arc::default(),
            stopping,
            listening: Some(listening),
        }
    }

    /// The next request, whichever connection it comes on.
    #[track_caller]
    pub fn rx(&self) -> Asked {
        match self.asked.lock().recv_timeout(PATIENCE) {
            Ok(asked) => asked,
            Err(_) => panic!("the origin was asked nothing for {PATIENCE:?}"),
        }
    }

    /// The next request, which is for `line`, such as `GET /a`.
    #[track_caller]
    pub fn rx_for(&self, line: &str) -> Asked {
        let asked = self.rx();
        assert_eq!(asked.line(), line);
        asked
    }

    /// From now on gives every request to `answer`, each on a thread of its own.
    pub fn answer_all(&self, answer: impl Fn(Asked) + Send + Sync + 'static) {
        let (_, none) = channel();
        let (asked, seen) = (std::mem::replace(&mut *self.asked.lock(), none), Arc::clone(&self.seen));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for request in asked {
                seen.lock().push(request.line());
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || answer(request));
            }
        });
    }

    /// The requests answered by [`Origin::answer_all`].
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// From now on connections are refused.
    pub fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            self.stopping.store(true, Ordering::SeqCst);
            // Whatever becomes of it, it wakes the listener.
            let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
            listening.join().unwrap();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(listener: &TcpListener, asked: &Sender<Asked>, counts: &Arc<Counts>, stopping: &AtomicBool) {
    loop {
        let (stream, _) = listener.accept().unwrap();
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        counts.connections.fetch_add(1, Ordering::SeqCst);
        let (asked, counts) = (asked.clone(), Arc::clone(counts));
        std::thread::spawn(move || take_requests(BufReader::new(patient(stream)), &asked, &counts));
    }
}

/// Hands over one request after the other, each with the connection, until one does not come back.
fn take_requests(mut stream: BufReader<TcpStream>, asked: &Sender<Asked>, counts: &Counts) {
    loop {
        // An unused connection that nothing comes on is nothing to wait for.
        if stream.buffer().is_empty() && !matches!(stream.get_ref().peek(&mut [0]), Ok(1..)) {
            return;
        }
        let head = match read_head(&mut stream) {
            Ok(head) => head,
            Err(Trouble::Malformed(line)) => panic!("the edge sent no request: {line}"),
            // It may leave whenever it likes.
            Err(_) => return,
        };
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let (back, returned) = channel();
        let request = Asked {
            head,
            body: None,
            stream: Some(stream),
            back,
        };
        if asked.send(request).is_err() {
            return;
        }
        match returned.recv() {
            Ok(again) => stream = again,
            Err(_) => return,
        }
    }
}

/// A request, and the connection to answer it on. Dropped, it leaves the connection to the next request.
pub struct Asked {
    /// Request line and fields.
    pub head: Head,
    body: Option<Vec<u8>>,
    stream: Option<BufReader<TcpStream>>,
    back: Sender<BufReader<TcpStream>>,
}

impl Asked {
    /// Method and target.
    pub fn line(&self) -> String {
        format!("{} {}", self.head.word(0), self.head.word(1))
    }

    /// The value of a field that stands there at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// Checks a field; `None` where it must not be there.
    #[track_caller]
    pub fn has(self, name: &str, value: impl Into<Option<&'static str>>) -> Asked {
        assert_eq!(self.field(name), value.into(), "{name} of {:?}", self.head);
        self
    }

    /// The request's body, read to its end.
    pub fn body(&mut self) -> Result<&[u8], Trouble> {
        if self.body.is_none() {
            let framing = framing(&self.head, Framing::Length(0))?;
            self.body = Some(read_body(self.stream(), framing)?);
        }
        Ok(self.body.as_deref().unwrap_or_default())
    }

    /// So many bytes of it, as they come.
    pub fn rx_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        unless_late(self.stream().read_exact(&mut bytes)).unwrap();
        bytes
    }

    /// Sends these bytes.
    pub fn tx(&mut self, bytes: impl AsRef<[u8]>) -> &mut Asked {
        self.stream().get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends these bytes, if the edge still takes them.
    pub fn try_tx(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        unless_late(self.stream().get_mut().write_all(bytes.as_ref())).is_ok()
    }

    /// Sends the head of a response of this length.
    pub fn tx_head(&mut self, status: &str, fields: &[&str], length: usize) -> &mut Asked {
        self.tx(head(status, fields, length))
    }

    /// Answers, and leaves the connection to the next request.
    pub fn answer(mut self, status: &str, fields: &[&str], body: impl AsRef<[u8]>) {
        self.body().unwrap();
        let body = body.as_ref();
        self.tx([head(status, fields, body.len()).as_bytes(), body].concat());
    }

    /// Answers with a `200`.
    pub fn ok(self, fields: &[&str], body: impl AsRef<[u8]>) {
        self.answer("200 OK", fields, body);
    }

    /// Answers with a `304`.
    pub fn not_modified(mut self, fields: &[&str]) {
        self.body().unwrap();
        let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        self.tx(format!("HTTP/1.1 304 Not Modified\r\n{lines}\r\n"));
    }

    /// Reads the request to its end, and if there is one answers with a `200` that nobody may store.
    pub fn ok_if_whole(mut self) {
        match self.body() {
            Ok(_) => self.ok(&["Cache-Control: no-store"], "answered"),
            Err(_) => self.close(),
        }
    }

    /// Answers with a `200` in chunks.
    pub fn chunked(mut self, fields: &[&str], body: &[u8]) {
        let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        self.tx(format!("HTTP/1.1 200 OK\r\n{lines}Transfer-Encoding: chunked\r\n\r\n"));
        for piece in body.chunks(50_000) {
            let size = format!("{:x}\r\n", piece.len());
            self.tx([size.as_bytes(), piece, b"\r\n"].concat());
        }
        self.tx("0\r\n\r\n");
    }

    /// Closes the connection.
    pub fn close(mut self) {
        self.end();
    }

    /// Closes the connection, for those who hold a reference.
    pub fn end(&mut self) {
        self.stream = None;
    }

    /// Resets the connection.
    pub fn reset(mut self) {
        let stream = self.stream.take().unwrap();
        socket2::SockRef::from(stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Waits until the edge has ended the connection.
    pub fn expect_close(mut self) {
        let mut stream = self.stream.take().unwrap();
        let mut rest = Vec::new();
        // An end and a reset are both ends.
        let _ = unless_late(stream.read_to_end(&mut rest));
    }

    fn stream(&mut self) -> &mut BufReader<TcpStream> {
        self.stream.as_mut().unwrap()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Nobody waits for it once the origin is gone.
            let _ = self.back.send(stream);
        }
    }
}

fn head(status: &str, fields: &[&str], length: usize) -> String {
    let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n")
}
