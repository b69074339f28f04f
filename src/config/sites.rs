//! `[[sites]]`, from the file as typed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::file::{self, File};
use super::nearest::nearest;
use super::report::{At, Place};
use super::resolve::Resolver;
use super::signed;
use super::transport::parse_hsts;
use super::units::parse_size;
use super::{Glob, Route, Site, SiteTable};
use crate::policy::reuse::Terms;
use crate::policy::targeted::{SURROGATE_CONTROL, Targets};
use crate::target::{normalise_host, normalise_path, split_port};

/// The port of https unless a site says otherwise.
pub(super) const HTTPS: u16 = 443;

/// Bytes of a request body unless a site says otherwise.
const MAX_BODY: u64 = 1 << 30;

/// How long past its lifetime a response stands in for an error, where neither it nor the site says.
const STALE_IF_ERROR: Duration = Duration::from_secs(3600);

/// All sites, by host.
pub(super) fn resolve(resolver: &mut Resolver, file: &File) -> SiteTable {
    let mut table = SiteTable::default();
    let mut named = HashMap::new();
    if file.sites.items.is_empty() && !file.sites.wrong {
        let what = "there is no site; write [[sites]] with hosts = [\"*\"] and origin = \"NAME\"";
        resolver.report.wrong(None, what);
    }
    for site in &file.sites.items {
        let hosts = hosts(resolver, site.value.hosts.items(), &mut named);
        let site = self::site(resolver, file, site, &hosts, &table);
        // Only those that no other site has are left.
        let _ = table.add(site, &hosts);
    }
    table
}

fn site(resolver: &mut Resolver, file: &File, site: &At<file::Site>, hosts: &[String], table: &SiteTable) -> Site {
    let typed = &site.value;
    if let Some(given) = typed.hosts.get().filter(|hosts| hosts.value.is_empty()) {
        let what = "a site has no host; write hosts = [\"www.example.com\"], or [\"*\"] for any";
        resolver.report.wrong(given.place, what);
    }
    let name = name(resolver, typed, hosts, table);
    Site {
        purge_token: resolver.token(&typed.purge_token),
        ssd_quota: resolver.parsed(&typed.ssd_quota, None, |text| parse_size(text).map(Some)),
        routes: routes(resolver, file, site, &name),
        name,
    }
}

/// Those of the hosts that are hosts and not `named` yet, normalised.
fn hosts(resolver: &mut Resolver, typed: &[At<String>], named: &mut HashMap<String, Place>) -> Vec<String> {
    let mut hosts = Vec::new();
    for given in typed {
        let host = match parse_host(&given.value) {
            Ok(host) => host,
            Err(what) => {
                resolver.report.wrong(given.place, what);
                continue;
            }
        };
        match named.get(&host) {
            Some(first) => {
                let first = resolver.report.position(*first);
                let what = format!("host `{host}` is named already, at {first}; name each host once");
                resolver.report.wrong(given.place, what);
            }
            None => {
                named.insert(host.clone(), given.place);
                hosts.push(host);
            }
        }
    }
    hosts
}

/// What a site is called: as it says, else as its first host.
fn name(resolver: &mut Resolver, site: &file::Site, hosts: &[String], table: &SiteTable) -> Arc<str> {
    let Some(given) = site.name.get().or(site.hosts.items().first()) else {
        return "".into();
    };
    let name = given.value.as_str();
    if site.name.is_absent() && !parse_host(name).is_ok_and(|host| hosts.contains(&host)) {
        // What is wrong with this host is said already.
        return name.into();
    }
    if name.is_empty() || name.contains(char::is_control) {
        let what = format!("{name:?} is not a name; write one such as \"shop\"");
        resolver.report.wrong(given.place, what);
    } else if table.iter().any(|other| &*other.name == name) {
        let what = format!("a site is called `{name}` already; give each a name of its own");
        resolver.report.wrong(given.place, what);
    }
    name.into()
}

/// Its routes, and last what is for all other paths.
fn routes(resolver: &mut Resolver, file: &File, site: &At<file::Site>, name: &Arc<str>) -> Vec<Arc<Route>> {
    let typed = &site.value;
    // Over clear text nobody can show one.
    let secure_only = typed
        .client_certificates
        .value()
        .is_some_and(|asked| asked == "require");
    let mut routes = Vec::new();
    for route in &typed.routes.items {
        let settings = route.value.settings.or(&typed.settings);
        let path = route.value.path.get();
        let place = path.map_or(route.place, |path| path.place);
        let path = path.map_or_else(|| Glob::new("*"), |path| parsed_path(resolver, path));
        routes.extend(self::route(resolver, file, name, path, &settings, place));
    }
    let place = typed.hosts.items().first().map_or(site.place, |host| host.place);
    routes.extend(route(resolver, file, name, Glob::new("*"), &typed.settings, place));
    let routes = routes.into_iter();
    routes.map(|route| Arc::new(Route { secure_only, ..route })).collect()
}

