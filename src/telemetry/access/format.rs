//! What a line looks like.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::line::{Ended, Parts, Times};
use super::{RequestId, Seen};
use crate::config::{LogField, LogFormat};
use crate::policy::trace;
use crate::telemetry::escape;
use crate::telemetry::metrics::OUTCOMES;

/// What a line looks like.
pub(super) enum Style {
    /// A JSON object of these fields; each is said to be `"name":`.
    Json(Vec<(LogField, Box<str>)>),
    /// `$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`
    Combined,
}

impl Style {
    pub(super) fn new(format: LogFormat, fields: &[LogField]) -> Style {
        let named = |field: &LogField| (*field, format!("\"{}\":", field.name()).into_boxed_str());
        match format {
            LogFormat::Json => Style::Json(fields.iter().map(named).collect()),
            LogFormat::Combined => Style::Combined,
        }
    }

    /// Writes what the request says, and marks where the rest belongs.
    pub(super) fn begin(&self, parts: &mut Parts, seen: &Seen<'_>, id: RequestId) {
        match self {
            Style::Json(fields) => {
                for (field, name) in fields {
                    match is_known_at_the_end(*field) {
                        true => parts.marks.push(parts.text.len() as u32),
                        false => json_of_request(&mut parts.text, *field, name, seen, id),
                    }
                }
            }
            Style::Combined => combined_of_request(parts, seen),
        }
    }

    /// Appends the whole line, with its end.
    pub(super) fn end(&self, out: &mut Vec<u8>, parts: &Parts, ended: &Ended, times: &mut Times) {
        let mut rest = Rest {
            parts,
            marks: 0,
            from: 0,
        };
        match self {
            Style::Json(fields) => {
                out.push(b'{');
                for (field, name) in fields.iter().filter(|(field, _)| is_known_at_the_end(*field)) {
                    rest.copy(out);
                    json_of_answer(out, *field, name, parts, ended, times);
                }
                out.extend_from_slice(rest.last());
                // Each field has a comma behind it.
                if out.last() == Some(&b',') {
                    out.pop();
                }
                out.extend_from_slice(b"}\n");
            }
            Style::Combined => {
                rest.copy(out);
                times.common(out, parts.began);
                rest.copy(out);
                combined_of_answer(out, ended);
                out.extend_from_slice(rest.last());
                out.push(b'\n');
            }
        }
    }
}

/// What the request says, stretch by stretch.
struct Rest<'a> {
    parts: &'a Parts,
    marks: usize,
    from: usize,
}

impl Rest<'_> {
    /// Appends what comes before the next mark.
    fn copy(&mut self, out: &mut Vec<u8>) {
        let to = self
            .parts
            .marks
            .get(self.marks)
            .map_or(self.from, |mark| *mark as usize);
        out.extend_from_slice(&self.parts.text[self.from..to]);
        self.from = to;
        self.marks += 1;
    }

    /// What comes behind the last one.
    fn last(&self) -> &[u8] {
        &self.parts.text[self.from..]
    }
}

/// Whether a field is not of the request but of its answer, or, as the time, cheaper to write then.
fn is_known_at_the_end(field: LogField) -> bool {
    match field {
        LogField::Time
        | LogField::Status
        | LogField::Bytes
        | LogField::Duration
        | LogField::FirstByte
        | LogField::Cache
        | LogField::CacheDetail
        | LogField::Origin
        | LogField::OriginDuration => true,
        LogField::Client
        | LogField::Method
        | LogField::Scheme
        | LogField::Host
        | LogField::Path
        | LogField::Query
        | LogField::Protocol
        | LogField::Site
        | LogField::RequestId
        | LogField::TraceId
        | LogField::Referer
        | LogField::UserAgent => false,
    }
}

fn json_of_request(out: &mut Vec<u8>, field: LogField, name: &str, seen: &Seen<'_>, id: RequestId) {
    let mut text = |value: Option<&[u8]>| {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            escape::json(out, value);
            out.push(b',');
        }
    };
    match field {
        LogField::Client => {
            plain(out, name, |out| address(out, seen.client));
        }
        LogField::Protocol => {
            if let Some(version) = seen.version {
                plain(out, name, |out| protocol(out, version));
            }
        }
        LogField::RequestId => plain(out, name, |out| out.extend_from_slice(&id.hex())),
        LogField::TraceId => text(seen.fields.and_then(trace::trace_id)),
        LogField::Method => text(seen.method.map(str::as_bytes)),
        LogField::Scheme => text(Some(seen.scheme.as_bytes())),
        LogField::Host => text(seen.host.map(str::as_bytes)),
        LogField::Path => text(seen.path.map(str::as_bytes)),
        LogField::Query => text(seen.query.map(str::as_bytes)),
        LogField::Site => text(seen.site.map(str::as_bytes)),
        LogField::Referer => text(first(seen, "referer")),
        LogField::UserAgent => text(first(seen, "user-agent")),
        _ => {}
    }
}

