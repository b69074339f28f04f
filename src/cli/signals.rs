//! What signals do: SIGHUP reloads, SIGTERM and SIGINT drain, and each of the two a second time ends the process.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::node::Node;
use crate::tls::Reload;

/// Does what signals tell until one of them ends `node`; meanwhile, keeps certificates up to date as often as configured.
pub(super) fn obey(node: &Node) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut end = End::new().map_err(failed)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        loop {
            let every = node.server.tls().map_or(Duration::ZERO, |tls| tls.settings().reload);
            tokio::select! {
                () = end.wanted() => break,
                () = node.asked_to_drain() => break,
                _ = hang_up.recv() => reload(node),
                () = tokio::time::sleep(every), if !every.is_zero() => reload_certificates(node),
            }
        }
        tokio::select! {
            () = end.wanted() => eprintln!("verge: ended at once"),
            () = drain(node) => {}
        }
        Ok(())
    })
}

/// SIGTERM and SIGINT.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn new() -> std::io::Result<End> {
        Ok(End {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn drain(node: &Node) {
    let drain = node.server.edge().config.drain;
    let connections = node.server.connections();
    eprintln!("verge: draining; connections: {connections}");
    match node.drain(drain.wait, drain.finish).await {
        0 => eprintln!("verge: drained"),
        left => eprintln!("verge: {left} connections had not ended in time and are cut off; raise [server] drain"),
    }
}

fn reload(node: &Node) {
    match node.reload() {
        Ok(wait) => {
            wait.iter().for_each(|wait| eprintln!("verge: {wait}"));
            eprintln!("verge: reloaded");
        }
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("verge: {error}"));
            eprintln!("verge: not reloaded; everything stays as it was");
        }
    }
}

fn reload_certificates(node: &Node) {
    match node.reload_certificates() {
        Reload::Unchanged => {}
        Reload::Done => eprintln!("verge: certificates and keys were read again"),
        Reload::Failed(errors) => {
            errors.iter().for_each(|error| eprintln!("verge: {error}"));
            eprintln!("verge: certificates and keys stay as they were");
        }
    }
}
