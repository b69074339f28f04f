//! Listeners and TLS, from the file as typed.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::file::{self, File, Text, Texts};
use super::nearest::{did_you_mean, nearest};
use super::report::At;
use super::resolve::Resolver;
use super::sites::parse_host;
use super::table::Many;
use super::{Config, Listener, Speaks};
use crate::tls::{CertificateFiles, ClientCertificates, Settings, Version, provider};
use http::HeaderValue;

/// Where connections are taken, unless the file says so: clear text on 8080, TLS on 8443.
pub(super) fn listeners(resolver: &mut Resolver, listen: &Many<file::Listen>) -> Vec<Listener> {
    let at = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let clear = Speaks::Clear { h2c: false };
    if listen.items.is_empty() {
        let secure = Speaks::Tls(ClientCertificates::NotAsked);
        return vec![
            Listener {
                address: at(8080),
                speaks: clear,
            },
            Listener {
                address: at(8443),
                speaks: secure,
            },
        ];
    }
    let listener = |listen: &At<file::Listen>| Listener {
        address: address(resolver, &listen.value).unwrap_or_else(|| at(0)),
        speaks: speaks(resolver, &listen.value),
    };
    listen.items.iter().map(listener).collect()
}

fn address(resolver: &mut Resolver, listen: &file::Listen) -> Option<SocketAddr> {
    let address = listen.address.get()?;
    let parsed = parse_address(&address.value);
    parsed.map_err(|what| resolver.report.wrong(address.place, what)).ok()
}

/// Sees to it that no two listeners, that of the admin included, want the same address and port.
pub(super) fn apart(resolver: &mut Resolver, file: &File, config: &Config) {
    let typed = file.listen.items.iter().map(|listen| listen.value.address.get());
    let places: Vec<_> = typed.map(|address| address.map(|address| address.place)).collect();
    let mut wanted: Vec<_> = config.listen.iter().map(|listener| listener.address).collect();
    let mut places: Vec<_> = (0..wanted.len()).map(|at| places.get(at).copied().flatten()).collect();
    if let Some(admin) = &config.admin {
        wanted.push(admin.address);
        places.push(file.server.admin.get().map(|admin| admin.place));
    }
    for (at, address) in wanted.iter().enumerate() {
        if let Some(earlier) = wanted[..at].iter().find(|earlier| overlap(earlier, address)) {
            let what = format!("`{address}` is taken by the listener on `{earlier}`; name another port");
            resolver.report.wrong(places[at], what);
        }
    }
}

fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    // [::] takes IPv4 as well.
    let all = |one: &SocketAddr, other: &SocketAddr| one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    let same = one.ip().to_canonical() == other.ip().to_canonical();
    one.port() == other.port() && one.port() != 0 && (same || all(one, other) || all(other, one))
}

fn speaks(resolver: &mut Resolver, listen: &file::Listen) -> Speaks {
    let proof = proof(resolver, &listen.client_certificates, &listen.client_ca);
    let h2c = listen.h2c.get().filter(|h2c| h2c.value);
    if listen.tls.value().copied().unwrap_or(false) {
        if let Some(h2c) = h2c {
            let what = "h2c is HTTP/2 in clear text; with tls = true HTTP/2 is always offered: leave h2c out";
            resolver.report.wrong(h2c.place, what);
        }
        return Speaks::Tls(proof.unwrap_or(ClientCertificates::NotAsked));
    }
    if let Some(asked) = listen.client_certificates.get()
        && proof.is_some_and(|proof| proof != ClientCertificates::NotAsked)
    {
        let what = "client certificates need TLS; write tls = true beside them";
        resolver.report.wrong(asked.place, what);
    }
    Speaks::Clear { h2c: h2c.is_some() }
}

/// What is asked of clients, if these keys say so.
fn proof(resolver: &mut Resolver, asked: &Text, ca: &Text) -> Option<ClientCertificates> {
    if let (true, Some(ca)) = (asked.is_absent(), ca.get()) {
        let what = "client_ca does nothing by itself; write client_certificates = \"require\" beside it";
        resolver.report.wrong(ca.place, what);
    }
    let asked = asked.get()?;
    let file = ca.value().map(PathBuf::from);
    match (asked.value.as_str(), file) {
        ("none", _) => Some(ClientCertificates::NotAsked),
        ("request", Some(ca)) => Some(ClientCertificates::Asked(ca)),
        ("require", Some(ca)) => Some(ClientCertificates::Required(ca)),
        ("request" | "require", None) => {
            if ca.is_absent() {
                let what = "whose certificates? Write client_ca = \"FILE.pem\" beside it";
                resolver.report.wrong(asked.place, what);
            }
            None
        }
        (other, _) => {
            let mend = did_you_mean(other, &["none", "request", "require"]);
            let what = format!("`{other}` is not a way to ask for client certificates; {mend}");
            resolver.report.wrong(asked.place, what);
            None
        }
    }
}

