//! From the file as typed to what the program runs on: defaults filled in, names resolved, all errors at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::file::{self, File};
use super::nearest::{did_you_mean, nearest};
use super::units::{parse_duration, parse_size};
use super::{ClientLimits, Config, Glob, Origin, Route, SecretText, Site, SiteTable, operation, secret, transport};
use crate::cache;
use crate::origin::{OriginConfig, Protocol, ServerUrl};
use crate::policy::reuse::Terms;
use crate::target::normalise_host;

/// Bytes of a request body unless a site says otherwise.
const MAX_BODY: u64 = 1 << 30;

/// Something wrong in a configuration: where, what, and the mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name as given.
    pub file: String,
    /// Line and column, from 1; `None` where it is of the file as a whole.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Reads a configuration: `text`, which came from the file called `name`.
pub fn load(name: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let file: File = toml::from_str(text).map_err(|error| {
        vec![ConfigError {
            file: name.to_owned(),
            at: error.span().map(|span| position(text, span.start)),
            what: in_our_words(error.message().replace('\n', " ")),
        }]
    })?;
    let mut resolver = Resolver {
        name,
        text,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let config = resolver.config(&file);
    let errors = in_order(resolver.errors);
    let warnings = in_order(resolver.warnings);
    match errors.is_empty() {
        true => Ok(Config { warnings, ..config }),
        false => Err(errors),
    }
}

/// By position, each once: what a site says wrong is found with each of its routes.
fn in_order(mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    errors.sort_by_key(|error| error.at);
    errors.dedup();
    errors
}

/// A message of serde's with the mend: for an unknown key the one that was most likely meant, of those listed as expected.
fn in_our_words(message: String) -> String {
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once("`, expected "));
    if let Some((word, expected)) = unknown {
        return match nearest(word, expected.split('`').skip(1).step_by(2)) {
            Some(meant) => format!("unknown key `{word}`; did you mean `{meant}`?"),
            None => format!("unknown key `{word}`, expected {expected}"),
        };
    }
    let message = message.replace("missing field", "missing key");
    match message.strip_suffix("usize").or_else(|| message.strip_suffix("u32")) {
        Some(rest) => format!("{rest}a whole number, 0 or more"),
        None => message,
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

pub(super) struct Resolver<'a> {
    name: &'a str,
    text: &'a str,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
}

impl Resolver<'_> {
    pub(super) fn wrong(&mut self, at: Option<usize>, what: String) {
        let error = self.place(at, what);
        self.errors.push(error);
    }

    /// Notes what is legal but probably not meant.
    pub(super) fn warn(&mut self, at: Option<usize>, what: String) {
        let warning = self.place(at, what);
        self.warnings.push(warning);
    }

    fn place(&self, at: Option<usize>, what: String) -> ConfigError {
        ConfigError {
            file: self.name.to_owned(),
            at: at.map(|offset| position(self.text, offset)),
            what,
        }
    }

    /// What `parse` makes of a value, or `default` where there is none or it is wrong.
    pub(super) fn parsed<T>(
        &mut self,
        value: Option<&Spanned<String>>,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(value) = value else { return default };
        parse(value.get_ref()).unwrap_or_else(|what| {
            self.wrong(Some(value.span().start), what);
            default
        })
    }

    pub(super) fn duration(&mut self, value: Option<&Spanned<String>>, default: Duration) -> Duration {
        self.parsed(value, default, parse_duration)
    }

    pub(super) fn size(&mut self, value: Option<&Spanned<String>>, default: u64) -> u64 {
        self.parsed(value, default, parse_size)
    }

    /// Which of a few words a value is.
    pub(super) fn word<T: Copy>(
        &mut self,
        value: Option<&Spanned<String>>,
        default: T,
        what: &str,
        words: &[(&str, T)],
    ) -> T {
        self.parsed(value, default, |text| {
            let known = words.iter().find(|(word, _)| *word == text);
            known.map(|(_, meant)| *meant).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("`{text}` is not {what}; {}", did_you_mean(text, &words))
            })
        })
    }

    /// A secret that is sent in a field of a request.
    pub(super) fn token(&mut self, value: Option<&Spanned<String>>) -> Option<SecretText> {
        let value = value?;
        let token = self.parsed(Some(value), None, |text| parse_token(text).map(Some));
        if token.is_some() && secret::Source::of(value.get_ref()) == secret::Source::Here {
            let what = "a secret in the file; write env:NAME or file:PATH";
            self.warn(Some(value.span().start), what.to_owned());
        }
        token
    }

    pub(super) fn share(&mut self, value: Option<&Spanned<f64>>, default: f64) -> f64 {
        let Some(value) = value else { return default };
        if (0.0..=1.0).contains(value.get_ref()) {
            return *value.get_ref();
        }
        self.wrong(
            Some(value.span().start),
            format!("`{}` is not a share; write a number from 0.0 to 1.0", value.get_ref()),
        );
        default
    }

    fn config(&mut self, file: &File) -> Config {
        let origins = file
            .origins
            .iter()
            .map(|(name, origin)| self.origin(name, origin))
            .collect();
        Config {
            threads: self.threads(file.server.threads.as_ref()),
            admin: operation::admin(self, &file.server),
            drain: operation::drain(self, &file.server),
            reload: self.duration(file.server.reload.as_ref(), Duration::ZERO),
            log: operation::log(self, &file.log),
            listen: transport::listeners(self, &file.listen),
            tls: transport::settings(self, file),
            client: self.client(&file.client),
            cache: self.cache(&file.cache),
            sites: self.sites(file),
            origins,
            warnings: Vec::new(),
        }
    }

    fn threads(&mut self, threads: Option<&Spanned<usize>>) -> usize {
        const MOST: usize = 1024;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match threads.map(|threads| (*threads.get_ref(), threads.span().start)) {
            None | Some((0, _)) => cores,
            Some((threads, at)) if threads > MOST => {
                self.wrong(
                    Some(at),
                    format!("{threads} threads are too many; write 0 for one a core, or at most {MOST}"),
                );
                cores
            }
            Some((threads, _)) => threads,
        }
    }

    fn client(&mut self, client: &file::Client) -> ClientLimits {
        let default = ClientLimits::default();
        ClientLimits {
            max_connections: client.max_connections.unwrap_or(default.max_connections),
            head_timeout: self.duration(client.head_timeout.as_ref(), default.head_timeout),
            idle_timeout: self.duration(client.idle_timeout.as_ref(), default.idle_timeout),
            io_timeout: self.duration(client.io_timeout.as_ref(), default.io_timeout),
            min_rate: self.size(client.min_rate.as_ref(), default.min_rate),
            max_streams: self.max_streams(client.max_streams.as_ref(), default.max_streams),
        }
    }

    fn max_streams(&mut self, value: Option<&Spanned<u32>>, default: u32) -> u32 {
        match value.map(|value| (*value.get_ref(), value.span().start)) {
            Some((0, at)) => {
                self.wrong(
                    Some(at),
                    "with 0 streams nobody could ask anything; write 1 or more".to_owned(),
                );
                default
            }
            value => value.map_or(default, |(streams, _)| streams),
        }
    }

    fn cache(&mut self, cache: &file::Cache) -> cache::Settings {
        let mut settings = cache::Settings::default();
        settings.ram = self.size(cache.ram.as_ref(), settings.ram);
        settings.chunk_share = self.share(cache.chunk_share.as_ref(), settings.chunk_share);
        settings.terms.window = self.size(cache.window.as_ref(), settings.terms.window);
        settings.terms.pass_window = settings.terms.pass_window.min(settings.terms.window);
        settings.terms.finish_bytes = self.size(cache.finish_bytes.as_ref(), settings.terms.finish_bytes);
        settings.terms.finish_share = self.share(cache.finish_share.as_ref(), settings.terms.finish_share);
        settings.max_fills = cache.max_fills.unwrap_or(settings.max_fills);
        settings.max_readers = cache.max_readers.unwrap_or(settings.max_readers);
        settings.uncacheable_ttl = self.duration(cache.uncacheable_ttl.as_ref(), settings.uncacheable_ttl);
        settings.failure_ttl = self.duration(cache.failure_ttl.as_ref(), settings.failure_ttl);
        settings
    }

    fn origin(&mut self, name: &str, origin: &file::Origin) -> Origin {
        let mut reach = OriginConfig {
            name: name.to_owned(),
            ..OriginConfig::default()
        };
        for server in origin.servers.get_ref() {
            match ServerUrl::parse(server.get_ref()) {
                Ok(server) => reach.servers.push(server),
                Err(what) => self.wrong(Some(server.span().start), what),
            }
        }
        if origin.servers.get_ref().is_empty() {
            self.wrong(
                Some(origin.servers.span().start),
                format!("origin `{name}` has no server; write servers = [\"http://127.0.0.1:3000\"]"),
            );
        }
        let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.get_ref().clone());
        reach.host = text(&origin.host);
        reach.sni = text(&origin.sni);
        reach.protocol = self.word(origin.protocol.as_ref(), Protocol::Http1, "a protocol", &PROTOCOLS);
        reach.ca_file = text(&origin.ca).map(Into::into);
        reach.verify = origin.verify.unwrap_or(true);
        reach.connect_timeout = self.duration(origin.connect_timeout.as_ref(), reach.connect_timeout);
        reach.first_byte_timeout = self.duration(origin.first_byte_timeout.as_ref(), reach.first_byte_timeout);
        reach.between_bytes_timeout = self.duration(origin.between_bytes_timeout.as_ref(), reach.between_bytes_timeout);
        reach.write_timeout = self.duration(origin.write_timeout.as_ref(), reach.write_timeout);
        reach.idle_timeout = self.duration(origin.idle_timeout.as_ref(), reach.idle_timeout);
        reach.max_idle = origin.max_idle.unwrap_or(reach.max_idle);
        Origin {
            reach,
            max_fetches: origin.max_fetches.unwrap_or(DEFAULT_MAX_FETCHES),
        }
    }

    fn sites(&mut self, file: &File) -> SiteTable {
        let mut table = SiteTable::default();
        if file.sites.is_empty() {
            self.wrong(
                None,
                "there is no site; write [[sites]] with hosts = [\"*\"] and origin = \"NAME\"".to_owned(),
            );
        }
        for site in &file.sites {
            self.site(file, site, &mut table);
        }
        table
    }

    fn site(&mut self, file: &File, site: &file::Site, table: &mut SiteTable) {
        let Some(first) = site.hosts.get_ref().first() else {
            let what = "a site has no host; write hosts = [\"www.example.com\"], or [\"*\"] for any".to_owned();
            return self.wrong(Some(site.hosts.span().start), what);
        };
        let name: Arc<str> = self.site_name(site, first, table);
        let hosts: Vec<String> = site
            .hosts
            .get_ref()
            .iter()
            .map(|host| self.parsed(Some(host), String::new(), parse_host))
            .collect();
        let mut routes = Vec::new();
        for route in &site.routes {
            let path = self.parsed(Some(&route.path), Glob::new("*"), parse_path);
            let settings = route.settings().or(site.settings());
            routes.extend(self.route(file, &name, path, settings, route.path.span().start));
        }
        routes.extend(self.route(file, &name, Glob::new("*"), site.settings(), first.span().start));
        // Over clear text nobody can show one.
        let secure_only = site
            .client_certificates
            .as_ref()
            .is_some_and(|asked| asked.get_ref() == "require");
        let routes = routes
            .into_iter()
            .map(|route| Arc::new(Route { secure_only, ..route }))
            .collect();
        let purge_token = self.token(site.purge_token.as_ref());
        let resolved = Site {
            name,
            purge_token,
            routes,
        };
        if let Err(host) = table.add(resolved, &hosts)
            && !host.is_empty()
        {
            let named = hosts
                .iter()
                .zip(site.hosts.get_ref())
                .find(|(name, _)| **name == host)
                .map_or(first, |(_, named)| named);
            self.wrong(
                Some(named.span().start),
                format!("host `{host}` is named already; name each host once"),
            );
        }
    }

    /// What a site is called: as it says, else as its first host.
    fn site_name(&mut self, site: &file::Site, first: &Spanned<String>, table: &SiteTable) -> Arc<str> {
        let given = site.name.as_ref().unwrap_or(first);
        let name = given.get_ref().as_str();
        if name.is_empty() || name.contains(char::is_control) {
            self.wrong(
                Some(given.span().start),
                format!("{name:?} is not a name; write name = \"shop\""),
            );
        } else if table.iter().any(|other| &*other.name == name) {
            self.wrong(
                Some(given.span().start),
                format!("a site is called `{name}` already; give each a name of its own"),
            );
        }
        name.into()
    }

    fn route(
        &mut self,
        file: &File,
        site: &Arc<str>,
        path: Glob,
        settings: file::Settings<'_>,
        at: usize,
    ) -> Option<Route> {
        let Some(origin) = settings.origin else {
            self.wrong(
                Some(at),
                "no origin is named for this; write origin = \"NAME\" in its site".to_owned(),
            );
            return None;
        };
        let Some(place) = file.origins.keys().position(|name| name == origin.get_ref()) else {
            let what = match nearest(origin.get_ref(), file.origins.keys().map(String::as_str)) {
                Some(meant) => format!("there is no origin `{}`; did you mean `{meant}`?", origin.get_ref()),
                None => {
                    let known: Vec<&str> = file.origins.keys().map(String::as_str).collect();
                    format!(
                        "there is no origin `{}`; there is: {}",
                        origin.get_ref(),
                        known.join(", ")
                    )
                }
            };
            self.wrong(Some(origin.span().start), what);
            return None;
        };
        let terms = Terms {
            stale_while_revalidate: self.duration(settings.stale_while_revalidate, Duration::ZERO),
            stale_if_error: self.duration(settings.stale_if_error, DEFAULT_STALE_IF_ERROR),
            client_may_revalidate: settings.client_may_revalidate.unwrap_or(false),
        };
        let https_port = settings.https_port.map_or(443, |port| *port.get_ref());
        Some(Route {
            path,
            site: Arc::clone(site),
            origin: place,
            cache: settings.cache.unwrap_or(true),
            upgrade: settings.upgrade.unwrap_or(false),
            max_body: self.size(settings.max_body, MAX_BODY),
            terms,
            secure_only: false,
            redirect_to_https: settings.redirect_to_https.unwrap_or(false).then_some(https_port),
            hsts: settings
                .hsts
                .and_then(|hsts| self.parsed(Some(hsts), None, transport::parse_hsts)),
        })
    }
}

