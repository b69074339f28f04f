//! Answers to `POST` that may answer a later `GET` (RFC 9110 9.3.3).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::fill::{Begun, Fill};
use super::intake::{Arrived, Request, Taken, take_in};
use super::object::{Body, Head, Version};
use super::table::Permit;
use super::{Cache, KeyParts};
use crate::policy::fields::OwnedFields;
use crate::purge::Epoch;
use crate::store::CHUNK;

/// A `POST` whose answer may be stored. While it lives, an invalidation of its URL is remembered.
pub struct Posted {
    permit: Permit,
    epoch: Epoch,
    began: u64,
}

impl Cache {
    /// A `POST` to `parts` is about to be passed on.
    pub fn post(&self, parts: &KeyParts<'_>) -> Posted {
        // Before the epoch is taken: an invalidation either finds this under way or came before its epoch.
        let permit = Permit::of_key(&self.keys_under_way, self.secret.key(parts));
        Posted {
            permit,
            epoch: self.purges.latest(),
            began: self.next_in_sequence(),
        }
    }

    /// Begins to keep the answer, if it may be stored. `invalidations` says how many purges the request itself has caused:
    /// if there were others meanwhile, the answer may be of before them.
    pub fn keep_answer(
        self: &Arc<Self>,
        posted: Posted,
        invalidations: u64,
        parts: &KeyParts<'_>,
        site: &Arc<str>,
        request: &Request<'_>,
        arrived: Arrived,
    ) -> Option<Keeping> {
        let epoch = posted.epoch + invalidations;
        let explicit = |head: &Head| !head.freshness.lifetime.is_zero() && !head.freshness.heuristic;
        let begun = Begun {
            id: None,
            key: Arc::new(self.secret.stored_key(parts)),
            site: Arc::clone(site),
            epoch,
            began: posted.began,
            part: None,
            terms: self.settings.terms,
        };
        let fill = Arc::new(Fill::new(begun, self.ram.gauge().clone()));
        let taken = take_in(&self.secret, &fill, self.next_generation(), request, arrived);
        let Taken {
            head, verdict: Ok(_), ..
        } = taken
        else {
            return None;
        };
        let fits = head.content_length.is_none_or(|length| length <= CHUNK as u64);
        let keep = self.purges.latest() == epoch && fits && explicit(&head);
        keep.then(|| Keeping {
            cache: Arc::clone(self),
            fill,
            head: Arc::new(head),
            come: BytesMut::new(),
            _permit: posted.permit,
        })
    }
}

/// An answer that is being kept as it passes.
pub struct Keeping {
    cache: Arc<Cache>,
    fill: Arc<Fill>,
    head: Arc<Head>,
    come: BytesMut,
    _permit: Permit,
}

impl Keeping {
    /// The next piece of the body. Returns whether there is room for it.
    #[must_use]
    pub fn push(&mut self, piece: &Bytes) -> bool {
        let fits = self.come.len() + piece.len() <= CHUNK;
        if fits {
            self.come.extend_from_slice(piece);
        }
        fits
    }

    /// Whether all has come that was announced. Without an announcement the end tells.
    pub fn is_whole(&self) -> bool {
        self.head.content_length == Some(self.come.len() as u64)
    }

    /// The body is whole: it is stored. `fields` are the request's.
    pub fn store(self, fields: &OwnedFields) {
        let length = self.come.len() as u64;
        if self.head.content_length.is_some_and(|said| said != length) {
            return;
        }
        let head = match self.head.content_length {
            Some(_) => self.head,
            None => Arc::new(super::intake::with_length(&self.head, length)),
        };
        self.cache.announce(&self.fill, &head, fields);
        let id = fields.with(|fields| head.id(&self.cache.secret, fields));
        self.cache.memory.forget(id);
        let version = Version::new(head, Body::Whole(self.come.freeze()));
        self.cache.store(&Arc::new(version), id);
    }
}