fn parsed_path(resolver: &mut Resolver, path: &At<String>) -> Glob {
    parse_path(&path.value).unwrap_or_else(|what| {
        resolver.report.wrong(path.place, what);
        Glob::new("*")
    })
}

fn route(
    resolver: &mut Resolver,
    file: &File,
    site: &Arc<str>,
    path: Glob,
    settings: &file::Settings,
    place: Place,
) -> Option<Route> {
    let terms = Terms {
        stale_while_revalidate: resolver.duration(&settings.stale_while_revalidate, Duration::ZERO),
        stale_if_error: resolver.duration(&settings.stale_if_error, STALE_IF_ERROR),
        client_may_revalidate: settings.client_may_revalidate.value().copied().unwrap_or(false),
    };
    let redirect = settings.redirect_to_https.value().copied().unwrap_or(false);
    let https_port = https_port(resolver, settings);
    let route = Route {
        path,
        site: Arc::clone(site),
        origin: 0,
        cache: settings.cache.value().copied().unwrap_or(true),
        upgrade: settings.upgrade.value().copied().unwrap_or(false),
        max_body: resolver.parsed(&settings.max_body, MAX_BODY, parse_size),
        targets: Arc::new(targets(resolver, settings)),
        terms,
        secure_only: false,
        redirect_to_https: redirect.then_some(https_port),
        hsts: resolver.parsed(&settings.hsts, None, parse_hsts),
        signed: signed::policy(resolver, file, &settings.signed),
    };
    let origin = origin(resolver, file, settings, place)?;
    Some(Route { origin, ..route })
}

/// The fields for CDNs alone that count.
fn targets(resolver: &mut Resolver, settings: &file::Settings) -> Targets {
    let default = Targets::default();
    let names = settings.target_list.value().map(|given| {
        let names = given.iter().filter_map(|name| target(resolver, name));
        names.collect()
    });
    Targets {
        names: names.unwrap_or(default.names),
        forwarded: settings.forward_targeted.value().copied().unwrap_or(default.forwarded),
    }
}

fn target(resolver: &mut Resolver, given: &At<String>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(given.value.as_bytes()).ok();
    match name.filter(is_targeted) {
        Some(name) => Some(name),
        None => {
            let what = format!(
                "`{}` is no field that is meant for some caches; write one such as \"CDN-Cache-Control\" or \"Surrogate-Control\"",
                given.value
            );
            resolver.report.wrong(given.place, what);
            None
        }
    }
}

/// Whether a field may be one for some caches: what all read, or what is no caching policy, is not to be taken away.
fn is_targeted(name: &HeaderName) -> bool {
    *name == SURROGATE_CONTROL || name.as_str().ends_with("-cache-control")
}

fn https_port(resolver: &mut Resolver, settings: &file::Settings) -> u16 {
    let port = settings.https_port.get();
    if let Some(port) = port.filter(|port| port.value == 0) {
        let what = "a port is a number from 1 to 65535; that of https is 443";
        resolver.report.wrong(port.place, what);
    }
    port.map_or(HTTPS, |port| port.value)
}

/// The place of the origin that is named, among all origins.
fn origin(resolver: &mut Resolver, file: &File, settings: &file::Settings, place: Place) -> Option<usize> {
    if settings.origin.is_absent() {
        let what = "no origin is named for this; write origin = \"NAME\" in its site";
        resolver.report.wrong(place, what);
    }
    let named = settings.origin.get()?;
    let known = || file.origins.items.keys().map(String::as_str);
    let found = known().position(|name| name == named.value);
    if found.is_none() && !file.origins.wrong {
        let mend = match nearest(&named.value, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known().next().is_none() => format!("write [origins.{}] with its servers", named.value),
            None => format!("there is: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let what = format!("there is no origin `{}`; {mend}", named.value);
        resolver.report.wrong(named.place, what);
    }
    found
}

fn parse_path(text: &str) -> Result<Glob, String> {
    if !text.starts_with(['/', '*']) {
        return Err(format!("path `{text}` can never match; begin it with `/` or `*`"));
    }
    if let Some(end) = text.find(['?', '#']) {
        let mend = &text[..end];
        return Err(format!(
            "path `{text}` can never match: a query is no part of it; write `{mend}`"
        ));
    }
    match normalise_path(text) {
        Ok(normal) if normal != text => Err(format!(
            "path `{text}` can never match: paths are made normal first; write `{normal}`"
        )),
        _ => Ok(Glob::new(text)),
    }
}

pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a host; write a name without port or scheme, `*.` and a name, or `*`");
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text == "*" {
        return Ok(text.to_owned());
    }
    let normal = normalise_host(name).map_err(|_| wrong())?;
    let (host, port) = split_port(&normal);
    if port.is_some() || host.is_empty() {
        return Err(wrong());
    }
    Ok(format!("{}{host}", &text[..text.len() - name.len()]))
}
