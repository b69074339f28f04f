//! `verge run`: the edge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, check, complain, print, signals};
use crate::admin::{self, Admin};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Listener, Speaks, units};
use crate::listen::Server;
use crate::node::{Node, Source};
use crate::telemetry::events::{self, Event};
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
    /// Where health, metrics and the admin API are; "off" for none [default: 127.0.0.1:9180].
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Size of the RAM cache, such as 512MiB.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    ram: Option<u64>,
    /// Threads that serve; 0: one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let config = settle(&args).map_err(|errors| failure(errors, "nothing was started"))?;
    let schemes: Vec<&str> = config.listen.iter().map(|listener| scheme(&listener.speaks)).collect();
    let socket = match &config.admin {
        Some(admin) => Some(admin::bind(admin.address)?),
        None => None,
    };
    let node = Arc::new(start(config, Box::new(move || settle(&args)), Arc::new(SystemClock))?);
    let admin = socket.map(|socket| Admin::start(&node, socket));
    let admin = admin
        .transpose()
        .map_err(|error| format!("the admin API cannot be served: {error}"))?;
    // Who reads where it listens may tell it things by signals.
    signals::obey(&node, || say_where(&node.server, &schemes, admin.as_ref()))
}

fn say_where(server: &Server, schemes: &[&str], admin: Option<&Admin>) {
    let mut said = String::new();
    for (address, scheme) in server.addresses.iter().zip(schemes) {
        said += &format!("verge: listening on {scheme}://{address}\n");
    }
    if let Some(admin) = admin {
        said += &format!("verge: admin on http://{}\n", admin.address);
    }
    if let Some(tls) = server.tls().filter(|tls| tls.settings().certificates.is_empty()) {
        let names: Vec<String> = tls
            .certificates()
            .into_iter()
            .flat_map(|certificate| certificate.names)
            .collect();
        said += &format!(
            "verge: no certificate is configured; a self-signed one was made for {}\n",
            names.join(", ")
        );
    }
    // An edge serves whether or not somebody reads where.
    let _ = print(said.as_bytes());
}

/// One error as it is; several are printed, and counted.
pub(super) fn failure(mut errors: Vec<String>, so: &str) -> Failure {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    errors.iter().for_each(|error| complain(error));
    format!("{} errors; {so}", errors.len())
}

/// The configuration that file and flags make together.
fn settle(args: &Args) -> Result<Config, Vec<String>> {
    let mut config = match (&args.config, &args.origin) {
        (Some(path), _) => check::read(path)?,
        (None, Some(origin)) => of_one_origin(origin).map_err(|error| vec![error])?,
        (None, None) => check::read(Path::new("edge.toml"))?,
    };
    if !args.listen.is_empty() || !args.listen_tls.is_empty() {
        config.listen = listeners(&args.listen, &args.listen_tls);
    }
    if let (Some(cert), Some(key)) = (args.cert.clone(), args.key.clone()) {
        config.tls.certificates = vec![CertificateFiles { cert, key, ocsp: None }];
    }
    if let Some(admin) = &args.admin {
        let address = config::parse_admin(admin).map_err(|error| vec![format!("--admin: {error}")])?;
        let token = config.admin.take().and_then(|admin| admin.token);
        config.admin = address.map(|address| config::Admin { address, token });
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

/// Starts an edge of this configuration, which `source` reads anew.
pub(super) fn start(config: Config, source: Source, clock: Arc<dyn Clock>) -> Result<Node, Failure> {
    allow_many_sockets();
    Node::start(config, source, clock).map_err(|errors| failure(errors, "nothing was started"))
}

/// Raises the soft limit of open files, often 1,024, to the hard one: every connection is one, and those to origins too.
fn allow_many_sockets() {
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        let error = error.to_string();
        events::tell(&Event::FewFiles { error });
    }
}
