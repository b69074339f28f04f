//! Listeners and TLS, from the file as typed.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use http::HeaderValue;
use toml::Spanned;

use super::file::{self, File};
use super::nearest::{did_you_mean, nearest};
use super::resolve::{Resolver, parse_host};
use super::{Listener, Speaks};
use crate::tls::{CertificateFiles, ClientCertificates, Settings, Version, provider};

type Text = Spanned<String>;

/// Where connections are taken, unless the file says so: clear text on 8080, TLS on 8443.
pub(super) fn listeners(resolver: &mut Resolver<'_>, listen: &[file::Listen]) -> Vec<Listener> {
    let at = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let clear = Speaks::Clear { h2c: false };
    if listen.is_empty() {
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
    let listener = |listen: &file::Listen| Listener {
        address: resolver.parsed(Some(&listen.address), at(0), parse_address),
        speaks: speaks(resolver, listen),
    };
    listen.iter().map(listener).collect()
}

fn speaks(resolver: &mut Resolver<'_>, listen: &file::Listen) -> Speaks {
    let proof = proof(resolver, listen.client_certificates.as_ref(), listen.client_ca.as_ref());
    match (listen.tls, &listen.h2c) {
        (true, Some(h2c)) if *h2c.get_ref() => {
            let what = "h2c is HTTP/2 in clear text; with tls = true HTTP/2 is always offered: leave h2c out";
            resolver.wrong(Some(h2c.span().start), what.to_owned());
            Speaks::Tls(ClientCertificates::NotAsked)
        }
        (true, _) => Speaks::Tls(proof.unwrap_or(ClientCertificates::NotAsked)),
        (false, h2c) => {
            if let Some(asked) = &listen.client_certificates
                && proof.is_some_and(|proof| proof != ClientCertificates::NotAsked)
            {
                let what = "client certificates need TLS; write tls = true beside them";
                resolver.wrong(Some(asked.span().start), what.to_owned());
            }
            Speaks::Clear {
                h2c: h2c.as_ref().is_some_and(|h2c| *h2c.get_ref()),
            }
        }
    }
}

/// What is asked of clients, if these keys say so.
fn proof(resolver: &mut Resolver<'_>, asked: Option<&Text>, ca: Option<&Text>) -> Option<ClientCertificates> {
    let asked = match (asked, ca) {
        (Some(asked), _) => asked,
        (None, Some(ca)) => {
            let what = "client_ca does nothing by itself; write client_certificates = \"require\" beside it";
            resolver.wrong(Some(ca.span().start), what.to_owned());
            return None;
        }
        (None, None) => return None,
    };
    let file = ca.map(|ca| PathBuf::from(ca.get_ref()));
    match (asked.get_ref().as_str(), file) {
        ("none", _) => Some(ClientCertificates::NotAsked),
        ("request", Some(ca)) => Some(ClientCertificates::Asked(ca)),
        ("require", Some(ca)) => Some(ClientCertificates::Required(ca)),
        ("request" | "require", None) => {
            let what = "whose certificates? Write client_ca = \"FILE.pem\" beside it";
            resolver.wrong(Some(asked.span().start), what.to_owned());
            None
        }
        (other, _) => {
            let mend = did_you_mean(other, &["none", "request", "require"]);
            resolver.wrong(
                Some(asked.span().start),
                format!("`{other}` is not a way to ask for client certificates; {mend}"),
            );
            None
        }
    }
}

/// `[tls]`, and what sites say of client certificates.
pub(super) fn settings(resolver: &mut Resolver<'_>, file: &File) -> Settings {
    let tls = &file.tls;
    let default = Settings::default();
    let min_version = resolver.parsed(tls.min_version.as_ref(), default.min_version, parse_version);
    let reload = resolver.duration(tls.reload.as_ref(), default.reload);
    Settings {
        certificates: tls.certificates.iter().map(files).collect(),
        self_signed_names: names(file),
        min_version,
        ciphers: ciphers(resolver, tls, min_version),
        groups: choice(
            resolver,
            tls.key_exchange.as_ref(),
            &default.groups,
            "key exchange",
            |group| format!("{:?}", group.name()),
        ),
        ticket_keys: tls.ticket_keys.iter().map(|path| path.get_ref().into()).collect(),
        reload,
        handshake_timeout: resolver.duration(tls.handshake_timeout.as_ref(), default.handshake_timeout),
        max_handshakes: max_handshakes(resolver, tls.max_handshakes.as_ref(), default.max_handshakes),
        hosts: hosts(resolver, file),
    }
}

fn max_handshakes(resolver: &mut Resolver<'_>, value: Option<&Spanned<usize>>, default: usize) -> usize {
    match value.map(|value| (*value.get_ref(), value.span().start)) {
        Some((0, at)) => {
            let what = "with 0 handshakes nobody could connect; write 1 or more";
            resolver.wrong(Some(at), what.to_owned());
            default
        }
        value => value.map_or(default, |(handshakes, _)| handshakes),
    }
}

fn files(certificate: &file::Certificate) -> CertificateFiles {
    CertificateFiles {
        cert: certificate.cert.get_ref().into(),
        key: certificate.key.get_ref().into(),
        ocsp: certificate.ocsp.as_ref().map(|path| path.get_ref().into()),
    }
}

/// The names that a self-signed certificate is made for: those of the sites, as far as they are names.
fn names(file: &File) -> Vec<String> {
    let hosts = file.sites.iter().flat_map(|site| site.hosts.get_ref());
    hosts
        .map(|host| host.get_ref().clone())
        .filter(|host| host != "*")
        .collect()
}

/// What each site asks, also those that leave it to the listener: a wider pattern of another site is not for them.
fn hosts(resolver: &mut Resolver<'_>, file: &File) -> Vec<(String, Option<ClientCertificates>)> {
    let mut asked = Vec::new();
    for site in &file.sites {
        let proof = proof(resolver, site.client_certificates.as_ref(), site.client_ca.as_ref());
        // What is wrong with a host is said where sites are read.
        let hosts = site.hosts.get_ref().iter();
        let hosts = hosts.filter_map(|host| parse_host(host.get_ref()).ok());
        asked.extend(hosts.map(|host| (host, proof.clone())));
    }
    asked
}

fn ciphers(resolver: &mut Resolver<'_>, tls: &file::Tls, min_version: Version) -> Vec<rustls::SupportedCipherSuite> {
    let all = provider().cipher_suites.clone();
    let chosen = choice(resolver, tls.ciphers.as_ref(), &all, "cipher suite", |suite| {
        // IANA's names have no version in them.
        format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
    });
    let is_13 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_some();
    if let Some(ciphers) = &tls.ciphers
        && !chosen.is_empty()
        && !chosen.iter().any(is_13)
        && (min_version == Version::Tls13)
    {
        let what =
            "none of these is of TLS 1.3, which min_version demands; name TLS_AES_128_GCM_SHA256 or another of its";
        resolver.wrong(Some(ciphers.span().start), what.to_owned());
    }
    chosen
}

/// Those of `all` that are named, in the order in which they are named.
pub(super) fn choice<T: Clone>(
    resolver: &mut Resolver<'_>,
    named: Option<&Spanned<Vec<Text>>>,
    all: &[T],
    what: &str,
    name_of: impl Fn(&T) -> String,
) -> Vec<T> {
    let Some(named) = named else { return all.to_vec() };
    if named.get_ref().is_empty() {
        resolver.wrong(
            Some(named.span().start),
            format!("no {what} is named; name one, or leave the key out"),
        );
    }
    let known: Vec<String> = all.iter().map(&name_of).collect();
    let mut chosen = Vec::new();
    for name in named.get_ref() {
        match known
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name.get_ref()))
        {
            Some(place) => chosen.push(all[place].clone()),
            None => {
                let mend = match nearest(name.get_ref(), known.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there is: {}", known.join(", ")),
                };
                resolver.wrong(
                    Some(name.span().start),
                    format!("`{}` is not a {what}; {mend}", name.get_ref()),
                );
            }
        }
    }
    chosen
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

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
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
