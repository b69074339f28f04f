//! Tokens, good and bad ones.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use verge::access::sign::{Carrier, Order};
use verge::access::token::Place;
use verge::access::{DialectName, Key, Keys, Policy, verge::Verge};
use verge::clock::Clock;

use crate::plan::{Ask, Token};
use crate::world::World;

/// The parameter, and the cookie, that has it.
const NAME: &str = "t";

fn policy_of(secret: &str) -> Policy {
    let key = Key::secret("k", secret, Default::default());
    Policy {
        dialect: Box::new(Verge::new(vec![Place::Query(NAME.into()), Place::Cookie(NAME.into())])),
        name: DialectName::Verge,
        keys: Keys::new(key.map(Arc::new).into_iter().collect()),
        weak: Default::default(),
        skew: Duration::ZERO,
        keep: false,
        expired: StatusCode::GONE,
        login: None,
    }
}

/// What is asked for.
pub fn policy() -> Arc<Policy> {
    Arc::new(policy_of("a secret"))
}

/// `t=` and the token that `ask` has, if it has one.
pub fn of(world: &World, ask: &Ask) -> Option<String> {
    let resource = &world.plan.resources[ask.resource];
    let now = world.handle.clock().now().wall;
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let policy = policy_of(if ask.token == Token::Forged {
        "a guess"
    } else {
        "a secret"
    });
    let order = Order {
        scheme: "http",
        host: resource.host,
        path: if ask.token == Token::OfAnother {
            "/other"
        } else {
            resource.path
        },
        query: resource.query,
        expires: if ask.token == Token::Old { now } else { now + 1 },
        not_before: None,
        client: None,
        prefix: None,
        parameters: None,
        now,
        carrier: Carrier::Cookie,
        key: policy.keys.iter().next()?,
    };
    match ask.token {
        Token::None => None,
        _ => policy.dialect.sign(&order).ok().map(|signed| signed.text),
    }
}

/// A query with a token.
pub fn with(query: Option<&str>, token: &str) -> String {
    query.map_or_else(|| token.to_owned(), |query| format!("{query}&{token}"))
}

/// Whether a text of a request holds a token.
pub fn is_in(text: &str) -> bool {
    text.contains("t=v1~")
}
