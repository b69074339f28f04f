//! `verge sign`: makes a signed URL, cookie or field, as the configuration has it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ipnet::IpNet;

use super::{Failure, check, complain, print, run};
use crate::access::sign::{Carrier, Order, Signed};
use crate::access::{DialectName, Key, Policy, Request, Verdict, raw_path};
use crate::cache::SchemeClass;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, units};
use crate::pipeline::key_host;
use crate::policy::fields::{Field, RequestFields};
use crate::target::{Scheme, Target, normalise_path, split_port};

/// What `verge sign` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The URL to be signed.
    url: String,
    /// The key, by its name in the configuration.
    #[arg(long, value_name = "NAME")]
    key: String,
    /// For how long it is good, such as 1h.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    expires: Duration,
    /// How long from now it begins to be good.
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    after: Option<Duration>,
    /// The client that it is for: an address, or a network such as 192.0.2.0/24.
    #[arg(long, value_name = "NETWORK", value_parser = parse_client)]
    client: Option<IpNet>,
    /// Grant all whose path begins with this, instead of the URL alone.
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Parameters that the query may hold, separated by commas, instead of those of the URL; `*` for any.
    #[arg(long, value_name = "NAMES")]
    parameters: Option<String>,
    /// Print cookies instead of a URL.
    #[arg(long, conflicts_with = "header")]
    cookie: bool,
    /// Print a header field instead of a URL.
    #[arg(long)]
    header: bool,
    /// The dialect, where another route than the URL's is meant.
    #[arg(long, value_name = "NAME", value_parser = parse_dialect)]
    dialect: Option<DialectName>,
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "edge.toml")]
    config: PathBuf,
    /// Also print, to standard error, what the signature is over.
    #[arg(long)]
    show: bool,
}

fn parse_client(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "neither an address nor a network".to_owned())
}

fn parse_dialect(text: &str) -> Result<DialectName, String> {
    let found = DialectName::ALL.iter().find(|(word, _)| *word == text);
    let all = DialectName::ALL.map(|(word, _)| word).join(", ");
    found.map(|(_, name)| *name).ok_or_else(|| format!("there is: {all}"))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = read(&args.config)?;
    let now = SystemClock.now().wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let signed = signed(args, &config, now.as_secs())?;
    if args.show {
        complain(&signed.message.escape_ascii().to_string());
    }
    print(format!("{}\n", signed.text).as_bytes())
}

fn read(path: &Path) -> Result<Config, Failure> {
    check::read(path).map_err(|errors| run::failure(errors, "nothing was signed"))
}

/// Signs, and looks whether the route would take it.
fn signed(args: &Args, config: &Config, now: u64) -> Result<Signed, Failure> {
    let url = Asked::read(&args.url)?;
    let key = config.keys.get(&args.key).ok_or_else(|| {
        let known = config.keys.keys().map(String::as_str);
        format!(
            "there is no key `{}` in {}; there is: {}",
            args.key,
            args.config.display(),
            known.collect::<Vec<_>>().join(", ")
        )
    })?;
    let policy = policy(args, config, &url, key)?;
    let prefix = args.prefix.as_deref().map(normal).transpose()?;
    let order = Order {
        scheme: url.scheme.name(),
        host: url.host(),
        path: &url.target.path,
        query: url.target.query,
        expires: now + args.expires.as_secs(),
        not_before: args.after.map(|after| now + after.as_secs()),
        client: args.client,
        prefix: prefix.as_deref(),
        parameters: args.parameters.as_deref(),
        now,
        carrier: match (args.cookie, args.header) {
            (true, _) => Carrier::Cookie,
            (_, true) => Carrier::Field,
            _ => Carrier::Url,
        },
        key,
    };
    let signed = policy.dialect.sign(&order)?;
    match verdict(&policy, &order, &signed) {
        None => Ok(signed),
        Some(why) => Err(format!("the route would not take it: {why}")),
    }
}

