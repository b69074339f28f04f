//! Amazon S3's presigned URLs: Signature Version 4 in the query.
//!
//! Source: the Amazon S3 API reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". The key's
//! name is the access key's, its secret the secret access key. What is signed is the method, the path, all of the query but the
//! signature, and the fields that `X-Amz-SignedHeaders` names, the host always among them; it is the host of this edge, for
//! which the application makes its links.
//!
//! SigV4 sorts parameters before it signs them: an order other than that of the link is the same to it, and to S3. Their
//! spelling must be the one that is signed, and so must the path's, but for what RFC 3986 does not tell apart.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::check::Check;
use super::keys::Key;
use super::path::Oddities;
use super::query::{Part, parts, take};
use super::sign::{Carrier, Order, Signed};
use super::strip::{Grant, Strip};
use super::verified::Kind;
use super::{Dialect, Reason, Request, encoding};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];
const SIGNATURE: &str = "X-Amz-Signature";

/// The longest that a link may last, in seconds.
const WEEK: u64 = 7 * 24 * 3600;

/// All but RFC 3986's unreserved characters is escaped; in paths, slashes stay.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// S3's presigned URLs.
#[derive(Debug)]
pub struct S3 {
    region: Option<Box<str>>,
}

impl S3 {
    /// Links for this region, or for any.
    pub fn new(region: Option<Box<str>>) -> Self {
        S3 { region }
    }
}

/// `KEY/DATE/REGION/SERVICE/aws4_request`
struct Credential<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    /// All but the key.
    scope: &'a str,
}

impl<'a> Credential<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (key, scope) = text.split_once('/')?;
        let mut parts = scope.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let credential = Credential {
            key,
            date: next()?,
            region: next()?,
            service: next()?,
            scope,
        };
        (next()? == "aws4_request" && parts.next().is_none()).then_some(credential)
    }
}

impl Dialect for S3 {
    fn grant<'p>(&'p self, request: &Request<'_>, check: &mut Check<'_>) -> Result<Grant<'p>, Reason> {
        let taken = take(request.query, PARAMETERS)?;
        if taken.is_empty() {
            return Err(Reason::Missing);
        }
        let part = |which: usize| taken.get(which).ok_or(Reason::Malformed);
        if part(0)?.value != ALGORITHM {
            return Err(Reason::Algorithm);
        }
        let (date, scope) = (part(2)?.value, part(1)?);
        let scope = scope.decoded()?;
        let credential = Credential::read(&scope).ok_or(Reason::Malformed)?;
        let until = times(date, &credential, part(3)?.value, check)?;
        let key = check.key(credential.key)?;
        self.in_region(&credential, check)?;
        Oddities::of(request).below()?;
        let fields = part(4)?.decoded()?;
        let tag: [u8; 32] = encoding::hex_exact(part(5)?.value).ok_or(Reason::Malformed)?;
        let content = taken.value(7).unwrap_or("UNSIGNED-PAYLOAD");
        let canonical = [
            request.method,
            &path(request.raw_path)?,
            &query(request.query.unwrap_or_default())?,
            &signed_fields(request, &fields)?,
            &fields,
            content,
        ];
        let message = to_sign(date, credential.scope, &canonical.join("\n"));
        check.note("canonical request", || canonical.join("\n").escape_debug().to_string());
        let message = message.as_bytes();
        let good = check.is_tag(
            key,
            Kind::Aws4,
            message,
            &tag,
            || Ok(&tag),
            || signature(key, &credential, message),
        )?;
        check.signature(key, &[message], good)?;
        let strip = Strip {
            query: taken.ranges(),
            ..Strip::default()
        };
        Ok(Grant { strip, until })
    }

    fn sign(&self, order: &Order<'_>) -> Result<Signed, String> {
        order.has_no(&[
            ("from when", order.not_before.is_some()),
            ("for which client", order.client.is_some()),
            ("a prefix", order.prefix.is_some()),
            ("which parameters may follow", order.parameters.is_some()),
            ("anything but a URL", order.carrier != Carrier::Url),
            ("more than a week", order.expires.saturating_sub(order.now) > WEEK),
        ])?;
        let date = written(order.now);
        let day = &date[..8];
        let region = self.region.as_deref().unwrap_or("us-east-1");
        let scope = format!("{day}/{region}/s3/aws4_request");
        let credential = utf8_percent_encode(&format!("{}/{scope}", order.key.id()), QUERY).to_string();
        let token = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires={}\
             &X-Amz-SignedHeaders=host",
            order.expires.saturating_sub(order.now)
        );
        let url = order.url_with(&token);
        let fault = |reason: Reason| reason.means().to_owned();
        let asked = url.split_once('?').map_or("", |(_, query)| query);
        let host = format!("host:{}\n", order.host);
        let canonical = [
            "GET",
            &path(order.path).map_err(fault)?,
            &query(asked).map_err(fault)?,
            &host,
            "host",
            "UNSIGNED-PAYLOAD",
        ];
        let message = to_sign(&date, &scope, &canonical.join("\n"));
        let name = format!("{}/{scope}", order.key.id());
        let credential = Credential::read(&name).ok_or("the key's name cannot stand in a credential")?;
        let tag = signature(order.key, &credential, message.as_bytes()).map_err(fault)?;
        Ok(Signed {
            text: format!("{url}&{SIGNATURE}={}", encoding::to_hex(tag.as_ref())),
            message: message.into_bytes(),
        })
    }

    fn carries(&self, name: &str) -> bool {
        PARAMETERS.contains(&name)
    }
}

