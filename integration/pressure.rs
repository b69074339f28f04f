//! Memory under pressure: how much a real `verge run` with 64 MiB of RAM cache occupies.
//!
//!     cargo run --release --example pressure -- target/release/verge [GiB]
//!
//! First 5 GiB (or as given) of distinct storable objects of 1 KiB to 8 MiB go through it, then 200 clients read 100 MiB
//! of an uncacheable body each, slowly. Prints resident memory on the way; fails if it passes 64 MiB + 150 MiB, if it
//! grew in the second half (the mean of the last quarter over that of the one before), or if a body was wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
const BOUND: u64 = (64 + 150) * MIB;
const CLIENTS: u64 = 16;
const SLOW_READERS: usize = 200;
const SLOW_BODY: u64 = 100 * MIB;

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().unwrap_or_else(|| "target/release/verge".to_owned());
    let total = args.next().and_then(|gib| gib.parse().ok()).unwrap_or(5) * 1024 * MIB;
    let origin = serve_origin();
    let edge = Edge::start(&program, &origin);
    let mut failures = Vec::new();

    println!("distinct objects: {} MiB through a 64 MiB cache", total / MIB);
    let (resident, wrong) = distinct_objects(&edge, total);
    check(&mut failures, "wrong bodies", wrong, 0);
    check_resident(&mut failures, &resident);

    println!("{SLOW_READERS} slow readers of {} MiB, uncacheable", SLOW_BODY / MIB);
    let resident = slow_readers(&edge);
    check_resident(&mut failures, &resident);
    drop(edge);
    if !failures.is_empty() {
        eprintln!("failed: {}", failures.join("; "));
        std::process::exit(1);
    }
}

fn check(failures: &mut Vec<String>, what: &str, value: u64, bound: u64) {
    println!("  {what}: {value} (bound {bound})");
    if value > bound {
        failures.push(format!("{what} {value} > {bound}"));
    }
}

/// What was resident in each quarter of a run, in bytes.
#[derive(Default)]
struct Resident {
    quarters: [(u64, u64); 4],
    peak: u64,
}

impl Resident {
    /// Notes a reading, `done` of `total` into the run.
    fn note(&mut self, done: u64, total: u64, bytes: u64) {
        let (sum, count) = &mut self.quarters[(4 * done / total).min(3) as usize];
        *sum += bytes;
        *count += 1;
        self.peak = self.peak.max(bytes);
    }

    fn mean(&self, quarter: usize) -> u64 {
        let (sum, count) = self.quarters[quarter];
        sum / count.max(1)
    }
}

fn check_resident(failures: &mut Vec<String>, resident: &Resident) {
    check(failures, "peak, MiB", resident.peak / MIB, BOUND / MIB);
    let growth = resident.mean(3).saturating_sub(resident.mean(2));
    check(failures, "growth in the second half, MiB", growth / MIB, 8);
}

/// A size from 1 KiB to 8 MiB, every doubling as likely as another.
fn size_of(id: u64) -> u64 {
    let mixed = (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let doubling = (mixed >> 60) % 13;
    (1024 << doubling) + (mixed >> 8) % (1024 << doubling).min(8 * MIB - (1024 << doubling) + 1)
}

/// Fetches objects until `total` bytes have come. Gives what was resident, and how many bodies were wrong.
fn distinct_objects(edge: &Arc<Edge>, total: u64) -> (Resident, u64) {
    let (next, come, wrong) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let mut readings = Resident::default();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = edge.connect();
                let mut buffer = vec![0; 256 * 1024];
                while come.load(Ordering::Relaxed) < total {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    let size = size_of(id);
                    let right = client.get(&format!("/o/{id}/{size}"), id, &mut buffer) == size;
                    wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
                    come.fetch_add(size, Ordering::Relaxed);
                }
            });
        }
        let mut shown = 0;
        while come.load(Ordering::Relaxed) < total {
            let (come, resident) = (come.load(Ordering::Relaxed), edge.resident());
            readings.note(come, total, resident);
            if come / (total / 8) > shown {
                shown = come / (total / 8);
                println!("  {:>5} MiB come, {:>4} MiB resident", come / MIB, resident / MIB);
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    });
    (readings, wrong.into_inner())
}

