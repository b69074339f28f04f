//! The certificate that the edge makes for itself where none is configured.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::names::Name;
use super::{TlsError, provider};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Browsers take no longer one; it begins a day early, for clients whose clocks are slow.
const LIFETIME: Duration = Duration::from_secs(397 * 24 * 3600);
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// An ECDSA certificate for this machine and `names`, those among them that are names or addresses.
pub(super) fn make(names: &[String], now: SystemTime) -> Result<Certificate, TlsError> {
    let hostname = std::fs::read_to_string(HOSTNAME).unwrap_or_default();
    let own = ["localhost", "127.0.0.1", "::1", hostname.trim()];
    let mut all = Vec::new();
    for name in own.into_iter().chain(names.iter().map(String::as_str)) {
        all.extend(Name::parse(name).filter(|name| !all.contains(name)));
    }
    sign(&all, now).map_err(|what| TlsError::of_key("certificates", format!("none, and making one failed: {what}")))
}

fn sign(names: &[Name], now: SystemTime) -> Result<Certificate, String> {
    let fault = |error: rcgen::Error| error.to_string();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(fault)?;
    let mut params = CertificateParams::default();
    for name in names {
        let text = name.to_string();
        params.subject_alt_names.push(match text.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(text.try_into().map_err(fault)?),
        });
    }
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Verge self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since.saturating_sub(DAY);
    params.not_after = params.not_before + LIFETIME;
    let signed = params.self_signed(&key).map_err(fault)?;
    let chain = vec![signed.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let certified = CertifiedKey::from_der(chain, key, provider()).map_err(|error| error.to_string())?;
    Certificate::new(certified, None, None)
}

#[cfg(test)]
mod tests {
    use super::super::{KeyKind, Standing};
    use super::*;

    #[test]
    fn for_this_machine_and_its_sites() {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        let sites = ["www.example.com", "*.example.com", "a b", "*", "", "[::2]", "localhost"];
        let made = make(&sites.map(str::to_owned), now).ok().unwrap().info;
        for name in [
            "localhost",
            "127.0.0.1",
            "::1",
            "::2",
            "www.example.com",
            "*.example.com",
        ] {
            assert_eq!(made.names.iter().filter(|its| *its == name).count(), 1, "{name}");
        }
        assert!(made.names.len() <= 7, "{:?}", made.names);
        assert_eq!((made.kind, made.file.clone()), (KeyKind::EcdsaP256, None));
        assert_eq!(made.not_before, now - DAY);
        assert!(made.not_after <= made.not_before + DAY * 397);
        assert_eq!(made.standing(now), Standing::Valid);
        assert_eq!(made.standing(now - DAY * 2), Standing::NotYet);
        assert_eq!(made.standing(now + DAY * 397), Standing::Expired);
    }
}
