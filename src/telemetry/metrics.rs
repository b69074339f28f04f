//! The one table of metrics: names, kinds, labels, and what they say.

/// What is known of a metric before anything is counted.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows until the process ends.
    Counter,
    /// As of now.
    Gauge,
    /// Durations, in seconds.
    Histogram,
}

/// Values of `method`.
pub const METHODS: [&str; 4] = ["GET", "HEAD", "write", "other"];
/// Values of `status`.
pub const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Values of `protocol`.
pub const PROTOCOLS: [&str; 4] = ["h1", "h1-tls", "h2c", "h2"];
/// Values of `cache`.
pub const OUTCOMES: [&str; 7] = ["hit", "stale", "revalidated", "miss", "collapsed", "pass", "edge"];
/// Values of `selector`.
pub const SELECTORS: [&str; 5] = ["url", "tag", "prefix", "site", "all"];
/// Values of `mode`.
pub const MODES: [&str; 2] = ["hard", "soft"];

/// Makes a constant of each metric, and the table of all.
macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// All of them.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    REQUESTS Counter "verge_requests_total" ["site" "method" "status" "protocol" "cache"]
        "Requests that were answered."
    REQUEST_BYTES Counter "verge_request_bytes_total" ["site"]
        "Bytes of request bodies that were passed on."
    RESPONSE_BYTES Counter "verge_response_bytes_total" ["site"]
        "Bytes of response bodies that were sent."
    REQUEST_DURATION Histogram "verge_request_duration_seconds" ["site" "cache"]
        "From a request's head to the last byte of its answer."
    FIRST_BYTE_DURATION Histogram "verge_first_byte_duration_seconds" ["site" "cache"]
        "From a request's head to the first byte of its answer."
    ABORTED Counter "verge_aborted_total" ["site"]
        "Answers that were not sent to their end: the client left, or the body broke off."
    TOKENS_DENIED Counter "verge_tokens_denied_total" ["site" "reason"]
        "Requests without the token that their route asks for, or with one that is not good."
    FILLS Counter "verge_fills_total" ["outcome"]
        "Fetches for the cache that have ended, by what came of them."
    FILLS_UNDER_WAY Gauge "verge_fills" []
        "Fetches for the cache that are under way."
    FILL_READERS Gauge "verge_fill_readers" []
        "Requests that wait for these fetches, or read them."
    UNCACHEABLE Gauge "verge_uncacheable_keys" []
        "Keys that are known for responses that may not be stored, or for failed fetches."
    RAM_BYTES Gauge "verge_ram_bytes" ["pool"]
        "Bytes that are stored in RAM."
    RAM_CAPACITY Gauge "verge_ram_capacity_bytes" ["pool"]
        "Bytes that may be stored in RAM."
    RAM_ENTRIES Gauge "verge_ram_entries" ["pool"]
        "Entries that are stored in RAM: responses, and chunks of large bodies."
    RAM_PINNED Gauge "verge_ram_pinned_bytes" []
        "Bytes of bodies in memory beyond what is stored: on their way in, or held for clients that read them."
    RAM_EVICTIONS Counter "verge_ram_evictions_total" ["pool"]
        "Entries that had to leave RAM to make room."
    SSD_LOOKUPS Counter "verge_ssd_lookups_total" ["result"]
        "Responses that were not in RAM and were looked for on the SSD tier."
    SSD_NOT_ADMITTED Counter "verge_ssd_not_admitted_total" []
        "Responses that were stored in RAM alone, by the rule of admission or the write budget."
    SSD_STATE Gauge "verge_ssd_state" ["folder"]
        "What works of a folder: everything (2), reading alone (1), or nothing (0)."
    SSD_RECOVERED Gauge "verge_ssd_recovered_ratio" ["folder"]
        "How much of what was stored before the start has been found again, from 0 to 1."
    SSD_BYTES Gauge "verge_ssd_bytes" ["folder"]
        "Bytes in a folder's files."
    SSD_CAPACITY Gauge "verge_ssd_capacity_bytes" ["folder"]
        "Bytes that may be in a folder's files."
    SSD_ENTRIES Gauge "verge_ssd_entries" ["folder"]
        "Records that a folder's index knows: heads, indexes of variants, and chunks."
    SSD_INDEX_BYTES Gauge "verge_ssd_index_bytes" ["folder"]
        "Bytes of RAM that a folder's index takes."
    SSD_READS Counter "verge_ssd_reads_total" ["folder" "from"]
        "Records that were read: without waiting, from the system's memory, or from the device."
    SSD_READ_BYTES Counter "verge_ssd_read_bytes_total" ["folder"]
        "Bytes that were read."
    SSD_ADMITTED_BYTES Counter "verge_ssd_admitted_bytes_total" ["folder"]
        "Bytes that were given to be stored."
    SSD_WRITTEN_BYTES Counter "verge_ssd_written_bytes_total" ["folder" "what"]
        "Bytes that were written: new records, those that were kept from a segment that was given up, checkpoints."
    SSD_RECLAIMED Counter "verge_ssd_reclaimed_segments_total" ["folder"]
        "Segments that were given up to make room."
    SSD_REINSERTED Counter "verge_ssd_reinserted_records_total" ["folder"]
        "Records that were kept from them because they had been used."
    SSD_REFUSED Counter "verge_ssd_refused_total" ["folder"]
        "Records that were not stored: too much waited, or the device took nothing."
    SSD_DAMAGED Counter "verge_ssd_damaged_total" ["folder"]
        "Records, summaries and checkpoints that were not what had been written. None was used."
    SSD_DEVICE_ERRORS Counter "verge_ssd_device_errors_total" ["folder"]
        "Operations that the device failed."
    SSD_QUEUED_BYTES Gauge "verge_ssd_queued_bytes" ["folder"]
        "Bytes that wait to be written."
    SSD_QUEUED_READS Gauge "verge_ssd_queued_reads" ["folder"]
        "Reads that wait for the device."
    CONNECTIONS Gauge "verge_connections" ["transport"]
        "Clients' connections."
    CONNECTIONS_TAKEN Counter "verge_connections_total" ["transport"]
        "Connections of clients that were taken."
    CONNECTIONS_REFUSED Counter "verge_connections_refused_total" ["reason"]
        "Connections of clients that were closed unserved."
    HANDSHAKES Counter "verge_tls_handshakes_total" ["version" "resumed"]
        "TLS handshakes with clients that succeeded."
    HANDSHAKES_FAILED Counter "verge_tls_handshake_failures_total" []
        "TLS handshakes with clients that failed or took too long."
    ORIGIN_RESPONSES Counter "verge_origin_requests_total" ["origin" "status"]
        "Requests to origins that were answered."
    ORIGIN_ERRORS Counter "verge_origin_errors_total" ["origin" "error"]
        "Requests to origins that were not, by RFC 9209 error type."
    ORIGIN_CONNECTIONS Counter "verge_origin_connections_total" ["origin" "reused"]
        "Connections to origins that a request was sent on."
    ORIGIN_UNDER_WAY Gauge "verge_origin_requests" ["origin"]
        "Requests to origins that are under way."
    ORIGIN_FIRST_BYTE Histogram "verge_origin_first_byte_duration_seconds" ["origin"]
        "From a request to an origin to the end of its response's head."
    PURGES Counter "verge_purges_total" ["selector" "mode"]
        "Purges."
    PURGES_REMEMBERED Gauge "verge_purges_remembered" []
        "Purges that what is stored is still compared with."
    RELOADS Counter "verge_reloads_total" ["outcome"]
        "Reloads of the configuration."
    CONFIG_LOADED Gauge "verge_config_loaded_timestamp_seconds" []
        "When the configuration in use was loaded."
    CERTIFICATE_EXPIRY Gauge "verge_certificate_expiry_timestamp_seconds" ["certificate"]
        "When a certificate expires, by the first of its names."
    LOG_LINES_DROPPED Counter "verge_log_lines_dropped_total" []
        "Lines of the access log that were not written, because writing was too slow."
    READY Gauge "verge_ready" []
        "Whether the edge is ready (1) or not (0), as /readyz says."
    BUILD_INFO Gauge "verge_build_info" ["version"]
        "Always 1; the label says what runs."
}
