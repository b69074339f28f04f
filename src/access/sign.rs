//! Signing: what `verge sign` orders, and what it gets.

use ipnet::IpNet;

use super::Key;
use super::token::Place;

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// `http` or `https`
    pub scheme: &'a str,
    /// The normalised host, with its port unless it is the scheme's own.
    pub host: &'a str,
    /// The path, as clients are to ask for it: normalised.
    pub path: &'a str,
    /// The query, without a token.
    pub query: Option<&'a str>,
    /// The first second, since 1970, at which the token is no longer good.
    pub expires: u64,
    /// The first at which it is.
    pub not_before: Option<u64>,
    /// Whom it is for.
    pub client: Option<IpNet>,
    /// What it grants, instead of the path alone: all that begins with this.
    pub prefix: Option<&'a str>,
    /// The parameters that may follow, separated by commas, instead of the query alone; `*` for any.
    pub parameters: Option<&'a str>,
    /// When it is signed, in seconds since 1970.
    pub now: u64,
    /// Where the token is put.
    pub carrier: Carrier,
    /// What it is signed with.
    pub key: &'a Key,
}

/// Where a token is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Into the URL.
    #[default]
    Url,
    /// Into cookies.
    Cookie,
    /// Into a field.
    Field,
}

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// A URL, or lines of `name=value` (cookies) or `Name: value` (a field).
    pub text: String,
    /// The bytes that the signature is over; for people to compare.
    pub message: Vec<u8>,
}

impl Order<'_> {
    /// `scheme://host/path?query`
    pub(super) fn url(&self) -> String {
        let query = self.query.map_or_else(String::new, |query| format!("?{query}"));
        format!("{}://{}{}{query}", self.scheme, self.host, self.path)
    }

    /// That URL with a further piece of query.
    pub(super) fn url_with(&self, piece: &str) -> String {
        let separator = if self.query.is_some_and(|query| !query.is_empty()) {
            "&"
        } else {
            "?"
        };
        let url = self.url();
        format!("{}{separator}{piece}", url.strip_suffix('?').unwrap_or(&url))
    }

    /// An error unless the dialect can say what is ordered.
    pub(super) fn has_no(&self, what: &[(&str, bool)]) -> Result<(), String> {
        match what.iter().find(|(_, given)| *given) {
            Some((what, _)) => Err(format!("this dialect has no way to say {what}; leave it out")),
            None => Ok(()),
        }
    }
}

/// The token where it is ordered to be, in the first of the places of that kind.
pub(super) fn place_token(places: &[Place], order: &Order<'_>, token: &str) -> Result<String, String> {
    let placed = places.iter().find_map(|place| match (place, order.carrier) {
        (Place::Query(name), Carrier::Url) => Some(order.url_with(&format!("{name}={token}"))),
        (Place::Cookie(name), Carrier::Cookie) => Some(format!("{name}={token}")),
        (Place::Field(name), Carrier::Field) if **name == *"authorization" => {
            Some(format!("Authorization: Bearer {token}"))
        }
        (Place::Field(name), Carrier::Field) => Some(format!("{name}: {token}")),
        _ => None,
    });
    placed.ok_or_else(|| "the route takes no token there; look at `token` in its `signed`".to_owned())
}
