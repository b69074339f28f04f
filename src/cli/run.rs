//! `verge run`: the edge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, check};
use crate::cache::Secret;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Listener, Speaks, units};
use crate::listen::{Bound, OnThisThread, Server};
use crate::origin::{Fetch, Origin};
use crate::pipeline::Edge;
use crate::tls::{CertificateFiles, ClientCertificates};

/// What `verge run` takes. Flags override the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file; without --origin, edge.toml unless another is named.
    #[arg(long, value_name = "FILE", conflicts_with = "origin")]
    config: Option<PathBuf>,
    /// Without a file: the origin of every request, such as http://127.0.0.1:3000.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Where clear-text connections are taken; may be given several times.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Where TLS connections are taken; may be given several times.
    #[arg(long, value_name = "ADDR")]
    listen_tls: Vec<SocketAddr>,
    /// The certificate of TLS, a PEM chain; without one the edge makes and signs one itself.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Size of the RAM cache, such as 512MiB.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    ram: Option<u64>,
    /// Threads that serve; 0: one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let server = start(settle(args)?, Arc::new(SystemClock))?;
    for address in &server.addresses {
        println!("verge: listening on http://{address}");
    }
    wait_for_signal()
}

/// The configuration that file and flags make together.
fn settle(args: Args) -> Result<Config, Failure> {
    let mut config = match (&args.config, &args.origin) {
        (Some(path), _) => check::read(path)?,
        (None, Some(origin)) => of_one_origin(origin)?,
        (None, None) => check::read(Path::new("edge.toml"))?,
    };
    if !args.listen.is_empty() || !args.listen_tls.is_empty() {
        config.listen = listeners(&args.listen, &args.listen_tls);
    }
    if let (Some(cert), Some(key)) = (args.cert, args.key) {
        config.tls.certificates = vec![CertificateFiles { cert, key, ocsp: None }];
    }
    if let Some(ram) = args.ram {
        config.cache.ram = ram;
    }
    if let Some(threads) = args.threads {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        config.threads = if threads == 0 { cores } else { threads };
    }
    Ok(config)
}

/// Listeners for clear text and for TLS.
pub(super) fn listeners(clear: &[SocketAddr], tls: &[SocketAddr]) -> Vec<Listener> {
    let listener = |address: &SocketAddr, speaks| Listener {
        address: *address,
        speaks,
    };
    let clear = clear
        .iter()
        .map(|address| listener(address, Speaks::Clear { h2c: false }));
    let tls = tls
        .iter()
        .map(|address| listener(address, Speaks::Tls(ClientCertificates::NotAsked)));
    clear.chain(tls).collect()
}

/// Any host, one origin, and defaults for all else.
pub(super) fn of_one_origin(url: &str) -> Result<Config, Failure> {
    let text = format!("[origins.default]\nservers = [{url:?}]\n[[sites]]\nhosts = [\"*\"]\norigin = \"default\"\n");
    config::load("--origin", &text).map_err(|errors| {
        let first = errors.first().map_or("", |error| error.what.as_str());
        format!("--origin: {first}")
    })
}

/// Starts an edge of this configuration.
pub(super) fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Server, Failure> {
    allow_many_sockets();
    let origins = config
        .origins
        .iter()
        .map(|origin| Ok(Arc::new(Origin::new(origin.reach.clone())?) as Arc<dyn Fetch>))
        .collect::<Result<Vec<_>, Failure>>()?;
    let secret = Secret::random().map_err(|error| format!("the system gives no random bytes: {error}"))?;
    let bound = Bound::new(&config.listen, config.threads).map_err(|error| error.to_string())?;
    let edge = Edge::new(Arc::new(config), origins, secret, clock, Arc::new(OnThisThread));
    Server::start(Arc::new(edge), bound).map_err(|error| format!("cannot start serving: {error}"))
}

/// Raises the soft limit of open files, often 1,024, to the hard one: every connection is one, and those to origins too.
fn allow_many_sockets() {
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        eprintln!("verge: the limit of open files stays as it is: {error}; raise it with `ulimit -n`");
    }
}

/// Returns on SIGTERM or SIGINT.
pub(super) fn wait_for_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
