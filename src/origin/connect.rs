//! Connections to the servers of an origin, over Pingora's connector and its pool.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::tls;
use pingora_core::upstreams::peer::{Peer, PeerOptions};
use pingora_core::{Error, ErrorType};
use rustls::RootCertStore;
use tokio::time::Instant;

use super::dns::{Addresses, Host, Resolver};
use super::settings::split_port;
use super::{FetchError, OriginConfig, ServerUrl};

/// The servers of one origin, with their idle connections.
///
/// One connector serves all threads, but a connection goes back to the thread that opened it: its socket belongs to that
/// thread's runtime. The thread is therefore part of the key under which a connection is kept.
pub(super) struct Servers {
    servers: Vec<Server>,
    turn: AtomicUsize,
    /// Apart from `turn`: two counts taken from one would keep step, and some servers would never be asked.
    address_turn: AtomicUsize,
    resolver: Arc<Resolver>,
    connector: TransportConnector,
    options: Arc<PeerOptions>,
    sni: Option<Arc<str>>,
    keys: RandomState,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

struct Server {
    tls: bool,
    port: u16,
    host: Arc<Host>,
}

impl Servers {
    /// The servers of this configuration. The error says which part of it cannot be used.
    pub(super) fn new(config: &OriginConfig) -> Result<Self, String> {
        if config.servers.is_empty() {
            return Err(format!("origin `{}` has no servers", config.name));
        }
        // Pingora would install ring's, which lacks X25519MLKEM768; the first one installed stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Servers {
            servers: servers(&config.servers),
            turn: AtomicUsize::new(0),
            address_turn: AtomicUsize::new(0),
            resolver: Arc::new(Resolver::new(config.connect_timeout)),
            connector: TransportConnector::new(Some(connector_options(config)?)),
            options: Arc::new(peer_options(config)),
            sni: [&config.sni, &config.host]
                .into_iter()
                .flatten()
                .find_map(|name| server_name(name)),
            keys: RandomState::new(),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
        })
    }

    /// The server whose turn it is.
    pub(super) fn take_turn(&self) -> usize {
        match self.servers.len() {
            1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        }
    }

    /// The one to ask when `server` has failed: itself if it is the only one.
    pub(super) fn after(&self, server: usize) -> usize {
        (server + 1) % self.servers.len()
    }

    /// A connection to `server` for a request to `host`, an idle one if there is one that is alive.
    pub(super) async fn connection(self: &Arc<Self>, server: usize, host: &str) -> Result<Lease, FetchError> {
        let server = self.servers.get(server).ok_or(FetchError::Dns)?;
        if let Some(addresses) = server.host.fresh() {
            let at = self.first(&addresses);
            let peer = self.peer(server, addresses[at], host);
            if let Some(stream) = self.connector.reused_stream(&peer).await {
                return Ok(self.lease(stream, &peer));
            }
        }
        // Boxed, because the future of a handshake is large and seldom needed.
        Box::pin(self.open(server, host)).await
    }

    /// A new connection to `server` for a request to `host`.
    pub(super) async fn new_connection(self: &Arc<Self>, server: usize, host: &str) -> Result<Lease, FetchError> {
        let server = self.servers.get(server).ok_or(FetchError::Dns)?;
        Box::pin(self.open(server, host)).await
    }

    /// Tries one address after the other, for as long as one connection may take.
    async fn open(self: &Arc<Self>, server: &Server, host: &str) -> Result<Lease, FetchError> {
        let addresses = server.host.resolve(&self.resolver).await?;
        let deadline = Instant::now() + self.connect_timeout;
        let first = self.first(&addresses);
        let mut outcome = Err(FetchError::ConnectionRefused);
        for at in 0..addresses.len() {
            let peer = self.peer(server, addresses[(first + at) % addresses.len()], host);
            outcome = match self.connector.new_stream(&peer).await {
                Ok(stream) => Ok(self.lease(stream, &peer)),
                Err(error) => Err(kind_of(&error)),
            };
            if outcome.is_ok() || Instant::now() >= deadline {
                break;
            }
        }
        outcome
    }

    /// Which address to begin with: those of the first one's family take turns.
    fn first(&self, addresses: &Addresses) -> usize {
        let family = |a: &&IpAddr| a.is_ipv4() == addresses[0].is_ipv4();
        match addresses.iter().take_while(family).count() {
            0 | 1 => 0,
            count => self.address_turn.fetch_add(1, Ordering::Relaxed) % count,
        }
    }

    fn peer(&self, server: &Server, address: IpAddr, host: &str) -> Place {
        let address = SocketAddr::new(address, server.port);
        let sni = if server.tls { self.sni_for(server, host) } else { None };
        Place {
            key: self.keys.hash_one((address, &sni, this_thread())),
            address: PeerAddress::Inet(address),
            sni,
            options: self.options.clone(),
        }
    }

    /// The name to ask for and to check. Never empty: Pingora takes an empty one for leave not to check at all.
    fn sni_for(&self, server: &Server, host: &str) -> Option<Arc<str>> {
        self.sni
            .clone()
            .or_else(|| server_name(host))
            .or_else(|| server_name(server.host.name()))
    }

    fn lease(self: &Arc<Self>, stream: Stream, peer: &Place) -> Lease {
        Lease {
            stream,
            key: peer.key,
            servers: Arc::clone(self),
        }
    }
}

