//! `verge demo`

use super::Failure;

/// What `verge demo` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the walk.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(_args: &Args) -> Result<(), Failure> {
    Err("not yet".into())
}
