//! What is legal but probably not meant.

use std::collections::HashSet;
use std::net::IpAddr;

use super::file::{self, File, Text};
use super::report::{At, Place, Report};
use super::sites::HTTPS;
use super::table::Key;
use super::{Config, LogFormat, SecretText, Site, Speaks, secret};
use crate::origin::{Protocol, ServerUrl};
use crate::tls::Version;

/// Characters that a token should have.
const TOKEN: usize = 16;

/// Notes all of it, in a configuration without errors: what the file says and what it came to stand in the same order.
pub(super) fn of(file: &File, config: &Config, report: &mut Report) {
    admin(file, config, report);
    tokens(file, config, report);
    log(file, config, report);
    cache(file, config, report);
    tls(file, config, report);
    origins(file, config, report);
    keys(file, report);
    let secure = speaks_tls(config);
    for (typed, site) in file.sites.items.iter().zip(config.sites.iter()) {
        proof(&typed.value.client_certificates, &typed.value.client_ca, report);
        unreached_routes(&typed.value, report);
        self::site(&typed.value, site, config, secure, report);
    }
}

fn speaks_tls(config: &Config) -> bool {
    let mut listeners = config.listen.iter();
    listeners.any(|listener| matches!(listener.speaks, Speaks::Tls(_)))
}

fn admin(file: &File, config: &Config, report: &mut Report) {
    let open = |admin: &super::Admin| admin.token.is_none() && !admin.address.ip().to_canonical().is_loopback();
    if let Some(given) = file.server.admin.get()
        && config.admin.as_ref().is_some_and(open)
    {
        let what = "not a loopback address: without admin_token only /livez, /readyz and /metrics are served";
        report.warn(given.place, what);
    }
    if let Some(token) = file.server.admin_token.get()
        && config.admin.is_none()
    {
        report.warn(
            token.place,
            "with admin = \"off\" there is nothing that this token is for",
        );
    }
}

fn tokens(file: &File, config: &Config, report: &mut Report) {
    let admin = config.admin.as_ref().and_then(|admin| admin.token.as_ref());
    token(&file.server.admin_token, admin, report);
    for (typed, site) in file.sites.items.iter().zip(config.sites.iter()) {
        token(&typed.value.purge_token, site.purge_token.as_ref(), report);
    }
}

fn token(typed: &Text, token: Option<&SecretText>, report: &mut Report) {
    here(typed, report);
    let Some(typed) = typed.get() else { return };
    if token.is_some_and(|token| token.expose().len() < TOKEN) {
        let what =
            format!("a token of fewer than {TOKEN} characters can be guessed; make one with `openssl rand -hex 32`");
        report.warn(typed.place, what);
    }
}

fn log(file: &File, config: &Config, report: &mut Report) {
    if let Some(fields) = file.log.fields.get()
        && config.log.format == LogFormat::Combined
    {
        report.warn(
            fields.place,
            "the combined format has fields of its own; these are for format = \"json\"",
        );
    }
}

fn cache(file: &File, config: &Config, report: &mut Report) {
    let (typed, cache) = (&file.cache, &config.cache);
    if let Some(ram) = typed.ram.get() {
        if cache.ram == 0 {
            let what = "nothing is ever stored; a site whose responses are not to be has cache = false";
            report.warn(ram.place, what);
        } else if memory().is_some_and(|memory| cache.ram > memory) {
            report.warn(ram.place, "this machine has less memory than that");
        }
    }
    if let Some(window) = typed.window.get()
        && cache.terms.window > cache.ram
    {
        report.warn(window.place, "larger than `ram`, in which it is kept");
    }
    if let Some(share) = typed.chunk_share.get()
        && cache.chunk_share >= 1.0
    {
        report.warn(share.place, "nothing is left for bodies of up to 256 KiB");
    }
}

/// Bytes of RAM that this machine has, where the system says so.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn tls(file: &File, config: &Config, report: &mut Report) {
    for listen in &file.listen.items {
        proof(&listen.value.client_certificates, &listen.value.client_ca, report);
    }
    if let Some(first) = file.tls.certificates.items.first()
        && !speaks_tls(config)
    {
        report.warn(
            first.place,
            "no listener speaks TLS, so that no certificate is shown; write tls = true in a [[listen]]",
        );
    }
    if let Some(ciphers) = file.tls.ciphers.get() {
        let suites = config.tls.ciphers.iter();
        let new = suites.filter(|suite| suite.tls13().is_some()).count();
        let old = config.tls.ciphers.len() - new;
        if new == 0 {
            report.warn(ciphers.place, "none of these is of TLS 1.3, so that nobody speaks it");
        } else if old == 0 && config.tls.min_version == Version::Tls12 {
            report.warn(
                ciphers.place,
                "none of these is of TLS 1.2, so that nobody speaks it; write min_version = \"1.3\" if that is meant",
            );
        }
    }
}

