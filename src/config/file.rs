//! The configuration file as typed: a mirror of `edge.toml`, before any of it is checked against the rest.
//! What each key means, its default and its unit stand in `edge.toml.example`.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// All of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub server: Server,
    pub log: Log,
    pub listen: Vec<Listen>,
    pub tls: Tls,
    pub client: Client,
    pub cache: Cache,
    pub origins: BTreeMap<String, Origin>,
    pub sites: Vec<Site>,
}

/// `[server]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub threads: Option<Spanned<usize>>,
    pub admin: Option<Spanned<String>>,
    pub admin_token: Option<Spanned<String>>,
    pub drain_wait: Option<Spanned<String>>,
    pub drain: Option<Spanned<String>>,
    pub reload: Option<Spanned<String>>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub access: Option<Spanned<String>>,
    pub format: Option<Spanned<String>>,
    pub fields: Option<Spanned<Vec<Spanned<String>>>>,
    pub sample: Option<Spanned<f64>>,
    pub level: Option<Spanned<String>>,
    pub events: Option<Spanned<String>>,
}

/// `[[listen]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    pub address: Spanned<String>,
    #[serde(default)]
    pub tls: bool,
    pub h2c: Option<Spanned<bool>>,
    pub client_certificates: Option<Spanned<String>>,
    pub client_ca: Option<Spanned<String>>,
}

/// `[tls]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub certificates: Vec<Certificate>,
    pub min_version: Option<Spanned<String>>,
    pub ciphers: Option<Spanned<Vec<Spanned<String>>>>,
    pub key_exchange: Option<Spanned<Vec<Spanned<String>>>>,
    pub ticket_keys: Vec<Spanned<String>>,
    pub reload: Option<Spanned<String>>,
    pub handshake_timeout: Option<Spanned<String>>,
    pub max_handshakes: Option<Spanned<usize>>,
}

/// One of `[tls] certificates`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub cert: Spanned<String>,
    pub key: Spanned<String>,
    pub ocsp: Option<Spanned<String>>,
}

/// `[client]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Client {
    pub max_connections: Option<usize>,
    pub head_timeout: Option<Spanned<String>>,
    pub idle_timeout: Option<Spanned<String>>,
    pub io_timeout: Option<Spanned<String>>,
    pub min_rate: Option<Spanned<String>>,
    pub max_streams: Option<Spanned<u32>>,
}

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    pub ram: Option<Spanned<String>>,
    pub chunk_share: Option<Spanned<f64>>,
    pub window: Option<Spanned<String>>,
    pub finish_bytes: Option<Spanned<String>>,
    pub finish_share: Option<Spanned<f64>>,
    pub max_fills: Option<usize>,
    pub max_readers: Option<usize>,
    pub uncacheable_ttl: Option<Spanned<String>>,
    pub failure_ttl: Option<Spanned<String>>,
}

/// `[origins.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub servers: Spanned<Vec<Spanned<String>>>,
    pub host: Option<Spanned<String>>,
    pub protocol: Option<Spanned<String>>,
    pub sni: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub verify: Option<bool>,
    pub connect_timeout: Option<Spanned<String>>,
    pub first_byte_timeout: Option<Spanned<String>>,
    pub between_bytes_timeout: Option<Spanned<String>>,
    pub write_timeout: Option<Spanned<String>>,
    pub idle_timeout: Option<Spanned<String>>,
    pub max_idle: Option<usize>,
    pub max_fetches: Option<usize>,
}

/// A table with fields of its own and those that a site says for all its paths and a route for its own.
macro_rules! inheriting {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            pub origin: Option<Spanned<String>>,
            pub cache: Option<bool>,
            pub upgrade: Option<bool>,
            pub max_body: Option<Spanned<String>>,
            pub stale_while_revalidate: Option<Spanned<String>>,
            pub stale_if_error: Option<Spanned<String>>,
            pub client_may_revalidate: Option<bool>,
            pub redirect_to_https: Option<bool>,
            pub https_port: Option<Spanned<u16>>,
            pub hsts: Option<Spanned<String>>,
        }

        impl $name {
            /// What it says of the settings that are inherited.
            pub fn settings(&self) -> Settings<'_> {
                Settings {
                    origin: self.origin.as_ref(),
                    cache: self.cache,
                    upgrade: self.upgrade,
                    max_body: self.max_body.as_ref(),
                    stale_while_revalidate: self.stale_while_revalidate.as_ref(),
                    stale_if_error: self.stale_if_error.as_ref(),
                    client_may_revalidate: self.client_may_revalidate,
                    redirect_to_https: self.redirect_to_https,
                    https_port: self.https_port.as_ref(),
                    hsts: self.hsts.as_ref(),
                }
            }
        }
    };
}

/// The settings that a route inherits from its site.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    pub origin: Option<&'a Spanned<String>>,
    pub cache: Option<bool>,
    pub upgrade: Option<bool>,
    pub max_body: Option<&'a Spanned<String>>,
    pub stale_while_revalidate: Option<&'a Spanned<String>>,
    pub stale_if_error: Option<&'a Spanned<String>>,
    pub client_may_revalidate: Option<bool>,
    pub redirect_to_https: Option<bool>,
    pub https_port: Option<&'a Spanned<u16>>,
    pub hsts: Option<&'a Spanned<String>>,
}

inheriting! {
    /// `[[sites]]`
    Site {
        pub hosts: Spanned<Vec<Spanned<String>>>,
        pub name: Option<Spanned<String>>,
        pub purge_token: Option<Spanned<String>>,
        pub client_certificates: Option<Spanned<String>>,
        pub client_ca: Option<Spanned<String>>,
        #[serde(default)]
        pub routes: Vec<Route>,
    }
}

inheriting! {
    /// `[[sites.routes]]`
    Route {
        pub path: Spanned<String>,
    }
}

impl<'a> Settings<'a> {
    /// What `self` says, and where it says nothing what `outer` says.
    pub fn or(self, outer: Settings<'a>) -> Settings<'a> {
        Settings {
            origin: self.origin.or(outer.origin),
            cache: self.cache.or(outer.cache),
            upgrade: self.upgrade.or(outer.upgrade),
            max_body: self.max_body.or(outer.max_body),
            stale_while_revalidate: self.stale_while_revalidate.or(outer.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(outer.stale_if_error),
            client_may_revalidate: self.client_may_revalidate.or(outer.client_may_revalidate),
            redirect_to_https: self.redirect_to_https.or(outer.redirect_to_https),
            https_port: self.https_port.or(outer.https_port),
            hsts: self.hsts.or(outer.hsts),
        }
    }
}
