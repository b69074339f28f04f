//! A stampede: many clients at once for one page that is not stored yet, and for one that never may be.
//!
//! `cargo run --release --example stampede` starts an origin and an edge in one process, prints what came of it, and ends
//! with a status other than zero if the counts are wrong. The times are for the reader.

#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::time::{sleep, timeout};
use verge::cache::Secret;
use verge::clock::{Clock, SystemClock};
use verge::config;
use verge::listen::{Bound, OnThisThread, Server};
use verge::origin::{Fetch, Origin};
use verge::pipeline::Edge;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 1_000;
const LENGTH: usize = 1 << 20;
const UNTIL_HEAD: Duration = Duration::from_millis(500);
const FOR_BODY: Duration = Duration::from_secs(1);
/// The body comes in so many pieces over its time.
const PIECES: usize = 64;
const UNCACHEABLE_CLIENTS: usize = 50;
/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let origin = SlowOrigin::start();
    let server = edge(origin.address);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let right = runtime.block_on(async {
        let one = stampede(&origin, server.addresses[0]).await;
        let two = uncacheable(&origin, server.addresses[0]).await;
        one && two
    });
    match right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn edge(origin: SocketAddr) -> Server {
    let text = format!(
        "listen = [{{ address = \"127.0.0.1:0\" }}]\norigins.app.servers = [\"http://{origin}\"]\n\
         [[sites]]\nhosts = [\"*\"]\norigin = \"app\""
    );
    let config = config::load("stampede", &text).unwrap();
    let fetch = Arc::new(Origin::new(config.origins[0].reach.clone()).unwrap()) as Arc<dyn Fetch>;
    let bound = Bound::new(&config.listen, config.threads).unwrap();
    let secret = Secret::random().unwrap();
    let edge = Edge::new(
        Arc::new(config),
        vec![fetch],
        secret,
        Arc::new(SystemClock),
        Arc::new(OnThisThread),
    );
    Server::start(Arc::new(edge), None, bound).unwrap()
}

/// The byte at `offset` of the page.
fn byte(offset: usize) -> u8 {
    ((offset as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

/// `/page` takes its time and may be stored; `/own` takes half a second and may not.
struct SlowOrigin {
    address: SocketAddr,
    fetches: Arc<AtomicUsize>,
}

impl SlowOrigin {
    fn start() -> SlowOrigin {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let fetches = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&fetches);
        // Ends with the process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(BufReader::new(stream), Arc::clone(&counted)));
                }
            });
        });
        SlowOrigin { address, fetches }
    }

    fn fetches_since(&self, before: usize) -> usize {
        self.fetches.load(Ordering::SeqCst) - before
    }
}

async fn answer(mut stream: BufReader<TcpStream>, fetches: Arc<AtomicUsize>) -> Option<()> {
    loop {
        let head = head(&mut stream).await?;
        fetches.fetch_add(1, Ordering::SeqCst);
        sleep(UNTIL_HEAD).await;
        if !head.starts_with("GET /page ") {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\n\r\nown")
                .await
                .ok()?;
            continue;
        }
        let fields =
            format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"1\"\r\nContent-Length: {LENGTH}\r\n\r\n");
        stream.write_all(fields.as_bytes()).await.ok()?;
        let body: Vec<u8> = (0..LENGTH).map(byte).collect();
        for piece in body.chunks(LENGTH / PIECES) {
            sleep(FOR_BODY / PIECES as u32).await;
            stream.write_all(piece).await.ok()?;
        }
    }
}

async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// When a client's first and last byte came, and whether every byte of its answer was right.
struct Got {
    first: Duration,
    last: Duration,
    right: bool,
}

fn now() -> Duration {
    SystemClock.now().monotonic
}