fn normal(prefix: &str) -> Result<String, Failure> {
    let path = normalise_path(prefix).map_err(|fault| format!("--prefix {prefix}: {fault}"))?;
    Ok(path.into_owned())
}

/// The URL that is to be signed.
struct Asked<'a> {
    scheme: SchemeClass,
    target: Target<'a>,
}

impl<'a> Asked<'a> {
    fn read(url: &'a str) -> Result<Self, Failure> {
        let wrong = |why: String| format!("`{url}` is not a URL that can be signed: {why}");
        let target = Target::new("GET", url, None).map_err(|fault| wrong(fault.to_string()))?;
        let scheme = match target.scheme {
            Some(Scheme::Http) => SchemeClass::Clear,
            Some(Scheme::Https) => SchemeClass::Secure,
            None => return Err(wrong("write https:// and the host".to_owned())),
        };
        Ok(Asked { scheme, target })
    }

    fn host(&self) -> &str {
        key_host(self.scheme, &self.target.host)
    }
}

/// What the URL's route asks for, or a route of the dialect that is named.
fn policy(args: &Args, config: &Config, url: &Asked<'_>, key: &Arc<Key>) -> Result<Arc<Policy>, Failure> {
    let fits = |policy: &Arc<Policy>| args.dialect.is_none_or(|dialect| policy.name == dialect);
    let takes = |policy: &Arc<Policy>| {
        policy
            .keys
            .named(key.id())
            .is_some_and(|known| std::ptr::eq(known, &**key))
    };
    let found = config.sites.find(split_port(url.host()).0, &url.target.path);
    let own = found.and_then(|found| found.route.signed.clone()).filter(fits);
    match own {
        Some(own) if takes(&own) => Ok(own),
        Some(_) => Err(format!(
            "the route of {} does not take key `{}`; name it in its `signed`",
            args.url, args.key
        )),
        None if args.dialect.is_some() => {
            let mut others = config
                .sites
                .iter()
                .flat_map(|site| &site.routes)
                .filter_map(|route| route.signed.clone());
            let other = others.find(|policy| fits(policy) && takes(policy));
            other.ok_or_else(|| {
                format!(
                    "no route takes key `{}` in this dialect; write one with `signed`",
                    args.key
                )
            })
        }
        None => Err(format!(
            "no token is asked for at {}; give its route `signed`",
            args.url
        )),
    }
}

