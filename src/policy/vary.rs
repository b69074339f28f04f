//! Which request fields select a variant (RFC 9111 4.1, RFC 9110 12.5.5).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;

use super::fields::RequestFields;
use super::list;

/// More names than this count as `*`.
const NAMES_MAX: usize = 32;

/// What a response's Vary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// Nothing: the response answers every request for its key.
    None,
    /// `*`, or something that cannot be matched: it answers no other request.
    Star,
    /// It answers requests in which these fields are the same.
    Fields(VarySpec),
}

/// The request fields that select a variant: sorted, without duplicates, in lower case, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VarySpec {
    names: Arc<[HeaderName]>,
}

/// Reads a response's Vary; several lines count as one list.
pub fn vary(fields: &HeaderMap) -> Vary {
    let mut names = Vec::new();
    for line in fields.get_all(header::VARY) {
        for member in list::members(line.as_bytes()) {
            // RFC 9110 12.5.5: `*` anywhere. What is no field name names something unknown, as `*` does.
            match HeaderName::from_bytes(member) {
                Ok(name) if member != b"*" && names.len() < NAMES_MAX => names.push(name),
                _ => return Vary::Star,
            }
        }
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    match names.is_empty() {
        true => Vary::None,
        false => Vary::Fields(VarySpec { names: names.into() }),
    }
}

impl VarySpec {
    /// The names, sorted.
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    /// Feeds `out` the selected values of a request: for every name in order a byte 0 if the field is absent, else a byte 1, the
    /// value's length (eight bytes, little end first) and the value, brought into a form that is the same for values that mean
    /// the same. Two requests feed the same bytes exactly if they select the same variant. Allocates nothing.
    pub fn each_value(&self, fields: &RequestFields, out: &mut dyn FnMut(&[u8])) {
        for name in self.names.iter() {
            // RFC 9111 4.1: absent matches absent only.
            if fields.named(name.as_str()).next().is_none() {
                out(&[0]);
                continue;
            }
            let mut length = 0u64;
            canonical(fields, name, &mut |bytes| length += bytes.len() as u64);
            out(&[1]);
            out(&length.to_le_bytes());
            canonical(fields, name, out);
        }
    }
}

/// RFC 9111 4.1: lists of preferences in one order; of other fields lines joined, and whitespace around commas left out.
fn canonical(fields: &RequestFields, name: &HeaderName, out: &mut dyn FnMut(&[u8])) {
    // RFC 9110 8.4.1, RFC 4647 2: codings and language ranges are compared in any case.
    let lists_preferences = is_negotiated(name);
    if lists_preferences && let Some(preferences) = Preferences::read(fields, name) {
        return preferences.each(out);
    }
    let mut emit = |bytes: &[u8]| match lists_preferences {
        true => lower_case(bytes, out),
        false => out(bytes),
    };
    let mut separator: &[u8] = b"";
    for line in fields.named(name.as_str()) {
        let mut members = list::parts(line);
        for member in members.by_ref() {
            emit(separator);
            emit(member);
            separator = b",";
        }
        // RFC 9110 5.3: inside a quote that goes on in the next line, the joining space is part of the value.
        if !members.balanced() {
            separator = b", ";
        }
    }
}

/// Whether a field lists what the client would rather have, each with a weight (RFC 9110 12.4.2, 12.5.3, 12.5.4).
fn is_negotiated(name: &HeaderName) -> bool {
    *name == header::ACCEPT_ENCODING || *name == header::ACCEPT_LANGUAGE
}

/// What a client would rather have, from one field.
struct Preferences<'a> {
    /// Names and weights, in the order of the names in lower case. A weight is in thousandths.
    list: SmallVec<[(&'a [u8], u16); 16]>,
}

impl<'a> Preferences<'a> {
    /// `None` if it is not of this form, or longer than anyone needs.
    fn read(fields: &RequestFields<'a>, name: &HeaderName) -> Option<Preferences<'a>> {
        let mut list: SmallVec<[(&[u8], u16); 16]> = SmallVec::new();
        for member in fields.named(name.as_str()).flat_map(list::members) {
            let preference = preference(member).filter(|_| list.len() < list.inline_size())?;
            list.push(preference);
        }
        // Stable, so that the first of two of the same name stays the first, whatever its weight.
        list.sort_by(|a: &(&[u8], u16), b| lower(a.0).cmp(lower(b.0)));
        list.dedup_by(|b, a| a.0.eq_ignore_ascii_case(b.0));
        Some(Preferences { list })
    }

    /// RFC 9110 12.5.3, 12.5.4: what is listed is told apart by its weight, and not by its place.
    fn each(&self, out: &mut dyn FnMut(&[u8])) {
        let mut separator: &[u8] = b"";
        for (name, weight) in &self.list {
            out(separator);
            lower_case(name, out);
            if *weight != 1000 {
                // A capital letter: what could not be read as preferences has none.
                out(b";Q");
                out(itoa::Buffer::new().format(*weight).as_bytes());
            }
            separator = b",";
        }
    }

    /// What the client would rather have than anything else, if there is one such thing.
    fn best(&self) -> Option<&'a [u8]> {
        let most = self
            .list
            .iter()
            .map(|(_, weight)| *weight)
            .max()
            .filter(|most| *most > 0)?;
        let mut best = self.list.iter().filter(|(_, weight)| *weight == most);
        let (name, _) = best.next().filter(|(name, _)| *name != b"*")?;
        best.next().is_none().then_some(*name)
    }
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// RFC 9110 12.4.2: a name, and a weight of up to three decimals.
fn preference(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut pieces = member.splitn(2, |byte| *byte == b';').map(list::trim);
    let name = pieces.next().filter(|name| !name.is_empty())?;
    if !name.iter().all(|byte| list::is_token_byte(*byte)) {
        return None;
    }
    let Some(parameter) = pieces.next() else {
        return Some((name, 1000));
    };
    let weight = match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => weight,
        _ => return None,
    };
    let (whole, fraction) = match weight {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return None,
    };
    let mut thousandths = u16::from(whole - b'0') * 1000;
    for (digit, worth) in fraction.iter().zip([100, 10, 1]) {
        thousandths += u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * worth;
    }
    (thousandths <= 1000).then_some((name, thousandths))
}

impl VarySpec {
    /// Whether a response with these fields, selected by the request fields `values` (in the form of
    /// [`each_value`](VarySpec::each_value)), is what a request would rather have than anything else (RFC 9110 12.1, RFC 9111
    /// 4.1): what it names first by weight is what the response is, and all else that selects is the same.
    pub fn is_best(&self, fields: &RequestFields, values: &[u8], content: ContentOf<'_>) -> bool {
        let mut rest = Some(values);
        let mut negotiated = false;
        for name in self.names.iter() {
            let best = || Preferences::read(fields, name)?.best();
            let of_response = match *name {
                header::ACCEPT_LANGUAGE => content.language,
                header::ACCEPT_ENCODING => content.coding,
                _ => None,
            };
            if let (Some(best), Some(is)) = (best().filter(|_| is_negotiated(name)), of_response)
                && best.eq_ignore_ascii_case(is)
            {
                negotiated = true;
                rest = rest.and_then(skip_value);
                continue;
            }
            let one = VarySpec {
                names: Arc::from([name.clone()]),
            };
            one.each_value(fields, &mut |bytes| {
                rest = rest.and_then(|rest| rest.strip_prefix(bytes))
            });
        }
        negotiated && rest.is_some_and(<[u8]>::is_empty)
    }
}

/// What a response's content is, for [`VarySpec::is_best`]; none where it is not exactly one thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContentOf<'a> {
    /// `Content-Language`
    pub language: Option<&'a [u8]>,
    /// `Content-Encoding`
    pub coding: Option<&'a [u8]>,
}

/// What follows the first of some values in the form of [`VarySpec::each_value`].
fn skip_value(values: &[u8]) -> Option<&[u8]> {
    match values {
        [0, rest @ ..] => Some(rest),
        [1, rest @ ..] => {
            let (length, rest) = rest.split_first_chunk()?;
            rest.get(usize::try_from(u64::from_le_bytes(*length)).ok()?..)
        }
        _ => None,
    }
}

fn lower_case(bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
    let mut buffer = [0; 64];
    for piece in bytes.chunks(buffer.len()) {
        let lower = &mut buffer[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        out(lower);
    }
}
