//! The access log: a line a request.
//!
//! ```text
//! begin: what the request says ──▶ Line ──▶ end: what became of it ──▶ shard ──▶ queue ──▶ writer
//!        (from the transport's buffer)                                 a thread   64 KiB    one thread
//! ```
//!
//! A line is begun while the request's head is still in its transport's buffer, and travels with the answer. When that has
//! ended, the line goes behind those of the same thread; the writer takes them once they are 64 KiB or a second old. No
//! serving thread waits for the writer: where it falls behind, lines are dropped and counted.

mod format;
mod ink;
mod line;
mod queue;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

use self::format::Style;
pub(super) use self::line::Ended;
pub use self::line::Line;
use self::line::Pen;
use self::sink::Sink;
use self::writer::Writer;
use super::{RequestId, Telemetry, site};
use crate::clock::Clock;
use crate::config::{AccessTarget, Log};
use crate::policy::fields::RequestFields;

/// The access log as one configuration wants it.
pub struct AccessLog {
    /// Whether anything is logged; not after it was switched off.
    on: bool,
    /// Share of the requests that are logged.
    sample: f64,
    /// For each serving thread one, and the first for all others.
    pens: Vec<Arc<Pen>>,
    /// What lines are to be written to once this log is in use.
    next: Mutex<Option<(AccessTarget, Sink)>>,
    writer: Arc<Writer>,
}

/// What is known of a request when its line is begun.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who asks.
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The method.
    pub method: Option<&'a str>,
    /// The host.
    pub host: Option<&'a str>,
    /// The path.
    pub path: Option<&'a str>,
    /// What follows `?`.
    pub query: Option<&'a str>,
    /// The protocol's version.
    pub version: Option<&'static str>,
    /// The field lines.
    pub fields: Option<&'a RequestFields<'a>>,
    /// The site's name.
    pub site: Option<&'a str>,
    /// What it is called; none: it gets a name.
    pub id: Option<RequestId>,
}

impl<'a> Seen<'a> {
    /// That this client asks something.
    pub fn nothing_of(client: IpAddr, scheme: &'static str) -> Self {
        Seen {
            client,
            scheme,
            method: None,
            host: None,
            path: None,
            query: None,
            version: None,
            fields: None,
            site: None,
            id: None,
        }
    }
}

impl AccessLog {
    /// What `log` asks for, if it asks for a log: its file is opened, and a thread started that writes.
    ///
    /// # Errors
    /// The file cannot be opened; names it and the mend.
    pub fn open(
        log: &Log,
        clock: &Arc<dyn Clock>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Option<Arc<AccessLog>>, String> {
        match Sink::open(&log.access)? {
            Some(sink) => AccessLog::writing_to(sink, log, clock, telemetry).map(Some),
            None => Ok(None),
        }
    }

    fn writing_to(
        sink: Sink,
        log: &Log,
        clock: &Arc<dyn Clock>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Arc<AccessLog>, String> {
        let writer = Writer::start(log.access.clone(), sink, telemetry)
            .map_err(|error| format!("cannot start the thread that writes the access log: {error}"))?;
        Ok(Arc::new(AccessLog::of(log, Arc::new(writer), clock, None)))
    }

    /// The log as a new configuration wants it: from [`AccessLog::take_over`] on. What was logged before it is not lost,
    /// wherever it went.
    ///
    /// # Errors
    /// As in [`AccessLog::open`].
    pub fn renewed(&self, log: &Log, clock: &Arc<dyn Clock>) -> Result<Arc<AccessLog>, String> {
        let next = match log.access == self.writer.target() {
            true => None,
            false => Sink::open(&log.access)?.map(|sink| (log.access.clone(), sink)),
        };
        Ok(Arc::new(AccessLog::of(log, Arc::clone(&self.writer), clock, next)))
    }

    fn of(log: &Log, writer: Arc<Writer>, clock: &Arc<dyn Clock>, next: Option<(AccessTarget, Sink)>) -> AccessLog {
        let style = || Style::new(log.format, &log.fields);
        let pens = writer.shards().iter();
        let pens = pens.map(|shard| Arc::new(Pen::new(style(), Arc::clone(shard), Arc::clone(clock))));
        AccessLog {
            on: log.access != AccessTarget::Off,
            sample: log.sample,
            pens: pens.collect(),
            next: Mutex::new(next),
            writer,
        }
    }

    /// Has lines written where this log's configuration wants them from now on.
    pub fn take_over(&self) {
        if let Some((target, sink)) = self.next.lock().take() {
            self.writer.go_on_with(target, sink);
        }
    }

    /// Opens the log's file again, which may have been moved; the lines so far go to the old one. A log on standard output
    /// has nothing to open. Returns the file's name.
    ///
    /// # Errors
    /// It cannot be opened, and the old one stays in use; names it and the mend.
    pub fn reopen(&self) -> Result<Option<String>, String> {
        if !self.on {
            return Ok(None);
        }
        let target = self.writer.target();
        let (AccessTarget::File(_), Some(sink)) = (&target, Sink::open(&target)?) else {
            return Ok(None);
        };
        let name = sink.name().to_owned();
        self.writer.go_on_with(target, sink);
        Ok(Some(name))
    }

    /// Waits until all lines that have ended are written; not for a serving thread. Gives up after a few seconds if the
    /// disk takes nothing.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// Begins a request's line, if it may have to be logged. `status`: its answer's, where that is known already.
    pub fn begin(&self, seen: &Seen<'_>, now: Duration, status: Option<StatusCode>) -> Option<Line> {
        if !self.on {
            return None;
        }
        let id = seen.id.unwrap_or_default();
        let sampled = self.sample >= 1.0 || id.share() < self.sample;
        if !sampled && status.is_some_and(|status| !status.is_server_error()) {
            return None;
        }
        let pen = &self.pens[site::shard() % self.pens.len()];
        Some(Line::new(pen, seen, id, now, sampled))
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLog")
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}
