//! Connections to the servers of an origin, over Pingora's connector and its pool.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::tls;
use pingora_core::upstreams::peer::{Peer, PeerOptions};
use rustls::RootCertStore;
use tokio::time::Instant;

use super::dns::{Addresses, Host, Resolver};
use super::h2::{Seat, Sessions};
use super::place::{Place, kind_of};
use super::settings::split_port;
use super::{FetchError, OriginConfig, Protocol, ServerUrl};
use crate::telemetry::OriginCounts;

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
    protocol: Protocol,
    sessions: Arc<Sessions>,
    options: Arc<PeerOptions>,
    sni: Option<Arc<str>>,
    keys: RandomState,
    connect_timeout: Duration,
    idle_timeout: Duration,
    counts: Arc<OriginCounts>,
}

struct Server {
    tls: bool,
    port: u16,
    host: Arc<Host>,
}

impl Servers {
    /// The servers of this configuration. The error says which part of it cannot be used.
    pub(super) fn new(config: &OriginConfig, counts: Arc<OriginCounts>) -> Result<Self, String> {
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
            protocol: config.protocol,
            sessions: Sessions::new(config),
            options: Arc::new(peer_options(config)),
            sni: [&config.sni, &config.host]
                .into_iter()
                .flatten()
                .find_map(|name| server_name(name)),
            keys: RandomState::new(),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            counts,
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

    /// A way to `server` for a request to `host`, over a connection that is there if one can be used; with `anew` over one
    /// that was not there before.
    pub(super) async fn line(self: &Arc<Self>, server: usize, host: &str, anew: bool) -> Result<Line, FetchError> {
        let server = self.servers.get(server).ok_or(FetchError::Dns)?;
        let mut start = None;
        if let (false, Some(addresses)) = (anew, server.host.fresh()) {
            let at = self.first(&addresses);
            if let Some(line) = self.kept(&self.peer(server, addresses[at], host)).await {
                self.counts.reused.up();
                return Ok(line);
            }
            start = Some(at);
        }
        // Boxed, because the future of a handshake is large and seldom needed.
        let line = Box::pin(self.open(server, host, start, anew)).await?;
        self.counts.opened.up();
        Ok(line)
    }

    async fn kept(self: &Arc<Self>, peer: &Place) -> Option<Line> {
        match self.protocol {
            Protocol::Http1 => {
                let stream = self.connector.reused_stream(peer).await?;
                Some(Line::Own(self.lease(stream, peer)))
            }
            Protocol::Http2 => self.sessions.kept(peer.key).map(|seat| Line::shared(seat, peer)),
        }
    }

    /// Tries one address after the other, beginning where no kept connection was found, for as long as one connection may take.
    async fn open(
        self: &Arc<Self>,
        server: &Server,
        host: &str,
        start: Option<usize>,
        anew: bool,
    ) -> Result<Line, FetchError> {
        let addresses = server.host.resolve(&self.resolver).await?;
        let deadline = Instant::now() + self.connect_timeout;
        let first = start.unwrap_or_else(|| self.first(&addresses));
        let mut outcome = Err(FetchError::ConnectionRefused);
        for at in 0..addresses.len() {
            let peer = self.peer(server, addresses[(first + at) % addresses.len()], host);
            outcome = match self.protocol {
                Protocol::Http1 => self.dial(&peer).await.map(|s| Line::Own(self.lease(s, &peer))),
                Protocol::Http2 => {
                    let seat = self.sessions.seat(peer.key, anew, || self.dial_h2(&peer)).await;
                    seat.map(|seat| Line::shared(seat, &peer))
                }
            };
            if outcome.is_ok() || Instant::now() >= deadline {
                break;
            }
        }
        outcome
    }

    async fn dial(&self, peer: &Place) -> Result<Stream, FetchError> {
        let opened = self.connector.new_stream(peer).await;
        opened.map_err(|error| kind_of(&error))
    }

    async fn dial_h2(&self, peer: &Place) -> Result<Stream, FetchError> {
        let stream = self.dial(peer).await?;
        // RFC 9113 section 3.2: over TLS, HTTP/2 is spoken only where ALPN agreed on it. A server that knows ALPN and not h2
        // ends the handshake itself (RFC 7301 section 3.2); one that does not know ALPN is told apart here, to the same end.
        if peer.tls() && stream.selected_alpn_proto() != Some(ALPN::H2) {
            return Err(FetchError::Tls);
        }
        Ok(stream)
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
            kept_for: None,
        }
    }
}

/// A way to an origin's server.
pub(super) enum Line {
    /// A connection to oneself, for HTTP/1.1.
    Own(Lease),
    /// A stream's room on a connection, for HTTP/2.
    Shared {
        /// The room.
        seat: Seat,
        /// Whether the connection is TLS.
        tls: bool,
    },
}

impl Line {
    fn shared(seat: Seat, peer: &Place) -> Line {
        let tls = peer.tls();
        Line::Shared { seat, tls }
    }
}

/// How long before its server would an idle connection is closed.
const MARGIN: Duration = Duration::from_secs(1);

/// A connection that is in use. Dropped, it is closed.
pub(super) struct Lease {
    pub(super) stream: Stream,
    key: u64,
    servers: Arc<Servers>,
    /// How long the server keeps it while it is idle, if it says.
    pub(super) kept_for: Option<Duration>,
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
            // A request that is sent as the server closes the connection is lost.
            let theirs = self.kept_for.map(|kept| kept.saturating_sub(MARGIN));
            let ours = theirs.map_or(*idle_timeout, |theirs| theirs.min(*idle_timeout));
            if !ours.is_zero() {
                connector.release_stream(self.stream, self.key, Some(ours));
            }
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
    options.alpn = match config.protocol {
        Protocol::Http1 => ALPN::H1,
        Protocol::Http2 => ALPN::H2,
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(config: OriginConfig) -> Result<Servers, String> {
        Servers::new(&config, Arc::new(OriginCounts::new("test")))
    }

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

    /// Both are asked, and each again over the connection that it has.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn addresses_take_turns_and_keep_their_connections() {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
        let mut servers = servers(OriginConfig {
            servers: vec![ServerUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap()],
            ..OriginConfig::default()
        })
        .unwrap();
        servers.servers[0].host = Host::at(&["127.0.0.1", "127.0.0.2"]);
        let servers = Arc::new(servers);
        for _ in 0..4 {
            let Line::Own(lease) = servers.line(0, "a", false).await.unwrap() else {
                panic!("HTTP/1.1 shares nothing");
            };
            lease.give_back();
        }
        for listener in [first, second] {
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_ok());
            assert!(listener.accept().is_err());
        }
    }

    #[test]
    fn an_empty_name_never_turns_the_check_off() {
        let servers = servers(OriginConfig {
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
        let error = servers(OriginConfig {
            servers: vec![ServerUrl::parse("https://a").unwrap()],
            ca_file: Some("/nonexistent.pem".into()),
            ..OriginConfig::default()
        });
        assert!(error.err().unwrap().contains("/nonexistent.pem"));
    }
}
