//! What a route asks of those who come, and what is said to those who may not.

use std::time::Duration;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::check::Weak;
use super::{Check, Dialect, Failures, Grant, Keys, Reason, Request, Told, Trace, Verified};

/// RFC 3986 2.3: all but these is encoded in a parameter.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands in a login's URL for the one that was asked for.
pub const LOGIN_URL: &str = "{url}";

/// The dialects, as they are named in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialectName {
    /// Verge's own.
    #[default]
    Verge,
    /// Amazon CloudFront's signed URLs and cookies.
    CloudFront,
    /// Google's Cloud CDN and Media CDN.
    Gcp,
    /// Akamai's EdgeAuth 2.0.
    Akamai,
    /// bunny.net's token authentication.
    Bunny,
    /// nginx's `secure_link`.
    SecureLink,
    /// JSON Web Tokens: plain ones, and RFC 9246.
    Jwt,
    /// CTA-5007, the Common Access Token.
    Cat,
    /// Amazon S3's presigned URLs (SigV4).
    S3,
}

impl DialectName {
    /// All, with their names.
    pub const ALL: [(&str, DialectName); 9] = [
        ("verge", DialectName::Verge),
        ("cloudfront", DialectName::CloudFront),
        ("gcp", DialectName::Gcp),
        ("akamai", DialectName::Akamai),
        ("bunny", DialectName::Bunny),
        ("secure-link", DialectName::SecureLink),
        ("jwt", DialectName::Jwt),
        ("cat", DialectName::Cat),
        ("s3", DialectName::S3),
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, name)| *name == self);
        found.map_or("", |(word, _)| word)
    }
}

/// What is remembered from one request to the next; shared by all routes and threads.
#[derive(Debug)]
pub struct Memory {
    /// Signatures that cost much.
    pub verified: Verified,
    /// Who sends wrong tokens.
    pub failures: Failures,
}

impl Memory {
    /// Tables of the usual sizes, about 4 MiB: 64 Ki signatures, and 32 Ki clients with 10 wrong tokens a second and 30 at
    /// once.
    pub fn new(secret: [u8; 16]) -> Self {
        Memory {
            verified: Verified::new(1 << 16, secret),
            failures: Failures::new(1 << 15, 10, 30, secret),
        }
    }
}

/// What a route asks of those who come. Immutable.
#[derive(Debug)]
pub struct Policy {
    /// How tokens are read.
    pub dialect: Box<dyn Dialect>,
    /// The dialect's name.
    pub name: DialectName,
    /// What they are verified with.
    pub keys: Keys,
    /// Weak hashes that the site named.
    pub weak: Weak,
    /// By how much clocks may differ.
    pub skew: Duration,
    /// Whether the token stays in the key and in the origin's request.
    pub keep: bool,
    /// The status for a token whose time is over.
    pub expired: StatusCode,
    /// Where those go who have no token, or an old one; `{url}` in it stands for the URL that they asked for.
    pub login: Option<Box<str>>,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// It is granted.
    Granted(Grant<'p>),
    /// It is not.
    Denied(Reason),
}

/// What a client is told that is denied. Never to be stored, by the edge or by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Where to go instead.
    pub location: Option<String>,
}

