//! Finding what is stored for a request.

use std::sync::Arc;

use super::object::{Entry, VaryIndex, Version};
use super::{Cache, KeyParts};
use crate::policy::cache_status::Fwd;
use crate::policy::fields::RequestFields;
use crate::purge::Verdict;

/// What a look-up found.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What the request's variant is, or would be, stored under.
    pub id: u128,
    /// The stored version that the request selects, unless a hard purge named it.
    pub version: Option<Arc<Version>>,
    /// Whether a soft purge named it.
    pub soft_purged: bool,
    /// If nothing was found: whether the URL or only the variant is unknown (RFC 9211 2.2).
    pub miss: Fwd,
}

impl Cache {
    /// What is stored for a request; `hash` is that of `parts`. Does not allocate.
    pub fn lookup(&self, hash: u128, parts: &KeyParts<'_>, fields: &RequestFields<'_>) -> Looked {
        match self.ram.get(hash) {
            None => Looked::nothing(hash, Fwd::UriMiss),
            Some(Entry::Version(version)) => self.usable(hash, version, parts, fields, Fwd::UriMiss),
            Some(Entry::Index(index)) => self.lookup_variant(hash, &index, parts, fields),
        }
    }

    fn lookup_variant(
        &self,
        hash: u128,
        index: &VaryIndex,
        parts: &KeyParts<'_>,
        fields: &RequestFields<'_>,
    ) -> Looked {
        let mut best: Option<Looked> = None;
        for spec in &index.specs {
            let id = self.secret.variant(hash, spec, fields);
            let looked = match self.ram.get(id) {
                Some(Entry::Version(version)) if version.head.began >= index.since => {
                    self.usable(id, version, parts, fields, Fwd::VaryMiss)
                }
                _ => Looked::nothing(id, Fwd::VaryMiss),
            };
            // RFC 9111 4.1: of several that match, the most recent.
            if best
                .as_ref()
                .is_none_or(|best| looked.response_time() > best.response_time())
            {
                best = Some(looked);
            }
        }
        best.unwrap_or_else(|| Looked::nothing(hash, Fwd::UriMiss))
    }

    /// Of a key's variants one that a request, whose own is not stored, would rather have than any other there could be
    /// ([`VarySpec::is_best`](crate::policy::vary::VarySpec::is_best)).
    pub fn negotiated(&self, hash: u128, parts: &KeyParts<'_>, fields: &RequestFields<'_>) -> Option<Looked> {
        let Some(Entry::Index(index)) = self.ram.get(hash) else {
            return None;
        };
        index.variants.iter().find_map(|id| match self.ram.get(*id) {
            Some(Entry::Version(version)) if version.head.began >= index.since && version.head.is_best_for(fields) => {
                let looked = self.checked(*id, version, parts, Fwd::VaryMiss);
                looked.version.is_some().then_some(looked)
            }
            _ => None,
        })
    }

    fn usable(
        &self,
        id: u128,
        version: Arc<Version>,
        parts: &KeyParts<'_>,
        fields: &RequestFields<'_>,
        miss: Fwd,
    ) -> Looked {
        match version.selected_by(fields) {
            true => self.checked(id, version, parts, miss),
            false => Looked::nothing(id, miss),
        }
    }

    fn checked(&self, id: u128, version: Arc<Version>, parts: &KeyParts<'_>, miss: Fwd) -> Looked {
        if !version.head.key.is(parts) {
            return Looked::nothing(id, miss);
        }
        let verdict = version.verdict(&self.purges);
        Looked {
            id,
            version: (verdict != Verdict::Hard).then_some(version),
            soft_purged: verdict == Verdict::Soft,
            miss,
        }
    }
}

impl Looked {
    fn nothing(id: u128, miss: Fwd) -> Self {
        Looked {
            id,
            version: None,
            soft_purged: false,
            miss,
        }
    }

    fn response_time(&self) -> Option<std::time::Duration> {
        self.version
            .as_ref()
            .map(|version| version.head.freshness.response_time)
    }
}
