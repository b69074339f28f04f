//! The stored object: an immutable version of a response, and the index of a key's variants.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::fill::Fill;
use super::key::{Key, Secret};
use crate::policy::fields::RequestFields;
use crate::policy::freshness::Freshness;
use crate::policy::validator::Validators;
use crate::policy::vary::{ContentOf, VarySpec};
use crate::purge::{Epoch, Names, Purges, Verdict};
use crate::store::Weigh;

/// Variants that one key may have; the least used goes.
pub const MAX_VARIANTS: usize = 32;

/// Sets of `Vary` names that one key may have at a time.
const MAX_SPECS: usize = 4;

/// One stored response: a head and a body, neither of which ever changes.
///
/// Readers keep the version that they began with. A validation makes a new version with the same body.
#[derive(Debug)]
pub struct Version {
    /// The head and all that is known of the response.
    pub head: Arc<Head>,
    /// Where the body is.
    pub body: Body,
    /// Newest epoch at which no purge named this version, with [`SOFT`] set once a soft one did.
    checked: AtomicU64,
    /// Monotonic seconds of the last use; kept for variants only.
    used: AtomicU64,
}

const SOFT: u64 = 1 << 63;

/// What is known of a response but for its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// What it is stored under.
    pub key: Arc<Key>,
    /// What of the request selected it; `None` if any request does.
    pub vary: Option<Selected>,
    /// The status.
    pub status: StatusCode,
    /// Status line and fields as HTTP/1.1 sends them, without `Age`, `Cache-Status`, connection fields and the empty line.
    pub wire: Bytes,
    /// The same fields, one by one; their values are slices of `wire`.
    pub fields: Box<[(HeaderName, HeaderValue)]>,
    /// Age and lifetime.
    pub freshness: Freshness,
    /// Fields that clients do not get to see, but that count when a validation leaves them as they are.
    pub consumed: Box<[(HeaderName, HeaderValue)]>,
    /// What it can be validated by.
    pub validators: Validators,
    /// Hashes of its tags.
    pub tags: Box<[u128]>,
    /// The site it belongs to.
    pub site: Arc<str>,
    /// The newest purge when its fetch began.
    pub epoch: Epoch,
    /// When its fetch began, in the order of all requests and fetches of this process.
    pub began: u64,
    /// No two fetched versions share one, unless a validation proved them the same.
    pub generation: u64,
    /// Bytes of the body in all, if known.
    pub content_length: Option<u64>,
}

/// The request fields that selected a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The names, from `Vary`.
    pub spec: VarySpec,
    /// Their values, in [`VarySpec::each_value`]'s form.
    pub values: Box<[u8]>,
}

impl Selected {
    /// What `spec` selects from `fields`.
    pub fn new(spec: VarySpec, fields: &RequestFields<'_>) -> Self {
        let mut values = Vec::new();
        spec.each_value(fields, &mut |bytes| values.extend_from_slice(bytes));
        Selected {
            values: values.into(),
            spec,
        }
    }

