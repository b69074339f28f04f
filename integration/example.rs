//! `edge.toml.example` is true: it is a valid configuration, names every key there is, and what it gives are the defaults.

use std::collections::BTreeSet;

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
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
}

fn load(text: &str) -> Config {
    config::load("edge.toml.example", text).unwrap_or_else(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

#[test]
fn it_is_valid() {
    load(EXAMPLE);
    load(&with_all_keys());
}

#[test]
fn it_names_every_key() {
    let mut keys = BTreeSet::new();
    let recorder = Recorder {
        path: String::new(),
        keys: &mut keys,
    };
    config::file::File::deserialize(recorder).expect("the recorder gives every type what it asks for");
    let mut named = BTreeSet::new();
    let table = with_all_keys().parse().expect("the example is TOML");
    name_keys("", &toml::Value::Table(table), &mut named);
    assert!(keys.len() > 40, "the recorder has found {keys:?} only");
    let missing: Vec<_> = keys.difference(&named).collect();
    assert!(missing.is_empty(), "not in edge.toml.example: {missing:?}");
    let unknown: Vec<_> = named.difference(&keys).collect();
    assert!(unknown.is_empty(), "the recorder has missed {unknown:?}");
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
        origins,
        sites,
        warnings,
    } = config;
    let sites: Vec<_> = sites.iter().collect();
    format!(
        "{threads:#?}\n{admin:#?}\n{drain:#?}\n{reload:#?}\n{log:#?}\n{listen:#?}\n{tls:#?}\n{client:#?}\n{cache:#?}\n\
         {origins:#?}\n{sites:#?}\n{warnings:#?}"
    )
}

/// The keys of a table as paths, such as `sites[].hosts`.
fn name_keys(path: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path == "origins" {
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

/// Gives a type made by `#[derive(Deserialize)]` all that it asks for, and notes its keys as [`name_keys`] does.
struct Recorder<'a> {
    path: String,
    keys: &'a mut BTreeSet<String>,
}

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str("")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(false)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(0)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u16(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(0.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let path = format!("{}[]", self.path);
        visitor.visit_seq(One(Some(Recorder { path, keys: self.keys })))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields {
            names: ["*"].iter(),
            current: "",
            of: self,
            own_keys: true,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // toml's `Spanned` is a struct of a value and its place.
        let own_keys = !name.starts_with('$');
        visitor.visit_map(Fields {
            names: fields.iter(),
            current: "",
            of: self,
            own_keys,
        })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

/// A sequence of one.
struct One<'a>(Option<Recorder<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|element| seed.deserialize(element)).transpose()
    }
}

/// A map of all fields.
struct Fields<'a> {
    names: std::slice::Iter<'static, &'static str>,
    current: &'static str,
    of: Recorder<'a>,
    /// Whether the names are keys of the configuration.
    own_keys: bool,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.names.next() else { return Ok(None) };
        self.current = name;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let mut path = self.of.path.clone();
        if self.own_keys {
            path = join(&path, self.current);
            self.of.keys.insert(path.clone());
        }
        seed.deserialize(Recorder {
            path,
            keys: self.of.keys,
        })
    }
}
