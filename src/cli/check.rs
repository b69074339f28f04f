//! `verge check`: is this configuration valid?

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Failure, complain, print, run};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::node;
use crate::tls::{CertificateInfo, Standing, Terminator};

/// How long before its end a certificate is warned of.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// What `verge check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(default_value = "edge.toml")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let checked = read(&args.file).and_then(|config| Ok((node::terminator(&config, None, &clock)?, config)));
    let (tls, config) = checked.map_err(|errors| run::failure(errors, "the configuration is not valid"))?;
    for certificate in tls.iter().flat_map(|tls| tls.certificates()) {
        warn_of(&certificate, clock.now().wall);
    }
    for host in without_certificate(&config, tls.as_deref()) {
        complain(&format!(
            "warning: no certificate is for `{host}`; clients refuse what they get: add one to [tls] certificates"
        ));
    }
    let valid = format!(
        "{}: valid; sites: {}, origins: {}\n",
        args.file.display(),
        config.sites.iter().count(),
        config.origins.len()
    );
    print(valid.as_bytes())
}

/// The hosts of sites for which none of the certificates is, where the edge does not make one itself.
fn without_certificate<'a>(config: &'a Config, tls: Option<&Terminator>) -> Vec<&'a str> {
    let certificates = tls.map(Terminator::certificates).unwrap_or_default();
    if config.tls.certificates.is_empty() || certificates.is_empty() {
        return Vec::new();
    }
    let covered = |host: &str| {
        let mut names = certificates.iter().flat_map(|certificate| &certificate.names);
        host == "*" || names.any(|name| is_for(name, host))
    };
    let hosts = config.tls.hosts.iter().map(|(host, _)| host.as_str());
    hosts.filter(|host| !covered(host)).collect()
}

/// Whether a certificate's name is for a site's host: its own, or any one label below it (RFC 9525 6.3).
fn is_for(name: &str, host: &str) -> bool {
    let below = name.strip_prefix("*.").zip(host.split_once('.'));
    name.eq_ignore_ascii_case(host) || below.is_some_and(|(name, (_, rest))| name.eq_ignore_ascii_case(rest))
}

/// Says what clients will not like about a certificate.
fn warn_of(certificate: &CertificateInfo, now: SystemTime) {
    let Some(file) = &certificate.file else { return };
    let file = file.display();
    match certificate.standing(now) {
        Standing::NotYet => complain(&format!(
            "warning: the certificate in `{file}` is not valid yet; clients refuse it until then"
        )),
        Standing::Expired => complain(&format!(
            "warning: the certificate in `{file}` has expired; clients refuse it: renew it"
        )),
        Standing::Valid if certificate.standing(now + SOON) == Standing::Expired => {
            complain(&format!(
                "warning: the certificate in `{file}` expires within a week; renew it"
            ));
        }
        Standing::Valid => {}
    }
}

/// Reads a configuration file. Warnings are printed one a line.
pub(super) fn read(path: &Path) -> Result<Config, Vec<String>> {
    let unreadable = |error| {
        let name = path.display();
        vec![format!(
            "cannot read `{name}`: {error}; name the file with --config, or give --origin URL"
        )]
    };
    std::fs::metadata(path).map_err(unreadable)?;
    let lines = |errors: Vec<config::ConfigError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let config = config::read(path).map_err(lines)?;
    let warnings = config.warnings.iter();
    warnings.for_each(|warning| complain(&format!("warning: {warning}")));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn names_and_hosts() {
        for (name, host, expected) in [
            ("a.example.com", "a.example.com", true),
            ("A.example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("a.example.com", "*.example.com", false),
        ] {
            assert_eq!(is_for(name, host), expected, "{name} {host}");
        }
    }
}