/// So many clients, connected first and then asking at once. Without those that failed.
async fn ask_at_once(address: SocketAddr, count: usize, path: &'static str, expected: Arc<Vec<u8>>) -> Vec<Got> {
    let barrier = Arc::new(Barrier::new(count));
    let client = |_| {
        let (barrier, expected) = (Arc::clone(&barrier), Arc::clone(&expected));
        tokio::spawn(timeout(PATIENCE, async move {
            let stream = TcpStream::connect(address).await;
            barrier.wait().await;
            ask(stream.ok()?, path, &expected).await
        }))
    };
    let clients: Vec<_> = (0..count).map(client).collect();
    let mut all = Vec::new();
    for client in clients {
        if let Ok(Ok(Some(got))) = client.await {
            all.push(got);
        }
    }
    all
}

async fn ask(stream: TcpStream, path: &str, expected: &[u8]) -> Option<Got> {
    let mut stream = BufReader::new(stream);
    let request = format!("GET {path} HTTP/1.1\r\nHost: example.test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
    let first = now();
    let head = head(&mut stream).await?;
    let length = format!("\r\ncontent-length: {}\r\n", expected.len());
    let framed = head.starts_with("HTTP/1.1 200 ") && head.contains(&length);
    let same = is_next(&mut stream, expected).await?;
    Some(Got {
        first,
        last: now(),
        right: framed && same,
    })
}

/// Whether what comes is `expected`; compared as it comes, since a thousand copies would take longer than the bytes.
async fn is_next(stream: &mut BufReader<TcpStream>, mut expected: &[u8]) -> Option<bool> {
    let mut same = true;
    while !expected.is_empty() {
        let come = stream.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
        let (now, rest) = expected.split_at(come.len().min(expected.len()));
        same &= come.starts_with(now);
        stream.consume(now.len());
        expected = rest;
    }
    Some(same)
}

/// Many clients, one page, one fetch.
async fn stampede(origin: &SlowOrigin, address: SocketAddr) -> bool {
    let body = Arc::new((0..LENGTH).map(byte).collect::<Vec<u8>>());
    let before = origin.fetches.load(Ordering::SeqCst);
    let began = now();
    let got = ask_at_once(address, CLIENTS, "/page", body).await;
    let fetches = origin.fetches_since(before);
    let right = got.iter().filter(|got| got.right).count();
    println!(
        "{CLIENTS} clients at once for one page of {LENGTH} bytes, not stored; {UNTIL_HEAD:?} to its head, {FOR_BODY:?} for its body"
    );
    println!("  fetches at the origin             {fetches}");
    println!("  clients with every byte right     {right}");
    if let (Some(first), Some(slowest), Some(last)) = (
        got.iter().map(|got| got.first).min(),
        got.iter().map(|got| got.first).max(),
        got.iter().map(|got| got.last).max(),
    ) {
        println!("  first client's first byte after   {:?}", first - began);
        println!(
            "  slowest follower's first byte     {:?} after the first client's",
            slowest - first
        );
        println!("  all had everything after          {:?}", last - began);
    }
    fetches == 1 && right == CLIENTS
}

/// A page that is each client's own: nobody waits for anybody, even where nobody knew.
async fn uncacheable(origin: &SlowOrigin, address: SocketAddr) -> bool {
    let mut all_right = true;
    println!("{UNCACHEABLE_CLIENTS} clients at once for a page that may not be stored and takes {UNTIL_HEAD:?}");
    for known in ["unknown", "known"] {
        let before = origin.fetches.load(Ordering::SeqCst);
        let began = now();
        let got = ask_at_once(address, UNCACHEABLE_CLIENTS, "/own", Arc::new(b"own".to_vec())).await;
        let fetches = origin.fetches_since(before);
        let right = got.iter().filter(|got| got.right).count();
        let last = got.iter().map(|got| got.last).max().unwrap_or(began);
        println!(
            "  {known:7}: {right} right, {fetches} fetches, all done after {:?}",
            last - began
        );
        all_right &= right == UNCACHEABLE_CLIENTS && fetches == UNCACHEABLE_CLIENTS;
    }
    all_right
}
