//! Cache control that is meant for some caches only: targeted fields (RFC 9213), and `Surrogate-Control` (W3C Edge
//! Architecture 1.0) where a site asks for it.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::cache_control::{Argument, ResponseDirectives, response_directives};
use super::list;

/// RFC 9213 3.1
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// The field whose syntax is not that of RFC 9213.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// What the edge is called in `Surrogate-Capability`, and in what is targeted at it there.
pub const DEVICE: &str = "verge";

/// Which targeted fields a site's responses are governed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The target list (RFC 9213 2.2): the first that is there counts.
    pub names: Box<[HeaderName]>,
    /// Whether clients get to see them.
    pub forwarded: bool,
}

impl Default for Targets {
    /// The field for all CDNs, which is for us.
    fn default() -> Self {
        Targets {
            names: [CDN_CACHE_CONTROL].into(),
            forwarded: false,
        }
    }
}

impl Targets {
    /// Takes out what is not for clients.
    pub fn consume(&self, fields: &mut HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut consumed = Vec::new();
        for name in self.names.iter().filter(|_| !self.forwarded) {
            let lines = fields.get_all(name).into_iter();
            consumed.extend(lines.map(|line| (name.clone(), line.clone())));
            fields.remove(name);
        }
        consumed
    }
}

/// What governs the caching of a response with these `fields`: the first of `targets` (RFC 9213 2.2: the target list) that
/// is there and can be read, else `Cache-Control`.
pub fn governing(fields: &HeaderMap, targets: &[HeaderName]) -> ResponseDirectives {
    let targeted = targets.iter().find_map(|name| match *name == SURROGATE_CONTROL {
        true => surrogate(fields),
        false => targeted(fields, name),
    });
    match targeted {
        Some(said) => ResponseDirectives { targeted: true, ..said },
        None => response_directives(fields),
    }
}

/// RFC 9213 2.1: a dictionary whose members are directives. One that is empty or cannot be read is as if it were not there.
fn targeted(fields: &HeaderMap, name: &HeaderName) -> Option<ResponseDirectives> {
    let lines: Vec<&[u8]> = fields.get_all(name).iter().map(|line| line.as_bytes()).collect();
    let members: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
    let mut said = ResponseDirectives::default();
    for (name, value) in &members {
        let name = name.as_str().as_bytes();
        match value {
            // RFC 9213 2.1: parameters are ignored.
            ListEntry::Item(item) => apply(&mut said, name, &item.bare_item),
            ListEntry::InnerList(_) => said.apply(name, Argument::Malformed),
        }
    }
    (!members.is_empty()).then_some(said)
}

/// RFC 9213 2.1: without a value a directive is a Boolean, delta-seconds are an Integer, anything else a Token or String.
fn apply(said: &mut ResponseDirectives, name: &[u8], value: &BareItem) {
    let names_fields = matches!(name, b"private" | b"no-cache");
    match value {
        BareItem::Boolean(false) => {}
        BareItem::Boolean(true) => said.apply(name, Argument::None),
        BareItem::Integer(seconds) => {
            let digits = i64::from(*seconds).to_string();
            said.apply(name, Argument::Given(digits.as_bytes()));
        }
        BareItem::String(text) if names_fields => said.apply(name, Argument::Given(text.as_str().as_bytes())),
        BareItem::Token(text) if names_fields => said.apply(name, Argument::Given(text.as_str().as_bytes())),
        _ => said.apply(name, Argument::Malformed),
    }
}

/// Edge Architecture 1.0, 2.3: directives with arguments as in `Cache-Control`; what is targeted at us counts before what is
/// for all, and what is targeted at others not at all. `None` if nothing of it is for us.
fn surrogate(fields: &HeaderMap) -> Option<ResponseDirectives> {
    let (mut for_all, mut for_us) = (ResponseDirectives::default(), ResponseDirectives::default());
    let (mut any, mut ours) = (false, false);
    let lines = fields.get_all(SURROGATE_CONTROL).into_iter();
    for member in lines.flat_map(|line| list::members(line.as_bytes())) {
        let mut pieces = member.split(|byte| *byte == b';').map(list::trim);
        let directive = pieces.next().unwrap_or_default();
        let said = match pieces.next() {
            None => (&mut for_all, &mut any),
            Some(device) if device == DEVICE.as_bytes() => (&mut for_us, &mut ours),
            Some(_) => continue,
        };
        *said.1 |= surrogate_directive(said.0, directive);
    }
    match ours {
        true => Some(for_us),
        false => any.then_some(for_all),
    }
}

