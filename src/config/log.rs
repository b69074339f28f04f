//! What is logged, where, and how.

use std::path::PathBuf;

/// `[log]`: the access log, and the events on standard error.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where requests are logged.
    pub access: AccessTarget,
    /// What a line of the access log looks like.
    pub format: LogFormat,
    /// What a line of JSON says of a request, in this order.
    pub fields: Vec<LogField>,
    /// Share of the requests that are logged (0 to 1); those answered with a 5xx always are.
    pub sample: f64,
    /// The least important events that are told.
    pub level: Level,
    /// What a line of events looks like.
    pub events: EventFormat,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            access: AccessTarget::Off,
            format: LogFormat::Json,
            fields: LogField::ALL.to_vec(),
            sample: 1.0,
            level: Level::Info,
            events: EventFormat::Text,
        }
    }
}

/// Where requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    /// Nowhere.
    Off,
    /// On standard output.
    Stdout,
    /// At the end of this file.
    File(PathBuf),
}

/// What a line of the access log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object of the chosen fields.
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}

/// How important an event is; the most important one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may soon not work, or not as it was meant.
    Warn,
    /// Something was done.
    Info,
    /// How it was done.
    Debug,
}

/// What a line of events looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    /// For people.
    Text,
    /// A JSON object.
    Json,
}

/// The table of all fields: what each says, its variant and its name.
macro_rules! log_fields {
    ($($(#[$meta:meta])* $variant:ident $name:literal,)*) => {
        /// What the access log can say of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LogField {
            $($(#[$meta])* $variant,)*
        }

        impl LogField {
            /// All fields, in the order in which they are logged unless another one is given.
            pub const ALL: &'static [LogField] = &[$(LogField::$variant,)*];

            /// Its name in the configuration and in JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(LogField::$variant => $name,)*
                }
            }
        }
    };
}

log_fields! {
    /// When the request's head was read.
    Time "time",
    /// The client's address.
    Client "client",
    /// The method.
    Method "method",
    /// `http` or `https`.
    Scheme "scheme",
    /// The host asked for.
    Host "host",
    /// The path, normalised.
    Path "path",
    /// What followed `?`.
    Query "query",
    /// The version of HTTP that the client spoke.
    Protocol "protocol",
    /// The answer's status.
    Status "status",
    /// Bytes of the answer's body that were sent.
    Bytes "bytes",
    /// From the request's head to the answer's last byte.
    Duration "duration",
    /// From the request's head to the answer's first byte.
    FirstByte "first_byte",
    /// What the cache did: the words of `Cache-Status`.
    Cache "cache",
    /// Its `detail`.
    CacheDetail "cache_detail",
    /// The site's name.
    Site "site",
    /// The origin's name, if it was asked.
    Origin "origin",
    /// How long the origin took to the end of its response's head.
    OriginDuration "origin_duration",
    /// What the request is called here and at the origin.
    RequestId "request_id",
    /// The trace that it belongs to.
    TraceId "trace_id",
    /// The request's `Referer`.
    Referer "referer",
    /// The request's `User-Agent`.
    UserAgent "user_agent",
}
