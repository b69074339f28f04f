//! How long purges take, and whether they hold: a million objects, a tenth of them under one tag.
//!
//! ```sh
//! cargo run --release --example purge [OBJECTS]
//! ```
//! Prints the time from a purge's call to its acknowledgement over the admin API; then lets purges, hits, fills and
//! revalidations race, and fails if anything is served that was purged before it was asked for.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use verge::admin::{self, Admin};
use verge::clock::SystemClock;
use verge::config;
use verge::node::Node;

/// Purges that are timed.
const TIMED: usize = 2_000;
/// How long the race goes on.
const RACE: Duration = Duration::from_secs(10);
/// URLs that are raced for.
const RACED: u64 = 50;

/// The number of the newest version of each raced URL: what the origin gives, and what it was before the last purge.
struct Versions {
    current: Vec<AtomicU64>,
}

fn main() -> ExitCode {
    let objects: u64 = std::env::args()
        .nth(1)
        .map_or(1_000_000, |given| given.parse().unwrap());
    let versions = Arc::new(Versions {
        current: (0..RACED).map(|_| AtomicU64::new(1)).collect(),
    });
    let origin = originate(Arc::clone(&versions));
    let text = format!(
        "cache.ram = \"4GiB\"\nlisten = [{{ address = \"127.0.0.1:0\" }}]\norigins.app.servers = [\"http://{origin}\"]\n\
         [[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n"
    );
    let config = config::load("purge", &text).unwrap();
    let source = config.clone();
    let node = Arc::new(Node::start(config, Box::new(move || Ok(source.clone())), Arc::new(SystemClock)).unwrap());
    let admin = Admin::start(&node, admin::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
    let edge = node.server.addresses[0];
    store(edge, objects);
    let stored = node.server.edge().cache.ram().len();
    println!("{stored} objects stored");
    time("one URL", admin.address, |n| {
        format!(r#"{{"urls": ["http://a.test/o/{n}"]}}"#)
    });
    time("another tag each", admin.address, |n| {
        format!(r#"{{"tags": ["t{n}"]}}"#)
    });
    time("the tag of a tenth", admin.address, |_| {
        r#"{"tags": ["tenth"]}"#.to_owned()
    });
    time("a prefix", admin.address, |n| {
        format!(r#"{{"prefixes": ["a.test/o/{n}"]}}"#)
    });
    let left = node.server.edge().cache.purges().remembered();
    println!("{left} purges remembered");
    match race(edge, admin.address, &versions) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Stores objects over four connections.
fn store(edge: SocketAddr, objects: u64) {
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                let mut client = Client::new(edge);
                for n in (part..objects).step_by(4) {
                    client.ask("GET", &format!("/o/{n}"), "");
                }
            });
        }
    });
}

fn time(what: &str, admin: SocketAddr, purge: impl Fn(usize) -> String) {
    let mut client = Client::new(admin);
    let mut took: Vec<Duration> = (0..TIMED)
        .map(|n| {
            let began = Instant::now();
            let (status, body) = client.ask("POST", "/api/purge", &purge(n));
            assert_eq!(status, 200, "{body}");
            began.elapsed()
        })
        .collect();
    took.sort();
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    println!(
        "purge of {what}: p50 {:.3} ms, p99 {:.3} ms, most {:.3} ms",
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        at(1.0).as_secs_f64() * 1e3
    );
}

/// Returns how often a purged version was served to a request that was made after the purge was acknowledged.
fn race(edge: SocketAddr, admin: SocketAddr, versions: &Arc<Versions>) -> u64 {
    let floors: Arc<Vec<AtomicU64>> = Arc::new((0..RACED).map(|_| AtomicU64::new(1)).collect());
    let (over, wrong, asked, purged) = (
        AtomicBool::new(false),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    std::thread::scope(|scope| {
        for part in 0..6 {
            let (over, wrong, asked, floors) = (&over, &wrong, &asked, Arc::clone(&floors));
            scope.spawn(move || {
                let mut client = Client::new(edge);
                let mut url = part;
                while !over.load(Ordering::Relaxed) {
                    url = (url * 7 + 3) % RACED;
                    let floor = floors[url as usize].load(Ordering::SeqCst);
                    let (status, body) = client.ask("GET", &format!("/r/{url}"), "");
                    let version: u64 = body.trim().parse().unwrap_or(u64::MAX);
                    asked.fetch_add(1, Ordering::Relaxed);
                    if status == 200 && version < floor {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut client = Client::new(admin);
        let end = Instant::now() + RACE;
        let mut n = 0;
        while Instant::now() < end {
            n += 1;
            let url = n % RACED;
            let newest = versions.current[url as usize].fetch_add(1, Ordering::SeqCst) + 1;
            let purge = match n % 3 {
                0 => format!(r#"{{"tags": ["r{url}"]}}"#),
                1 => format!(r#"{{"prefixes": ["a.test/r/{url}"]}}"#),
                _ => format!(r#"{{"urls": ["http://a.test/r/{url}"]}}"#),
            };
            client.ask("POST", "/api/purge", &purge);
            // Whoever asks from now on must not get what was there before.
            floors[url as usize].store(newest, Ordering::SeqCst);
            purged.fetch_add(1, Ordering::Relaxed);
        }
        over.store(true, Ordering::Relaxed);
    });
    let wrong = wrong.into_inner();
    println!(
        "race: {} requests, {} purges, {wrong} times something purged was served",
        asked.into_inner(),
        purged.into_inner()
    );
    wrong
}

/// A kept connection.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream: BufReader::new(stream),
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let host = if method == "POST" { "localhost" } else { "a.test" };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nVerge-Admin: 1\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let request = match method {
            "GET" => request.replace("Content-Length: 0\r\n", ""),
            _ => request,
        };
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (first, length, _) = read_head(&mut self.stream).unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (first[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    }
}

/// The first line, `Content-Length`, and `If-None-Match`.
fn read_head(reader: &mut impl BufRead) -> Option<(String, usize, Option<String>)> {
    let (mut first, mut length, mut condition) = (String::new(), 0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((first, length, condition));
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => condition = Some(value.to_owned()),
            _ if first.is_empty() => first = line.to_owned(),
            _ => {}
        }
    }
}

/// An origin: `/o/N` for the many, each tenth with the tag; `/r/N` for the raced, its body the version's number.
fn originate(versions: Arc<Versions>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let versions = Arc::clone(&versions);
            std::thread::spawn(move || answer_all(stream, &versions));
        }
    });
    address
}

fn answer_all(stream: TcpStream, versions: &Versions) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    while let Some((first, _, condition)) = read_head(&mut reader) {
        let path = first.split(' ').nth(1)?;
        let number: u64 = path.rsplit('/').next()?.parse().ok()?;
        let answer = if path.starts_with("/o/") {
            let tag = if number % 10 == 0 { "tenth" } else { "rest" };
            format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nCache-Tag: {tag}\r\nContent-Length: 2\r\n\r\nok")
        } else {
            let version = versions.current[number as usize].load(Ordering::SeqCst);
            let etag = format!("\"{version}\"");
            // Soon stale, so that validations race as well.
            let fields = format!(
                "Cache-Control: max-age={}\r\nCache-Tag: r{number}\r\nETag: {etag}\r\n",
                number % 2
            );
            match condition {
                Some(known) if known == etag => format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"),
                _ => {
                    let body = version.to_string();
                    format!(
                        "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                }
            }
        };
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
    Some(())
}