impl Policy {
    /// Decides on a request; `monotonic` is for what is remembered.
    pub fn decide(&self, request: &Request<'_>, memory: &Memory, monotonic: Duration) -> Verdict<'_> {
        let mut check = Check {
            memory: Some(memory),
            monotonic,
            asks: Some(request.client),
            ..self.check(request)
        };
        let verdict = self.verdict(request, &mut check);
        if let Verdict::Denied(reason) = verdict
            && reason.counts()
        {
            memory.failures.failed(request.client, monotonic);
        }
        verdict
    }

    /// The same, with what was looked at; nothing is remembered, and nothing counts against anybody.
    pub fn explain(&self, request: &Request<'_>) -> (Verdict<'_>, Trace) {
        let mut trace = Trace::default();
        let mut check = Check {
            trace: Some(&mut trace),
            ..self.check(request)
        };
        let verdict = self.verdict(request, &mut check);
        (verdict, trace)
    }

    fn check(&self, request: &Request<'_>) -> Check<'_> {
        Check {
            weak: self.weak,
            skew: self.skew.as_secs(),
            ..Check::alone(&self.keys, request.now)
        }
    }

    fn verdict(&self, request: &Request<'_>, check: &mut Check<'_>) -> Verdict<'_> {
        match self.dialect.grant(request, check) {
            Ok(grant) => Verdict::Granted(grant),
            Err(reason) => Verdict::Denied(reason),
        }
    }

    /// What a client is told that is denied for this reason.
    pub fn answer(&self, reason: Reason, request: &Request<'_>) -> Answer {
        let asks = matches!(reason, Reason::Missing | Reason::Expired);
        match &self.login {
            Some(login) if asks && matches!(request.method, "GET" | "HEAD") => Answer {
                status: StatusCode::FOUND,
                location: Some(login.replace(LOGIN_URL, &self.escaped_url(request))),
            },
            _ => Answer {
                status: if reason == Reason::Expired {
                    self.expired
                } else {
                    reason.status()
                },
                location: None,
            },
        }
    }

    /// The URL that was asked for, without a token, as the value of a parameter.
    fn escaped_url(&self, request: &Request<'_>) -> String {
        let told = Told::new(request.path, request.query).without_token_of(self);
        let mut url = request.origin().concat() + &told.path;
        if let Some(query) = told.query {
            url.push('?');
            url.push_str(&query);
        }
        utf8_percent_encode(&url, UNRESERVED).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::token::Place;
    use crate::access::verge::Verge;
    use crate::cache::SchemeClass;
    use crate::policy::fields::RequestFields;

    fn policy(expired: StatusCode, login: Option<&str>) -> Policy {
        Policy {
            dialect: Box::new(Verge::new(vec![Place::Query("t".into())])),
            name: DialectName::Verge,
            keys: Keys::default(),
            weak: Weak::default(),
            skew: Duration::ZERO,
            keep: false,
            expired,
            login: login.map(Into::into),
        }
    }

    fn answer(policy: &Policy, reason: Reason, method: &str, query: Option<&str>) -> (u16, Option<String>) {
        let answer = policy.answer(
            reason,
            &Request {
                method,
                scheme: SchemeClass::Secure,
                host: "cdn.example.com",
                path: "/a/%20b",
                raw_path: "/a/%20b",
                query,
                fields: &RequestFields::new(&[]),
                client: std::net::Ipv4Addr::LOCALHOST.into(),
                now: 0,
            },
        );
        (answer.status.as_u16(), answer.location)
    }

    #[test]
    fn statuses() {
        let plain = policy(StatusCode::GONE, None);
        for (reason, status) in [
            (Reason::Missing, 403),
            (Reason::Expired, 410),
            (Reason::Early, 403),
            (Reason::Signature, 403),
            (Reason::TooMany, 429),
        ] {
            assert_eq!(answer(&plain, reason, "GET", None), (status, None), "{reason:?}");
        }
    }

    #[test]
    fn a_login_gets_what_was_asked_for_without_the_token() {
        let login = policy(StatusCode::FORBIDDEN, Some("https://id.example.com/?next={url}"));
        let to = |next: &str| (302, Some(format!("https://id.example.com/?next={next}")));
        let url = "https%3A%2F%2Fcdn.example.com%2Fa%2F%2520b";
        for (reason, method, query, expected) in [
            (Reason::Missing, "GET", None, to(url)),
            (
                Reason::Expired,
                "HEAD",
                Some("x=%26&t=old&y"),
                to(&format!("{url}%3Fx%3D%2526%26y")),
            ),
            (Reason::Expired, "GET", Some("t=old"), to(url)),
            (Reason::Expired, "POST", None, (403, None)),
            (Reason::Signature, "GET", None, (403, None)),
        ] {
            assert_eq!(answer(&login, reason, method, query), expected, "{reason:?} {method}");
        }
        let fixed = policy(StatusCode::FORBIDDEN, Some("/login"));
        let got = answer(&fixed, Reason::Missing, "GET", Some("x"));
        assert_eq!(got, (302, Some("/login".to_owned())));
    }
}