/// Clients that read a little at a time, for twenty seconds. Gives what was resident.
fn slow_readers(edge: &Arc<Edge>) -> Resident {
    let mut readers: Vec<Client> = (0..SLOW_READERS).map(|_| edge.connect()).collect();
    for (at, reader) in readers.iter_mut().enumerate() {
        let request = format!("GET /u/{at}/{SLOW_BODY} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        reader
            .stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("the edge takes requests");
    }
    let mut readings = Resident::default();
    let mut piece = vec![0; 16 * 1024];
    for tick in 0..100 {
        for reader in &mut readers {
            reader
                .stream
                .get_mut()
                .read_exact(&mut piece)
                .expect("the edge goes on sending");
        }
        readings.note(tick, 100, edge.resident());
        if tick % 20 == 19 {
            println!(
                "  {:>5} KiB read by each, {:>4} MiB resident",
                (tick + 1) * 16,
                edge.resident() / MIB
            );
        }
        thread::park_timeout(Duration::from_millis(200));
    }
    for reader in &mut readers {
        let _ = reader.stream.get_mut().shutdown(Shutdown::Both);
    }
    readings
}

struct Edge {
    process: Child,
    address: String,
}

impl Edge {
    fn start(program: &str, origin: &str) -> Arc<Edge> {
        let mut process = Command::new(program)
            .args(["run", "--origin", origin, "--listen", "127.0.0.1:0", "--ram", "64MiB"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}; build it with cargo build --release"));
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the edge says where it listens");
        let address = line.trim().rsplit_once("http://").expect("an address").1.to_owned();
        Arc::new(Edge { process, address })
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).expect("the edge takes connections");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout can be set");
        Client {
            stream: BufReader::with_capacity(4096, stream),
        }
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Bytes of the body, `0` if one of them is wrong.
    fn get(&mut self, path: &str, id: u64, buffer: &mut [u8]) -> u64 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("the edge takes requests");
        let length = read_head(&mut self.stream);
        let mut left = length;
        let mut right = true;
        while left > 0 {
            let take = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.stream.read(&mut buffer[..take]).expect("the edge goes on sending");
            assert!(read > 0, "the body of {path} broke off");
            right &= buffer[..read].iter().all(|byte| *byte == id as u8);
            left -= read as u64;
        }
        if right { length } else { 0 }
    }
}

/// Reads a head and gives its `Content-Length`.
fn read_head(stream: &mut impl BufRead) -> u64 {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        let read = stream.read_line(&mut line).expect("a head comes");
        assert!(read > 0, "the connection ended before a head");
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            return length;
        }
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.parse().expect("a number");
        }
    }
}

/// An origin of `/o/ID/SIZE`, storable, and `/u/ID/SIZE`, not; every byte of a body is the low byte of its ID.
fn serve_origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(move || answer(stream))
                .expect("a thread");
        }
    });
    url
}

fn answer(stream: TcpStream) {
    let mut stream = BufReader::with_capacity(4096, stream);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or("").to_owned();
        let mut fields = String::new();
        while stream.read_line(&mut fields).unwrap_or(0) > 2 {
            fields.clear();
        }
        let mut parts = path.split('/').skip(1);
        let storable = parts.next() == Some("o");
        let id: u64 = parts.next().and_then(|id| id.parse().ok()).unwrap_or(0);
        let size: u64 = parts.next().and_then(|size| size.parse().ok()).unwrap_or(0);
        let control = if storable { "max-age=3600" } else { "no-store" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nCache-Control: {control}\r\n\r\n");
        let block = [id as u8; 64 * 1024];
        let mut left = size as usize;
        let mut sent = stream.get_mut().write_all(head.as_bytes());
        while sent.is_ok() && left > 0 {
            let take = left.min(block.len());
            sent = stream.get_mut().write_all(&block[..take]);
            left -= take;
        }
        if sent.is_err() {
            return;
        }
    }
}