/// What is said of client certificates, by a listener or a site.
fn proof(asked: &Text, ca: &Text, report: &mut Report) {
    if let (Some("none"), Some(ca)) = (asked.value().map(String::as_str), ca.get()) {
        report.warn(ca.place, "beside client_certificates = \"none\" this does nothing");
    }
}

fn origins(file: &File, config: &Config, report: &mut Report) {
    let routes = config.sites.iter().flat_map(|site| &site.routes);
    let used: HashSet<usize> = routes.map(|route| route.origin).collect();
    for (place, (name, origin)) in file.origins.items.iter().enumerate() {
        if !used.contains(&place) {
            report.warn(origin.place, format!("no site uses origin `{name}`"));
        }
        let servers = config
            .origins
            .get(place)
            .map_or(&[][..], |origin| &origin.reach.servers);
        origin_tls(&origin.value, servers, report);
        for (at, (typed, server)) in origin.value.servers.items().iter().zip(servers).enumerate() {
            if servers[..at].contains(server) {
                let what = format!("`{}` is named already, and gets two turns", typed.value);
                report.warn(typed.place, what);
            }
            if !server.tls && is_public(&server.host) {
                let what = format!(
                    "what is sent to `{}` can be read on the way; write https:// if it speaks that",
                    typed.value
                );
                report.warn(typed.place, what);
            }
        }
    }
}

fn origin_tls(origin: &file::Origin, servers: &[ServerUrl], report: &mut Report) {
    let verify = origin.verify.get();
    if !servers.iter().any(|server| server.tls) {
        let texts = [&origin.ca, &origin.sni].map(place_of);
        for place in texts.into_iter().chain([place_of(&origin.verify)]).flatten() {
            report.warn(place, "none of the servers is https, so that this does nothing");
        }
    } else if let Some(verify) = verify.filter(|verify| !verify.value) {
        let what = "whoever is on the way can pose as this origin; name who issued its certificate with ca = \"FILE.pem\" instead";
        report.warn(verify.place, what);
    }
}

