//! Finding the site of a host.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Route, Site};

/// The sites by host: an exact name wins over `*.` of the longest suffix, which wins over `*`.
#[derive(Clone, Debug, Default)]
pub struct SiteTable {
    sites: Vec<Site>,
    exact: HashMap<Box<str>, usize>,
    /// By what follows `*.`.
    suffixes: HashMap<Box<str>, usize>,
    any: Option<usize>,
}

impl SiteTable {
    /// Adds a site with its hosts. Returns the host that another site has already.
    pub fn add(&mut self, site: Site, hosts: &[String]) -> Result<(), String> {
        let place = self.sites.len();
        for host in hosts {
            let taken = match host.strip_prefix("*.") {
                _ if host == "*" => self.any.replace(place),
                Some(suffix) => self.suffixes.insert(suffix.into(), place),
                None => self.exact.insert(host.as_str().into(), place),
            };
            if taken.is_some() {
                return Err(host.clone());
            }
        }
        self.sites.push(site);
        Ok(())
    }

    /// The site of a normalised host without port. Does not allocate.
    pub fn site(&self, host: &str) -> Option<&Site> {
        let place = self
            .exact
            .get(host)
            .or_else(|| self.by_suffix(host))
            .or(self.any.as_ref())?;
        self.sites.get(*place)
    }

    fn by_suffix(&self, host: &str) -> Option<&usize> {
        if self.suffixes.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
        dots.map(|(at, _)| at).find_map(|at| self.suffixes.get(&host[at + 1..]))
    }

    /// The route of a host and a normalised path. Does not allocate.
    pub fn route(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.site(host)?.routes.iter().find(|route| route.path.matches(path))
    }

    /// All sites in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter()
    }
}