/// A string that needs no escaping.
fn plain(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    write(out);
    out.extend_from_slice(b"\",");
}

fn json_of_answer(out: &mut Vec<u8>, field: LogField, name: &str, parts: &Parts, ended: &Ended, times: &mut Times) {
    match field {
        LogField::Time => plain(out, name, |out| times.rfc3339(out, parts.began)),
        LogField::Status => number(out, name, Some(u64::from(ended.status))),
        LogField::Bytes => number(out, name, ended.bytes),
        LogField::Duration => duration(out, name, Some(ended.at.saturating_sub(parts.began))),
        LogField::FirstByte => duration(out, name, ended.first_byte.map(|at| at.saturating_sub(parts.began))),
        LogField::Cache => word(out, name, ended.outcome.map(|outcome| OUTCOMES[outcome as usize])),
        LogField::CacheDetail => word(out, name, ended.detail),
        LogField::Origin => word(out, name, Some(&*parts.origin).filter(|origin| !origin.is_empty())),
        LogField::OriginDuration => duration(out, name, parts.origin_took),
        _ => {}
    }
}

fn word(out: &mut Vec<u8>, name: &str, word: Option<&str>) {
    if let Some(word) = word {
        out.extend_from_slice(name.as_bytes());
        escape::json(out, word.as_bytes());
        out.push(b',');
    }
}

fn number(out: &mut Vec<u8>, name: &str, number: Option<u64>) {
    if let Some(number) = number {
        out.extend_from_slice(name.as_bytes());
        decimal(out, number);
        out.push(b',');
    }
}

/// Seconds, with microseconds.
fn duration(out: &mut Vec<u8>, name: &str, duration: Option<Duration>) {
    if let Some(duration) = duration {
        out.extend_from_slice(name.as_bytes());
        decimal(out, duration.as_secs());
        let mut fraction = *b".000000,";
        let mut micros = duration.subsec_micros();
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        out.extend_from_slice(&fraction);
    }
}

fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (at, byte) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                decimal(out, u64::from(byte));
            }
        }
        // Writing to memory does not fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

fn protocol(out: &mut Vec<u8>, version: &str) {
    out.extend_from_slice(b"HTTP/");
    out.extend_from_slice(version.as_bytes());
}

/// The first line of this name.
fn first<'a>(seen: &Seen<'a>, name: &str) -> Option<&'a [u8]> {
    seen.fields.and_then(|fields| fields.named(name).next())
}

fn combined_of_request(parts: &mut Parts, seen: &Seen<'_>) {
    let out = &mut parts.text;
    address(out, seen.client);
    out.extend_from_slice(b" - - [");
    parts.marks.push(out.len() as u32);
    out.extend_from_slice(b"] \"");
    match (seen.method, seen.path) {
        (Some(method), Some(path)) => {
            escape::combined_part(out, method.as_bytes());
            out.push(b' ');
            escape::combined_part(out, path.as_bytes());
            if let Some(query) = seen.query {
                out.push(b'?');
                escape::combined_part(out, query.as_bytes());
            }
            out.push(b' ');
            protocol(out, seen.version.unwrap_or("1.1"));
        }
        _ => out.push(b'-'),
    }
    out.extend_from_slice(b"\" ");
    parts.marks.push(out.len() as u32);
    for name in ["referer", "user-agent"] {
        out.extend_from_slice(b" \"");
        escape::combined(out, first(seen, name).unwrap_or_default());
        out.push(b'"');
    }
}

fn combined_of_answer(out: &mut Vec<u8>, ended: &Ended) {
    decimal(out, u64::from(ended.status));
    out.push(b' ');
    match ended.bytes {
        Some(bytes) => decimal(out, bytes),
        None => out.push(b'-'),
    }
}