impl S3 {
    fn in_region(&self, credential: &Credential<'_>, check: &mut Check<'_>) -> Result<(), Reason> {
        let region = self.region.as_deref().is_none_or(|region| region == credential.region);
        let good = region && credential.service == "s3";
        check.noted("scope", credential.scope, good, Reason::Issuer)
    }
}

/// When a link ends, if it is not over and has begun.
fn times(date: &str, credential: &Credential<'_>, expires: &str, check: &mut Check<'_>) -> Result<u64, Reason> {
    let from = parse_date(date).filter(|_| date.starts_with(credential.date) && credential.date.len() == 8);
    let from = from.ok_or(Reason::Malformed)?;
    let lasts = encoding::seconds(expires).filter(|lasts| (1..=WEEK).contains(lasts));
    let until = from + lasts.ok_or(Reason::Malformed)?;
    check.not_after(until)?;
    check.not_before(from)?;
    Ok(until)
}

/// `20130524T000000Z` as seconds since 1970.
fn parse_date(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text
            .get(from..to)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    if text.len() != 16 || text.get(8..9) != Some("T") || !text.ends_with('Z') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let sound = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    (sound && hour < 24 && minute < 60 && second < 60)
        .then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01, in the Gregorian calendar counted from March, so that leap days come last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Seconds since 1970 as `20130524T000000Z`.
fn written(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let date = httpdate::fmt_http_date(time);
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(&date[8..11]).unwrap_or(0) / 3 + 1;
    format!(
        "{}{month:02}{}T{}Z",
        &date[12..16],
        &date[5..7],
        date[17..25].replace(':', "")
    )
}

/// The path as it is signed: decoded and escaped again.
fn path(raw: &str) -> Result<String, Reason> {
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| Reason::Malformed)?;
    Ok(utf8_percent_encode(&decoded, PATH).to_string())
}

/// The query as it is signed: without the signature, sorted.
fn query(raw: &str) -> Result<String, Reason> {
    let others = parts(raw).filter(|part| part.name != SIGNATURE && !(part.name.is_empty() && part.value.is_empty()));
    let mut pairs: Vec<(&str, String)> = others.map(spelt).collect::<Result<_, _>>()?;
    pairs.sort_unstable();
    let joined: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(joined.join("&"))
}

/// A parameter as it is signed. The token's own may be spelt in another way, such as with a bare `/`.
fn spelt(part: Part<'_>) -> Result<(&str, String), Reason> {
    let canonical = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|_| Reason::Malformed)?;
        Ok(utf8_percent_encode(&decoded, QUERY).to_string())
    };
    let (name, value) = (canonical(part.name)?, canonical(part.value)?);
    let own = PARAMETERS.contains(&part.name) && !part.value.contains('+');
    match name == part.name && (own || value == part.value) {
        true => Ok((part.name, value)),
        false => Err(Reason::Ambiguous),
    }
}

/// The fields that are signed, a line each; the host is one of them.
fn signed_fields(request: &Request<'_>, names: &str) -> Result<String, Reason> {
    let mut lines = String::new();
    for name in names.split(';') {
        let value = match name {
            "host" => request.host.into(),
            _ => field(request, name)?,
        };
        lines.push_str(&format!("{name}:{value}\n"));
    }
    let host = names.split(';').any(|name| name == "host");
    if host { Ok(lines) } else { Err(Reason::Malformed) }
}

/// A field's values, as they are signed: spaces in a row are one.
fn field(request: &Request<'_>, name: &str) -> Result<String, Reason> {
    if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Reason::Malformed);
    }
    let lines = request.fields.lines().iter();
    let values = lines.filter(|line| line.name.eq_ignore_ascii_case(name.as_bytes()));
    let values = values.map(|line| {
        let text = std::str::from_utf8(line.value).map_err(|_| Reason::Malformed)?;
        Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    });
    Ok(values.collect::<Result<Vec<_>, Reason>>()?.join(","))
}

fn to_sign(date: &str, scope: &str, canonical: &str) -> String {
    let hash = encoding::to_hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    format!("{ALGORITHM}\n{date}\n{scope}\n{hash}")
}

/// The signature, with the key that is made for this day, region and service.
fn signature(key: &Key, credential: &Credential<'_>, message: &[u8]) -> Result<hmac::Tag, Reason> {
    let first = [b"AWS4", key.bytes()?].concat();
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
    for part in [credential.date, credential.region, credential.service, "aws4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    Ok(hmac::sign(&key, message))
}
