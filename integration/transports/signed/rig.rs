//! An edge whose site asks for tokens, and those who come to it.

use std::sync::Arc;

use verge::access::sign::{Carrier, Order, Signed};
use verge::access::{Key, Policy};

use crate::edge::{HOST, Rig};
use crate::harness::Response;

/// When the tests begin, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;

/// What the origin answers here.
pub const CACHED: &[&str] = &["Cache-Control: max-age=6000", "ETag: \"1\""];

/// The key of tests that are about no dialect in particular, and what their routes ask for.
pub const KEYS: &str = "keys.main.secret = \"open sesame\"\nkeys.other.secret = \"open wheat\"";
pub const SIGNED: &str =
    "signed = { keys = [\"main\"], token = [\"query:t\", \"cookie:t\", \"header:t\", \"path:t\"] }";

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    H1,
    H1Tls,
    H2,
    H2Tls,
}

impl Over {
    pub const ALL: [Over; 4] = [Over::H1, Over::H1Tls, Over::H2, Over::H2Tls];

    pub fn scheme(self) -> &'static str {
        match self {
            Over::H1 | Over::H2 => "http",
            Over::H1Tls | Over::H2Tls => "https",
        }
    }

    /// Asks on a connection of its own.
    #[track_caller]
    pub fn ask(self, rig: &Rig, method: &str, path: &str, fields: &[&str]) -> Response {
        match self {
            Over::H1 => {
                let mut client = rig.h1();
                client.ask(method, path, fields);
                if method == "HEAD" {
                    client.rx_head()
                } else {
                    client.rx()
                }
            }
            Over::H1Tls => {
                let mut client = rig.h1s();
                client.ask(method, path, fields);
                if method == "HEAD" {
                    client.rx_head()
                } else {
                    client.rx()
                }
            }
            Over::H2 => rig.h2().ask(method, path, fields).rx(),
            Over::H2Tls => rig.h2s().ask(method, path, fields).rx(),
        }
    }

    #[track_caller]
    pub fn get(self, rig: &Rig, path: &str) -> Response {
        self.ask(rig, "GET", path, &[])
    }
}

/// What a route of the edge's sites asks for.
pub fn policy(rig: &Rig) -> Arc<Policy> {
    let edge = rig.world.server.edge();
    let mut sites = edge.config.sites.iter();
    sites.find_map(|site| site.policies().next().cloned()).unwrap()
}

/// An order for a token that is good for ten minutes.
pub fn order<'a>(over: Over, path: &'a str, key: &'a Key) -> Order<'a> {
    Order {
        scheme: over.scheme(),
        host: HOST,
        path,
        query: None,
        expires: NOW + 600,
        not_before: None,
        client: None,
        prefix: None,
        parameters: None,
        now: NOW,
        carrier: Carrier::Url,
        key,
    }
}

/// What was signed, as a request has it: its target, and its fields.
pub fn carried(signed: &Signed, carrier: Carrier, path: &str) -> (String, Vec<String>) {
    match carrier {
        Carrier::Url => {
            let (_, rest) = signed.text.split_once("://").unwrap();
            (rest[rest.find('/').unwrap()..].to_owned(), Vec::new())
        }
        Carrier::Cookie => {
            let cookies = signed.text.replace('\n', "; ");
            (path.to_owned(), vec![format!("cookie: {cookies}")])
        }
        Carrier::Field => (path.to_owned(), vec![signed.text.clone()]),
    }
}

/// An edge with [`KEYS`], and what `site` says, in which [`SIGNED`] may stand for itself.
pub fn signed_rig(all: &str, site: &str) -> Rig {
    let rig = Rig::with(&format!("{KEYS}\n{all}"), &site.replace("SIGNED", SIGNED));
    rig.world.origin.answer_all(|asked| asked.ok(CACHED, "protected"));
    rig
}

/// A token of Verge's own for `path`.
pub fn token(rig: &Rig, over: Over, path: &str) -> String {
    let policy = policy(rig);
    let order = order(over, path, policy.keys.named("main").unwrap());
    token_of(&policy, &order)
}

/// A token of Verge's own for all below `prefix`.
pub fn token_below(rig: &Rig, over: Over, prefix: &str) -> String {
    let policy = policy(rig);
    let order = Order {
        prefix: Some(prefix),
        parameters: Some("*"),
        ..order(over, prefix, policy.keys.named("main").unwrap())
    };
    token_of(&policy, &order)
}

/// The token of what is signed, without the URL.
pub fn token_of(policy: &Policy, order: &Order<'_>) -> String {
    let order = Order {
        carrier: Carrier::Cookie,
        ..*order
    };
    let signed = policy.dialect.sign(&order).unwrap();
    signed.text.strip_prefix("t=").unwrap().to_owned()
}

/// Checks that nobody was let in, that no cache may keep that, and why.
#[track_caller]
pub fn denied(response: Response, status: u16, code: &str) -> Response {
    let response = response.is(status).has("cache-control", "no-store");
    let said = response.head.field("proxy-status").unwrap_or_default();
    assert!(said.contains(&format!("details=\"{code}\"")), "{code}: {said}");
    assert!(!response.body.windows(9).any(|part| part == b"protected"));
    response
}
