//! The demo's page behind a token, and links to it.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use super::super::Failure;
use crate::access::sign::{Carrier, Order};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::pipeline::Edge;

/// Where the page is.
pub(super) const PAGE: &str = "/members";

/// A site before this origin, with a key of its own for the page.
pub(super) fn configuration(origin: SocketAddr) -> Result<Config, Failure> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| format!("there are no random numbers: {error}"))?;
    let secret = u128::from_ne_bytes(secret);
    let text = format!(
        "[keys.demo]\nsecret = \"{secret:032x}\"\n[origins.default]\nservers = [\"http://{origin}\"]\n\
         [[sites]]\nhosts = [\"*\"]\norigin = \"default\"\n\
         [[sites.routes]]\npath = \"{PAGE}\"\nsigned = {{ keys = [\"demo\"], expired_status = 410 }}\n"
    );
    config::load("demo", &text).map_err(|errors| errors.first().map_or(String::new(), |error| error.what.clone()))
}

/// The page's path with a token that is good for as long as this; nothing if none can be made.
pub(super) fn link(edge: &Edge, clock: &dyn Clock, host: SocketAddr, lasts: Duration) -> String {
    let now = clock.now().wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let site = edge.config.sites.iter().next();
    let policy = site.and_then(|site| site.policies().next());
    let signed = policy.and_then(|policy| {
        let host = host.to_string();
        let order = Order {
            scheme: "http",
            host: host.strip_suffix(":80").unwrap_or(&host),
            path: PAGE,
            query: None,
            expires: (now + lasts).as_secs(),
            not_before: None,
            client: None,
            prefix: None,
            parameters: None,
            now: now.as_secs(),
            carrier: Carrier::Url,
            key: policy.keys.iter().next()?,
        };
        policy.dialect.sign(&order).ok()
    });
    let url = signed.map_or_else(String::new, |signed| signed.text);
    url.find(PAGE).map_or_else(String::new, |at| url[at..].to_owned())
}
