//! Reads vectors, a file a dialect, and tries them.
//!
//! Above a line of four dashes a file holds the keys, as a configuration has them. Below:
//! - `signed …`: what the routes of the vectors that follow ask for, as a configuration has it.
//! - `vector NAME`: begins a vector. Its lines: `url`, `method` (else `GET`), `cookie` and `field` (any number), `client` (else
//!   192.0.2.7), `now` (else 1767222000, an hour before the tokens end), and `left`: what of path and query is left of a request
//!   that is granted; or `denied` and why it is not.
//! - `! REASON ALTERATION; …`: the same request altered, and why it is denied.
//! - `= LEFT ALTERATION; …`: the same, and it is granted all the same.
//!
//! An alteration is `replace A => B` (in URL, cookies and fields; it must be there), `append X` (to the URL), `cookie X` (one
//! more), `bare` (no cookies), `field N: V` (one more), `now N`, `client IP`, `method M`, or `signed …`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use verge::access::{Policy, Reason, Request, Verdict, raw_path};
use verge::cache::SchemeClass;
use verge::config::{self, Config};
use verge::pipeline::key_host;
use verge::policy::{Field, RequestFields};
use verge::target::Target;

/// An hour before the tokens of the vectors end.
pub const NOW: u64 = 1_767_222_000;

/// The files.
pub const FILES: [&str; 9] = [
    "verge",
    "cloudfront",
    "gcp",
    "akamai",
    "bunny",
    "secure_link",
    "jwt",
    "cat",
    "s3",
];

/// A request in one piece.
#[derive(Clone, Debug)]
pub struct Asked {
    pub signed: String,
    pub method: String,
    pub url: String,
    pub cookies: Vec<String>,
    pub fields: Vec<(String, String)>,
    pub client: IpAddr,
    pub now: u64,
}

impl Asked {
    /// A request for this URL.
    pub fn of(signed: &str, url: &str) -> Self {
        Asked {
            url: url.to_owned(),
            ..Asked::new(signed)
        }
    }

    fn new(signed: &str) -> Self {
        Asked {
            signed: signed.to_owned(),
            method: "GET".to_owned(),
            url: String::new(),
            cookies: Vec::new(),
            fields: Vec::new(),
            client: "192.0.2.7".parse().unwrap(),
            now: NOW,
        }
    }

    /// Takes a line of a vector, or an alteration; whether it is one.
    fn take(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "url" => self.url = rest.to_owned(),
            "signed" => self.signed = rest.to_owned(),
            "method" => self.method = rest.to_owned(),
            "cookie" => self.cookies.push(rest.to_owned()),
            "bare" => self.cookies.clear(),
            "field" => {
                let (name, value) = rest.split_once(": ").expect("a field is NAME: VALUE");
                self.fields.push((name.to_owned(), value.to_owned()));
            }
            "client" => self.client = rest.parse().unwrap(),
            "now" => self.now = rest.parse().unwrap(),
            "append" => self.url.push_str(rest),
            "replace" => self.replace(rest),
            _ => return false,
        }
        true
    }

    fn replace(&mut self, what: &str) {
        let (from, to) = what
            .split_once(" => ")
            .unwrap_or_else(|| (what.trim_end_matches(" =>"), ""));
        let texts = self
            .cookies
            .iter_mut()
            .chain(self.fields.iter_mut().map(|(_, value)| value));
        let mut found = false;
        for text in texts.chain([&mut self.url]) {
            found |= text.contains(from);
            *text = text.replace(from, to);
        }
        assert!(found, "`{from}` is not in {self:?}");
    }

    /// Lends the request as the policy sees it. `None`: it is refused before, as one whose target cannot be read.
    pub fn with<R>(&self, lend: impl FnOnce(&Request<'_>) -> R) -> Option<R> {
        let target = Target::new(&self.method, &self.url, None).ok()?;
        let scheme = match target.scheme? {
            verge::target::Scheme::Http => SchemeClass::Clear,
            verge::target::Scheme::Https => SchemeClass::Secure,
        };
        let cookies = self.cookies.iter().map(|cookie| ("Cookie", cookie.as_str()));
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let lines: Vec<Field<'_>> = cookies
            .chain(fields)
            .map(|(name, value)| Field {
                name: name.as_bytes(),
                value: value.as_bytes(),
            })
            .collect();
        Some(lend(&Request {
            method: &self.method,
            scheme,
            host: key_host(scheme, &target.host),
            path: &target.path,
            raw_path: raw_path(&self.url),
            query: target.query,
            fields: &RequestFields::new(&lines),
            client: self.client,
            now: self.now,
        }))
    }
}

/// A vector.
#[derive(Clone, Debug)]
pub struct Vector {
    pub name: String,
    pub asked: Asked,
    /// What is left of path and query, or why it is denied.
    pub expected: Result<String, String>,
    altered: Vec<(String, Asked, String)>,
}

/// The vectors of a file, and its keys.
pub struct Vectors {
    pub keys: String,
    pub vectors: Vec<Vector>,
}

pub fn read(name: &str) -> Vectors {
    parse(name, &text_of(&format!("integration/access/{name}.txt")))
}

