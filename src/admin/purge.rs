//! Purging through the API.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::routes::{Call, Reply};
use super::url::Url;
use crate::node::Node;
use crate::pipeline::Edge;
use crate::purge::{Epoch, Mode, Selector};

/// What to purge: any of these together.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Purge {
    /// URLs, with all their variants, over http and https alike.
    pub urls: Vec<String>,
    /// Tags that responses carry (`Surrogate-Key`, `Cache-Tag`, `Cache-Groups`).
    pub tags: Vec<String>,
    /// Beginnings of URLs.
    pub prefixes: Vec<String>,
    /// Sites, by name.
    pub sites: Vec<String>,
    /// Everything.
    pub all: bool,
    /// Leaves what is purged to be served while it is fetched anew, or when the origin fails.
    pub soft: bool,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Purged {
    /// How many purges were entered.
    pub purged: usize,
    /// The number of the newest.
    pub epoch: Epoch,
}

impl Purge {
    /// What it names; or the first that names nothing.
    fn selectors(&self, edge: &Edge) -> Result<Vec<Selector>, String> {
        let secret = edge.cache.secret();
        let mut selectors = Vec::new();
        for url in &self.urls {
            let url = Url::parse(url)?;
            selectors.push(Selector::Url(secret.url(&url.key_parts())));
        }
        for tag in &self.tags {
            if tag.is_empty() {
                return Err("a tag is empty".to_owned());
            }
            selectors.push(Selector::Tag(secret.tag(tag.as_bytes())));
        }
        for prefix in &self.prefixes {
            selectors.push(Selector::Prefix(prefix_text(prefix)?.into()));
        }
        for site in &self.sites {
            if !edge.config.sites.iter().any(|known| *known.name == **site) {
                return Err(format!("there is no site `{site}`; GET /api/sites lists them"));
            }
            selectors.push(Selector::Site(site.as_str().into()));
        }
        if self.all {
            selectors.push(Selector::All);
        }
        match selectors.is_empty() {
            true => Err("nothing is named; give urls, tags, prefixes, sites, or all".to_owned()),
            false => Ok(selectors),
        }
    }
}

/// A prefix as it is compared: the host without the scheme's own port, and the normalised path.
fn prefix_text(prefix: &str) -> Result<String, String> {
    let url = match prefix.contains("://") {
        true => prefix.to_owned(),
        false => format!("http://{prefix}"),
    };
    if !url.splitn(3, '/').nth(2).is_some_and(|rest| rest.contains('/')) {
        return Err(format!(
            "`{prefix}` may be the beginning of other hosts; write HOST/ and as much of the path as you like"
        ));
    }
    let Url { host, path, query, .. } = Url::parse(&url)?;
    Ok(match query {
        Some(query) => format!("{host}{path}?{query}"),
        None => format!("{host}{path}"),
    })
}

/// Enters all that `purge` names, or nothing if any of it cannot be understood.
pub(super) fn purge(edge: &Edge, purge: &Purge) -> Result<Purged, String> {
    let selectors = purge.selectors(edge)?;
    let mode = if purge.soft { Mode::Soft } else { Mode::Hard };
    let purged: Vec<_> = selectors.iter().map(|selector| edge.purge(selector, mode)).collect();
    let mut epoch = edge.cache.purges().latest();
    for purged in purged {
        epoch = purged.wait().map_err(not_kept)?;
    }
    Ok(Purged {
        purged: selectors.len(),
        epoch,
    })
}

/// It is in force, but not acknowledged.
fn not_kept(error: std::io::Error) -> String {
    format!(
        "purged, but the journal of purges cannot be written ({error}): a crash may bring it back; look at the disk, and purge again"
    )
}

pub(super) fn reply(node: &Arc<Node>, call: &Call) -> Reply {
    let asked: Purge = match serde_json::from_slice(&call.body) {
        Ok(asked) => asked,
        Err(error) => {
            let shape = r#"{"urls": ["https://www.example.com/a"], "soft": false}"#;
            return Reply::bad(format!("the body is not as it should be: {error}; write {shape}"));
        }
    };
    match purge(&node.server.edge(), &asked) {
        Ok(purged) => Reply::json(&json!(purged)),
        Err(why) => Reply::bad(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_normalised_as_urls_are() {
        for (prefix, text) in [
            ("https://A.example/sh%6Fp", "a.example/shop"),
            ("a.example/", "a.example/"),
            ("a.example:80/x", "a.example/x"),
            ("https://a.example:443/x", "a.example/x"),
            ("a.example:8080/x?q=", "a.example:8080/x?q="),
        ] {
            assert_eq!(prefix_text(prefix).as_deref(), Ok(text), "{prefix}");
        }
        for wrong in ["a.example", "", "/", "https://a.example", "https:///x"] {
            assert!(prefix_text(wrong).is_err(), "{wrong}");
        }
    }
}
