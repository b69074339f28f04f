//! `verge check`: is this configuration valid?

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Failure, run};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::node;
use crate::tls::{CertificateInfo, Standing};

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
    let (tls, config) = checked.map_err(|errors| run::failure(errors, "nothing was started"))?;
    for certificate in tls.iter().flat_map(|tls| tls.certificates()) {
        warn_of(&certificate, clock.now().wall);
    }
    println!(
        "{}: valid; sites: {}, origins: {}",
        args.file.display(),
        config.sites.iter().count(),
        config.origins.len()
    );
    Ok(())
}

/// Says what clients will not like about a certificate.
fn warn_of(certificate: &CertificateInfo, now: SystemTime) {
    let Some(file) = &certificate.file else { return };
    let file = file.display();
    match certificate.standing(now) {
        Standing::NotYet => {
            eprintln!("warning: the certificate in `{file}` is not valid yet; clients refuse it until then")
        }
        Standing::Expired => eprintln!("warning: the certificate in `{file}` has expired; clients refuse it: renew it"),
        Standing::Valid if certificate.standing(now + SOON) == Standing::Expired => {
            eprintln!("warning: the certificate in `{file}` expires within a week; renew it");
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
    warnings.for_each(|warning| eprintln!("warning: {warning}"));
    Ok(config)
}
