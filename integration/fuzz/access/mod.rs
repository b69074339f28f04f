//! What all dialects of signed URLs must hold, whatever comes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use verge::access::sign::{Carrier, Order};
use verge::access::{Failures, Memory, Policy, Request, Told, Verdict, Verified, raw_path};
use verge::cache::SchemeClass;
use verge::config;
use verge::pipeline::key_host;
use verge::policy::{Field, RequestFields};
use verge::target::{Scheme, Target};

/// An hour before the seeds' tokens end.
const NOW: u64 = 1_767_222_000;

/// A route that asks for tokens.
pub struct Route {
    policy: Arc<Policy>,
}

impl Route {
    /// One that asks for this, with these keys. The seeds are signed with others of the same names.
    pub fn new(keys: &str, signed: &str) -> Self {
        let rest = format!(
            "[origins.o]\nservers = [\"http://127.0.0.1:1\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"o\"\nsigned = {{ {signed} }}\n"
        );
        let config = config::load("edge.toml", &format!("{keys}\n{rest}")).expect("a configuration that is valid");
        let route = config.sites.iter().next().and_then(|site| site.routes.last().cloned());
        let policy = route
            .and_then(|route| route.signed.clone())
            .expect("a token is asked for");
        Route { policy }
    }

    /// The first line of the input is a URL, the second a cookie, the third a field's name and value.
    pub fn ask(&self, input: &str) {
        let mut lines = input.split('\n');
        let (url, cookie, field) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
        self.denies(url, cookie, field);
        self.grants_what_it_signs(url);
    }

    /// Nobody gets in without the key.
    fn denies(&self, url: &str, cookie: Option<&str>, field: Option<&str>) {
        let field = field.and_then(|field| field.split_once(':'));
        with(url, cookie, field, |request| {
            let memory = small();
            let decided = self.policy.decide(request, &memory, Duration::ZERO);
            let Verdict::Denied(reason) = decided else {
                panic!("{request:?} is granted");
            };
            let (explained, trace) = self.policy.explain(request);
            assert_eq!(decided, explained, "{request:?}");
            let secret = trace.steps().iter().any(|step| step.says.contains("open sesame"));
            assert!(!secret, "{trace:?}");
            let answer = self.policy.answer(reason, request);
            assert!(answer.status.is_client_error() || answer.location.is_some());
        });
    }

    /// Who has it does, unless the path is one of which nobody can say what it names, or the dialect has no way to say it.
    fn grants_what_it_signs(&self, url: &str) {
        let Ok(target) = Target::new("GET", url, None) else {
            return;
        };
        let Some(key) = self.policy.keys.iter().next() else {
            return;
        };
        let scheme = match target.scheme {
            Some(Scheme::Http) => SchemeClass::Clear,
            Some(Scheme::Https) => SchemeClass::Secure,
            None => return,
        };
        let order = Order {
            scheme: scheme.name(),
            host: key_host(scheme, &target.host),
            path: &target.path,
            query: target.query,
            expires: NOW + 60,
            not_before: None,
            client: None,
            prefix: None,
            parameters: None,
            now: NOW,
            carrier: Carrier::Url,
            key,
        };
        let Ok(signed) = self.policy.dialect.sign(&order) else {
            return;
        };
        with(&signed.text, None, None, |request| {
            if let Verdict::Granted(grant) = self.policy.explain(request).0 {
                assert_eq!(grant.strip.path(request.path), target.path, "{}", signed.text);
                self.is_remembered(request, &Verdict::Granted(grant));
                self.tells_no_token(request);
                let later = Request {
                    now: NOW + 60,
                    ..*request
                };
                let verdict = self.policy.explain(&later).0;
                assert!(
                    matches!(verdict, Verdict::Denied(_)),
                    "{} is granted for ever",
                    signed.text
                );
            }
        });
    }

    /// What comes of a token is the same the second time, when it is remembered.
    fn is_remembered<'p>(&'p self, request: &Request<'_>, verdict: &Verdict<'p>) {
        let memory = small();
        for _ in 0..2 {
            assert_eq!(&self.policy.decide(request, &memory, Duration::ZERO), verdict);
        }
    }

    /// Who reads in a log what was asked for gets nothing for it.
    fn tells_no_token(&self, request: &Request<'_>) {
        let told = Told::new(request.path, request.query).without_token_of(&self.policy);
        let read = Request {
            path: &told.path,
            raw_path: &told.path,
            query: told.query.as_deref(),
            ..*request
        };
        let verdict = self.policy.explain(&read).0;
        assert!(matches!(verdict, Verdict::Denied(_)), "{told:?} is granted");
    }

    /// A token that somebody with the key has made, whatever it says.
    #[allow(dead_code)] // Not every dialect has texts of its own in it.
    pub fn take(&self, token: &str, place: &str) {
        let url = format!("https://cdn.example.com/a/b.jpg?x=1&{place}={token}");
        with(&url, None, None, |request| {
            if let Verdict::Granted(grant) = self.policy.explain(request).0 {
                assert_eq!(grant.strip.query(request.query).as_deref(), Some("x=1"));
                assert!(grant.until > NOW);
            }
        });
    }
}

/// Room for little: it is made anew for each input.
fn small() -> Memory {
    Memory {
        verified: Verified::new(1, [1; 16]),
        failures: Failures::new(1, 10, 30, [1; 16]),
    }
}

fn with(url: &str, cookie: Option<&str>, field: Option<(&str, &str)>, look: impl FnOnce(&Request<'_>)) {
    let Ok(target) = Target::new("GET", url, None) else {
        return;
    };
    let scheme = match target.scheme {
        Some(Scheme::Https) => SchemeClass::Secure,
        _ => SchemeClass::Clear,
    };
    let lines = cookie.map(|cookie| ("cookie", cookie)).into_iter().chain(field);
    let lines = lines.filter(|(name, _)| !name.is_empty()).map(|(name, value)| Field {
        name: name.as_bytes(),
        value: value.as_bytes(),
    });
    let lines: Vec<Field<'_>> = lines.collect();
    look(&Request {
        method: "GET",
        scheme,
        host: key_host(scheme, &target.host),
        path: &target.path,
        raw_path: raw_path(url),
        query: target.query,
        fields: &RequestFields::new(&lines),
        client: IpAddr::from(Ipv4Addr::new(192, 0, 2, 7)),
        now: NOW,
    });
}
