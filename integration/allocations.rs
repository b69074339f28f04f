//! What a hit costs in heap allocations: none to decide, none to know whether a TLS connection may speak for its host, none
//! to log it, at most two over a real socket.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use verge::cache::{SchemeClass, Secret};
use verge::clock::ManualClock;
use verge::config;
use verge::http1::{HeadStorage, parse_request};
use verge::listen::{Bound, OnThisThread, Server};
use verge::origin::{Fetch, Origin};
use verge::pipeline::{Decision, Edge, RequestLength, RequestView, decide};
use verge::target::Target;
use verge::telemetry::access::AccessLog;
use verge::tls;

/// Counts the allocations of every thread: its own, and those of the threads that are not the tests'.
struct Counting;

thread_local! {
    static OF_THIS_THREAD: Cell<u64> = const { Cell::new(0) };
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}
static OF_OTHERS: AtomicU64 = AtomicU64::new(0);

impl Counting {
    fn count() {
        // A thread that is ending has no counters any more, and serves nobody.
        let _ = OF_THIS_THREAD.try_with(|count| count.set(count.get() + 1));
        if IS_OURS.try_with(Cell::get) == Ok(false) {
            OF_OTHERS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promises are those of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PATIENCE: Duration = Duration::from_secs(20);
const HITS: u64 = 1_000;
const REQUEST: &[u8] =
    b"GET /a/page?with=query HTTP/1.1\r\nHost: example.test\r\nUser-Agent: test/1.0\r\nAccept: text/html,*/*\r\n\
    Accept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: session=1\r\n\r\n";

/// An edge with one thread, which logs to a file if one is given, that has stored what `REQUEST` asks for, and a connection to it.
fn warm(vary: &str, log: Option<&Path>) -> (Server, TcpStream, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "server.threads = 1\nlisten = [{{ address = \"127.0.0.1:0\" }}]\norigins.app.servers = [\"http://{}\"]\n\
         {}\n[[sites]]\nhosts = [\"*\"]\norigin = \"app\"",
        listener.local_addr().unwrap(),
        log.map_or(String::new(), |path| format!("log.access = {path:?}")),
    );
    let config = config::load("test", &text).unwrap();
    let origin = Arc::new(Origin::new(config.origins[0].reach.clone()).unwrap()) as Arc<dyn Fetch>;
    let clock = Arc::new(ManualClock::new(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    ));
    let bound = Bound::new(&config.listen, 1).unwrap();
    let edge = Edge::new(
        Arc::new(config),
        vec![origin],
        Secret::new([1; 16]),
        clock,
        Arc::new(OnThisThread),
    );
    let log = edge.config.log.clone();
    let access = AccessLog::open(&log, &edge.clock, &edge.telemetry).unwrap();
    let edge = Edge { access, ..edge };
    let server = Server::start(Arc::new(edge), None, bound).unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"1\"\r\nContent-Type: text/html\r\n{vary}Content-Length: 1000\r\n\r\n{}",
        "x".repeat(1000)
    );
    let mut client = connect(server.addresses[0]);
    client.write_all(REQUEST).unwrap();
    let (mut asked, _) = listener.accept().unwrap();
    read_past(&mut asked, b"\r\n\r\n");
    asked.write_all(answer.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    read_past(&mut client, &[b'x'; 1000]);
    // The length of a hit, by which the others are read without looking at them.
    client.write_all(REQUEST).unwrap();
    let mut length = 0;
    while !buffer[..length].ends_with(&[b'x'; 1000]) {
        length += client.read(&mut buffer[length..]).unwrap();
    }
    assert!(
        buffer[..length].windows(5).any(|bytes| bytes == b"; hit"),
        "{}",
        buffer[..length].escape_ascii()
    );
    (server, client, length)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn read_past(stream: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", seen.escape_ascii());
        seen.extend_from_slice(&buffer[..read]);
    }
}

/// What `vary` lines the stored response has: the plain case, and the one that looks twice.
const CASES: [&str; 2] = ["", "Vary: Accept-Encoding\r\n"];

/// All parts in one test: the counters are the process's.
#[test]
fn hits_cost_next_to_nothing() {
    IS_OURS.set(true);
    speaks_without();
    for vary in CASES {
        let each = over_a_socket(vary, None);
        println!("{each:.3} allocations a hit over a socket, {vary:?}");
        assert!(each <= 2.0, "{each} allocations a hit, {vary:?}");
        let folder = tempfile::tempdir().unwrap();
        let logged = over_a_socket(vary, Some(&folder.path().join("access.log")));
        println!("{logged:.3} with an access log");
        // The writer's events of once a second, and buffers that grow until they are large enough.
        assert!(logged <= each + 0.05, "{logged} allocations a logged hit, {vary:?}");
    }
}

/// Allocations a hit, those of the thread that writes the log included.
fn over_a_socket(vary: &str, log: Option<&Path>) -> f64 {
    let (server, mut client, length) = warm(vary, log);
    decides_without(&server.edge());
    for _ in 0..HITS {
        hit(&mut client, length);
    }
    let before = OF_OTHERS.load(Ordering::Relaxed);
    assert!(before > 0, "the miss was counted");
    for _ in 0..HITS {
        hit(&mut client, length);
    }
    (OF_OTHERS.load(Ordering::Relaxed) - before) as f64 / HITS as f64
}

/// Whether a connection may speak for hosts, with something said of each kind of name.
fn speaks_without() {
    let settings = tls::Settings {
        self_signed_names: vec!["*.example.test".to_owned(), "192.0.2.1".to_owned()],
        hosts: ["www.example.test", "*.example.test", "*"]
            .map(|host| (host.to_owned(), None))
            .to_vec(),
        ..tls::Settings::default()
    };
    let clock = Arc::new(ManualClock::new(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    ));
    let listeners = vec![tls::ClientCertificates::NotAsked];
    let terminator = tls::Terminator::new(settings, listeners, clock).unwrap();
    let voice = terminator.choose(0, Some("www.example.test"), &[]).voice;
    let before = OF_THIS_THREAD.get();
    for host in [
        "www.example.test",
        "api.example.test",
        "a.b.c.test",
        "192.0.2.1",
        "[2001:db8::1]",
    ] {
        assert!(voice.may_speak_for(host));
    }
    assert_eq!(OF_THIS_THREAD.get(), before);
}

fn hit(client: &mut TcpStream, length: usize) {
    let mut buffer = [0; 4096];
    client.write_all(REQUEST).unwrap();
    client.read_exact(&mut buffer[..length]).unwrap();
    assert!(buffer[..length].ends_with(b"xxx"));
}

/// After so many reads the store's cache (moka) applies its log of them, on the thread that happens to read. That is the
/// cache's own work, not a request's.
const READS_A_ROUND: u64 = 64;

/// `decide` on a hit, from the head's bytes to the decision.
fn decides_without(edge: &Edge) {
    let now = edge.clock.now().monotonic;
    let mut allocating = 0;
    for round in 0..2 * HITS {
        let before = OF_THIS_THREAD.get();
        let mut storage = HeadStorage::new();
        let (head, _) = parse_request(REQUEST, &mut storage).unwrap().unwrap();
        let target = Target::new(head.method, head.target, head.host_value).unwrap();
        let view = RequestView {
            method: head.method,
            scheme: SchemeClass::Clear,
            host: target.host,
            path: target.path,
            raw_path: verge::access::raw_path(head.target),
            query: target.query,
            fields: head.fields,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            version: "1.1",
            body: RequestLength::None,
        };
        let decision = decide(edge, &view, now);
        let allocated = OF_THIS_THREAD.get() > before;
        assert!(matches!(decision, Decision::Serve(_)));
        allocating += u64::from(allocated && round >= HITS);
    }
    // A variant is two reads.
    assert!(
        allocating <= 2 * HITS / READS_A_ROUND + 1,
        "{allocating} of {HITS} decisions on a hit allocated"
    );
}