    /// Whether `fields` select the same; does not allocate.
    pub fn is(&self, fields: &RequestFields<'_>) -> bool {
        let mut rest: Option<&[u8]> = Some(&self.values);
        self.spec
            .each_value(fields, &mut |bytes| rest = rest.and_then(|r| r.strip_prefix(bytes)));
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Where a version's body is.
#[derive(Clone, Debug)]
pub enum Body {
    /// All of it is here.
    Whole(Bytes),
    /// In the store's chunks, under this name.
    Chunked {
        /// The hash that names the body.
        name: u128,
        /// Bytes in all.
        length: u64,
    },
    /// On its way.
    Filling(Arc<Fill>),
}

impl Version {
    /// A version that no purge has been looked up for yet.
    pub fn new(head: Arc<Head>, body: Body) -> Self {
        Version {
            checked: AtomicU64::new(head.epoch),
            used: AtomicU64::new(0),
            head,
            body,
        }
    }

    /// What the purges so far mean for it. Costs one comparison when nothing was purged since the last call.
    pub fn verdict(&self, purges: &Purges) -> Verdict {
        let checked = self.checked.load(Ordering::Relaxed);
        let latest = purges.latest();
        if checked & !SOFT != latest && !crate::planted::is(crate::planted::Bug::IgnoredPurge) {
            let verdict = purges.verdict(&self.head.names(), checked & !SOFT);
            let soft = match verdict {
                Verdict::Hard => return Verdict::Hard,
                Verdict::Soft => SOFT,
                Verdict::Untouched => checked & SOFT,
            };
            self.checked.store(latest | soft, Ordering::Relaxed);
        }
        match self.checked.load(Ordering::Relaxed) & SOFT {
            0 => Verdict::Untouched,
            _ => Verdict::Soft,
        }
    }

    /// Whether a request with these fields selects it.
    pub fn selected_by(&self, fields: &RequestFields<'_>) -> bool {
        self.head.vary.as_ref().is_none_or(|selected| selected.is(fields))
    }

    /// Notes a use, for the choice of the variant that goes.
    pub fn touch(&self, second: u64) {
        if self.head.vary.is_some() && self.used.load(Ordering::Relaxed) != second {
            self.used.store(second, Ordering::Relaxed);
        }
    }
}

impl Head {
    /// The names by which purges know it.
    pub fn names(&self) -> Names<'_> {
        Names {
            url: self.key.url,
            text: self.key.text(),
            site: &self.site,
            tags: Some(&self.tags),
        }
    }

    /// The fields as a map, for policy.
    pub fn field_map(&self) -> HeaderMap {
        self.fields.iter().cloned().collect()
    }

    /// Whether a request with these fields would rather have this than anything else that varies as it does.
    pub fn is_best_for(&self, fields: &RequestFields<'_>) -> bool {
        let only = |name: HeaderName| {
            let mut values = self.fields.iter().filter(|(known, _)| *known == name);
            let (_, value) = values.next()?;
            values.next().is_none().then_some(value.as_bytes())
        };
        let content = ContentOf {
            language: only(CONTENT_LANGUAGE),
            coding: only(CONTENT_ENCODING),
        };
        let selected = self.vary.as_ref();
        selected.is_some_and(|selected| selected.spec.is_best(fields, &selected.values, content))
    }

    /// What it is stored under: the hash of the variant, or of the key if it does not vary.
    pub fn id(&self, secret: &Secret, fields: &RequestFields<'_>) -> u128 {
        match &self.vary {
            Some(selected) => secret.variant(self.key.hash, &selected.spec, fields),
            None => self.key.hash,
        }
    }
}

/// Writes a head as HTTP/1.1 does, and gives the fields back as slices of it.
///
/// `content_length` replaces whatever the fields said of it.
pub fn wire_head(
    status: StatusCode,
    fields: &HeaderMap,
    content_length: Option<u64>,
) -> (Bytes, Box<[(HeaderName, HeaderValue)]>) {
    let mut out = BytesMut::with_capacity(
        64 + fields
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len() + 4)
            .sum::<usize>(),
    );
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.put_slice(b"\r\n");
    let length = content_length.map(HeaderValue::from);
    let kept = fields.iter().filter(|(name, _)| *name != http::header::CONTENT_LENGTH);
    let mut spans = Vec::with_capacity(fields.len() + 1);
    for (name, value) in kept.chain(length.iter().map(|value| (&http::header::CONTENT_LENGTH, value))) {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        spans.push((name.clone(), out.len(), value.len()));
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    let wire = out.freeze();
    let fields = spans
        .into_iter()
        .filter_map(|(name, at, length)| {
            Some((name, HeaderValue::from_maybe_shared(wire.slice(at..at + length)).ok()?))
        })
        .collect();
    (wire, fields)
}

/// The variants of a key whose responses vary.
#[derive(Debug, Default)]
pub struct VaryIndex {
    /// The sets of names that responses gave, newest first. An empty set stands for a response without `Vary`.
    pub specs: SmallVec<[VarySpec; 1]>,
    /// What is stored, by the hash of the variant.
    pub variants: Vec<u128>,
    /// What began to be fetched before this moment is not of this index: it may be left from one that was evicted, and what
    /// an unsafe method invalidated meanwhile was not known to be stored.
    pub since: u64,
}

impl VaryIndex {
    /// The index with `spec` as its newest and the variant `id` in it, whose fetch began at `began`.
    pub fn with(&self, spec: VarySpec, id: u128, began: u64) -> Self {
        let since = if self.specs.is_empty() {
            began
        } else {
            self.since.min(began)
        };
        let mut specs: SmallVec<[VarySpec; 1]> = SmallVec::new();
        specs.push(spec);
        specs.extend(
            self.specs
                .iter()
                .filter(|known| **known != specs[0])
                .cloned()
                .collect::<Vec<_>>(),
        );
        specs.truncate(MAX_SPECS);
        let mut variants = self.variants.clone();
        if !variants.contains(&id) {
            variants.push(id);
        }
        VaryIndex { specs, variants, since }
    }
}

/// What the store keeps under one hash.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A response.
    Version(Arc<Version>),
    /// Under a key's own hash: which variants there are.
    Index(Arc<VaryIndex>),
}

impl Weigh for Entry {
    fn weight(&self) -> u64 {
        const HEAD: u64 = (size_of::<Version>() + size_of::<Head>() + 64) as u64;
        match self {
            Entry::Version(version) => {
                let head = &version.head;
                let body = match &version.body {
                    Body::Whole(bytes) => bytes.len() as u64 + 80,
                    Body::Chunked { .. } | Body::Filling(_) => 0,
                };
                let vary = head
                    .vary
                    .as_ref()
                    .map_or(0, |selected| selected.values.len() as u64 + 128);
                let fields = head.fields.len() * size_of::<(HeaderName, HeaderValue)>();
                HEAD + body + vary + head.key.weight() + (fields + head.wire.len() + head.tags.len() * 16) as u64
            }
            Entry::Index(index) => {
                (size_of::<VaryIndex>() + index.variants.len() * 16 + index.specs.len() * 128) as u64
            }
        }
    }
}

impl Version {
    /// Monotonic seconds of the last use.
    pub fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::vary::{Vary, vary};

    fn spec(name: &'static str) -> VarySpec {
        let fields = [(http::header::VARY, HeaderValue::from_static(name))]
            .into_iter()
            .collect();
        match vary(&fields) {
            Vary::Fields(spec) => spec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_index_knows_only_what_began_since_it_did() {
        let first = VaryIndex::default().with(spec("a"), 1, 7);
        assert_eq!((first.since, first.variants.as_slice()), (7, &[1u128][..]));
        let second = first.with(spec("b"), 2, 9);
        assert_eq!(second.since, 7);
        assert_eq!(second.specs[0], spec("b"));
        assert_eq!(
            second.with(spec("a"), 2, 5).since,
            5,
            "what was under way meanwhile belongs to it"
        );
    }
}
