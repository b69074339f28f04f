//! What an operator must know, told on standard error as it happens: for people, or as JSON lines.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use super::{escape, timestamp};
use crate::clock::{Clock, SystemClock};
use crate::config::{EventFormat, Level};

/// Makes the enum of all events, and what is known of each.
macro_rules! events {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident {$($(#[doc = $said:literal])* $field:ident: $type:ty,)*} $level:ident $name:literal $message:literal
    )*) => {
        /// Something that an operator must know.
        #[derive(Clone, Debug)]
        pub enum Event {
            $($(#[doc = $doc])* $variant { $($(#[doc = $said])* $field: $type,)* },)*
        }

        impl Event {
            /// The names of all, and how important they are.
            pub const ALL: &'static [(&'static str, Level)] = &[$(($name, Level::$level),)*];

            /// Its name in JSON.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Event::$variant { .. } => $name,)*
                }
            }

            /// How important it is.
            pub fn level(&self) -> Level {
                match self {
                    $(Event::$variant { .. } => Level::$level,)*
                }
            }

            /// What it says to people.
            pub fn message(&self) -> String {
                match self {
                    $(Event::$variant { $($field,)* } => format!($message),)*
                }
            }

            /// Gives its fields, their values as JSON.
            #[allow(unused_mut, unused_variables, reason = "some have none")]
            fn each_field(&self, mut give: impl FnMut(&'static str, String)) {
                match self {
                    $(Event::$variant { $($field,)* } => {
                        $(give(stringify!($field), serde_json::json!($field).to_string());)*
                    })*
                }
            }
        }
    };
}

events! {
    /// The configuration was read anew and is in use.
    Reloaded {} Info "reloaded" "reloaded"
    /// A part of it cannot be taken up by a process that runs.
    RestartNeeded {
        /// What part, and why.
        what: String,
    } Warn "restart-needed" "{what}"
    /// Something is wrong with the configuration or a file that it names.
    ConfigError {
        /// Where, what, and the mend.
        error: String,
    } Error "config-error" "{error}"
    /// The configuration was read anew, and is not used.
    ReloadFailed {
        /// Errors, each of which was told before.
        errors: usize,
    } Error "reload-failed" "not reloaded; everything stays as it was; errors: {errors}"
    /// Certificates and keys were read anew and are in use.
    CertificatesReloaded {} Info "certificates-reloaded" "certificates and keys were read again"
    /// Something is wrong with a certificate or key.
    CertificateError {
        /// Which, what, and the mend.
        error: String,
    } Error "certificate-error" "{error}"
    /// Certificates and keys were read anew, and are not used.
    CertificatesFailed {
        /// Errors, each of which was told before.
        errors: usize,
    } Error "certificates-failed" "certificates and keys stay as they were; errors: {errors}"
    /// The edge was told to end, and ends connections after what is under way on them.
    Draining {
        /// Connections there are.
        connections: usize,
    } Info "draining" "draining; connections: {connections}"
    /// All connections have ended.
    Drained {} Info "drained" "drained"
    /// Not all connections ended in time.
    CutOff {
        /// Those that did not.
        connections: usize,
    } Warn "cut-off" "{connections} connections had not ended in time and are cut off; raise [server] drain"
    /// The edge was told twice to end.
    EndedAtOnce {} Warn "ended-at-once" "ended at once"
    /// A thread ended that should not have.
    ThreadPanicked {} Error "thread-panicked" "a serving thread ended in a panic"
    /// A listening socket cannot be used.
    SocketFailed {
        /// Why.
        error: String,
    } Error "socket-failed" "a listening socket cannot be used: {error}"
    /// There may be few open files.
    FewFiles {
        /// Why it stays so.
        error: String,
    } Warn "few-files" "the limit of open files stays as it is: {error}; raise it with `ulimit -n`"
    /// The access log is written to its path anew.
    LogReopened {
        /// The path.
        file: String,
    } Info "log-reopened" "the access log {file} was opened again"
    /// The access log could not be opened again; the old file stays in use.
    LogNotReopened {
        /// Which, why, and the mend.
        error: String,
    } Error "log-not-reopened" "{error}; the old file stays in use"
    /// Lines of the access log could not be written, and are lost.
    LogFailed {
        /// Where to.
        file: String,
        /// Why.
        error: String,
    } Error "log-failed" "cannot write the access log {file}: {error}; lines are lost until there is room"
    /// Lines of the access log are written again.
    LogRecovered {
        /// Where to.
        file: String,
        /// Lines that were lost.
        lost: u64,
    } Warn "log-recovered" "the access log {file} is written again; lines lost: {lost}"
    /// What was stored before the start has been found again.
    StoreRecovered {
        /// The folder.
        folder: String,
        /// How many records there are.
        records: u64,
        /// How long it took, in milliseconds.
        milliseconds: u128,
    } Info "store-recovered" "{folder}: {records} records found again in {milliseconds} ms"
    /// A folder of the SSD tier works again, or less of it does.
    StoreState {
        /// The folder.
        folder: String,
        /// What works, and why no more.
        state: String,
    } Warn "store-state" "{folder}: {state}"
    /// The journal of purges cannot be trusted.
    PurgesLost {
        /// Why.
        why: &'static str,
    } Error "purges-lost" "the journal of purges {why}: all that was stored before counts as purged"
}

