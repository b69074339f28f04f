//! What there is at the origin: representations that differ in status, validators, fields and size, each named by its path.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// A field: its name and its value.
pub type Field = (&'static str, String);

/// The entity tag, without quotes, of every representation that has one.
pub const TAG: &str = "v1";
/// The request field that responses vary by.
pub const LANGUAGE: &str = "x-lang";
/// What it says in all requests that are compared.
pub const ASKED: &str = "de";

pub const STATUSES: [u16; 34] = [
    200, 201, 202, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 411, 413, 414,
    415, 422, 429, 451, 499, 500, 501, 502, 503, 504, 599,
];

pub const VALIDATORS: [&str; 7] = [
    "strong-dated",
    "none",
    "strong",
    "weak",
    "dated",
    "recent",
    "weak-dated",
];

/// How a response may be stored, by name.
pub const CONTROLS: [(&str, &[(&str, &str)]); 23] = [
    ("max-age", &[("cache-control", "max-age=3600")]),
    ("silent", &[]),
    ("public", &[("cache-control", "public")]),
    ("public-max-age", &[("cache-control", "public, max-age=3600")]),
    ("no-store", &[("cache-control", "no-store")]),
    ("no-cache", &[("cache-control", "no-cache")]),
    ("private", &[("cache-control", "private, max-age=3600")]),
    ("shared-age", &[("cache-control", "max-age=0, s-maxage=3600")]),
    ("must-revalidate", &[("cache-control", "max-age=3600, must-revalidate")]),
    (
        "must-understand",
        &[("cache-control", "max-age=3600, must-understand, no-store")],
    ),
    ("stale", &[("cache-control", "max-age=0")]),
    (
        "stale-while",
        &[("cache-control", "max-age=0, stale-while-revalidate=600")],
    ),
    (
        "immutable",
        &[("cache-control", "max-age=3600, immutable, no-transform")],
    ),
    (
        "two-lines",
        &[("cache-control", "public"), ("cache-control", "max-age=3600")],
    ),
    (
        "no-cache-field",
        &[("cache-control", "max-age=3600, no-cache=\"x-own\"")],
    ),
    ("private-field", &[("cache-control", "max-age=3600, private=\"x-own\"")]),
    ("aged", &[("cache-control", "max-age=3600"), ("age", "100")]),
    ("aged-stale", &[("cache-control", "max-age=60"), ("age", "100")]),
    (
        "cookie",
        &[
            ("cache-control", "max-age=3600"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ],
    ),
    ("pragma", &[("pragma", "no-cache")]),
    ("expires", &[("expires", "3600")]),
    ("expired", &[("expires", "-3600")]),
    ("expires-zero", &[("expires", "0")]),
];

/// What `Vary` says, a line each.
pub const VARIES: [(&str, &[&str]); 6] = [
    ("nothing", &[]),
    ("language", &["X-Lang"]),
    ("several", &["accept-charset, x-lang"]),
    ("lines", &["X-Lang", "Accept-Charset"]),
    ("absent", &["X-Absent"]),
    ("anything", &["*"]),
];

/// Bytes of the representation, and whether its length is said beforehand.
pub const SIZES: [(usize, bool); 7] = [
    (1_000, true),
    (0, true),
    (1, true),
    (70_000, true),
    (300_000, true),
    (1_000, false),
    (0, false),
];

/// A representation, as places in the lists above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resource {
    pub status: usize,
    pub validators: usize,
    pub control: usize,
    pub vary: usize,
    pub size: usize,
}

impl Resource {
    pub fn path(&self) -> String {
        let Resource {
            status,
            validators,
            control,
            vary,
            size,
        } = *self;
        let (length, said) = SIZES[size];
        let (status, validators, control, vary) = (
            STATUSES[status],
            VALIDATORS[validators],
            CONTROLS[control].0,
            VARIES[vary].0,
        );
        let said = if said { "known" } else { "unknown" };
        format!("/{status}/{validators}/{control}/{vary}/{length}/{said}")
    }

    pub fn of(path: &str) -> Option<Resource> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let [status, validators, control, vary, length, said] = parts[..] else {
            return None;
        };
        let size = (length.parse().ok()?, said == "known");
        Some(Resource {
            status: STATUSES.iter().position(|known| known.to_string() == status)?,
            validators: VALIDATORS.iter().position(|known| *known == validators)?,
            control: CONTROLS.iter().position(|(known, _)| *known == control)?,
            vary: VARIES.iter().position(|(known, _)| *known == vary)?,
            size: SIZES.iter().position(|known| *known == size)?,
        })
    }

    pub fn status(&self) -> u16 {
        STATUSES[self.status]
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Whether its length is said before its body is.
    pub fn length_is_said(&self) -> bool {
        SIZES[self.size].1
    }

    /// RFC 9110 15.3.5: a `204` has no content.
    pub fn length(&self) -> usize {
        if self.status() == 204 { 0 } else { SIZES[self.size].0 }
    }

    /// Whether it is chosen by what the request says.
    pub fn varies(&self) -> bool {
        VARIES[self.vary]
            .1
            .iter()
            .any(|line| *line == "*" || line.to_ascii_lowercase().contains(LANGUAGE))
    }

    /// The part of the request that chooses among representations.
    fn variant<'a>(&self, language: &'a str) -> &'a str {
        if self.varies() { language } else { ASKED }
    }

    /// The entity tag as it is sent.
    pub fn etag(&self, language: &str) -> Option<String> {
        let mark = match VALIDATORS[self.validators] {
            "strong" | "strong-dated" => "",
            "weak" | "weak-dated" => "W/",
            _ => return None,
        };
        Some(match self.variant(language) {
            ASKED => format!("{mark}\"{TAG}\""),
            other => format!("{mark}\"{TAG}-{other}\""),
        })
    }

    pub fn last_modified(&self, dates: &Dates) -> Option<SystemTime> {
        match VALIDATORS[self.validators] {
            "dated" | "strong-dated" | "weak-dated" => Some(dates.modified),
            "recent" => Some(dates.now - Duration::from_secs(5)),
            _ => None,
        }
    }

    /// A body that no other representation has, and of which no two stretches are alike.
    pub fn body(&self, language: &str) -> Bytes {
        let name = format!("{}{}", self.path(), self.variant(language));
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (0..self.length() as u64)
            .map(|at| (mixed(seed ^ at) % 95) as u8 + 32)
            .collect()
    }

    /// The fields of a `GET` that is answered whole, but for those of framing.
    pub fn fields(&self, dates: &Dates, language: &str) -> Vec<Field> {
        let mut fields: Vec<Field> = vec![
            ("date", httpdate::fmt_http_date(dates.now)),
            ("server", "matrix".to_owned()),
            ("content-type", "text/plain".to_owned()),
            ("content-language", "en".to_owned()),
            ("content-location", "/elsewhere".to_owned()),
            ("accept-ranges", "bytes".to_owned()),
            ("x-own", "one".to_owned()),
            ("x-own", "two".to_owned()),
        ];
        fields.extend(self.etag(language).map(|tag| ("etag", tag)));
        fields.extend(
            self.last_modified(dates)
                .map(|date| ("last-modified", httpdate::fmt_http_date(date))),
        );
        fields.extend(
            CONTROLS[self.control]
                .1
                .iter()
                .map(|(name, value)| (*name, dates.fill(name, value))),
        );
        fields.extend(VARIES[self.vary].1.iter().map(|line| ("vary", (*line).to_owned())));
        fields.extend(self.fields_of_status());
        fields
    }

    /// What RFC 9110 has a response of this status say.
    fn fields_of_status(&self) -> Option<Field> {
        let (name, value) = match self.status() {
            201 | 300..=303 | 307 | 308 => ("location", "/there"),
            401 => ("www-authenticate", "Basic realm=\"m\""),
            405 => ("allow", "GET, HEAD"),
            413 | 429 | 503 => ("retry-after", "60"),
            _ => return None,
        };
        Some((name, value.to_owned()))
    }
}

/// Splitmix64's mixing.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^ (value >> 27)
}

/// The days on which all of this plays.
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// `Date` of all responses: when the program began.
    pub now: SystemTime,
    /// `Last-Modified`, long enough ago for a strong validator (RFC 9110 8.8.2.2).
    pub modified: SystemTime,
}

impl Dates {
    pub fn at(now: SystemTime) -> Dates {
        let seconds = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Dates {
            now,
            modified: now - Duration::from_secs(10 * 86_400),
        }
    }

    /// `Expires` is given in seconds from now, but for the zero that is no date.
    fn fill(&self, name: &str, value: &str) -> String {
        match (name, value.parse::<i64>()) {
            ("expires", Ok(offset)) if offset > 0 => {
                httpdate::fmt_http_date(self.now + Duration::from_secs(offset.unsigned_abs()))
            }
            ("expires", Ok(offset)) if offset < 0 => {
                httpdate::fmt_http_date(self.now - Duration::from_secs(offset.unsigned_abs()))
            }
            _ => value.to_owned(),
        }
    }
}