/// Why what was signed would be denied, if it would once it begins to be good.
fn verdict(policy: &Policy, order: &Order<'_>, signed: &Signed) -> Option<&'static str> {
    let plain = format!("{}://{}{}", order.scheme, order.host, order.path);
    let plain = order.query.map_or(plain.clone(), |query| format!("{plain}?{query}"));
    let (url, lines) = match order.carrier {
        Carrier::Url => (signed.text.as_str(), Vec::new()),
        Carrier::Cookie => (plain.as_str(), vec![("cookie", signed.text.replace('\n', "; "))]),
        Carrier::Field => {
            let (name, value) = signed.text.split_once(": ")?;
            (plain.as_str(), vec![(name, value.to_owned())])
        }
    };
    let fields = lines.iter().map(|(name, value)| Field {
        name: name.as_bytes(),
        value: value.as_bytes(),
    });
    let fields: Vec<Field<'_>> = fields.collect();
    let asked = Asked::read(url).ok()?;
    let request = Request {
        method: "GET",
        scheme: asked.scheme,
        host: asked.host(),
        path: &asked.target.path,
        raw_path: raw_path(url),
        query: asked.target.query,
        fields: &RequestFields::new(&fields),
        client: order
            .client
            .map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |client| client.addr()),
        now: order.not_before.unwrap_or(order.now),
    };
    match policy.explain(&request).0 {
        Verdict::Granted(_) => None,
        Verdict::Denied(reason) => Some(reason.means()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config;

    const CONFIG: &str = r#"
        [keys.main]
        secret = "open sesame"
        [keys.edge]
        secret = "00112233445566778899aabbccddeeff"
        encoding = "hex"
        [keys.public]
        public_key = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
        [origins.app]
        servers = ["http://127.0.0.1:1"]
        [[sites]]
        hosts = ["cdn.example.com"]
        origin = "app"
        signed = { keys = ["main", "public"] }
        [[sites.routes]]
        path = "/open/*"
        signed = { dialect = "none" }
        [[sites.routes]]
        path = "/live/*"
        signed = { dialect = "akamai", keys = ["edge"] }
    "#;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn sign(line: &str) -> Result<Signed, Failure> {
        let words = std::iter::once("sign").chain(line.split(' '));
        let args = Line::try_parse_from(words).map_err(|error| error.to_string())?.args;
        let config = config::load("edge.toml", CONFIG).unwrap();
        signed(&args, &config, 1_767_222_000)
    }

    #[test]
    fn what_the_route_takes_is_signed() {
        for (line, text) in [
            (
                "https://CDN.example.com:443/a/./%62?x=1 --key main --expires 1h",
                "https://cdn.example.com/a/b?x=1&verge=v1~kmain~e1767225600~s",
            ),
            (
                "http://cdn.example.com/a/b --key main --expires 1h --after 5m --client 192.0.2.7 --prefix /a/ --parameters * --cookie",
                "verge=v1~kmain~e1767225600~n1767222300~cMTkyLjAuMi43LzMy~pL2Ev~qKg~s",
            ),
            (
                "https://cdn.example.com/live/1.m3u8 --key edge --expires 10m --prefix /live/ --header",
                "__token__: exp=1767222600~acl=/live/*~hmac=",
            ),
            (
                "https://cdn.example.com/live/1.m3u8 --key edge --expires 10m",
                "https://cdn.example.com/live/1.m3u8?__token__=exp=1767222600~hmac=",
            ),
            (
                "https://elsewhere.example.com/live/1 --key edge --expires 10m --dialect akamai",
                "https://elsewhere.example.com/live/1?__token__=exp=1767222600~hmac=",
            ),
        ] {
            let signed = sign(line).unwrap_or_else(|failure| panic!("{line}: {failure}"));
            assert!(signed.text.starts_with(text), "{line}: {}", signed.text);
        }
    }

    #[test]
    fn what_it_does_not_take_is_not() {
        for (line, why) in [
            (
                "https://cdn.example.com/a --key nobody --expires 1h",
                "there is no key `nobody` in edge.toml; there is: edge, main, public",
            ),
            (
                "https://cdn.example.com/a --key edge --expires 1h",
                "does not take key `edge`",
            ),
            (
                "https://cdn.example.com/a --key public --expires 1h",
                "has no private key",
            ),
            (
                "https://cdn.example.com/open/a --key main --expires 1h",
                "no token is asked for",
            ),
            (
                "https://other.example.com/a --key main --expires 1h",
                "no token is asked for",
            ),
            (
                "https://cdn.example.com/a --key main --expires 1h --dialect s3",
                "no route takes key `main` in this dialect",
            ),
            (
                "https://cdn.example.com/a --key main --expires 1h --dialect x",
                "there is: verge, cloudfront",
            ),
            (
                "https://cdn.example.com/a --key main --expires 1h --prefix /b/",
                "would not take it: The token is for another host or path.",
            ),
            (
                "https://cdn.example.com/a//b --key main --expires 1h --prefix /a/",
                "would not take it",
            ),
            (
                "https://cdn.example.com/live/a --key edge --expires 1h --parameters a",
                "no way to say which parameters may follow",
            ),
            (
                "https://cdn.example.com/a --key main --expires 0s",
                "would not take it: The token's time is over.",
            ),
            (
                "https://cdn.example.com/a --key main --expires 1h --client x",
                "neither an address nor a network",
            ),
            ("/a --key main --expires 1h", "write https:// and the host"),
        ] {
            let failure = sign(line).expect_err(line);
            assert!(failure.contains(why), "{line}: {failure}");
        }
    }
}