/// The least important level that is told, as a place in [`LEVELS`].
static LEVEL: AtomicU8 = AtomicU8::new(2);
/// Whether events are told as JSON.
static JSON: AtomicU8 = AtomicU8::new(0);

/// The most important one first.
const LEVELS: [(Level, &str); 4] = [
    (Level::Error, "error"),
    (Level::Warn, "warn"),
    (Level::Info, "info"),
    (Level::Debug, "debug"),
];

/// From now on events less important than `level` are not told.
pub fn set_level(level: Level) {
    LEVEL.store(place(level), Ordering::Relaxed);
}

/// The least important level that is told.
pub fn level() -> Level {
    LEVELS[usize::from(LEVEL.load(Ordering::Relaxed)).min(LEVELS.len() - 1)].0
}

/// From now on events are told in this form.
pub fn set_format(format: EventFormat) {
    JSON.store(u8::from(format == EventFormat::Json), Ordering::Relaxed);
}

/// Tells an event on standard error, in one write.
pub fn tell(event: &Event) {
    if place(event.level()) > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let format = match JSON.load(Ordering::Relaxed) {
        0 => EventFormat::Text,
        _ => EventFormat::Json,
    };
    let line = line(event, format, SystemClock.now().wall);
    // Nobody is left to be told that standard error is gone.
    let _ = std::io::stderr().lock().write_all(&line);
}

/// An event's line, with its end.
fn line(event: &Event, format: EventFormat, now: SystemTime) -> Vec<u8> {
    match format {
        EventFormat::Text => format!("verge: {}\n", event.message()).into_bytes(),
        EventFormat::Json => json(event, now),
    }
}

fn json(event: &Event, now: SystemTime) -> Vec<u8> {
    let mut out = b"{\"time\":\"".to_vec();
    timestamp::rfc3339(&mut out, now);
    let (_, level) = LEVELS[usize::from(place(event.level()))];
    out.extend_from_slice(format!("\",\"level\":\"{level}\",\"event\":\"{}\",\"message\":", event.name()).as_bytes());
    escape::json(&mut out, event.message().as_bytes());
    event.each_field(|name, value| out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes()));
    out.extend_from_slice(b"}\n");
    out
}

fn place(level: Level) -> u8 {
    level as u8
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn both_forms() {
        let event = Event::LogRecovered {
            file: "a \"b\"".to_owned(),
            lost: 7,
        };
        let now = UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(
            line(&event, EventFormat::Text, now),
            b"verge: the access log a \"b\" is written again; lines lost: 7\n"
        );
        let json = line(&event, EventFormat::Json, now);
        assert_eq!(json.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:01.500Z",
            "level": "warn",
            "event": "log-recovered",
            "message": event.message(),
            "file": "a \"b\"",
            "lost": 7,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn levels_are_in_order_and_names_are_unlike() {
        for (at, (level, _)) in LEVELS.into_iter().enumerate() {
            assert_eq!(usize::from(place(level)), at);
        }
        let mut names: Vec<&str> = Event::ALL.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Event::ALL.len());
    }
}
