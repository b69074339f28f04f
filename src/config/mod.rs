//! What the operator wants: the file as typed (`file`), made into what the program runs on ([`Config`]) by `resolve`.

mod file;
mod glob;
mod include;
mod log;
mod nearest;
mod operation;
mod origins;
mod report;
mod resolve;
mod secret;
mod signed;
mod site_table;
mod sites;
mod ssd;
mod table;
mod transport;
pub mod units;
mod value;
mod warnings;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

pub use file::keys;
pub use glob::Glob;
pub use log::{AccessTarget, EventFormat, Level, Log, LogField, LogFormat};
pub use operation::parse_admin;
pub use report::ConfigError;
pub use resolve::{load, read};
pub use secret::SecretText;
pub use site_table::{Found, SiteTable};
pub use ssd::{Ssd, SsdFolder};

use crate::access;
use crate::cache;
use crate::origin::OriginConfig;
use crate::policy::reuse::Terms;
use crate::policy::targeted::Targets;
use crate::tls;

/// A whole configuration: typed, checked, immutable.
#[derive(Clone, Debug)]
pub struct Config {
    /// Runtimes, each on a thread of its own.
    pub threads: usize,
    /// Where the edge is watched and told what to do, if anywhere.
    pub admin: Option<Admin>,
    /// How it ends.
    pub drain: Drain,
    /// How often it is looked whether the configuration has changed; zero: only when told to.
    pub reload: Duration,
    /// What is logged.
    pub log: Log,
    /// Where connections are taken.
    pub listen: Vec<Listener>,
    /// What is said in TLS handshakes.
    pub tls: tls::Settings,
    /// Limits of clients' connections.
    pub client: ClientLimits,
    /// Sizes and limits of the cache.
    pub cache: cache::Settings,
    /// The tier below RAM.
    pub ssd: Ssd,
    /// The origins; routes name them by their place here.
    pub origins: Vec<Origin>,
    /// The sites, by host.
    pub sites: SiteTable,
    /// The keys that tokens are verified with, by name.
    pub keys: BTreeMap<String, Arc<access::Key>>,
    /// The files that it was read from, those with secrets and the folders in which `include` looked for some among them:
    /// when one of them changes, so may the configuration.
    pub files: Vec<PathBuf>,
    /// What is legal but probably not meant.
    pub warnings: Vec<ConfigError>,
}

/// Where the edge is watched and told what to do.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// What those who come must know. Without one, an address that is not loopback serves `/livez`, `/readyz` and
    /// `/metrics` only.
    pub token: Option<SecretText>,
}

impl Default for Admin {
    fn default() -> Self {
        Admin {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9180)),
            token: None,
        }
    }
}

/// How the edge ends once it is told to.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long it says that it is not ready before it takes no more connections.
    pub wait: Duration,
    /// The longest that requests under way are then waited for.
    pub finish: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            wait: Duration::ZERO,
            finish: Duration::from_secs(30),
        }
    }
}

/// An address where connections are taken, and what is spoken there.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// What is spoken.
    pub speaks: Speaks,
}

/// What is spoken on a listener's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1 in clear text, and with `h2c` also HTTP/2 to those who begin with its preface (RFC 9113 3.3).
    Clear {
        /// Whether HTTP/2 is spoken.
        h2c: bool,
    },
    /// HTTP/1.1 or HTTP/2 over TLS; whose site does not say otherwise is asked for this proof.
    Tls(tls::ClientCertificates),
}

/// Limits of clients' connections.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Connections at a time; the rest get a `503` and are closed.
    pub max_connections: usize,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing, or send nothing of a body; beyond it, it must keep to `min_rate`.
    pub io_timeout: Duration,
    /// Bytes a second that a client must take or send on average, past the first `io_timeout`.
    pub min_rate: u64,
    /// Requests under way at a time on one HTTP/2 connection.
    pub max_streams: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        ClientLimits {
            max_connections: 20_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            io_timeout: Duration::from_secs(30),
            min_rate: 1024,
            max_streams: 128,
        }
    }
}

/// An origin and how much may be asked of it at a time.
#[derive(Clone, Debug)]
pub struct Origin {
    /// How to reach it.
    pub reach: OriginConfig,
    /// Fetches under way at a time.
    pub max_fetches: usize,
}

/// A site: some hosts, and what happens to their paths.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name, for purges, metrics and logs: the first of its hosts, unless it has one of its own.
    pub name: Arc<str>,
    /// What those who purge in it by `PURGE` must know; without one, nobody can.
    pub purge_token: Option<SecretText>,
    /// Bytes that it may have of the SSD tier; without a quota, all.
    pub ssd_quota: Option<u64>,
    /// First match wins; the last matches every path.
    pub routes: Vec<Arc<Route>>,
}

impl Site {
    /// What tokens its routes ask for. One that several inherit is mostly given once.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<access::Policy>> {
        let mut last: Option<&Arc<access::Policy>> = None;
        let asked = self.routes.iter().filter_map(|route| route.signed.as_ref());
        asked.filter(move |policy| {
            let before = last.replace(policy);
            before.is_none_or(|before| !Arc::ptr_eq(before, policy))
        })
    }

    /// Path and query of a request to it, as they may be told: without a token for any of its routes, good or not.
    pub fn told<'t>(&self, path: &'t str, query: Option<&'t str>) -> access::Told<'t> {
        let told = access::Told::new(path, query);
        self.policies().fold(told, |told, policy| told.without_token_of(policy))
    }
}

/// What happens to the requests for some paths.
#[derive(Clone, Debug)]
pub struct Route {
    /// The paths.
    pub path: Glob,
    /// The site's name.
    pub site: Arc<str>,
    /// Place in [`Config::origins`].
    pub origin: usize,
    /// Whether responses may be stored.
    pub cache: bool,
    /// Whether a client may change the protocol (`Upgrade`, as WebSocket does).
    pub upgrade: bool,
    /// Bytes that a request body may have.
    pub max_body: u64,
    /// Which fields for CDNs alone its responses are governed by.
    pub targets: Arc<Targets>,
    /// When a stale response may be served.
    pub terms: Terms,
    /// Whether requests in clear text are refused: its hosts' clients must show a certificate.
    pub secure_only: bool,
    /// The port of `https` to which requests in clear text are redirected, if they are.
    pub redirect_to_https: Option<u16>,
    /// What `Strict-Transport-Security` says over TLS (RFC 6797), if anything.
    pub hsts: Option<HeaderValue>,
    /// What token those who come must have, if any. Routes that inherit it share it.
    pub signed: Option<Arc<access::Policy>>,
}
