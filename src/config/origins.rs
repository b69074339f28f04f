//! `[origins.NAME]`, from the file as typed.

use super::Origin;
use super::file;
use super::report::At;
use super::resolve::Resolver;
use super::table::Named;
use crate::origin::{OriginConfig, Protocol, ServerUrl};
use crate::target::{normalise_host, split_port};

/// Fetches under way to one origin.
const DEFAULT_MAX_FETCHES: usize = 1_000;

const PROTOCOLS: [(&str, Protocol); 2] = [("http/1.1", Protocol::Http1), ("h2", Protocol::Http2)];

/// All origins, by name.
pub(super) fn resolve(resolver: &mut Resolver, origins: &Named<file::Origin>) -> Vec<Origin> {
    let origin = |(name, origin): (&String, &At<file::Origin>)| Origin {
        reach: reach(resolver, name, &origin.value),
        max_fetches: resolver.count(
            &origin.value.max_fetches,
            DEFAULT_MAX_FETCHES,
            "with 0 fetches nothing could be asked of it",
        ),
    };
    origins.items.iter().map(origin).collect()
}

fn reach(resolver: &mut Resolver, name: &str, origin: &file::Origin) -> OriginConfig {
    let default = OriginConfig::default();
    OriginConfig {
        name: name.to_owned(),
        servers: servers(resolver, name, origin),
        host: resolver.parsed(&origin.host, None, |text| parse_name(text, true).map(Some)),
        sni: resolver.parsed(&origin.sni, None, |text| parse_name(text, false).map(Some)),
        protocol: resolver.word(&origin.protocol, default.protocol, "a protocol", &PROTOCOLS),
        ca_file: origin.ca.value().map(Into::into),
        verify: origin.verify.value().copied().unwrap_or(default.verify),
        connect_timeout: resolver.wait(&origin.connect_timeout, default.connect_timeout),
        first_byte_timeout: resolver.wait(&origin.first_byte_timeout, default.first_byte_timeout),
        between_bytes_timeout: resolver.wait(&origin.between_bytes_timeout, default.between_bytes_timeout),
        write_timeout: resolver.wait(&origin.write_timeout, default.write_timeout),
        idle_timeout: resolver.duration(&origin.idle_timeout, default.idle_timeout),
        max_idle: origin.max_idle.value().copied().unwrap_or(default.max_idle),
    }
}

fn servers(resolver: &mut Resolver, name: &str, origin: &file::Origin) -> Vec<ServerUrl> {
    if let Some(given) = origin.servers.get().filter(|given| given.value.is_empty()) {
        let what = format!("origin `{name}` has no server; write servers = [\"http://127.0.0.1:3000\"]");
        resolver.report.wrong(given.place, what);
    }
    let server = |server: &At<String>| match ServerUrl::parse(&server.value) {
        Ok(server) => Some(server),
        Err(what) => {
            resolver.report.wrong(server.place, what);
            None
        }
    };
    origin.servers.items().iter().filter_map(server).collect()
}

/// A host as the origin is to see it, with a port or without.
fn parse_name(text: &str, port: bool) -> Result<String, String> {
    match normalise_host(text) {
        Ok(normal) if !normal.is_empty() && (port || split_port(&normal).1.is_none()) => Ok(text.to_owned()),
        _ => Err(match port {
            true => format!("`{text}` is not a host; write a name without scheme, such as \"app.internal\""),
            false => format!("`{text}` is not a name; write one without scheme and port, such as \"app.example.com\""),
        }),
    }
}
