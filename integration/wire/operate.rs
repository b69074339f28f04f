//! Reloading and leaving while clients are served.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use verge::clock::ManualClock;
use verge::config::Config;
use verge::node::Node;

use crate::harness::{Client, Origin, configuration};

const CACHED: &[&str] = &["Cache-Control: max-age=60"];

/// A running edge whose configuration can be replaced.
struct Operated {
    node: Node,
    text: Arc<Mutex<Result<Config, Vec<String>>>>,
    origin: Origin,
}

impl Operated {
    fn new() -> Operated {
        let origin = Origin::start();
        let first = configuration(&url(&origin), "", "");
        let text = Arc::new(Mutex::new(Ok(first.clone())));
        let source = Arc::clone(&text);
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let node = Node::start(first, Box::new(move || source.lock().clone()), Arc::new(clock)).unwrap();
        Operated { node, text, origin }
    }

    fn client(&self) -> Client {
        Client::to(self.node.server.addresses[0])
    }

    fn store(&self, path: &str, body: &str) {
        let mut client = self.client();
        client.get(path);
        self.origin.rx_for(&format!("GET {path}")).ok(CACHED, body);
        client.rx().expect(200, body);
    }

    fn replace(&self, config: Config) {
        *self.text.lock() = Ok(config);
        self.node.reload().unwrap();
    }
}

#[test]
fn a_reload_keeps_connections_and_what_is_stored() {
    let edge = Operated::new();
    edge.store("/kept", "kept");
    let mut client = edge.client();
    client.fetch("/kept").expect(200, "kept").cached("hit");
    edge.replace(configuration(
        &url(&edge.origin),
        "",
        "hsts = \"max-age=1\"\nmax_body = \"1B\"",
    ));
    client.fetch("/kept").expect(200, "kept").cached("hit");
    client.ask("POST", "/", &["Content-Length: 2"]).rx().is(413);
}

#[test]
fn a_request_under_way_ends_as_it_began() {
    let edge = Operated::new();
    let mut client = edge.client();
    client.get("/slow");
    let waiting = edge.origin.rx_for("GET /slow");
    let other = Origin::start();
    edge.replace(configuration(&url(&other), "", ""));
    waiting.ok(CACHED, "old");
    client.rx().expect(200, "old");
    client.get("/new");
    other.rx_for("GET /new").ok(CACHED, "new");
    client.rx().expect(200, "new");
    client.fetch("/slow").expect(200, "old").cached("hit");
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let edge = Operated::new();
    edge.store("/kept", "kept");
    *edge.text.lock() = Err(vec!["wrong".to_owned()]);
    assert_eq!(edge.node.reload(), Err(vec!["wrong".to_owned()]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = configuration(&url(&edge.origin), "", "");
    config.listen[0].address = taken.local_addr().unwrap();
    *edge.text.lock() = Ok(config);
    let errors = edge.node.reload().unwrap_err();
    assert!(errors[0].contains("cannot listen on"), "{errors:?}");
    edge.client().fetch("/kept").expect(200, "kept").cached("hit");
}

#[test]
fn listeners_come_and_go() {
    let edge = Operated::new();
    edge.store("/kept", "kept");
    let mut old = edge.client();
    old.fetch("/kept").expect(200, "kept");
    let mut config = configuration(&url(&edge.origin), "", "");
    // Another address; with port 0 that is another listener.
    config.listen[0].address = "127.0.0.2:0".parse().unwrap();
    edge.replace(config);
    let new = edge.node.server.listening()[0];
    Client::to(new).fetch("/kept").expect(200, "kept").cached("hit");
    old.fetch("/kept").expect(200, "kept").cached("hit");
    until_refused(edge.node.server.addresses[0]);
}

#[test]
fn a_drain_ends_connections_after_their_answers() {
    let edge = Operated::new();
    edge.store("/kept", "kept");
    let mut asking = edge.client();
    asking.fetch("/kept").expect(200, "kept");
    asking.tx("GET /kept HTTP/1.1\r\n");
    let mut busy = edge.client();
    busy.get("/slow");
    let waiting = edge.origin.rx_for("GET /slow");
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| drain(&edge.node, Duration::from_secs(30)));
        until_refused(edge.node.server.addresses[0]);
        assert_eq!(edge.node.ready(), Err("draining"));
        asking.tx("Host: example.test\r\n\r\n");
        asking.rx().expect(200, "kept").has("connection", "close");
        asking.expect_close();
        waiting.ok(CACHED, "slow");
        busy.rx().expect(200, "slow");
        assert_eq!(draining.join().unwrap(), 0);
    });
}

#[test]
fn a_drain_waits_no_longer_than_it_may() {
    let edge = Operated::new();
    let mut busy = edge.client();
    busy.get("/slow");
    let _waiting = edge.origin.rx_for("GET /slow");
    assert_eq!(drain(&edge.node, Duration::from_millis(1)), 1);
}

fn url(origin: &Origin) -> String {
    format!("http://{}", origin.address)
}

fn drain(node: &Node, longest: Duration) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(node.drain(Duration::ZERO, longest))
}

/// Returns once no connection is taken there.
fn until_refused(address: SocketAddr) {
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_program_whose_output_nobody_reads_serves_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("edge.toml"), folder.path().join("notify"));
    let text = "server = { threads = 1, admin = \"off\" }\nlisten = [{ address = \"127.0.0.1:0\" }]\n\
                origins.app.servers = [\"http://127.0.0.1:1\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n";
    std::fs::write(&file, text).unwrap();
    let told = UnixDatagram::bind(&socket).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (closed, output) = std::io::pipe().unwrap();
    drop(closed);
    let mut program = Command::new(env!("CARGO_BIN_EXE_verge"))
        .args(["run", "--config"])
        .arg(&file)
        .env("NOTIFY_SOCKET", &socket)
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut state = [0; 64];
    let length = told.recv(&mut state).unwrap();
    assert_eq!(&state[..length], b"READY=1\n");
    let killed = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(program.wait().unwrap().success());
}
