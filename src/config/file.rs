//! The configuration file as typed: a mirror of `edge.toml`, before any of it is checked against the rest.
//! What each key means, its default and its unit stand in `edge.toml.example`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::report::At;
use super::table::{Key, Many, Named, Required, Table, table};

pub(super) type Text = Key<String>;
pub(super) type Texts = Key<Vec<At<String>>>;

table! {
    /// All of the file.
    File {
        include: Texts,
        server: Server,
        log: Log,
        listen: Many<Listen>,
        tls: Tls,
        client: Client,
        cache: Cache,
        origins: Named<Origin>,
        keys: Named<SigningKey>,
        sites: Many<Site>,
    }
}

table! {
    /// `[server]`
    Server {
        threads: Key<usize>,
        admin: Text,
        admin_token: Text,
        drain_wait: Text,
        drain: Text,
        reload: Text,
    }
}

table! {
    /// `[log]`
    Log {
        access: Text,
        format: Text,
        fields: Texts,
        sample: Key<f64>,
        level: Text,
        events: Text,
    }
}

table! {
    /// `[[listen]]`
    Listen {
        address: Required<String>,
        tls: Key<bool>,
        h2c: Key<bool>,
        client_certificates: Text,
        client_ca: Text,
    }
}

table! {
    /// `[tls]`
    Tls {
        certificates: Many<Certificate>,
        min_version: Text,
        ciphers: Texts,
        key_exchange: Texts,
        ticket_keys: Many<String>,
        reload: Text,
        handshake_timeout: Text,
        max_handshakes: Key<usize>,
    }
}

table! {
    /// One of `[tls] certificates`
    Certificate {
        cert: Required<String>,
        key: Required<String>,
        ocsp: Text,
    }
}

table! {
    /// `[client]`
    Client {
        max_connections: Key<usize>,
        head_timeout: Text,
        idle_timeout: Text,
        io_timeout: Text,
        min_rate: Text,
        max_streams: Key<u32>,
    }
}

table! {
    /// `[cache]`
    Cache {
        ram: Text,
        chunk_share: Key<f64>,
        window: Text,
        finish_bytes: Text,
        finish_share: Key<f64>,
        max_fills: Key<usize>,
        max_readers: Key<usize>,
        uncacheable_ttl: Text,
        failure_ttl: Text,
        ssd: Many<Folder>,
        ssd_admission: Text,
        ssd_write_budget: Text,
    }
}

table! {
    /// One of `[cache] ssd`
    Folder {
        path: Required<String>,
        size: Required<String>,
    }
}

table! {
    /// `[origins.NAME]`
    Origin {
        servers: Required<Vec<At<String>>>,
        host: Text,
        protocol: Text,
        sni: Text,
        ca: Text,
        verify: Key<bool>,
        connect_timeout: Text,
        first_byte_timeout: Text,
        between_bytes_timeout: Text,
        write_timeout: Text,
        idle_timeout: Text,
        max_idle: Key<usize>,
        max_fetches: Key<usize>,
    }
}

table! {
    /// `[keys.NAME]`
    SigningKey {
        secret: Text,
        encoding: Text,
        public_key: Text,
        private_key: Text,
        id: Text,
    }
}

table! {
    /// `signed` of a site or route
    Signed {
        dialect: Text,
        keys: Texts,
        token: Texts,
        skew: Text,
        keep: Key<bool>,
        expired_status: Key<u16>,
        login: Text,
        weak: Texts,
        salt: Text,
        expression: Text,
        expires_parameter: Text,
        issuer: Text,
        audience: Text,
        path_claim: Text,
        region: Text,
    }
}

table! {
    /// `[[sites]]`
    Site {
        hosts: Required<Vec<At<String>>>,
        name: Text,
        purge_token: Text,
        client_certificates: Text,
        client_ca: Text,
        ssd_quota: Text,
        routes: Many<Route>,
    }
    with settings: Settings
}

table! {
    /// `[[sites.routes]]`
    Route {
        path: Required<String>,
    }
    with settings: Settings
}

table! {
    /// What a site says for all its paths, and a route for its own.
    Settings {
        origin: Text,
        cache: Key<bool>,
        upgrade: Key<bool>,
        max_body: Text,
        stale_while_revalidate: Text,
        stale_if_error: Text,
        client_may_revalidate: Key<bool>,
        target_list: Texts,
        forward_targeted: Key<bool>,
        redirect_to_https: Key<bool>,
        https_port: Key<u16>,
        hsts: Text,
        signed: Key<Signed>,
    }
}

impl Settings {
    /// What `self` says, and where it says nothing what `outer` says.
    pub(super) fn or(&self, outer: &Settings) -> Settings {
        Settings {
            origin: self.origin.or(&outer.origin),
            cache: self.cache.or(&outer.cache),
            upgrade: self.upgrade.or(&outer.upgrade),
            max_body: self.max_body.or(&outer.max_body),
            stale_while_revalidate: self.stale_while_revalidate.or(&outer.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(&outer.stale_if_error),
            client_may_revalidate: self.client_may_revalidate.or(&outer.client_may_revalidate),
            target_list: self.target_list.or(&outer.target_list),
            forward_targeted: self.forward_targeted.or(&outer.forward_targeted),
            redirect_to_https: self.redirect_to_https.or(&outer.redirect_to_https),
            https_port: self.https_port.or(&outer.https_port),
            hsts: self.hsts.or(&outer.hsts),
            signed: self.signed.or(&outer.signed),
        }
    }
}

/// All keys there are, as paths: `sites[].hosts`, `origins.*.servers`.
pub fn keys() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    File::note_keys("", &mut paths);
    paths
}

/// Where a key belongs, if that is one place only: `[cache]` for `ram`.
pub(super) fn home_of(key: &str) -> Option<String> {
    static PATHS: LazyLock<BTreeSet<String>> = LazyLock::new(keys);
    let mut homes = PATHS.iter().filter_map(|path| match path.rsplit_once('.') {
        Some((table, last)) => (last == key).then_some(table),
        None => (path == key).then_some(""),
    });
    let table = homes.next().filter(|_| homes.next().is_none())?;
    Some(match table.strip_suffix("[]") {
        _ if table.is_empty() => "the top of the file, before all tables".to_owned(),
        Some(list) => format!("[[{}]]", list.replace("[]", "")),
        None => format!("[{}]", table.replace('*', "NAME")),
    })
}
