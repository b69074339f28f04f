//! `verge check`: is this configuration valid?

use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::{self, Config};

/// What `verge check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(default_value = "edge.toml")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = read(&args.file)?;
    println!(
        "{}: valid; sites: {}, origins: {}",
        args.file.display(),
        config.sites.iter().count(),
        config.origins.len()
    );
    Ok(())
}

/// Reads a configuration file. Its errors are printed one a line; the failure says how many there were.
pub(super) fn read(path: &Path) -> Result<Config, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{name}`: {error}; name the file with --config, or give --origin URL"))?;
    config::load(&name, &text).map_err(|errors| {
        for error in &errors {
            eprintln!("{error}");
        }
        format!("`{name}` has {} error(s); nothing was started", errors.len())
    })
}
