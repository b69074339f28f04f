//! `verge demo`: a sample origin and an edge before it, in one process, and a walk through what the edge does.

mod client;
mod content;
mod killed;
mod members;
mod origin;
mod report;
mod secure;
mod walk;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use self::origin::Sample;
use self::report::Report;
use super::{Failure, run, signals};
use crate::clock::{Clock, Now, SystemClock};
use crate::node::Node;

/// Where the demo listens, unless told otherwise; with `--once`, on any free port.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const SECURE_PORT: u16 = 8443;

/// The edge's RAM cache, in bytes.
const RAM: u64 = 64 * 1024 * 1024;

/// How long the link is good that is left to be tried.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What `verge demo` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the walk; exit status 1 if a step was not as it should be.
    #[arg(long)]
    once: bool,
    /// Where the edge listens [default: 127.0.0.1:8080; with --once any free port].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where it speaks TLS [default: 127.0.0.1:8443; with --once any free port].
    #[arg(long, value_name = "ADDR")]
    listen_tls: Option<SocketAddr>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let clock = Arc::new(AheadClock::default());
    let sample = Sample::start(Arc::clone(&clock) as Arc<dyn Clock>)
        .map_err(|error| format!("the sample origin cannot be started: {error}"))?;
    let node = edge(addresses(args), &sample, &clock)?;
    let [reached, secure] = [0, 1].map(|listener| reachable(node.server.addresses[listener]));
    let mut report = Report::new();
    report.line(&format!(
        "An edge on http://{reached} and https://{secure}, before a sample origin on http://{}",
        sample.address
    ));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the walk cannot be started: {error}"))?;
    let wrong = runtime.block_on(walk::walk(
        [reached, secure],
        &node.server.edge(),
        &sample,
        &clock,
        &mut report,
    ));
    if !args.once {
        let link = members::link(&node.server.edge(), &*clock, reached, A_DAY);
        signals::obey(&node, || what_to_try(reached, secure, &link, &mut report))?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("in the demo, not as it should be: {}", wrong.join("; "))),
    }
}

/// Where the edge listens: in clear text, and for TLS.
fn addresses(args: &Args) -> [SocketAddr; 2] {
    let address = |given: Option<SocketAddr>, port| {
        let port = if args.once { 0 } else { port };
        given.unwrap_or(SocketAddr::new(ADDRESS.ip(), port))
    };
    [
        address(args.listen, ADDRESS.port()),
        address(args.listen_tls, SECURE_PORT),
    ]
}

/// An edge whose only site sends everything to the sample origin.
fn edge([clear, tls]: [SocketAddr; 2], sample: &Sample, clock: &Arc<AheadClock>) -> Result<Node, Failure> {
    is_free(clear, "--listen")?;
    is_free(tls, "--listen-tls")?;
    let mut config = members::configuration(sample.address)?;
    config.listen = super::run::listeners(&[clear], &[tls]);
    config.cache.ram = RAM;
    let same = config.clone();
    run::start(
        config,
        Box::new(move || Ok(same.clone())),
        Arc::clone(clock) as Arc<dyn Clock>,
    )
}

/// Sockets that share a port (`SO_REUSEPORT`) would let a second demo take half of the first one's connections.
fn is_free(address: SocketAddr, flag: &str) -> Result<(), Failure> {
    let taken = |error| {
        let other = SocketAddr::new(address.ip(), 0);
        format!("cannot listen on {address}: {error}; name another address, such as {flag} {other} for any free port")
    };
    std::net::TcpListener::bind(address).map(drop).map_err(taken)
}

/// Where clients on this machine find what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn what_to_try(edge: SocketAddr, secure: SocketAddr, link: &str, report: &mut Report) {
    report.line("");
    report.line("The edge goes on serving. Open it in a browser, or try in another terminal:");
    report.line("");
    for (what, why) in [
        ("-i http://EDGE/", "# twice; see Cache-Status and Age"),
        ("-i http://EDGE/ -H 'If-None-Match: \"v1\"'", "# 304"),
        ("-i -r 4096-4159 http://EDGE/large", "# each line says its own offset"),
        ("-i http://EDGE/slow", "# slow, once a minute"),
        ("-i http://EDGE/account", "# private: never stored"),
        (
            "-ik https://SECURE/",
            "# TLS and HTTP/2; the certificate is self-signed",
        ),
    ] {
        let what = what
            .replace("EDGE", &edge.to_string())
            .replace("SECURE", &secure.to_string());
        report.line(&format!("  curl {what:<51} {why}"));
    }
    report.line(&format!("  curl -i 'http://{edge}{link}'"));
    report.line("");
    report.line("Ctrl-C ends it.");
}

/// The machine's clock, moved ahead by the walk so that nothing has to be waited for.
#[derive(Debug, Default)]
pub(super) struct AheadClock {
    ahead: Mutex<Duration>,
}

impl AheadClock {
    fn advance(&self, by: Duration) {
        *self.ahead.lock() += by;
    }
}

impl Clock for AheadClock {
    fn now(&self) -> Now {
        let ahead = *self.ahead.lock();
        let now = SystemClock.now();
        Now {
            monotonic: now.monotonic + ahead,
            wall: now.wall + ahead,
        }
    }
}
