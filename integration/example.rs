//! `edge.toml.example` is true: it is a valid configuration, names every key there is, and what it gives are the defaults.

use std::collections::BTreeSet;

use verge::config::{self, Config};

const EXAMPLE: &str = include_str!("../edge.toml.example");

/// What the example has to give because there is no default for it.
const LEAST: &str = r#"
    [origins.app]
    servers = ["https://app.example.com"]
    [[sites]]
    hosts = ["www.example.com", "*.img.example.com"]
    origin = "app"
    [[sites.routes]]
    path = "/api/*"
"#;

/// The key pair of RFC 8410 10.3.
const PUBLIC: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\\n\
    -----END PRIVATE KEY-----";

/// The example with the keys that are commented out there, and with a variable that there is for each secret.
fn with_all_keys() -> String {
    let begins_with_key = |line: &str| line.starts_with(|first: char| first.is_ascii_lowercase());
    let bare = |line: &'static str| {
        line.strip_prefix('#')
            .filter(|rest| begins_with_key(rest))
            .unwrap_or(line)
    };
    let text = EXAMPLE.lines().map(bare).collect::<Vec<_>>().join("\n");
    text.replace("file:/etc/verge/admin.token", "env:CARGO_PKG_NAME")
        .replace("env:VERGE_PURGE_TOKEN", "env:CARGO_PKG_NAME")
        .replace("env:VERGE_KEY_MAIN", "env:CARGO_PKG_NAME")
        .replace("env:VERGE_AKAMAI_SALT", "env:CARGO_PKG_NAME")
        .replace("file:/etc/verge/cdn.pub.pem", PUBLIC)
        .replace("file:/etc/verge/cdn.pem", PRIVATE)
}

fn load(text: &str) -> Config {
    config::load("edge.toml.example", text).unwrap_or_else(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

#[test]
fn it_is_valid() {
    assert!(load(EXAMPLE).warnings.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.toml");
    std::fs::write(&file, with_all_keys()).unwrap();
    config::read(&file).unwrap_or_else(|errors| panic!("{errors:#?}"));
}

#[test]
fn it_names_every_key() {
    let keys = config::keys();
    let mut named = BTreeSet::new();
    let table = with_all_keys().parse().expect("the example is TOML");
    name_keys("", &toml::Value::Table(table), &mut named);
    let missing: Vec<_> = keys.difference(&named).collect();
    assert!(missing.is_empty(), "not in edge.toml.example: {missing:?}");
    let unknown: Vec<_> = named.difference(&keys).collect();
    assert!(unknown.is_empty(), "not among the keys: {unknown:?}");
}

#[test]
fn it_gives_the_defaults() {
    assert_eq!(shown(&load(EXAMPLE)), shown(&load(LEAST)));
}

/// A configuration to the last field, in an order that does not depend on hashes.
fn shown(config: &Config) -> String {
    let Config {
        threads,
        admin,
        drain,
        reload,
        log,
        listen,
        tls,
        client,
        cache,
        ssd,
        origins,
        sites,
        keys,
        files: _,
        warnings,
    } = config;
    let sites: Vec<_> = sites.iter().collect();
    format!(
        "{threads:#?}\n{admin:#?}\n{drain:#?}\n{reload:#?}\n{log:#?}\n{listen:#?}\n{tls:#?}\n{client:#?}\n{cache:#?}\n\
         {ssd:#?}\n{origins:#?}\n{sites:#?}\n{keys:#?}\n{warnings:#?}"
    )
}

/// The keys of a table as paths, such as `sites[].hosts`.
fn name_keys(path: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path == "origins" || path == "keys" {
                    join(path, "*")
                } else {
                    join(path, key)
                };
                keys.insert(path.clone());
                name_keys(&path, value, keys);
            }
        }
        toml::Value::Array(items) => items
            .iter()
            .for_each(|item| name_keys(&format!("{path}[]"), item, keys)),
        _ => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
