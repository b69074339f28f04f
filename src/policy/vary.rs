//! Which request fields select a variant (RFC 9111 4.1, RFC 9110 12.5.5).

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};

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

/// RFC 9111 4.1: lines joined, whitespace around commas left out, and case where the field's own rules ignore it.
fn canonical(fields: &RequestFields, name: &HeaderName, out: &mut dyn FnMut(&[u8])) {
    // RFC 9110 8.4.1, RFC 4647 2: codings and language ranges are compared in any case.
    let any_case = *name == header::ACCEPT_ENCODING || *name == header::ACCEPT_LANGUAGE;
    let mut emit = |bytes: &[u8]| match any_case {
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

fn lower_case(bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
    let mut buffer = [0; 64];
    for piece in bytes.chunks(buffer.len()) {
        let lower = &mut buffer[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        out(lower);
    }
}
