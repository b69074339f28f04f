//! What a line looks like.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::ink::Ink;
use super::line::{Ended, Parts, Times};
use super::{RequestId, Seen};
use crate::config::{LogField, LogFormat};
use crate::policy::fields::RequestFields;
use crate::policy::trace;
use crate::telemetry::escape::{self, Out};
use crate::telemetry::metrics::OUTCOMES;

/// What a line looks like.
pub(super) enum Style {
    /// A JSON object.
    Json(Vec<Stretch>),
    /// `$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`
    Combined,
}

/// Fields of a JSON object that follow one another.
#[derive(Default)]
pub(super) struct Stretch {
    /// First those that are written at the end,
    late: Vec<Field>,
    /// then those that are written at the beginning, and wait for the end.
    early: Vec<Field>,
}

/// A field of a JSON object.
pub(super) struct Field {
    what: LogField,
    /// `"name":`, and the quotation mark of a text; the first so many bytes.
    name: ([u8; LONGEST_NAME], usize),
}

/// Names are copied at this length, whatever theirs: a copy of known length is a store or two.
const LONGEST_NAME: usize = 24;

impl Field {
    fn new(what: LogField) -> Field {
        let mark = if is_number(what) { "" } else { "\"" };
        let text = format!("\"{}\":{mark}", what.name());
        let mut name = [b' '; LONGEST_NAME];
        name[..text.len()].copy_from_slice(text.as_bytes());
        Field {
            what,
            name: (name, text.len()),
        }
    }

    /// Appends its name and, behind the value that `write` appends, a comma.
    fn number(&self, out: &mut Ink, write: impl FnOnce(&mut Ink)) {
        self.begin(out);
        write(out);
        out.put_all(b",");
    }

    /// The same for a text: with its quotation marks.
    fn text(&self, out: &mut Ink, write: impl FnOnce(&mut Ink)) {
        self.begin(out);
        write(out);
        out.put_all(b"\",");
    }

    /// The same for a text that may have to be escaped.
    fn escaped(&self, out: &mut Ink, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(out, |out| escape::json_inner(out, value));
        }
    }

    fn begin(&self, out: &mut Ink) {
        let (name, length) = &self.name;
        out.put_of(name, *length);
    }
}

impl Style {
    pub(super) fn new(format: LogFormat, fields: &[LogField]) -> Style {
        match format {
            LogFormat::Json => Style::Json(stretches(fields)),
            LogFormat::Combined => Style::Combined,
        }
    }

    /// Writes what the request says, and marks where each stretch of it ends.
    pub(super) fn begin(&self, parts: &mut Parts, seen: &Seen<'_>, id: RequestId) {
        let told = seen.fields.map(Told::new).unwrap_or_default();
        match self {
            Style::Json(stretches) => {
                for stretch in stretches {
                    for field in &stretch.early {
                        json_of_request(&mut parts.text, field, seen, &told, id);
                    }
                    parts.mark();
                }
            }
            Style::Combined => combined_of_request(parts, seen, &told),
        }
    }

    /// Appends the whole line, with its end.
    pub(super) fn end(&self, out: &mut Ink, parts: &Parts, ended: &Ended, times: &mut Times) {
        let mut waiting = parts.stretches();
        let mut next = || waiting.next().unwrap_or_default();
        match self {
            Style::Json(stretches) => {
                out.put_all(b"{");
                for stretch in stretches {
                    for field in &stretch.late {
                        json_of_answer(out, field, parts, ended, times);
                    }
                    out.put(next());
                }
                // Each field has a comma behind it.
                out.take_back(b',');
                out.put_all(b"}\n");
            }
            Style::Combined => {
                out.put(next());
                times.common(out, parts.began);
                out.put(next());
                combined_of_answer(out, ended);
                out.put(next());
                out.put_all(b"\n");
            }
        }
    }
}

fn stretches(fields: &[LogField]) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut stretch = Stretch::default();
    for field in fields {
        match is_known_at_the_end(*field) {
            true if !stretch.early.is_empty() => {
                stretches.push(std::mem::take(&mut stretch));
                stretch.late.push(Field::new(*field));
            }
            true => stretch.late.push(Field::new(*field)),
            false => stretch.early.push(Field::new(*field)),
        }
    }
    stretches.push(stretch);
    stretches
}

/// The request's field lines that are logged, of each the first.
#[derive(Default)]
struct Told<'a> {
    referer: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
    trace_id: Option<&'a [u8]>,
}

