//! What is noted of one request on its way, to be counted when it has been answered.

use std::time::Duration;

use http::StatusCode;

use super::access::{Ended, Line};
use super::site::{Answered, SiteCounts};
use crate::clock::Clock;

/// What is noted when a request is decided on.
#[derive(Debug, Default)]
pub struct Record {
    /// Its site's place in the configuration; none: it belongs to no site.
    pub site: Option<usize>,
    /// Its method.
    pub method: MethodClass,
    /// When it was read.
    pub began: Duration,
    /// The origin that was asked for it, if one was.
    pub origin: Option<AskedOrigin>,
    /// Its line in the access log, if it may have one.
    pub line: Option<Line>,
}

/// An origin that was asked.
#[derive(Clone, Copy, Debug)]
pub struct AskedOrigin {
    /// Its place in the configuration.
    pub place: usize,
    /// How long the head of its response took, if it came.
    pub took: Option<Duration>,
}

/// Methods, as they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodClass {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`, `PUT`, `PATCH`, `DELETE`
    Write,
    /// All others.
    Other,
}

impl MethodClass {
    /// That of a method.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => MethodClass::Get,
            "HEAD" => MethodClass::Head,
            "POST" | "PUT" | "PATCH" | "DELETE" => MethodClass::Write,
            _ => MethodClass::Other,
        }
    }
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1 in clear text.
    H1,
    /// The same over TLS.
    H1Tls,
    /// HTTP/2 in clear text.
    H2c,
    /// The same over TLS.
    H2,
}

/// What the cache did for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered from what is stored, and fresh.
    Hit,
    /// Answered from what is stored and no longer fresh.
    Stale,
    /// Answered from what is stored after the origin confirmed it.
    Revalidated,
    /// Answered by the origin.
    Miss,
    /// Answered by a response that was fetched for another request.
    Collapsed,
    /// Not for the cache.
    Pass,
    /// The edge's own answer: an error, a redirect.
    Edge,
}

/// An answer on its way: counted when it ends.
#[derive(Debug)]
pub struct Tally {
    record: Record,
    protocol: Protocol,
    status: StatusCode,
    outcome: Outcome,
    detail: Option<&'static str>,
    first: Option<Duration>,
}

impl Tally {
    /// An answer of this status. `detail` says more about what the cache did.
    pub fn new(
        mut record: Record,
        protocol: Protocol,
        status: StatusCode,
        outcome: Outcome,
        detail: Option<&'static str>,
    ) -> Self {
        if let Some(line) = &mut record.line {
            line.answered(status);
        }
        Tally {
            record,
            protocol,
            status,
            outcome,
            detail,
            first: None,
        }
    }

    /// Its head goes out now. Without this, it goes out when the answer ends.
    pub fn begun(&mut self, clock: &dyn Clock) {
        self.first = Some(clock.monotonic());
    }

    /// Counts and logs it: it has ended after so many bytes of its body, `whole` or not. `sites` are the configuration's, and last what is
    /// counted for none.
    pub fn ended(self, sites: &[std::sync::Arc<SiteCounts>], bytes: u64, whole: bool, clock: &dyn Clock) {
        let now = clock.monotonic();
        let first = self.first.unwrap_or(now);
        if let Some(line) = self.record.line {
            line.end(&Ended {
                status: self.status.as_u16(),
                bytes: Some(bytes),
                first_byte: Some(first),
                at: now,
                outcome: Some(self.outcome),
                detail: self.detail,
            });
        }
        let place = self.record.site.unwrap_or(sites.len().saturating_sub(1));
        let Some(site) = sites.get(place) else { return };
        // What could not be read was not timed.
        let began = self.record.site.map_or(now, |_| self.record.began);
        site.answered(&Answered {
            method: self.record.method,
            status: self.status,
            protocol: self.protocol,
            outcome: self.outcome,
            bytes,
            duration: now.saturating_sub(began),
            first_byte: first.saturating_sub(began),
            aborted: !whole,
        });
    }
}
