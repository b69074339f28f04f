//! What signals do: SIGHUP reloads, SIGUSR1 opens the access log again, SIGTERM and SIGINT drain, and each of the two a
//! second time ends the process.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, notify};
use crate::node::Node;
use crate::telemetry::events::{self, Event};
use crate::tls::Reload;

/// Does what signals tell until one of them ends `node`; meanwhile, looks for changed files as often as configured.
/// `ready` is called once signals are heard.
pub(super) fn obey(node: &Node, ready: impl FnOnce()) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut end = End::new().map_err(failed)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        let mut user = signal(SignalKind::user_defined1()).map_err(failed)?;
        ready();
        notify::ready();
        let told = loop {
            let look_every = node.server.edge().config.reload;
            let every = node.server.tls().map_or(Duration::ZERO, |tls| tls.settings().reload);
            tokio::select! {
                () = end.wanted() => break true,
                () = node.asked_to_drain() => break false,
                _ = hang_up.recv() => reload(node),
                _ = user.recv() => reopen_log(node),
                () = tokio::time::sleep(look_every), if !look_every.is_zero() => look(node),
                () = tokio::time::sleep(every), if !every.is_zero() => reload_certificates(node),
            }
        };
        notify::stopping();
        // What was begun through the API, a service manager may end with its signal.
        let mut left = if told { 1 } else { 2 };
        let mut draining = std::pin::pin!(drain(node));
        while left > 0 {
            tokio::select! {
                () = end.wanted() => left -= 1,
                _ = user.recv() => reopen_log(node),
                () = &mut draining => return Ok(()),
            }
        }
        events::tell(&Event::EndedAtOnce {});
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
    events::tell(&Event::Draining { connections });
    match node.drain(drain.wait, drain.finish).await {
        0 => events::tell(&Event::Drained {}),
        connections => events::tell(&Event::CutOff { connections }),
    }
}

fn reload(node: &Node) {
    notify::reloading();
    // What came of it has been told.
    let _ = node.reload();
    notify::ready();
}

/// Reads the configuration anew if any of its files has changed.
fn look(node: &Node) {
    if node.files_changed() {
        reload(node);
    }
}

fn reopen_log(node: &Node) {
    match node.reopen_log() {
        Ok(Some(file)) => events::tell(&Event::LogReopened { file }),
        Ok(None) => {}
        Err(error) => events::tell(&Event::LogNotReopened { error }),
    }
}

fn reload_certificates(node: &Node) {
    match node.reload_certificates() {
        Reload::Unchanged => {}
        Reload::Done => events::tell(&Event::CertificatesReloaded {}),
        Reload::Failed(errors) => {
            for error in &errors {
                let error = error.to_string();
                events::tell(&Event::CertificateError { error });
            }
            events::tell(&Event::CertificatesFailed { errors: errors.len() });
        }
    }
}
