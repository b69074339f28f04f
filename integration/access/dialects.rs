//! Every dialect with every kind of key that can sign in it.

use verge::access::sign::Carrier;

/// Keys that can sign, made anew.
pub fn keys() -> String {
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
pub struct Line {
    /// The name of its key.
    pub key: &'static str,
    /// What the route asks for, as a configuration has it.
    pub signed: String,
    says: &'static str,
    /// Where it puts tokens.
    pub carriers: Vec<Carrier>,
}

impl Line {
    /// Whether it has a way to say that.
    pub fn can(&self, what: &str) -> bool {
        self.says.split(' ').any(|word| word == what)
    }
}

/// All lines.
pub fn dialects() -> impl Iterator<Item = Line> {
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
