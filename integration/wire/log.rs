//! The access log: a line an answer, and what it says.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use verge::clock::ManualClock;
use verge::config::{AccessTarget, LogFormat};
use verge::node::Node;

use crate::harness::{Client, Logged, Origin, World, bytes, configuration, request};

const CACHED: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\""];
const WORDS: &str = "method path status bytes cache cache_detail";

/// An edge that logs; with more lines for the configuration as a whole and for the site.
fn world(all: &str, site: &str) -> (World, Logged) {
    let log = Logged::new();
    (World::with(&(log.configuration() + all), site), log)
}

/// All lines, once everything has ended.
fn end(world: World, log: &Logged, fields: &str) -> Vec<String> {
    drop(world.server);
    log.words(fields)
}

#[test]
fn a_line_an_answer() {
    let (world, log) = world(
        "origins.down.servers = [\"http://127.0.0.1:1\"]",
        "[[sites.routes]]\npath = \"/down\"\norigin = \"down\"",
    );
    let mut client = world.client();
    client.get("/a?b=c");
    world.origin.rx().ok(CACHED, "0123456789");
    client.rx().is(200);
    client.fetch("/a?b=c").is(200);
    client.ask("HEAD", "/a?b=c", &[]).rx_head().is(200);
    client.ask("GET", "/a?b=c", &["If-None-Match: \"1\""]).rx().is(304);
    client.ask("GET", "/a?b=c", &["Range: bytes=2-4"]).rx().is(206);
    client.ask("GET", "/a?b=c", &["Range: bytes=20-"]).rx().is(416);
    client.send("POST", "/form", "body");
    world.origin.rx().answer("201 Created", &[], "done");
    client.rx().is(201);
    client.get("/down").rx().is(502);
    client
        .ask("GET", "/none", &["Cache-Control: only-if-cached"])
        .rx()
        .is(504);
    world.pass_seconds(61);
    client.get("/a?b=c");
    world.origin.rx().not_modified(&["Cache-Control: max-age=60"]);
    client.rx().is(200);
    client.ask("TRACE", "/a", &[]).rx().is(405);
    assert_eq!(
        end(world, &log, WORDS),
        [
            "GET /a 200 10 miss -",
            "GET /a 200 10 hit -",
            "HEAD /a 200 0 hit -",
            "GET /a 304 0 hit -",
            "GET /a 206 3 hit -",
            "GET /a 416 0 hit -",
            "POST /form 201 4 pass -",
            "GET /down 502 36 edge connection_refused",
            "GET /none 504 36 edge only-if-cached",
            "GET /a 200 10 revalidated expired",
            "TRACE /a 405 43 edge method-not-allowed",
        ]
    );
    assert_eq!(
        log.words("query client scheme host protocol site")[1],
        "b=c 127.0.0.1 http example.test HTTP/1.1 *"
    );
}

#[test]
fn what_could_not_be_read_is_logged_with_what_is_known() {
    let (world, log) = world("client.head_timeout = \"50ms\"", "");
    world.client().tx("nonsense\r\n\r\n").rx().is(400);
    world.client().tx("GET /slow HTTP/1.1\r\nHost: exam").rx().is(408);
    world
        .client()
        .tx(b"GET /a%zz?b HTTP/1.1\r\nHost: example.test\r\nUser-Agent: x\"\xff\r\n\r\n")
        .rx()
        .is(400);
    world
        .client()
        .tx("GET https://example.test/tls HTTP/1.1\r\nHost: example.test\r\n\r\n")
        .rx()
        .is(421);
    let lines = end(world, &log, "method host path status cache cache_detail");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("- - - 400 edge "), "{}", lines[0]);
    assert_eq!(lines[1], "GET - /slow 408 edge head-timeout");
    assert!(lines[2].starts_with("GET example.test /a%zz 400 edge "), "{}", lines[2]);
    assert_eq!(lines[3], "GET example.test https://example.test/tls 421 edge scheme");
}