/// Whether it is one that is known.
fn surrogate_directive(said: &mut ResponseDirectives, directive: &[u8]) -> bool {
    let end = directive.iter().position(|byte| *byte == b'=');
    let (name, after) = directive.split_at(end.unwrap_or(directive.len()));
    let value = after.get(1..).unwrap_or_default();
    match name.to_ascii_lowercase().as_slice() {
        b"no-store" => said.apply(b"no-store", Argument::None),
        // How long it is fresh and, behind a plus sign, how long past that it may still be served.
        b"max-age" => {
            let mut times = value.splitn(2, |byte| *byte == b'+');
            said.apply(b"max-age", Argument::Given(times.next().unwrap_or_default()));
            if let Some(past) = times.next() {
                said.apply(b"stale-while-revalidate", Argument::Given(past));
            }
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    const CDN: HeaderName = CDN_CACHE_CONTROL;
    const OWN: HeaderName = HeaderName::from_static("verge-cache-control");

    #[test]
    fn the_first_of_the_list_that_can_be_read_governs() {
        for (lines, seconds, targeted) in [
            (&[("cache-control", "max-age=1")][..], Some(1), false),
            (
                &[("cache-control", "max-age=1"), ("cdn-cache-control", "max-age=2")],
                Some(2),
                true,
            ),
            (
                &[("verge-cache-control", "max-age=3"), ("cdn-cache-control", "max-age=2")],
                Some(3),
                true,
            ),
            (
                &[("verge-cache-control", ""), ("cdn-cache-control", "max-age=2")],
                Some(2),
                true,
            ),
            (
                &[("verge-cache-control", "&&&"), ("cache-control", "max-age=1")],
                Some(1),
                false,
            ),
            // RFC 9651 3.2: keys are in lower case, and there is no space around `=`.
            (
                &[("cdn-cache-control", "MaX-aGe=2"), ("cache-control", "max-age=1")],
                Some(1),
                false,
            ),
            (
                &[("cdn-cache-control", "max-age =2"), ("cache-control", "max-age=1")],
                Some(1),
                false,
            ),
            (&[("cdn-cache-control", "foobar, max-age=2;x=y")], Some(2), true),
            (&[("cdn-cache-control", "max-age=99999999999")], Some(1 << 31), true),
            (&[("cdn-cache-control", "max-age=\"2\"")], Some(0), true),
            (&[("cdn-cache-control", "max-age=-2")], Some(0), true),
            (&[("cdn-cache-control", "max-age=1.5")], Some(0), true),
            // Another type leaves nothing that is fresh.
            (&[("cdn-cache-control", "foobar")], None, true),
            (&[("cdn-cache-control", "max-age=?0")], None, true),
            // RFC 9651 3.2: the last of the same key counts.
            (
                &[("cdn-cache-control", "max-age=1"), ("cdn-cache-control", "max-age=2")],
                Some(2),
                true,
            ),
        ] {
            let said = governing(&fields(lines), &[OWN, CDN]);
            assert_eq!((said.max_age, said.targeted), (seconds, targeted), "{lines:?}");
        }
    }

    #[test]
    fn what_restricts_is_obeyed() {
        let said = |value| governing(&fields(&[("cdn-cache-control", value)]), &[CDN]);
        assert!(said("no-store").no_store && said("no-store=1").no_store && said("no-store=(a b)").no_store);
        assert!(!said("no-store=?0").no_store);
        assert!(said("private").private);
        assert_eq!(said("private=\"a, b\"").private_fields.len(), 2);
        assert_eq!(said("no-cache=a").no_cache_fields.len(), 1);
        assert!(!said("public=1.5").public);
    }

    #[test]
    fn surrogate_control() {
        for (value, seconds, past) in [
            ("max-age=60", Some(60), None),
            ("MAX-AGE=60+30, content=\"ESI/1.0\"", Some(60), Some(30)),
            ("max-age=60;other", None, None),
            ("max-age=60;other, max-age=70", Some(70), None),
            ("max-age=60;verge, max-age=70", Some(60), None),
            ("max-age=60, max-age=70; verge", Some(70), None),
            ("max-age=soon", Some(0), None),
            ("max-age", Some(0), None),
            ("content=\"ESI/1.0\"", None, None),
        ] {
            let said = governing(&fields(&[("surrogate-control", value)]), &[SURROGATE_CONTROL]);
            assert_eq!((said.max_age, said.stale_while_revalidate), (seconds, past), "{value}");
        }
        assert!(governing(&fields(&[("surrogate-control", "no-store")]), &[SURROGATE_CONTROL]).no_store);
        // Without being asked for it says nothing.
        assert!(!governing(&fields(&[("surrogate-control", "no-store")]), &[CDN]).no_store);
    }
}