/// Whether this is an address in the internet; of a name that is not known.
fn is_public(host: &str) -> bool {
    let Ok(address) = host.parse::<IpAddr>() else {
        return false;
    };
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // RFC 6598: between carriers and their customers.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}

/// Routes whose paths an earlier one matches all of.
fn unreached_routes(site: &file::Site, report: &mut Report) {
    let paths: Vec<&At<String>> = site
        .routes
        .items
        .iter()
        .filter_map(|route| route.value.path.get())
        .collect();
    for (at, path) in paths.iter().enumerate() {
        let covers = |earlier: &&&At<String>| super::Glob::new(&earlier.value).covers(&path.value);
        if let Some(earlier) = paths[..at].iter().find(covers) {
            let what = format!(
                "no request comes here: `{}`, at {}, takes them all",
                earlier.value,
                report.position(earlier.place)
            );
            report.warn(path.place, what);
        }
    }
}

fn site(typed: &file::Site, site: &Site, config: &Config, secure: bool, report: &mut Report) {
    if let Some(asked) = typed.client_certificates.get().filter(|asked| asked.value == "require")
        && !secure
    {
        let what = "no listener speaks TLS, so that nobody can show a certificate and every request is refused";
        report.warn(asked.place, what);
    }
    let routes = typed.routes.items.iter().map(|route| &route.value.settings);
    for settings in routes.clone().chain([&typed.settings]) {
        self::settings(settings, secure, report);
    }
    // The last of a site's routes is for all other paths.
    for (settings, route) in routes.chain([&typed.settings]).zip(&site.routes) {
        let origin = config.origins.get(route.origin);
        if let Some(upgrade) = settings.upgrade.get().filter(|upgrade| upgrade.value)
            && origin.is_some_and(|origin| origin.reach.protocol == Protocol::Http2)
        {
            report.warn(
                upgrade.place,
                "over HTTP/2 its origin can change no protocol; name one that speaks \"http/1.1\"",
            );
        }
    }
    if let Some(port) = typed.settings.https_port.get().filter(|port| port.value != HTTPS)
        && site.routes.iter().all(|route| route.redirect_to_https.is_none())
    {
        report.warn(
            port.place,
            "nothing is redirected there; write redirect_to_https = true",
        );
    }
}

/// What a site or a route says of itself.
fn settings(settings: &file::Settings, secure: bool, report: &mut Report) {
    if let Some(redirect) = settings.redirect_to_https.get().filter(|redirect| redirect.value)
        && !secure
    {
        let what = "no listener speaks TLS, so that this leads nowhere; write tls = true in a [[listen]]";
        report.warn(redirect.place, what);
    }
    if let Some(hsts) = settings.hsts.get().filter(|_| !secure) {
        report.warn(
            hsts.place,
            "no listener speaks TLS, so that this is never sent; write tls = true in a [[listen]]",
        );
    }
    if let Some(signed) = settings.signed.value() {
        self::signed(signed, report);
    }
    if settings.cache.value() == Some(&false) {
        let texts = [&settings.stale_while_revalidate, &settings.stale_if_error];
        let places = texts
            .map(place_of)
            .into_iter()
            .chain([place_of(&settings.client_may_revalidate)]);
        for place in places.flatten() {
            report.warn(place, "with cache = false nothing is stored, so that this does nothing");
        }
    }
}

fn place_of<T>(key: &Key<T>) -> Option<Place> {
    key.get().map(|value| value.place)
}

/// The keys that tokens are verified with.
fn keys(file: &File, report: &mut Report) {
    let routes = file.sites.items.iter().flat_map(|site| &site.value.routes.items);
    let settings = routes.map(|route| &route.value.settings);
    let settings = settings.chain(file.sites.items.iter().map(|site| &site.value.settings));
    let named = settings
        .filter_map(|settings| settings.signed.value())
        .filter_map(|signed| signed.keys.value());
    let used: HashSet<&str> = named.flatten().map(|key| key.value.as_str()).collect();
    for (name, key) in &file.keys.items {
        if !used.contains(name.as_str()) {
            report.warn(key.place, format!("no route uses key `{name}`"));
        }
        for secret in [&key.value.secret, &key.value.private_key] {
            here(secret, report);
        }
    }
}

/// A secret that stands in the file itself.
fn here(typed: &Text, report: &mut Report) {
    if let Some(typed) = typed.get()
        && secret::Source::of(&typed.value) == secret::Source::Here
    {
        report.warn(typed.place, "a secret in the file; write env:NAME or file:PATH");
    }
}

/// What a site or a route says of tokens.
fn signed(signed: &file::Signed, report: &mut Report) {
    for hash in signed.weak.value().into_iter().flatten() {
        let what = match hash.value.as_str() {
            "md5" => "MD5 is broken for some uses; have links signed in another dialect when you can",
            _ => "SHA-1 is broken for some uses; have links signed with SHA-256 when you can",
        };
        report.warn(hash.place, what);
    }
    here(&signed.salt, report);
    misplaced(signed, report);
    if let Some(login) = signed.login.get().filter(|login| login.value.starts_with("http://")) {
        report.warn(login.place, "a login in clear text; write https:// if it speaks that");
    }
}

/// What is said that means nothing in a dialect.
fn misplaced(signed: &file::Signed, report: &mut Report) {
    let word = signed.dialect.value().map_or("verge", String::as_str);
    let told: [(&str, Option<Place>, &[&str]); 8] = [
        (
            "token",
            place_of(&signed.token),
            &["verge", "akamai", "secure-link", "jwt", "cat"],
        ),
        ("salt", place_of(&signed.salt), &["akamai"]),
        ("expression", place_of(&signed.expression), &["secure-link"]),
        (
            "expires_parameter",
            place_of(&signed.expires_parameter),
            &["secure-link"],
        ),
        ("issuer", place_of(&signed.issuer), &["jwt", "cat"]),
        ("audience", place_of(&signed.audience), &["jwt", "cat"]),
        ("path_claim", place_of(&signed.path_claim), &["jwt"]),
        ("region", place_of(&signed.region), &["s3"]),
    ];
    for (key, place, dialects) in told {
        if let Some(place) = place.filter(|_| !dialects.contains(&word)) {
            let what = format!(
                "`{key}` means nothing in this dialect; it is for {}",
                dialects.join(", ")
            );
            report.warn(place, what);
        }
    }
}