fn text_of(file: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn parse(name: &str, text: &str) -> Vectors {
    let (keys, cases) = text.split_once("\n----\n").expect("keys, a line of dashes, vectors");
    let mut signed = "";
    let mut vectors: Vec<Vector> = Vec::new();
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let last = vectors.last_mut();
        match (word, last) {
            ("vector", _) => vectors.push(Vector {
                name: rest.to_owned(),
                asked: Asked::new(signed),
                expected: Err(String::new()),
                altered: Vec::new(),
            }),
            ("signed", _) => signed = rest,
            ("left", Some(vector)) => vector.expected = Ok(rest.to_owned()),
            ("denied", Some(vector)) => vector.expected = Err(rest.to_owned()),
            ("!" | "=", Some(vector)) => vector.alter(line),
            (_, Some(vector)) => assert!(vector.asked.take(line), "{name}: {line}"),
            _ => panic!("{name}: {line}"),
        }
    }
    Vectors {
        keys: keys.to_owned(),
        vectors,
    }
}

impl Vector {
    /// It, and what it is altered to.
    pub fn cases(&self) -> impl Iterator<Item = &Asked> {
        let altered = self.altered.iter().map(|(_, asked, _)| asked);
        std::iter::once(&self.asked).chain(altered)
    }

    fn alter(&mut self, line: &str) {
        let rest = line[2..].trim_start();
        let (expected, alterations) = rest.split_once(' ').expect("what is expected, and an alteration");
        let mut asked = self.asked.clone();
        for alteration in alterations.trim().split("; ") {
            assert!(asked.take(alteration), "{line}");
        }
        self.altered.push((line.to_owned(), asked, expected.to_owned()));
    }
}

/// A site that asks for this.
pub fn configuration(keys: &str, signed: &str) -> Config {
    let rest = format!(
        "[origins.o]\nservers = [\"http://127.0.0.1:1\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"o\"\nsigned = {{ {signed} }}\n"
    );
    config::load("edge.toml", &format!("{keys}\n{rest}")).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// The policy of routes that ask for this.
pub fn policy(keys: &str, signed: &str) -> Arc<Policy> {
    let config = configuration(keys, signed);
    let route = config.sites.iter().next().and_then(|site| site.routes.last().cloned());
    route
        .and_then(|route| route.signed.clone())
        .expect("a token is asked for")
}

/// What comes of a request: `granted` and what is left of path and query, or the reason.
pub fn outcome(policy: &Policy, asked: &Asked) -> Result<String, Reason> {
    let outcome = asked.with(|request| match policy.explain(request).0 {
        Verdict::Denied(reason) => Err(reason),
        Verdict::Granted(grant) => {
            let query = grant
                .strip
                .query(request.query)
                .map_or_else(String::new, |query| format!("?{query}"));
            Ok(format!("{}{query}", grant.strip.path(request.path)))
        }
    });
    // What cannot be read as a target is refused before anybody looks at its token.
    outcome.unwrap_or(Err(Reason::Malformed))
}

fn tried(name: &str) {
    all_hold(name, read(name));
}

fn all_hold(name: &str, Vectors { keys, vectors }: Vectors) {
    assert!(!vectors.is_empty());
    let mut wrong = Vec::new();
    let mut expect = |what: &str, asked: &Asked, expected: Result<&str, &str>| {
        let policy = policy(&keys, &asked.signed);
        let got = outcome(&policy, asked);
        let same = match (&got, expected) {
            (Ok(left), Ok(expected)) => left == expected,
            (Err(reason), Err(expected)) => reason.code() == expected,
            _ => false,
        };
        if !same {
            let trace = asked.with(|request| policy.explain(request).1);
            wrong.push(format!(
                "{what}\n  {}\n  got {got:?}, expected {expected:?}\n  {trace:?}",
                asked.url
            ));
        }
    };
    for vector in &vectors {
        let expected = vector.expected.as_deref().map_err(String::as_str);
        expect(&vector.name, &vector.asked, expected);
        for (line, asked, expected) in &vector.altered {
            let expected = if line.starts_with('=') {
                Ok(&**expected)
            } else {
                Err(&**expected)
            };
            expect(&format!("{}: {line}", vector.name), asked, expected);
        }
    }
    assert!(wrong.is_empty(), "{name}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn those_of_the_page_about_signed_urls() {
    let page = text_of("config/signed-urls.md");
    let (_, rest) = page.split_once("```vectors\n").unwrap();
    let (vectors, _) = rest.split_once("```").unwrap();
    all_hold("docs", parse("docs", vectors));
}

#[test]
fn verge() {
    tried("verge");
}

#[test]
fn cloudfront() {
    tried("cloudfront");
}

#[test]
fn gcp() {
    tried("gcp");
}

#[test]
fn akamai() {
    tried("akamai");
}

#[test]
fn bunny() {
    tried("bunny");
}

#[test]
fn secure_link() {
    tried("secure_link");
}

#[test]
fn jwt() {
    tried("jwt");
}

#[test]
fn cat() {
    tried("cat");
}

#[test]
fn s3() {
    tried("s3");
}
