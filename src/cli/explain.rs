//! `verge explain`: what a running edge would do with a request, and why.

use super::api::{Reach, printable};
use super::{Failure, print};
use crate::pipeline::details;

/// What `verge explain` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The URL that is asked for.
    #[arg(value_name = "URL", required_unless_present = "codes")]
    url: Option<String>,
    /// The method.
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// A field of the request; may be given several times.
    #[arg(short = 'H', long, value_name = "Name: value")]
    header: Vec<String>,
    /// List all codes that Cache-Status and Proxy-Status may give as detail, and what they mean.
    #[arg(long)]
    codes: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.codes {
        let codes: String = details::all().map(|detail| line(detail.code, detail.means)).collect();
        return print(codes.as_bytes());
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("url", args.url.as_deref().unwrap_or_default());
    query.append_pair("method", &args.method);
    args.header.iter().for_each(|header| {
        query.append_pair("header", header);
    });
    let answer = args
        .reach
        .ask_json("GET", &format!("/api/explain?{}", query.finish()), "")?;
    let mut out = String::new();
    for step in answer["steps"].as_array().into_iter().flatten() {
        let text = |key: &str| step[key].as_str().unwrap_or_default();
        out.push_str(&line(text("what"), text("says")));
    }
    for (name, key) in [
        ("verdict", "verdict"),
        ("Cache-Status", "cache_status"),
        ("because", "means"),
    ] {
        if let Some(says) = answer[key].as_str() {
            out.push_str(&line(name, says));
        }
    }
    print(out.as_bytes())
}

fn line(what: &str, says: &str) -> String {
    format!("{:<25} {}\n", printable(what), printable(says))
}
