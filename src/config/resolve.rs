//! From the file as typed to what the program runs on: defaults filled in, names resolved, all errors at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{self, File, Text};
use super::include::{self, Contents};
use super::nearest::did_you_mean;
use super::report::{ConfigError, Report};
use super::table::Key;
use super::units::{parse_duration, parse_size};
use super::{ClientLimits, Config, SecretText, operation, origins, secret, signed, sites, ssd, transport, warnings};
use crate::cache;

/// Reads the configuration in a file, and in those that it includes. All errors are found at once, unless a file cannot be
/// read or has errors of syntax: then what it means for the others is not known.
pub fn read(path: &Path) -> Result<Config, Vec<ConfigError>> {
    let mut report = Report::default();
    let contents = include::read(path, &mut report);
    resolve(contents, report)
}

/// Reads a configuration that came from elsewhere, called `name`. It can include no files.
pub fn load(name: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let mut report = Report::default();
    let contents = include::read_text(name, text, &mut report);
    resolve(contents, report)
}

fn resolve(contents: Option<Contents>, report: Report) -> Result<Config, Vec<ConfigError>> {
    let Some(Contents { file, paths }) = contents else {
        return Err(report.finish().0);
    };
    let mut resolver = Resolver {
        report,
        paths,
        policies: signed::Policies::default(),
    };
    let config = resolver.config(&file);
    if !resolver.report.has_errors() {
        warnings::of(&file, &config, &mut resolver.report);
    }
    let (errors, warnings) = resolver.report.finish();
    let files = resolver.paths;
    match errors.is_empty() {
        true => Ok(Config {
            files,
            warnings,
            ..config
        }),
        false => Err(errors),
    }
}

pub(super) struct Resolver {
    pub(super) report: Report,
    /// The files that the configuration was read from.
    paths: Vec<PathBuf>,
    /// What has been made of `[keys.NAME]` and `signed`.
    pub(super) policies: signed::Policies,
}

impl Resolver {
    /// What `parse` makes of a value, or `default` where there is none or it is wrong.
    pub(super) fn parsed<T>(&mut self, value: &Text, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(value) = value.get() else { return default };
        parse(&value.value).unwrap_or_else(|what| {
            self.report.wrong(value.place, what);
            default
        })
    }

    pub(super) fn duration(&mut self, value: &Text, default: Duration) -> Duration {
        self.parsed(value, default, parse_duration)
    }

    /// A duration in which something must be possible.
    pub(super) fn wait(&mut self, value: &Text, default: Duration) -> Duration {
        self.parsed(value, default, |text| match parse_duration(text)? {
            Duration::ZERO => Err(format!("`{text}` leaves no time at all; write \"1ms\" or more")),
            duration => Ok(duration),
        })
    }

    pub(super) fn size(&mut self, value: &Text, default: u64) -> u64 {
        self.parsed(value, default, parse_size)
    }

    pub(super) fn share(&mut self, value: &Key<f64>, default: f64) -> f64 {
        let Some(value) = value.get() else { return default };
        if (0.0..=1.0).contains(&value.value) {
            return value.value;
        }
        let what = format!("`{}` is not a share; write a number from 0.0 to 1.0", value.value);
        self.report.wrong(value.place, what);
        default
    }

    /// A number of which there must be one at least; `without` says what is not possible with none.
    pub(super) fn count<T: Copy + Default + PartialEq>(&mut self, value: &Key<T>, default: T, without: &str) -> T {
        match value.get() {
            Some(value) if value.value == T::default() => {
                self.report.wrong(value.place, format!("{without}; write 1 or more"));
                default
            }
            value => value.map_or(default, |value| value.value),
        }
    }

