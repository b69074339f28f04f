//! An edge that listens in clear text and over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use verge::config::{self, Config};

use crate::certificates::{Authority, SecureClient, secure};
use crate::harness::{Client, Origin, World};
use crate::multiplexed::{H2, Windows};

/// The host of the tests; [`OTHER`] and [`PRIVATE`] are others of the same certificate, [`STRANGER`] one of another.
pub const HOST: &str = "example.test";
pub const OTHER: &str = "other.test";
pub const PRIVATE: &str = "private.test";
pub const STRANGER: &str = "stranger.test";

/// An edge with its origin, certificates and clients.
pub struct Rig {
    /// The edge and its origin.
    pub world: World,
    /// Where its files are.
    pub folder: tempfile::TempDir,
    /// Who issued its certificates.
    pub authority: Authority,
    /// Clients without a certificate that speak either version.
    pub either: Arc<ClientConfig>,
    /// Those that offer HTTP/1.1 alone.
    pub old: Arc<ClientConfig>,
}

impl Rig {
    /// A site `*` and defaults for all else.
    pub fn start() -> Rig {
        Rig::with("", "")
    }

    /// The same, with more lines for the configuration as a whole and for the site, among them its hosts if it is not all.
    pub fn with(all: &str, site: &str) -> Rig {
        let origin = Origin::start();
        let server = format!("http://{}", origin.address);
        Rig::of(origin, &server, all, site)
    }

    /// The same, with `server` for an origin. `FOLDER` in the lines is where `clients.pem` lies, the authority's own certificate.
    pub fn of(origin: Origin, server: &str, all: &str, site: &str) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority
            .issue(&format!("{HOST} {OTHER} {PRIVATE}"))
            .write(folder.path(), "edge");
        authority.issue(STRANGER).write(folder.path(), "stranger");
        authority.write(&folder.path().join("clients.pem"));
        let place = folder.path().to_str().unwrap();
        let config = configuration(
            place,
            server,
            &all.replace("FOLDER", place),
            &site.replace("FOLDER", place),
        );
        Rig {
            world: World::of(config, origin),
            either: authority.client(&["h2", "http/1.1"], None),
            old: authority.client(&["http/1.1"], None),
            folder,
            authority,
        }
    }

    /// Where clear text is spoken.
    pub fn clear(&self) -> SocketAddr {
        self.world.server.addresses[0]
    }

    /// Where TLS is spoken.
    pub fn tls(&self) -> SocketAddr {
        self.world.server.addresses[1]
    }

    /// A client for HTTP/1.1 in clear text.
    pub fn h1(&self) -> Client {
        Client::to(self.clear())
    }

    /// A client for HTTP/1.1 over TLS.
    pub fn h1s(&self) -> SecureClient {
        secure(self.tls(), &self.old, HOST)
    }

    /// A client for HTTP/2 in clear text.
    pub fn h2(&self) -> H2 {
        H2::clear(self.clear(), Windows::default())
    }

    /// A client for HTTP/2 over TLS.
    pub fn h2s(&self) -> H2 {
        H2::secure(self.tls(), &self.either, HOST)
    }

    /// A client for HTTP/2 whose windows are of this size, and only open as the test says.
    pub fn narrow(&self, window: u32) -> H2 {
        let windows = Windows {
            stream: window,
            ..Windows::default()
        };
        H2::clear(self.clear(), windows)
    }
}

fn configuration(folder: &str, server: &str, all: &str, site: &str) -> Config {
    let hosts = match site.starts_with("hosts") {
        true => "",
        false => "hosts = [\"*\"]",
    };
    let text = format!(
        "server.threads = 1\n\
         listen = [{{ address = \"127.0.0.1:0\", h2c = true }}, {{ address = \"127.0.0.1:0\", tls = true }}]\n\
         tls.certificates = [{{ cert = \"{folder}/edge.pem\", key = \"{folder}/edge.key\" }}, \
         {{ cert = \"{folder}/stranger.pem\", key = \"{folder}/stranger.key\" }}]\n\
         origins.app.servers = [\"{server}\"]\n{all}\n\
         [[sites]]\n{hosts}\norigin = \"app\"\n{site}\n"
    );
    config::load("test", &text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}
