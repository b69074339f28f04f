//! What is signed here is granted here, and nothing beside it.

use verge::access::sign::{Carrier, Order, Signed};
use verge::access::{Key, Policy};

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

/// A key, what the route asks for, what the dialect has a way to say beside when a token ends, and where it puts tokens.
const DIALECTS: &str = r#"
secret | dialect = "verge", keys = ["secret"], PLACES | prefix client from parameters | url cookie field
ed     | dialect = "verge", keys = ["ed"], PLACES | prefix client from parameters | url cookie field
rsa    | dialect = "cloudfront", keys = ["rsa"] | prefix client from | url cookie
p256   | dialect = "cloudfront", keys = ["p256"] | prefix client from | url cookie
secret | dialect = "gcp", keys = ["secret"], weak = ["sha1"] | prefix | url
ed     | dialect = "gcp", keys = ["ed"] | prefix | url
secret | dialect = "akamai", keys = ["secret"], salt = "pepper", PLACES | prefix client from | url cookie field
secret | dialect = "bunny", keys = ["secret"] | prefix client | url
secret | dialect = "secure-link", keys = ["secret"], weak = ["md5"], expression = "$secure_link_expires$uri $secret" | | url
secret | dialect = "jwt", keys = ["secret"], audience = "a", PLACES | prefix from | url cookie field
rsa    | dialect = "jwt", keys = ["rsa"], issuer = "i", PLACES | prefix from | url cookie field
p256   | dialect = "jwt", keys = ["p256"], PLACES | prefix from | url cookie field
ed     | dialect = "jwt", keys = ["ed"], PLACES | prefix from | url cookie field
secret | dialect = "cat", keys = ["secret"], audience = "a", PLACES | prefix client from | url cookie field
p256   | dialect = "cat", keys = ["p256"], issuer = "i", PLACES | prefix client from | url cookie field
ed     | dialect = "cat", keys = ["ed"], PLACES | prefix client from | url cookie field
secret | dialect = "s3", keys = ["secret"], region = "eu-north-1" | | url
"#;

/// A line of [`DIALECTS`].
struct Line {
    key: &'static str,
    signed: String,
    says: &'static str,
    carriers: Vec<Carrier>,
}

impl Line {
    fn can(&self, what: &str) -> bool {
        self.says.split(' ').any(|word| word == what)
    }
}

fn dialects() -> impl Iterator<Item = Line> {
    DIALECTS.trim().lines().map(|line| {
        let columns: Vec<&'static str> = line.split('|').map(str::trim).collect();
        let [key, signed, says, carriers] = columns.try_into().expect("four columns");
        let carrier = |word: &str| match word {
            "url" => Carrier::Url,
            "cookie" => Carrier::Cookie,
            _ => Carrier::Field,
        };
        Line {
            key,
            signed: signed.replace("PLACES", "token = [\"query:t\", \"cookie:t\", \"header:t\"]"),
            says,
            carriers: carriers.split(' ').map(carrier).collect(),
        }
    })
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

/// An order with as much as the bits of `round` say, and the dialect can.
fn order<'a>(line: &Line, round: u32, carrier: Carrier, key: &'a Key) -> Order<'a> {
    let has = |bit: u32, what: &str| round >> bit & 1 == 1 && line.can(what);
    Order {
        // bunny.net's parameters are sorted.
        query: (round >> 4 & 1 == 1).then_some(if line.signed.contains("bunny") {
            "a=1&b=2"
        } else {
            "b=2&a=1"
        }),
        not_before: has(0, "from").then_some(NOW - 5),
        client: has(1, "client").then(|| "192.0.2.7/32".parse().unwrap()),
        prefix: has(2, "prefix").then_some("/a/"),
        parameters: has(3, "parameters").then_some("a,b"),
        carrier,
        ..plain(key)
    }
}

fn plain(key: &Key) -> Order<'_> {
    Order {
        scheme: "https",
        host: "cdn.example.com",
        path: "/a/b%20c.jpg",
        query: None,
        expires: NOW + 600,
        not_before: None,
        client: None,
        prefix: None,
        parameters: None,
        now: NOW,
        carrier: Carrier::Url,
        key,
    }
}

#[test]
fn what_is_signed_is_granted() {
    let keys = keys();
    for line in dialects() {
        let policy = policy(&keys, &line.signed);
        let key = policy.keys.named(line.key).unwrap();
        for (round, carrier) in (0..32).flat_map(|round| line.carriers.iter().map(move |carrier| (round, *carrier))) {
            granted_and_nothing_beside(&policy, &line, &order(&line, round, carrier, key));
        }
    }
}

fn granted_and_nothing_beside(policy: &Policy, line: &Line, order: &Order<'_>) {
    let query = order.query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("https://cdn.example.com/a/b%20c.jpg{query}");
    let made = policy.dialect.sign(order);
    let made = made.unwrap_or_else(|what| panic!("{}: {what}", line.signed));
    let good = asked(&made, order.carrier, &line.signed, &url);
    let left = outcome(policy, &good);
    assert!(left.is_ok(), "{}: {made:?}: {left:?}", line.signed);
    let mut late = good.clone();
    late.now = NOW + 600;
    let mut elsewhere = good.clone();
    elsewhere.url = elsewhere.url.replace("/a/b", "/b/b");
    let mut another = good.clone();
    another.client = "192.0.2.8".parse().unwrap();
    assert!(outcome(policy, &late).is_err(), "{}: {made:?}: late", line.signed);
    assert!(
        outcome(policy, &elsewhere).is_err(),
        "{}: {made:?}: elsewhere",
        line.signed
    );
    let free = order.client.is_none();
    assert_eq!(
        outcome(policy, &another).is_ok(),
        free,
        "{}: {made:?}: another client",
        line.signed
    );
}

/// What a dialect cannot say is not left out silently.
#[test]
fn what_cannot_be_said_is_refused() {
    let keys = keys();
    for line in dialects() {
        let policy = policy(&keys, &line.signed);
        let plain = plain(policy.keys.named(line.key).unwrap());
        let client = Some("192.0.2.7/32".parse().unwrap());
        let prefix = Some("/a/");
        for (told, can) in [
            (Order { prefix, ..plain }, line.can("prefix")),
            // An expression of nginx may hold the client.
            (
                Order { client, ..plain },
                line.can("client") || line.signed.contains("secure-link"),
            ),
            (
                Order {
                    not_before: Some(NOW),
                    ..plain
                },
                line.can("from"),
            ),
            (
                Order {
                    parameters: Some("a"),
                    ..plain
                },
                line.can("parameters"),
            ),
        ] {
            assert_eq!(policy.dialect.sign(&told).is_ok(), can, "{}: {told:?}", line.signed);
        }
    }
}
