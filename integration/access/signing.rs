//! What is signed here is granted here, and nothing beside it.

use verge::access::sign::{Carrier, Order, Signed};
use verge::config;

use super::vectors::{NOW, outcome, policy};

/// Keys that can sign, made anew.
fn keys() -> String {
    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pairs = [
        ("rsa", encode_rsa(&rsa)),
        ("p256", generated(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("ed", generated(&rcgen::PKCS_ED25519)),
    ];
    let mut text = "[keys.secret]\nsecret = \"open sesame, and more than that\"\n".to_owned();
    for (name, (public, private)) in pairs {
        text += &format!("[keys.{name}]\npublic_key = '''\n{public}'''\nprivate_key = '''\n{private}'''\n");
    }
    text
}

fn generated(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    (
        rcgen::PublicKeyData::subject_public_key_info(&pair).pem_of("PUBLIC KEY"),
        pair.serialize_pem(),
    )
}

fn encode_rsa(pair: &aws_lc_rs::rsa::KeyPair) -> (String, String) {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair;
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (
        public.as_ref().to_vec().pem_of("PUBLIC KEY"),
        private.as_ref().to_vec().pem_of("PRIVATE KEY"),
    )
}

/// RFC 7468
trait Pem {
    fn pem_of(&self, label: &str) -> String;
}

impl Pem for Vec<u8> {
    fn pem_of(&self, label: &str) -> String {
        let text = data_encoding::BASE64.encode(self);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }
}

/// What a dialect can be told, beside when a token ends.
#[derive(Clone, Copy, Default)]
struct Can {
    prefix: bool,
    client: bool,
    not_before: bool,
    parameters: bool,
    carriers: &'static [Carrier],
}

const WHOLE: &[Carrier] = &[Carrier::Url, Carrier::Cookie, Carrier::Field];
const COOKIES: &[Carrier] = &[Carrier::Url, Carrier::Cookie];
const URLS: &[Carrier] = &[Carrier::Url];

fn dialects() -> Vec<(&'static str, &'static str, Can)> {
    let can = |prefix, client, not_before, parameters, carriers| Can {
        prefix,
        client,
        not_before,
        parameters,
        carriers,
    };
    let verge = can(true, true, true, true, WHOLE);
    let token = can(true, true, true, false, WHOLE);
    let cloudfront = can(true, true, true, false, COOKIES);
    let plain = can(false, false, false, false, URLS);
    let places = "token = [\"query:t\", \"cookie:t\", \"header:t\"]";
    vec![
        (
            "secret",
            leak(format!("dialect = \"verge\", keys = [\"secret\"], {places}")),
            verge,
        ),
        (
            "ed",
            leak(format!("dialect = \"verge\", keys = [\"ed\"], {places}")),
            verge,
        ),
        ("rsa", "dialect = \"cloudfront\", keys = [\"rsa\"]", cloudfront),
        ("p256", "dialect = \"cloudfront\", keys = [\"p256\"]", cloudfront),
        (
            "secret",
            "dialect = \"gcp\", keys = [\"secret\"], weak = [\"sha1\"]",
            can(true, false, false, false, URLS),
        ),
        (
            "ed",
            "dialect = \"gcp\", keys = [\"ed\"]",
            can(true, false, false, false, URLS),
        ),
        (
            "secret",
            leak(format!(
                "dialect = \"akamai\", keys = [\"secret\"], salt = \"pepper\", {places}"
            )),
            token,
        ),
        (
            "secret",
            "dialect = \"bunny\", keys = [\"secret\"]",
            can(true, true, false, false, URLS),
        ),
        (
            "secret",
            "dialect = \"secure-link\", keys = [\"secret\"], weak = [\"md5\"], expression = \"$secure_link_expires$uri $secret\"",
            plain,
        ),
        (
            "secret",
            leak(format!(
                "dialect = \"jwt\", keys = [\"secret\"], audience = \"a\", {places}"
            )),
            can(true, false, true, false, WHOLE),
        ),
        (
            "rsa",
            leak(format!("dialect = \"jwt\", keys = [\"rsa\"], issuer = \"i\", {places}")),
            can(true, false, true, false, WHOLE),
        ),
        (
            "p256",
            leak(format!("dialect = \"jwt\", keys = [\"p256\"], {places}")),
            can(true, false, true, false, WHOLE),
        ),
        (
            "ed",
            leak(format!("dialect = \"jwt\", keys = [\"ed\"], {places}")),
            can(true, false, true, false, WHOLE),
        ),
        (
            "secret",
            leak(format!(
                "dialect = \"cat\", keys = [\"secret\"], audience = \"a\", {places}"
            )),
            token,
        ),
        (
            "p256",
            leak(format!(
                "dialect = \"cat\", keys = [\"p256\"], issuer = \"i\", {places}"
            )),
            token,
        ),
        (
            "ed",
            leak(format!("dialect = \"cat\", keys = [\"ed\"], {places}")),
            token,
        ),
        (
            "secret",
            "dialect = \"s3\", keys = [\"secret\"], region = \"eu-north-1\"",
            plain,
        ),
    ]
}

fn leak(text: String) -> &'static str {
    text.leak()
}

/// The request that has what was signed.
fn asked(signed: &Signed, carrier: Carrier, config: &str, url: &str) -> super::vectors::Asked {
    let mut asked = super::vectors::Asked::of(config, if carrier == Carrier::Url { &signed.text } else { url });
    match carrier {
        Carrier::Url => {}
        Carrier::Cookie => asked.cookies.push(signed.text.replace('\n', "; ")),
        Carrier::Field => {
            let (name, value) = signed.text.split_once(": ").unwrap();
            asked.fields.push((name.to_owned(), value.to_owned()));
        }
    }
    asked
}

#[test]
fn what_is_signed_is_granted() {
    let keys = keys();
    let all = config::load(
        "edge.toml",
        &format!("{keys}[origins.o]\nservers = [\"http://127.0.0.1:1\"]\n[[sites]]\nhosts = [\"*\"]\norigin = \"o\"\n"),
    );
    let all = all.unwrap_or_else(|errors| panic!("{errors:#?}")).keys;
    for (key, signed, can) in dialects() {
        let policy = policy(&keys, signed);
        for round in 0..32 {
            let has = |bit: u32, can: bool| can && round >> bit & 1 == 1;
            let query = (round >> 4 & 1 == 1).then_some("b=2&a=1");
            for carrier in can.carriers {
                let order = Order {
                    scheme: "https",
                    host: "cdn.example.com",
                    path: "/a/b%20c.jpg",
                    query: query.filter(|_| !signed.contains("bunny")).or(query.map(|_| "a=1&b=2")),
                    expires: NOW + 600,
                    not_before: has(0, can.not_before).then_some(NOW - 5),
                    client: has(1, can.client).then(|| "192.0.2.7/32".parse().unwrap()),
                    prefix: has(2, can.prefix).then_some("/a/"),
                    parameters: has(3, can.parameters).then_some("a,b"),
                    now: NOW,
                    carrier: *carrier,
                    key: &all[key],
                };
                let url = format!(
                    "https://cdn.example.com/a/b%20c.jpg{}",
                    order.query.map_or_else(String::new, |query| format!("?{query}"))
                );
                let made = policy
                    .dialect
                    .sign(&order)
                    .unwrap_or_else(|what| panic!("{signed}: {what}"));
                let good = asked(&made, *carrier, signed, &url);
                let left = outcome(&policy, &good);
                let what = format!("{signed}: {made:?}");
                assert!(left.is_ok(), "{what}: {left:?}");
                let mut late = good.clone();
                late.now = NOW + 600;
                assert!(outcome(&policy, &late).is_err(), "{what}: late");
                let mut other = good.clone();
                other.url = other.url.replace("/a/b", "/b/b");
                assert!(outcome(&policy, &other).is_err(), "{what}: another path");
                if order.client.is_some() {
                    let mut other = good.clone();
                    other.client = "192.0.2.8".parse().unwrap();
                    assert!(outcome(&policy, &other).is_err(), "{what}: another client");
                }
            }
        }
    }
}

/// What a dialect cannot say is not left out silently.
#[test]
fn what_cannot_be_said_is_refused() {
    let keys = keys();
    for (key, signed, can) in dialects() {
        let policy = policy(&keys, signed);
        let key = policy.keys.named(key).unwrap();
        let plain = Order {
            scheme: "https",
            host: "h",
            path: "/a",
            query: None,
            expires: NOW + 600,
            not_before: None,
            client: None,
            prefix: None,
            parameters: None,
            now: NOW,
            carrier: Carrier::Url,
            key,
        };
        let client = Some("192.0.2.7/32".parse().unwrap());
        for (told, can) in [
            (
                Order {
                    prefix: Some("/"),
                    ..plain
                },
                can.prefix,
            ),
            // An expression of nginx may hold the client.
            (Order { client, ..plain }, can.client || signed.contains("secure-link")),
            (
                Order {
                    not_before: Some(NOW),
                    ..plain
                },
                can.not_before,
            ),
            (
                Order {
                    parameters: Some("a"),
                    ..plain
                },
                can.parameters,
            ),
        ] {
            assert_eq!(policy.dialect.sign(&told).is_ok(), can, "{signed}: {told:?}");
        }
    }
}