/// A connection that is in use. Dropped, it is closed.
pub(super) struct Lease {
    pub(super) stream: Stream,
    key: u64,
    servers: Arc<Servers>,
}

impl Lease {
    /// Keeps the connection for another request; nothing may be left to read or to write on it.
    pub(super) fn give_back(self) {
        // Pingora spawns a task that watches the idle connection, which needs a runtime.
        if tokio::runtime::Handle::try_current().is_ok() {
            let Servers {
                connector,
                idle_timeout,
                ..
            } = &*self.servers;
            connector.release_stream(self.stream, self.key, Some(*idle_timeout));
        }
    }
}

fn servers(urls: &[ServerUrl]) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::with_capacity(urls.len());
    for url in urls {
        // Servers of one name share its look-ups.
        let same = servers.iter().find(|s| s.host.name() == url.host);
        let host = same.map_or_else(|| Host::new(&url.host), |s| s.host.clone());
        let (tls, port) = (url.tls, url.port);
        servers.push(Server { tls, port, host });
    }
    servers
}

fn peer_options(config: &OriginConfig) -> PeerOptions {
    let mut options = PeerOptions::new();
    // Applies to the TCP connection and to the TLS handshake, each.
    options.connection_timeout = Some(config.connect_timeout);
    options.idle_timeout = Some(config.idle_timeout);
    options.verify_cert = config.verify;
    options.verify_hostname = config.verify;
    options
}

/// Pingora panics on roots that it cannot load, so they are loaded here first.
fn connector_options(config: &OriginConfig) -> Result<ConnectorOptions, String> {
    let mut options = ConnectorOptions::new(config.max_idle);
    if !config.servers.iter().any(|server| server.tls) {
        // No certificate will be checked: spare the time to read the system's.
        options.ca_file = Some("/dev/null".to_owned());
        return Ok(options);
    }
    let mut roots = RootCertStore::empty();
    let (loaded, source) = match &config.ca_file {
        Some(path) => {
            let text = path.to_str().ok_or("ca_file is not a UTF-8 path")?;
            options.ca_file = Some(text.to_owned());
            let shown = Path::display(path).to_string();
            (tls::load_ca_file_into_store(path, &mut roots), shown)
        }
        None => {
            let loaded = tls::load_platform_certs_incl_env_into_store(&mut roots);
            (loaded, "the system's certificates".to_owned())
        }
    };
    loaded.map_err(|why| format!("origin `{}`: {source}: {why}", config.name))?;
    if roots.is_empty() {
        return Err(format!(
            "origin `{}`: no certificate authorities in {source}; name a PEM bundle with ca_file",
            config.name
        ));
    }
    Ok(options)
}

/// The name in `host[:port]` as TLS wants it: no port, no brackets, no final dot.
fn server_name(authority: &str) -> Option<Arc<str>> {
    let host = split_port(authority).0;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| Arc::from(host))
}

fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static ID: Cell<u64> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    ID.with(Cell::get)
}

/// What went wrong while connecting, as RFC 9209 section 2.3 tells it apart.
fn kind_of(error: &Error) -> FetchError {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => FetchError::ConnectionTimeout,
        ErrorType::InvalidCert => FetchError::TlsCertificate,
        // Pingora keeps only the text of what rustls said; `rustls::Error::InvalidCertificate` begins so. A test holds it.
        ErrorType::TLSHandshakeFailure if error.to_string().contains("invalid peer certificate") => {
            FetchError::TlsCertificate
        }
        ErrorType::TLSHandshakeFailure => FetchError::Tls,
        _ => FetchError::ConnectionRefused,
    }
}

/// One address of one server, as Pingora wants it described.
#[derive(Clone)]
struct Place {
    address: PeerAddress,
    /// Present for TLS.
    sni: Option<Arc<str>>,
    /// A keyed hash of all that a connection must have in common with this one to be used for it.
    key: u64,
    options: Arc<PeerOptions>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl Peer for Place {
    fn address(&self) -> &PeerAddress {
        &self.address
    }

    fn tls(&self) -> bool {
        self.sni.is_some()
    }

    fn sni(&self) -> &str {
        self.sni.as_deref().unwrap_or_default()
    }

    fn reuse_hash(&self) -> u64 {
        self.key
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        Some(&self.options)
    }

    /// The key holds the address already; asking the system for it would cost a call on every reuse.
    #[cfg(unix)]
    fn matches_fd<V: std::os::fd::AsRawFd>(&self, _: V) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_tls() {
        for (authority, name) in [
            ("example.com:8443", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("[::1]:443", Some("::1")),
            ("::1", Some("::1")),
            (":443", None),
            ("", None),
        ] {
            assert_eq!(server_name(authority).as_deref(), name, "{authority}");
        }
    }

    #[test]
    fn an_empty_name_never_turns_the_check_off() {
        let servers = Servers::new(&OriginConfig {
            servers: vec![ServerUrl::parse("http://127.0.0.1").unwrap()],
            sni: Some(String::new()),
            ..OriginConfig::default()
        });
        let servers = servers.unwrap();
        let name = servers.sni_for(&servers.servers[0], ":443");
        assert_eq!(name.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn a_bad_bundle_is_an_error() {
        let error = Servers::new(&OriginConfig {
            servers: vec![ServerUrl::parse("https://a").unwrap()],
            ca_file: Some("/nonexistent.pem".into()),
            ..OriginConfig::default()
        });
        assert!(error.err().unwrap().contains("/nonexistent.pem"));
    }
}
