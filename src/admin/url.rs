//! URLs that an operator names.

use crate::access::raw_path;
use crate::cache::{KeyParts, SchemeClass};
use crate::pipeline::key_host;
use crate::target::{Scheme, Target, split_absolute};

/// A URL, normalised as a request's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Its scheme.
    pub scheme: SchemeClass,
    /// Its host, without the scheme's own port.
    pub host: String,
    /// Its path.
    pub path: String,
    /// Its path as it was written.
    pub raw_path: String,
    /// What follows `?`.
    pub query: Option<String>,
}

impl Url {
    /// Reads an absolute URL of http or https; a fragment is not part of it.
    pub fn parse(text: &str) -> Result<Url, String> {
        let wrong = |why: &str| format!("`{text}` is not a URL: {why}; write https://www.example.com/path");
        let text = text.split('#').next().unwrap_or_default();
        if split_absolute(text).is_none() {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        let target = Target::new("GET", text, None).map_err(|fault| wrong(fault.detail()))?;
        let scheme = match target.scheme {
            Some(Scheme::Https) => SchemeClass::Secure,
            _ => SchemeClass::Clear,
        };
        let host = key_host(scheme, &target.host).to_owned();
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        Ok(Url {
            scheme,
            host,
            path: target.path.into_owned(),
            raw_path: raw_path(text).to_owned(),
            query: target.query.map(str::to_owned),
        })
    }

    /// What a stored response of it is found by.
    pub fn key_parts(&self) -> KeyParts<'_> {
        KeyParts {
            scheme: self.scheme,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_requests_are_for() {
        let url = Url::parse("HTTPS://A.example:443/%7Ea/../b?Q=1#part").unwrap();
        assert_eq!(
            (url.scheme, &*url.host, &*url.path, url.query.as_deref()),
            (SchemeClass::Secure, "a.example", "/b", Some("Q=1"))
        );
        assert_eq!(Url::parse("http://a.example").unwrap().path, "/");
        for wrong in [
            "",
            "/a",
            "a.example/b",
            "ftp://a/",
            "http://",
            "http:///a",
            "http://a b/",
            "http://a/ b",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