    /// Which of a few words a value is.
    pub(super) fn word<T: Copy>(&mut self, value: &Text, default: T, what: &str, words: &[(&str, T)]) -> T {
        self.parsed(value, default, |text| {
            let known = words.iter().find(|(word, _)| *word == text);
            known.map(|(_, meant)| *meant).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("`{text}` is not {what}; {}", did_you_mean(text, &words))
            })
        })
    }

    /// A secret that is sent in a field of a request.
    pub(super) fn token(&mut self, value: &Text) -> Option<SecretText> {
        self.secret(value, |text| {
            let token = secret::read(text)?;
            // RFC 6750 2.1 allows less; what matters is that a field can carry it.
            match token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(token),
                false => Err("a token is sent in a field; make it of visible ASCII without spaces".to_owned()),
            }
        })
    }

    /// What `read` makes of a secret, which may stand in a file.
    pub(super) fn secret<T>(&mut self, value: &Text, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if let Some(secret::Source::File(path)) = value.value().map(|text| secret::Source::of(text)) {
            self.paths.push(path.into());
        }
        self.parsed(value, None, |text| read(text).map(Some))
    }

    fn config(&mut self, file: &File) -> Config {
        signed::keys(self, file);
        let config = Config {
            threads: self.threads(&file.server.threads),
            admin: operation::admin(self, &file.server),
            drain: operation::drain(self, &file.server),
            reload: self.duration(&file.server.reload, Duration::ZERO),
            log: operation::log(self, &file.log),
            listen: transport::listeners(self, &file.listen),
            tls: transport::settings(self, file),
            client: self.client(&file.client),
            cache: self.cache(&file.cache),
            ssd: ssd::resolve(self, &file.cache),
            origins: origins::resolve(self, &file.origins),
            sites: sites::resolve(self, file),
            keys: self.policies.keys(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        transport::apart(self, file, &config);
        config
    }

    fn threads(&mut self, threads: &Key<usize>) -> usize {
        const MOST: usize = 1024;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match threads.get() {
            Some(threads) if threads.value > MOST => {
                let what = format!(
                    "{} threads are too many; write 0 for one a core, or at most {MOST}",
                    threads.value
                );
                self.report.wrong(threads.place, what);
                cores
            }
            Some(threads) if threads.value > 0 => threads.value,
            _ => cores,
        }
    }

    fn client(&mut self, client: &file::Client) -> ClientLimits {
        let default = ClientLimits::default();
        ClientLimits {
            max_connections: self.count(
                &client.max_connections,
                default.max_connections,
                "with 0 connections nobody could connect",
            ),
            head_timeout: self.wait(&client.head_timeout, default.head_timeout),
            idle_timeout: self.wait(&client.idle_timeout, default.idle_timeout),
            io_timeout: self.wait(&client.io_timeout, default.io_timeout),
            min_rate: self.size(&client.min_rate, default.min_rate),
            max_streams: self.count(
                &client.max_streams,
                default.max_streams,
                "with 0 streams nobody could ask anything",
            ),
        }
    }

    fn cache(&mut self, cache: &file::Cache) -> cache::Settings {
        let mut settings = cache::Settings::default();
        let terms = &mut settings.terms;
        terms.window = self.parsed(&cache.window, terms.window, parse_window);
        terms.pass_window = terms.pass_window.min(terms.window);
        terms.finish_bytes = self.size(&cache.finish_bytes, terms.finish_bytes);
        terms.finish_share = self.share(&cache.finish_share, terms.finish_share);
        cache::Settings {
            ram: self.size(&cache.ram, settings.ram),
            chunk_share: self.share(&cache.chunk_share, settings.chunk_share),
            max_fills: self.count(
                &cache.max_fills,
                settings.max_fills,
                "with 0 fetches nothing could be asked of an origin",
            ),
            max_readers: self.count(
                &cache.max_readers,
                settings.max_readers,
                "with 0 readers nobody could have what is fetched",
            ),
            uncacheable_ttl: self.duration(&cache.uncacheable_ttl, settings.uncacheable_ttl),
            failure_ttl: self.duration(&cache.failure_ttl, settings.failure_ttl),
            ..settings
        }
    }
}

fn parse_window(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err(format!("`{text}` lets nothing through; write \"64KiB\" or more")),
        window => Ok(window),
    }
}
