//! `verge run`: the edge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Failure, check};
use crate::cache::Secret;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Listener, Speaks, units};
use crate::listen::{Bound, OnThisThread, Server};
use crate::origin::{Fetch, Origin};
use crate::pipeline::Edge;
use crate::tls::{CertificateFiles, ClientCertificates, Reload, Terminator};

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
    let config = settle(args)?;
    let schemes: Vec<&str> = config.listen.iter().map(|listener| scheme(&listener.speaks)).collect();
    let server = start(config, Arc::new(SystemClock))?;
    for (address, scheme) in server.addresses.iter().zip(schemes) {
        println!("verge: listening on {scheme}://{address}");
    }
    if let Some(tls) = server.tls.as_ref().filter(|tls| tls.settings().certificates.is_empty()) {
        let names: Vec<String> = tls
            .certificates()
            .into_iter()
            .flat_map(|certificate| certificate.names)
            .collect();
        println!(
            "verge: no certificate is configured; a self-signed one was made for {}",
            names.join(", ")
        );
    }
    wait_for_signal(server.tls.as_deref())
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

fn scheme(speaks: &Speaks) -> &'static str {
    match speaks {
        Speaks::Clear { .. } => "http",
        Speaks::Tls(_) => "https",
    }
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
    let tls = terminator(&config, Arc::clone(&clock))?;
    let edge = Edge::new(Arc::new(config), origins, secret, clock, Arc::new(OnThisThread));
    Server::start(Arc::new(edge), tls, bound).map_err(|error| format!("cannot start serving: {error}"))
}

/// What the TLS listeners share, if there are any. Faults of files are printed one a line.
pub(super) fn terminator(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Arc<Terminator>>, Failure> {
    let asked = |listener: &Listener| match &listener.speaks {
        Speaks::Clear { .. } => None,
        Speaks::Tls(asked) => Some(asked.clone()),
    };
    let listeners: Vec<ClientCertificates> = config.listen.iter().filter_map(asked).collect();
    if listeners.is_empty() {
        return Ok(None);
    }
    match Terminator::new(config.tls.clone(), listeners, clock) {
        Ok(terminator) => Ok(Some(Arc::new(terminator))),
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{error}"));
            Err(format!("TLS cannot be spoken: {} error(s)", errors.len()))
        }
    }
}

/// Raises the soft limit of open files, often 1,024, to the hard one: every connection is one, and those to origins too.
fn allow_many_sockets() {
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        eprintln!("verge: the limit of open files stays as it is: {error}; raise it with `ulimit -n`");
    }
}

/// Returns on SIGTERM or SIGINT. Until then, keeps the files of `tls` up to date: on SIGHUP, and as often as configured.
pub(super) fn wait_for_signal(tls: Option<&Terminator>) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let every = tls.map_or(Duration::ZERO, |tls| tls.settings().reload);
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        loop {
            let look = tokio::time::sleep(every);
            let forced = tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hang_up.recv() => true,
                () = look, if !every.is_zero() => false,
            };
            if let Some(tls) = tls {
                reload(tls, forced);
            }
        }
    })
}

fn reload(tls: &Terminator, forced: bool) {
    match tls.reload(forced) {
        Reload::Unchanged => {}
        Reload::Done => eprintln!("verge: certificates and keys were read again"),
        Reload::Failed(errors) => {
            errors.iter().for_each(|error| eprintln!("verge: {error}"));
            eprintln!("verge: certificates and keys stay as they were");
        }
    }
}
