//! The vocabulary: a test plays client and origin, with the edge between them, line by line as on the wire.
//!
//! One thread can play all parts, since the edge runs on threads of its own: `client.get("/a")`, `origin.rx()`,
//! `asked.ok(…)`, `client.rx()`. What comes in any order is brought into one by waiting for it, never by sleeping.

mod access;
mod client;
mod message;
mod origin;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use verge::cache::{KeyParts, SchemeClass, Secret};
use verge::clock::{Clock, ManualClock};
use verge::config::{self, Config, Speaks};
use verge::listen::{Bound, OnThisThread, Server};
use verge::origin::Fetch;
use verge::pipeline::Edge;
use verge::telemetry::access::AccessLog;
use verge::tls::Terminator;

pub use access::Logged;
pub use client::{Client, Response, request};
pub use message::{Head, Trouble};
pub use origin::{Asked, Origin};

/// How long anything is waited for; a test that waits longer fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits no longer than the tests do.
pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// An edge and its origin. Only the test moves the clock of ages and lifetimes.
pub struct World {
    /// Where the edge listens.
    pub address: SocketAddr,
    /// The clock of ages and lifetimes.
    pub clock: ManualClock,
    /// The edge; stops first.
    pub server: Server,
    /// The origin.
    pub origin: Origin,
}

impl World {
    /// A site `*` on one origin, and defaults for all else.
    pub fn start() -> World {
        World::with("", "")
    }

    /// The same, with more lines for the configuration as a whole (dotted keys; the origin is `origins.app`) and for the site.
    pub fn with(all: &str, site: &str) -> World {
        let origin = Origin::start();
        let server = format!("http://{}", origin.address);
        World::of(configuration(&server, all, site), origin)
    }

    /// An edge of this configuration before this origin.
    pub fn of(config: Config, origin: Origin) -> World {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        World::of_clock(config, origin, clock)
    }

    fn of_clock(config: Config, origin: Origin, clock: ManualClock) -> World {
        let server = serve(config, clock.clone());
        World {
            address: server.addresses[0],
            clock,
            server,
            origin,
        }
    }

    /// The next process, over a copy of this one's folder `from`, which is `config`'s: what this one has not written is lost.
    pub fn killed(self, from: &Path, config: Config) -> World {
        let edge = self.server.edge();
        let below = edge.cache.below().expect("there is a tier below RAM");
        assert!(below.tier.disks()[0].ssd.flush(PATIENCE), "all is on the device");
        let to = &config.ssd.folders[0].path;
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            match std::fs::copy(file.path(), to.join(file.file_name())) {
                // A checkpoint is on its way, and has just got its name.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => _ = copied.unwrap(),
            }
        }
        World::of_clock(config, self.origin, self.clock)
    }

    /// A new connection to the edge.
    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// Asks for `path` on a connection of its own.
    pub fn fetch(&self, path: &str) -> Response {
        self.client().fetch(path)
    }

    /// Moves the clock.
    pub fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Has `body` stored for `path`.
    pub fn store(&self, path: &str, fields: &[&str], body: impl AsRef<[u8]>) {
        let mut client = self.client();
        client.get(path);
        self.origin.rx_for(&format!("GET {path}")).ok(fields, &body);
        client.rx().expect(200, &body);
        client.fetch(path).expect(200, body).cached("hit");
    }

    /// Returns once the edge, which must have one thread, has read what was sent on connections made before.
    pub fn settle(&self) {
        for _ in 0..2 {
            // Refused by the edge alone; connections take turns in the order in which they were made.
            self.client().ask("TRACE", "/", &[]).rx().is(405);
        }
    }
}

/// An edge of this configuration, running.
pub fn serve(config: Config, clock: ManualClock) -> Server {
    let fetch =
        |origin: &config::Origin| Arc::new(verge::origin::Origin::new(origin.reach.clone()).unwrap()) as Arc<dyn Fetch>;
    let origins = config.origins.iter().map(fetch).collect();
    let bound = Bound::new(&config.listen, config.threads).unwrap();
    let log = config.log.clone();
    let tls = terminator(&config, &clock);
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let edge = match config.ssd.folders.is_empty() {
        true => {
            let secret = Secret::new([7; 16]);
            Edge::new(Arc::new(config), origins, secret, clock, Arc::new(OnThisThread))
        }
        false => verge::node::edge(config, origins, &clock).unwrap(),
    };
    let access = AccessLog::open(&log, &edge.clock, &edge.telemetry).unwrap();
    let edge = Edge { access, ..edge };
    Server::start(Arc::new(edge), tls, bound).unwrap()
}

/// What its TLS listeners share, if there are any.
fn terminator(config: &Config, clock: &ManualClock) -> Option<Arc<Terminator>> {
    let asked = config.listen.iter().filter_map(|listener| match &listener.speaks {
        Speaks::Tls(asked) => Some(asked.clone()),
        Speaks::Clear { .. } => None,
    });
    let asked: Vec<_> = asked.collect();
    let made = || Terminator::new(config.tls.clone(), asked.clone(), Arc::new(clock.clone()));
    (!asked.is_empty()).then(|| Arc::new(made().unwrap_or_else(|errors| panic!("{errors:?}"))))
}

/// The configuration of [`World::with`].
pub fn configuration(server: &str, all: &str, site: &str) -> Config {
    let text = format!(
        "server.threads = 1\nlisten = [{{ address = \"127.0.0.1:0\" }}]\norigins.app.servers = [\"{server}\"]\n{all}\n\
         [[sites]]\nhosts = [\"*\"]\norigin = \"app\"\n{site}\n"
    );
    config::load("test", &text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

/// The key of `path` as the tests ask for it.
pub fn key(path: &str) -> KeyParts<'_> {
    KeyParts {
        scheme: SchemeClass::Clear,
        host: "example.test",
        path,
        query: None,
    }
}

/// `length` bytes that differ from place to place.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}