#[test]
fn clients_that_leave_and_bodies_that_break_off() {
    let (world, log) = world("", "cache = false");
    let mut waiting = world.client();
    waiting.get("/waiting");
    let asked = world.origin.rx();
    waiting.reset();
    asked.expect_close();

    let mut sending = world.client();
    sending.tx(request("PUT", "/sending", &["Content-Length: 10"]) + "abc");
    let mut asked = world.origin.rx();
    assert_eq!(asked.rx_bytes(3), b"abc");
    sending.reset();
    asked.expect_close();

    let mut broken = world.client();
    broken.get("/broken");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &[], 100).tx("abc");
    broken.rx_head().is(200);
    broken.rx_bytes(3);
    asked.close();
    broken.expect_close();

    let mut reading = world.client();
    reading.get("/reading");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &[], 100).tx("abcd");
    reading.rx_head().is(200);
    reading.rx_bytes(4);
    reading.reset();
    asked.expect_close();
    assert_eq!(
        end(world, &log, "method path status bytes cache"),
        [
            "GET /waiting 499 - -",
            "PUT /sending 400 36 edge",
            "GET /broken 200 3 pass",
            "GET /reading 200 4 pass",
        ]
    );
}

#[test]
fn an_answer_that_the_edge_ends_with_is_logged() {
    let (world, log) = world("", "cache = false");
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", &[], 100).tx("abc");
    client.rx_head().is(200);
    client.rx_bytes(3);
    assert_eq!(end(world, &log, "path status"), ["/a 200"]);
}

#[test]
fn origins_ids_and_traces() {
    const PARENT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (world, log) = world("", "");
    let (mut leading, mut following) = (world.client(), world.client());
    leading.ask("GET", "/a", &[PARENT]);
    let asked = world.origin.rx();
    let mut ids = vec![asked.field("x-request-id").unwrap().to_owned()];
    following.ask("GET", "/a", &["Referer: http://x.test/", "User-Agent: test/1"]);
    world.settle();
    world.pass_seconds(2);
    asked.ok(CACHED, bytes(10));
    leading.rx().is(200);
    following.rx().is(200).cached("collapsed");
    leading.ask("DELETE", "/a", &["traceparent: nonsense"]);
    let asked = world.origin.rx();
    ids.push(asked.field("x-request-id").unwrap().to_owned());
    world.pass_seconds(1);
    asked.ok(&[], "");
    leading.rx().is(200);
    drop(world.server);
    let values: Vec<_> = log.values().into_iter().filter(|value| value["path"] == "/a").collect();
    assert_eq!(values.len(), 3);
    let id = |at: usize| values[at]["request_id"].as_str().unwrap();
    assert_eq!([id(0), id(2)], [ids[0].as_str(), ids[1].as_str()]);
    assert!(id(1).len() == 32 && !ids.iter().any(|other| other == id(1)));
    let words: Vec<String> = log.words("cache origin origin_duration duration trace_id referer user_agent");
    let words: Vec<&String> = words.iter().filter(|words| !words.starts_with("edge")).collect();
    assert_eq!(
        words,
        [
            "miss app 2.0 2.0 0af7651916cd43dd8448eb211c80319c - -",
            "collapsed - - 2.0 - http://x.test/ test/1",
            "pass app 1.0 1.0 - - -",
        ]
    );
}

#[test]
fn a_refresh_behind_an_answer_has_its_requests_id() {
    let (world, log) = world("", "");
    world.store("/a", &["Cache-Control: max-age=1, stale-while-revalidate=60"], "one");
    world.pass_seconds(5);
    world.fetch("/a").expect(200, "one");
    let asked = world.origin.rx();
    let id = asked.field("x-request-id").unwrap().to_owned();
    asked.ok(CACHED, "two");
    let lines = end(world, &log, "cache cache_detail request_id");
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], format!("stale stale-while-revalidate {id}"));
}

/// An edge whose configuration can be replaced, and that logs.
struct Operated {
    node: Node,
    config: Arc<Mutex<verge::config::Config>>,
    origin: Origin,
}

fn operated(log: &Logged) -> Operated {
    let origin = Origin::start();
    origin.answer_all(|asked| asked.ok(CACHED, "abc"));
    let config = configuration(&format!("http://{}", origin.address), &log.configuration(), "");
    let config = Arc::new(Mutex::new(config));
    let (first, source) = (config.lock().clone(), Arc::clone(&config));
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let node = Node::start(first, Box::new(move || Ok(source.lock().clone())), Arc::new(clock)).unwrap();
    Operated { node, config, origin }
}

impl Operated {
    /// Asks for `path`, and returns once its line has ended: the edge has one thread, and does one thing after the other.
    fn fetch(&self, path: &str) {
        let address = self.node.server.addresses[0];
        Client::to(address).fetch(path).is(200);
        Client::to(address).end_sending().expect_close();
    }
}

