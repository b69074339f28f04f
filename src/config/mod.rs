//! What the operator wants: the file as typed ([`file`]), made into what the program runs on ([`Config`]) by [`resolve`].

pub mod file;
mod glob;
mod nearest;
pub mod resolve;
mod sites;
pub mod units;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use glob::Glob;
pub use resolve::{ConfigError, load};
pub use sites::SiteTable;

use crate::cache;
use crate::origin::OriginConfig;
use crate::policy::reuse::Terms;

/// A whole configuration: typed, checked, immutable.
#[derive(Clone, Debug)]
pub struct Config {
    /// Runtimes, each on a thread of its own.
    pub threads: usize,
    /// Where clear-text connections are taken.
    pub listen: Vec<SocketAddr>,
    /// Limits of clients' connections.
    pub client: ClientLimits,
    /// Sizes and limits of the cache.
    pub cache: cache::Settings,
    /// The origins; routes name them by their place here.
    pub origins: Vec<Origin>,
    /// The sites, by host.
    pub sites: SiteTable,
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
}

impl Default for ClientLimits {
    fn default() -> Self {
        ClientLimits {
            max_connections: 20_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            io_timeout: Duration::from_secs(30),
            min_rate: 1024,
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
    /// Its name, for purges and metrics: the first of its hosts.
    pub name: Arc<str>,
    /// First match wins; the last matches every path.
    pub routes: Vec<Arc<Route>>,
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
    /// When a stale response may be served.
    pub terms: Terms,
}