/// `[tls]`, and what sites say of client certificates.
pub(super) fn settings(resolver: &mut Resolver, file: &File) -> Settings {
    let tls = &file.tls;
    let default = Settings::default();
    let min_version = resolver.parsed(&tls.min_version, default.min_version, parse_version);
    Settings {
        certificates: tls.certificates.items.iter().filter_map(files).collect(),
        self_signed_names: names(file),
        min_version,
        ciphers: ciphers(resolver, tls, min_version),
        groups: choice(resolver, &tls.key_exchange, &default.groups, "key exchange", |group| {
            format!("{:?}", group.name())
        }),
        ticket_keys: tls.ticket_keys.items.iter().map(|path| (&path.value).into()).collect(),
        reload: resolver.duration(&tls.reload, default.reload),
        handshake_timeout: resolver.wait(&tls.handshake_timeout, default.handshake_timeout),
        max_handshakes: resolver.count(
            &tls.max_handshakes,
            default.max_handshakes,
            "with 0 handshakes nobody could connect",
        ),
        hosts: hosts(resolver, file),
    }
}

fn files(certificate: &At<file::Certificate>) -> Option<CertificateFiles> {
    let certificate = &certificate.value;
    Some(CertificateFiles {
        cert: (&certificate.cert.get()?.value).into(),
        key: (&certificate.key.get()?.value).into(),
        ocsp: certificate.ocsp.value().map(Into::into),
    })
}

/// The names that a self-signed certificate is made for: those of the sites, as far as they are names.
fn names(file: &File) -> Vec<String> {
    let hosts = file.sites.items.iter().flat_map(|site| site.value.hosts.items());
    let hosts = hosts.map(|host| host.value.clone());
    hosts.filter(|host| host != "*").collect()
}

/// What each site asks, also those that leave it to the listener: a wider pattern of another site is not for them.
fn hosts(resolver: &mut Resolver, file: &File) -> Vec<(String, Option<ClientCertificates>)> {
    let mut asked = Vec::new();
    for At { value: site, .. } in &file.sites.items {
        let proof = proof(resolver, &site.client_certificates, &site.client_ca);
        // What is wrong with a host is said where sites are read.
        let hosts = site.hosts.items().iter();
        let hosts = hosts.filter_map(|host| parse_host(&host.value).ok());
        asked.extend(hosts.map(|host| (host, proof.clone())));
    }
    asked
}

fn ciphers(resolver: &mut Resolver, tls: &file::Tls, min_version: Version) -> Vec<rustls::SupportedCipherSuite> {
    let all = provider().cipher_suites.clone();
    let chosen = choice(resolver, &tls.ciphers, &all, "cipher suite", |suite| {
        // IANA's names have no version in them.
        format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
    });
    let is_13 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_some();
    if let Some(ciphers) = tls.ciphers.get()
        && !chosen.is_empty()
        && !chosen.iter().any(is_13)
        && (min_version == Version::Tls13)
    {
        let what =
            "none of these is of TLS 1.3, which min_version demands; name TLS_AES_128_GCM_SHA256 or another of its";
        resolver.report.wrong(ciphers.place, what);
    }
    chosen
}

/// Those of `all` that are named, in the order in which they are named.
pub(super) fn choice<T: Clone>(
    resolver: &mut Resolver,
    named: &Texts,
    all: &[T],
    what: &str,
    name_of: impl Fn(&T) -> String,
) -> Vec<T> {
    let Some(named) = named.get() else { return all.to_vec() };
    if named.value.is_empty() {
        let what = format!("no {what} is named; name one, or leave the key out");
        resolver.report.wrong(named.place, what);
    }
    let known: Vec<String> = all.iter().map(&name_of).collect();
    let mut chosen: Vec<usize> = Vec::new();
    for name in &named.value {
        let place = known.iter().position(|known| known.eq_ignore_ascii_case(&name.value));
        let what = match place {
            Some(place) if chosen.contains(&place) => format!("`{}` is named already; name each once", name.value),
            Some(place) => {
                chosen.push(place);
                continue;
            }
            None => {
                let mend = match nearest(&name.value, known.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there is: {}", known.join(", ")),
                };
                format!("`{}` is not a {what}; {mend}", name.value)
            }
        };
        resolver.report.wrong(name.place, what);
    }
    chosen.into_iter().map(|place| all[place].clone()).collect()
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "1.2" => Ok(Version::Tls12),
        "1.3" => Ok(Version::Tls13),
        _ => Err(format!(
            "`{text}` is not a version of TLS that is spoken; write \"1.2\" or \"1.3\""
        )),
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an address; write IP:PORT, such as \"[::]:8080\" or \"127.0.0.1:8080\""))
}

/// RFC 6797 6.1: directives, of which `max-age` is required.
pub(super) fn parse_hsts(text: &str) -> Result<Option<HeaderValue>, String> {
    let wrong = || {
        format!(
            "`{text}` is not a value of Strict-Transport-Security; write \"max-age=31536000\", or \"max-age=31536000; includeSubDomains\""
        )
    };
    let directives: Vec<&str> = text.split(';').map(str::trim).collect();
    let known = |directive: &&str| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "max-age" => value.parse::<u64>().is_ok(),
            "includesubdomains" | "preload" => value.is_empty(),
            _ => false,
        }
    };
    let ages = directives.iter().filter(|directive| directive.contains('=')).count();
    match directives.iter().all(known) && ages == 1 {
        true => HeaderValue::from_str(text).map(Some).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}