#[test]
fn a_reload_changes_what_is_logged_and_where() {
    let (log, other) = (Logged::new(), Logged::new());
    let edge = operated(&log);
    edge.fetch("/a");
    edge.config.lock().log.format = LogFormat::Combined;
    edge.node.reload().unwrap();
    edge.fetch("/a");
    edge.config.lock().log.access = AccessTarget::File(other.path());
    edge.node.reload().unwrap();
    edge.fetch("/b");
    edge.config.lock().log.access = AccessTarget::File(other.path().join("within"));
    let errors = edge.node.reload().unwrap_err();
    assert!(
        errors[0].contains("cannot open the access log") && errors[0].contains("within"),
        "{errors:?}"
    );
    edge.fetch("/c");
    edge.config.lock().log.access = AccessTarget::Off;
    edge.node.reload().unwrap();
    edge.fetch("/a");
    edge.config.lock().log.access = AccessTarget::File(other.path());
    edge.node.reload().unwrap();
    edge.fetch("/d");
    assert_eq!(edge.origin.requests(), 4);
    drop(edge.node);
    let requested = |line: &String| line.split('"').nth(1).unwrap().to_owned();
    assert_eq!(log.lines().len(), 2);
    assert_eq!(requested(&log.lines()[1]), "GET /a HTTP/1.1");
    let lines: Vec<String> = other.lines().iter().map(requested).collect();
    assert_eq!(lines, ["/b", "/c", "/d"].map(|path| format!("GET {path} HTTP/1.1")));
}

#[test]
fn a_log_that_was_moved_is_opened_again() {
    let (log, moved) = (Logged::new(), Logged::new());
    let edge = operated(&log);
    edge.fetch("/a");
    std::fs::rename(log.path(), moved.path()).unwrap();
    edge.fetch("/b");
    let name = log.path().display().to_string();
    assert_eq!(edge.node.reopen_log(), Ok(Some(name)));
    edge.fetch("/c");
    drop(edge.node);
    assert_eq!(moved.words("path"), ["/a", "/b"]);
    assert_eq!(log.words("path"), ["/c"]);
}

#[test]
fn a_log_that_cannot_be_opened_starts_nothing() {
    let log = Logged::new();
    std::fs::create_dir(log.path()).unwrap();
    let config = configuration("http://127.0.0.1:1", &log.configuration(), "");
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let errors = Node::start(config, Box::new(|| Err(Vec::new())), clock).err().unwrap();
    let expected = format!("cannot open the access log {}: ", log.path().display());
    assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{errors:?}");
}

/// The program itself, with its events as JSON.
struct Program {
    process: Child,
    events: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Program {
    fn start(configuration: &Path) -> Program {
        let mut process = Command::new(env!("CARGO_BIN_EXE_verge"))
            .args(["run", "--config"])
            .arg(configuration)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        Program {
            address: address.parse().unwrap(),
            events: BufReader::new(process.stderr.take().unwrap()).lines(),
            process,
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} $0"), &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The name of the next event.
    fn event(&mut self) -> String {
        let line = self.events.next().unwrap().unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        event["event"].as_str().unwrap().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already if the test did not fail.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_program_opens_its_log_again_and_loses_no_line() {
    let (log, moved) = (Logged::new(), Logged::new());
    let origin = Origin::start();
    origin.answer_all(|asked| asked.ok(CACHED, "abc"));
    let file = moved.path().with_extension("toml");
    let text = format!(
        "server.threads = 1\nserver.admin = \"127.0.0.1:0\"\nlisten = [{{ address = \"127.0.0.1:0\" }}]\nlog.events = \"json\"\n{}\
         origins.app.servers = [\"http://{}\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n",
        log.configuration(),
        origin.address
    );
    std::fs::write(&file, text).unwrap();
    let mut program = Program::start(&file);
    let mut client = Client::to(program.address);
    client.fetch("/a").is(200);
    std::fs::rename(log.path(), moved.path()).unwrap();
    program.signal("USR1");
    assert_eq!(program.event(), "log-reopened");
    for _ in 0..1_000 {
        client.fetch("/a").is(200);
    }
    program.signal("TERM");
    assert_eq!([program.event(), program.event()], ["draining", "drained"]);
    assert!(program.process.wait().unwrap().success());
    assert_eq!(moved.words("path cache").len() + log.words("path cache").len(), 1_001);
    assert!(log.lines().len() >= 1_000);
}
