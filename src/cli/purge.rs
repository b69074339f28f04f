//! `verge purge`: purges through a running edge's API.

use super::api::Reach;
use super::{Failure, print};
use crate::admin::Purge;

/// What `verge purge` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// URLs, with all their variants, over http and https alike.
    #[arg(value_name = "URL", required_unless_present_any = ["tag", "prefix", "site", "all"])]
    urls: Vec<String>,
    /// A tag that responses carry (Surrogate-Key, Cache-Tag, Cache-Groups); may be given several times.
    #[arg(long)]
    tag: Vec<String>,
    /// The beginning of URLs: HOST/ and as much of the path as wanted; may be given several times.
    #[arg(long)]
    prefix: Vec<String>,
    /// A site, by its name; may be given several times.
    #[arg(long)]
    site: Vec<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
    /// Leave what is purged to be served while it is fetched anew, or when the origin fails.
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let asked = Purge {
        urls: args.urls,
        tags: args.tag,
        prefixes: args.prefix,
        sites: args.site,
        all: args.all,
        soft: args.soft,
    };
    let content = serde_json::to_string(&asked).map_err(|error| error.to_string())?;
    let answer = args.reach.ask_json("POST", "/api/purge", &content)?;
    print(format!("purged: {} (epoch {})\n", answer["purged"], answer["epoch"]).as_bytes())
}
