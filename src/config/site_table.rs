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
    asks_for_tokens: bool,
}

/// What is said of a host and a path.
#[derive(Clone, Copy, Debug)]
pub struct Found<'c> {
    /// The site's place among all.
    pub place: usize,
    /// The site.
    pub site: &'c Site,
    /// The route.
    pub route: &'c Arc<Route>,
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
        self.asks_for_tokens |= site.routes.iter().any(|route| route.signed.is_some());
        self.sites.push(site);
        Ok(())
    }

    /// Whether a route of any site asks for tokens.
    pub fn asks_for_tokens(&self) -> bool {
        self.asks_for_tokens
    }

    /// The place of the site of a normalised host without port. Does not allocate.
    fn place(&self, host: &str) -> Option<usize> {
        let place = self
            .exact
            .get(host)
            .or_else(|| self.by_suffix(host))
            .or(self.any.as_ref())?;
        Some(*place)
    }

    fn by_suffix(&self, host: &str) -> Option<&usize> {
        if self.suffixes.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
        dots.map(|(at, _)| at).find_map(|at| self.suffixes.get(&host[at + 1..]))
    }

    /// What is said of a normalised host without port and a normalised path. Does not allocate.
    pub fn find(&self, host: &str, path: &str) -> Option<Found<'_>> {
        let place = self.place(host)?;
        let site = self.sites.get(place)?;
        let route = site.routes.iter().find(|route| route.path.matches(path))?;
        Some(Found { place, site, route })
    }

    /// All sites in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter()
    }
}