/// Fetches under way to one origin.
const DEFAULT_MAX_FETCHES: usize = 1_000;

/// How long past its lifetime a response stands in for an error, where neither it nor the site says.
const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(3600);

/// What may be written of an origin's `protocol`.
const PROTOCOLS: [(&str, Protocol); 2] = [("http/1.1", Protocol::Http1), ("h2", Protocol::Http2)];

/// RFC 6750 2.1 allows less; what matters is that a field can carry it.
fn parse_token(text: &str) -> Result<SecretText, String> {
    let token = secret::read(text)?;
    match token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token),
        false => Err("a token is sent in a field; make it of visible ASCII without spaces".to_owned()),
    }
}

fn parse_path(text: &str) -> Result<Glob, String> {
    match text.starts_with(['/', '*']) {
        true => Ok(Glob::new(text)),
        false => Err(format!("path `{text}` can never match; begin it with `/` or `*`")),
    }
}

pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a host; write a name without port or scheme, `*.` and a name, or `*`");
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text == "*" {
        return Ok(text.to_owned());
    }
    let normal = normalise_host(name).map_err(|_| wrong())?;
    let (host, port) = crate::target::split_port(&normal);
    if port.is_some() || host.is_empty() {
        return Err(wrong());
    }
    Ok(format!("{}{host}", &text[..text.len() - name.len()]))
}