impl<'a> Told<'a> {
    /// One look at all lines: most are told apart by their lengths.
    fn new(fields: &RequestFields<'a>) -> Told<'a> {
        let mut told = Told::default();
        for line in fields.lines() {
            let is = |name: &str| line.name.eq_ignore_ascii_case(name.as_bytes());
            match line.name.len() {
                7 if told.referer.is_none() && is("referer") => told.referer = Some(line.value),
                10 if told.user_agent.is_none() && is("user-agent") => told.user_agent = Some(line.value),
                11 if is(trace::TRACEPARENT) => told.trace_id = trace::trace_id(fields),
                _ => {}
            }
        }
        told
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

/// Whether a field's value is written without quotation marks.
fn is_number(field: LogField) -> bool {
    matches!(
        field,
        LogField::Status | LogField::Bytes | LogField::Duration | LogField::FirstByte | LogField::OriginDuration
    )
}

fn json_of_request(out: &mut Ink, field: &Field, seen: &Seen<'_>, told: &Told<'_>, id: RequestId) {
    match field.what {
        LogField::Client => field.text(out, |out| address(out, seen.client)),
        LogField::Protocol => {
            if let Some(version) = seen.version {
                field.text(out, |out| protocol(out, version));
            }
        }
        LogField::RequestId => field.text(out, |out| out.put_all(&id.hex())),
        LogField::Scheme => field.text(out, |out| out.put(seen.scheme.as_bytes())),
        LogField::Method => field.escaped(out, seen.method.map(str::as_bytes)),
        LogField::Host => field.escaped(out, seen.host.map(str::as_bytes)),
        LogField::Path => field.escaped(out, seen.path.map(str::as_bytes)),
        LogField::Query => field.escaped(out, seen.query.map(str::as_bytes)),
        LogField::Site => field.escaped(out, seen.site.map(str::as_bytes)),
        LogField::TraceId => field.escaped(out, told.trace_id),
        LogField::Referer => field.escaped(out, told.referer),
        LogField::UserAgent => field.escaped(out, told.user_agent),
        _ => {}
    }
}

fn json_of_answer(out: &mut Ink, field: &Field, parts: &Parts, ended: &Ended, times: &mut Times) {
    let since = |at: Duration| at.saturating_sub(parts.began);
    match field.what {
        LogField::Time => field.text(out, |out| times.rfc3339(out, parts.began)),
        LogField::Status => field.number(out, |out| decimal(out, u64::from(ended.status))),
        LogField::Bytes => {
            if let Some(bytes) = ended.bytes {
                field.number(out, |out| decimal(out, bytes));
            }
        }
        LogField::Duration => field.number(out, |out| seconds(out, since(ended.at))),
        LogField::FirstByte => {
            if let Some(first) = ended.first_byte {
                field.number(out, |out| seconds(out, since(first)));
            }
        }
        LogField::Cache => field.escaped(out, ended.outcome.map(|outcome| OUTCOMES[outcome as usize].as_bytes())),
        LogField::CacheDetail => field.escaped(out, ended.detail.map(str::as_bytes)),
        LogField::Origin => field.escaped(out, Some(parts.origin.as_bytes()).filter(|origin| !origin.is_empty())),
        LogField::OriginDuration => {
            if let Some(took) = parts.origin_took {
                field.number(out, |out| seconds(out, took));
            }
        }
        _ => {}
    }
}

/// With microseconds.
fn seconds(out: &mut Ink, duration: Duration) {
    decimal(out, duration.as_secs());
    let mut fraction = *b".000000";
    let mut micros = duration.subsec_micros();
    for digit in fraction[1..].iter_mut().rev() {
        *digit = b'0' + (micros % 10) as u8;
        micros /= 10;
    }
    out.put_all(&fraction);
}

fn decimal(out: &mut Ink, number: u64) {
    let digit = |place: u64| b'0' + (number / place % 10) as u8;
    match number {
        0..10 => out.put_all(&[digit(1)]),
        100..1000 => out.put_all(&[digit(100), digit(10), digit(1)]),
        _ => out.put(itoa::Buffer::new().format(number).as_bytes()),
    }
}

fn address(out: &mut Ink, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (at, byte) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.put_all(b".");
                }
                decimal(out, u64::from(byte));
            }
        }
        IpAddr::V6(v6) => {
            // Longer than any address is written.
            let mut text = [0; 48];
            let mut rest = &mut text[..];
            let _ = write!(rest, "{v6}");
            let left = rest.len();
            out.put_of(&text, text.len() - left);
        }
    }
}

fn protocol(out: &mut Ink, version: &str) {
    out.put_all(b"HTTP/");
    out.put(version.as_bytes());
}

fn combined_of_request(parts: &mut Parts, seen: &Seen<'_>, told: &Told<'_>) {
    let out = &mut parts.text;
    address(out, seen.client);
    out.put_all(b" - - [");
    parts.mark();
    let out = &mut parts.text;
    out.put_all(b"] \"");
    match (seen.method, seen.path) {
        (Some(method), Some(path)) => {
            escape::combined_part(out, method.as_bytes());
            out.put_all(b" ");
            escape::combined_part(out, path.as_bytes());
            if let Some(query) = seen.query {
                out.put_all(b"?");
                escape::combined_part(out, query.as_bytes());
            }
            out.put_all(b" ");
            protocol(out, seen.version.unwrap_or("1.1"));
        }
        _ => out.put_all(b"-"),
    }
    out.put_all(b"\" ");
    parts.mark();
    let out = &mut parts.text;
    for value in [told.referer, told.user_agent] {
        out.put_all(b" \"");
        escape::combined(out, value.unwrap_or_default());
        out.put_all(b"\"");
    }
    parts.mark();
}

fn combined_of_answer(out: &mut Ink, ended: &Ended) {
    decimal(out, u64::from(ended.status));
    out.put_all(b" ");
    match ended.bytes {
        Some(bytes) => decimal(out, bytes),
        None => out.put_all(b"-"),
    }
}
