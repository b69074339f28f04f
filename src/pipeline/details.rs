//! What the codes mean that `Cache-Status` and `Proxy-Status` give as `detail`.

use crate::access::Reason;
use crate::http1::Refusal;

/// A code and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The code.
    pub code: &'static str,
    /// What it means, and where that is decided: an RFC's section or a key of the configuration.
    pub means: &'static str,
}

/// Codes of the edge's own decisions, of responses that were not stored, and of targets that cannot be read. Those of
/// heads that cannot be read are [`Refusal::ALL`], of tokens [`Reason::ALL`].
pub const DETAILS: &[Detail] = &[
    detail("expired", "What is stored is older than its lifetime (RFC 9111 4.2)."),
    detail(
        "no-cache",
        "What is stored says no-cache: never without validation (RFC 9111 5.2.2.4).",
    ),
    detail(
        "client-demand",
        "The client wants a newer one (RFC 9111 5.2.1), and client_may_revalidate allows it.",
    ),
    detail(
        "soft-purged",
        "What is stored was purged softly: it is confirmed or fetched anew.",
    ),
    detail(
        "stale-while-revalidate",
        "Served stale while it is fetched anew behind the answer (RFC 5861 3).",
    ),
    detail(
        "stale-if-error",
        "Served stale in place of an error of the origin (RFC 5861 4).",
    ),
    detail("ssd", "A hit, some of which was not in RAM but on the SSD tier."),
    detail(
        "body-evicted",
        "A part of the stored body had to make room, so all is fetched anew.",
    ),
    detail(
        "only-if-cached",
        "The client wants it from the cache or not at all, and it is not there (RFC 9111 5.2.1.7).",
    ),
    detail(
        "recent-failure",
        "The last fetch failed less than failure_ttl ago; the origin is not asked again yet.",
    ),
    detail(
        "too-many-fetches",
        "max_fills, max_readers or the origin's max_fetches are under way.",
    ),
    detail(
        "origin-keeps-changing",
        "Again and again what was fetched was not for this request; it gave up.",
    ),
    detail(
        "negotiated",
        "The request's own variant is not stored, but one that it would rather have than any other (RFC 9111 4.1).",
    ),
    detail(
        "loop-detected",
        "The request has passed this edge already (CDN-Loop, RFC 8586): an origin leads back to it.",
    ),
    detail("unknown-host", "No site has this host (RFC 9110 7.4)."),
    detail(
        "scheme",
        "The request names another scheme than its connection has (RFC 9110 7.4).",
    ),
    detail(
        "another-host",
        "The connection's certificate or proof is not for this host (RFC 9110 7.4, RFC 9113 9.1.2).",
    ),
    detail(
        "client-certificate-required",
        "The site asks for a client certificate, and clear text has none.",
    ),
    detail(
        "method-not-allowed",
        "CONNECT and TRACE are not for an edge (RFC 9110 9.3.6, 9.3.8).",
    ),
    detail(
        "options-of-the-edge",
        "OPTIONS * is about the edge itself (RFC 9110 9.3.7).",
    ),
    detail("body-too-large", "The request's body is larger than max_body."),
    detail("head-timeout", "The request's head did not come within head_timeout."),
    detail(
        "redirect-to-https",
        "The site redirects clear text (redirect_to_https).",
    ),
    detail("purged", "PURGE was done."),
    detail("purge-token", "PURGE needs the site's purge_token."),
    detail(
        "purge-not-kept",
        "PURGE was done, but could not be written to the journal: a crash may undo it.",
    ),
    detail(
        "request-no-store",
        "Not stored: the request said no-store (RFC 9111 5.2.1.5).",
    ),
    detail("head", "Not stored: HEAD brings no body to store (RFC 9110 9.3.2)."),
    detail("no-store", "Not stored: the response says no-store (RFC 9111 5.2.2.5)."),
    detail("private", "Not stored: the response is private (RFC 9111 5.2.2.7)."),
    detail(
        "authorization",
        "Not stored: the request had credentials, and the response does not allow it (RFC 9111 3.5).",
    ),
    detail(
        "cookie",
        "Not stored: no explicit lifetime, and the request had a Cookie.",
    ),
    detail(
        "set-cookie",
        "Not stored: no explicit lifetime, and the response sets a cookie.",
    ),
    detail(
        "no-freshness",
        "Not stored: neither a lifetime nor anything to guess one from (RFC 9111 3).",
    ),
    detail(
        "no-validator",
        "Not stored: stale at once, and nothing to validate it by.",
    ),
    detail("partial-content", "Not stored: it is a part (206)."),
    detail(
        "status",
        "Not stored: this status needs a lifetime or understanding (RFC 9111 3).",
    ),
    detail("vary-star", "Not stored: Vary is * (RFC 9111 4.1)."),
    detail("interim", "Not stored: an interim response (RFC 9110 15.2)."),
    detail(
        "target-form",
        "The request target is not a path or an http URL (RFC 9112 3.2).",
    ),
    detail(
        "target-percent",
        "The path holds a % that is not followed by two hexadecimal digits.",
    ),
    detail("target-nul", "The path holds an encoded NUL."),
    detail(
        "target-byte",
        "The path or query holds a byte that must be percent-encoded.",
    ),
    detail("host", "The host is not a valid name or address."),
    detail("port", "The port is not a number from 1 to 65535."),
];

const fn detail(code: &'static str, means: &'static str) -> Detail {
    Detail { code, means }
}

/// All codes there are.
pub fn all() -> impl Iterator<Item = Detail> {
    let heads = Refusal::ALL
        .iter()
        .map(|refusal| detail(refusal.detail(), refusal.reason()));
    let tokens = Reason::ALL.iter().map(|reason| detail(reason.code(), reason.means()));
    DETAILS.iter().copied().chain(heads).chain(tokens)
}

/// What a code means.
pub fn meaning(code: &str) -> Option<&'static str> {
    all().find(|detail| detail.code == code).map(|detail| detail.means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once() {
        let mut codes: Vec<_> = all().map(|detail| detail.code).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
