//! Which certificates a name gets.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::pki_types::DnsName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// A name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    /// A host, in lower case.
    Host(String),
    /// All hosts one label below this one.
    Below(String),
    /// An address.
    Address(IpAddr),
}

impl Name {
    /// `*.` before a name, or a name; None: no client can ask for it.
    pub(super) fn dns(text: &str) -> Option<Name> {
        let text = normal(text);
        let host = text.strip_prefix("*.").unwrap_or(&text);
        DnsName::try_from(host).ok()?;
        let host = host.to_owned();
        Some(if text.starts_with("*.") {
            Name::Below(host)
        } else {
            Name::Host(host)
        })
    }

    /// RFC 5280 4.2.1.6: four octets of IPv4 or sixteen of IPv6.
    pub(super) fn ip(octets: &[u8]) -> Option<Name> {
        let v4 = || <[u8; 4]>::try_from(octets).map(IpAddr::from);
        let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
        v4().or_else(|_| v6()).ok().map(Name::Address)
    }

    /// A name or an address, IPv6 with brackets or without.
    pub(super) fn parse(text: &str) -> Option<Name> {
        address(text).map(Name::Address).or_else(|| Name::dns(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Host(host) => f.write_str(host),
            Name::Below(host) => write!(f, "*.{host}"),
            Name::Address(address) => write!(f, "{address}"),
        }
    }
}

/// In lower case, without the dot at its end.
pub(super) fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// The address that a host is. Does not allocate, and looks only at what can be one.
fn address(host: &str) -> Option<IpAddr> {
    match host.as_bytes() {
        [b'[', .., b']'] => host[1..host.len() - 1].parse().ok().map(IpAddr::V6),
        [.., b'0'..=b'9'] => host.parse().ok(),
        _ if host.contains(':') => host.parse().ok(),
        _ => None,
    }
}

/// Certificates of one name, at most one of each kind, the kind that is taken first standing first; by its place among
/// the sets. Names with the same certificates have the same set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SetId(usize);

/// All certificates, by name.
pub(super) struct Certificates {
    all: Vec<Certificate>,
    sets: Vec<Vec<Arc<CertifiedKey>>>,
    hosts: HashMap<Box<str>, SetId>,
    /// By what follows `*.`.
    below: HashMap<Box<str>, SetId>,
    addresses: HashMap<IpAddr, SetId>,
    default: SetId,
}

impl Certificates {
    /// `all` in the order they are configured.
    pub(super) fn new(all: Vec<Certificate>) -> Certificates {
        let mut certificates = Certificates {
            sets: Vec::new(),
            hosts: HashMap::new(),
            below: HashMap::new(),
            addresses: HashMap::new(),
            default: SetId(0),
            all: Vec::new(),
        };
        let mut by_name: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
        for (place, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                by_name.entry(name).or_default().push(place);
            }
        }
        let first = all.first().and_then(|first| by_name.get(first.names.first()?));
        let mut known = HashMap::new();
        certificates.default = certificates.set(&all, first.map_or(&[0][..], Vec::as_slice), &mut known);
        for (name, places) in by_name {
            let set = certificates.set(&all, &places, &mut known);
            match name {
                Name::Host(host) => certificates.hosts.insert(host.as_str().into(), set),
                Name::Below(host) => certificates.below.insert(host.as_str().into(), set),
                Name::Address(address) => certificates.addresses.insert(*address, set),
            };
        }
        certificates.all = all;
        certificates
    }

    /// The set of the certificates at these places.
    fn set(&mut self, all: &[Certificate], places: &[usize], known: &mut HashMap<Vec<usize>, SetId>) -> SetId {
        let mut kinds = BTreeMap::new();
        for place in places {
            let Some(certificate) = all.get(*place) else { continue };
            let taken = kinds.entry(certificate.info.kind).or_insert(*place);
            // Of one kind, the one that is valid for longer; of two that are so equally, the first.
            if certificate.info.not_after > all[*taken].info.not_after {
                *taken = *place;
            }
        }
        let members: Vec<usize> = kinds.into_values().collect();
        if let Some(set) = known.get(&members) {
            return *set;
        }
        let set = SetId(self.sets.len());
        let certified = members.iter().map(|place| all[*place].certified.clone());
        self.sets.push(certified.collect());
        known.insert(members, set);
        set
    }

    /// The set of a normalised host; none: what a client gets that names no host. Does not allocate.
    pub(super) fn of(&self, host: Option<&str>) -> SetId {
        host.and_then(|host| self.find(host)).unwrap_or(self.default)
    }

    fn find(&self, host: &str) -> Option<SetId> {
        if let Some(address) = address(host) {
            return self.addresses.get(&address).copied();
        }
        // RFC 9525 6.3: a wildcard stands for one whole label, the first.
        let below = || self.below.get(host.split_once('.')?.1);
        self.hosts.get(host).or_else(below).copied()
    }

    /// All certificates, in the order they are configured.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.all.iter()
    }

    /// The first of the set whose signatures the client can verify; if it can verify none, any, for its alert to say so.
    fn take(&self, set: SetId, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let set = self.sets.get(set.0)?;
        let fits = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        set.iter().find(fits).or_else(|| set.first()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let sni = hello.server_name().map(normal);
        self.take(self.of(sni.as_deref()), hello.signature_schemes())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_can_ask_for() {
        for (text, name) in [
            ("WWW.Example.com.", Some("www.example.com")),
            ("*.Example.com", Some("*.example.com")),
            ("_dmarc.example.com", Some("_dmarc.example.com")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("[2001:DB8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[192.0.2.1]", None),
            ("192.0.2.256", None),
            ("w*.example.com", None),
            ("*.*.example.com", None),
            ("*", None),
            ("*.", None),
            ("", None),
            (".", None),
            ("a..b", None),
            ("é.example.com", None),
        ] {
            assert_eq!(
                Name::parse(text).map(|name| name.to_string()).as_deref(),
                name,
                "{text}"
            );
        }
        assert_eq!(Name::ip(&[192, 0, 2, 1]), Name::parse("192.0.2.1"));
        assert_eq!(Name::ip(&[0; 16]), Name::parse("::"));
        assert_eq!(Name::ip(&[0; 8]), None);
    }
}
