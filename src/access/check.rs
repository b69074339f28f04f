//! What every dialect asks in the same way: times, keys, clients, signatures.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use ipnet::IpNet;

use super::keys::{Hash, Key, Keys, Scheme};
use super::verified::Kind;
use super::{Memory, Reason, Trace, encoding};
use crate::planted::{self, Bug};

/// Bytes of a message that most tokens fit in.
const SHORT: usize = 384;

/// Hashes that are broken for some uses, and that a site has to name before they are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weak {
    /// MD5
    pub md5: bool,
    /// SHA-1
    pub sha1: bool,
}

/// One request's look at one token.
pub struct Check<'c> {
    pub(super) keys: &'c Keys,
    pub(super) weak: Weak,
    /// Seconds by which clocks may differ.
    pub(super) skew: u64,
    /// Wall time, in seconds since 1970.
    pub(super) now: u64,
    pub(super) monotonic: Duration,
    pub(super) memory: Option<&'c Memory>,
    /// Who may have sent too many wrong tokens.
    pub(super) asks: Option<IpAddr>,
    /// When the token ends, once that is known.
    pub(super) until: u64,
    pub(super) trace: Option<&'c mut Trace>,
}

impl<'c> Check<'c> {
    /// A check that remembers nothing: for tests and `explain`.
    pub fn alone(keys: &'c Keys, now: u64) -> Self {
        Check {
            keys,
            weak: Weak::default(),
            skew: 0,
            now,
            monotonic: Duration::ZERO,
            memory: None,
            asks: None,
            until: u64::MAX,
            trace: None,
        }
    }

    /// Notes what a field says, where somebody wants to know.
    pub(super) fn note(&mut self, what: &'static str, says: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.note(what, says());
        }
    }

    /// Notes a field, and passes on what came of it.
    pub(super) fn noted(&mut self, what: &'static str, says: &str, good: bool, reason: Reason) -> Result<(), Reason> {
        self.note(what, || {
            format!("{says}: {}", if good { "as it should be" } else { reason.means() })
        });
        if good { Ok(()) } else { Err(reason) }
    }

    /// The first second at which the token is no longer good.
    pub(super) fn not_after(&mut self, until: u64) -> Result<(), Reason> {
        self.until = until;
        let good = self.now < until.saturating_add(self.skew);
        let (now, skew) = (self.now, self.skew);
        self.note("expires", || {
            format!(
                "{until}, with {skew} s for clocks that differ; it is {now}: {}",
                if good { "still good" } else { "over" }
            )
        });
        if good { Ok(()) } else { Err(Reason::Expired) }
    }

    /// The first second at which it is good.
    pub(super) fn not_before(&mut self, from: u64) -> Result<(), Reason> {
        let good = self.now.saturating_add(self.skew) >= from;
        let now = self.now;
        self.note("not before", || {
            format!(
                "{from}; it is {now}: {}",
                if good { "has come" } else { "has not come" }
            )
        });
        if good { Ok(()) } else { Err(Reason::Early) }
    }

    /// The key that a token names.
    pub(super) fn key(&mut self, id: &str) -> Result<&'c Key, Reason> {
        let key = self.keys.named(id);
        self.noted("signing key", id, key.is_some(), Reason::UnknownKey)?;
        key.ok_or(Reason::UnknownKey)
    }

    /// Whether the client is in the network that a token is for.
    pub(super) fn client(&mut self, client: IpAddr, network: IpNet) -> Result<(), Reason> {
        let good = network.contains(&client.to_canonical());
        self.note("client", || {
            let is = if good { "is" } else { "is not" };
            format!("{client} {is} of {network}")
        });
        if good { Ok(()) } else { Err(Reason::Client) }
    }

    /// Whether the site named this hash, which is weak.
    pub(super) fn allows(&mut self, hash: &'static str) -> Result<(), Reason> {
        let good = match hash {
            "md5" => self.weak.md5,
            _ => self.weak.sha1,
        };
        self.noted("algorithm", hash, good, Reason::Algorithm)
    }

    /// Whether `tag` is the HMAC of `parts` as one message.
    pub(super) fn hmac(&mut self, key: &Key, hash: Hash, parts: &[&[u8]], tag: &[u8]) -> Result<(), Reason> {
        self.salted_hmac(key, hash, parts, 0, Tag::Bytes(tag))
    }

    /// The same of the 32 bytes of HMAC-SHA256 in base64url, which are read only if the text is not remembered.
    pub(super) fn written_hmac(&mut self, key: &Key, parts: &[&[u8]], tag: &str) -> Result<(), Reason> {
        self.salted_hmac(key, Hash::Sha256, parts, 0, Tag::Written(tag))
    }

    /// Whether one of the keys makes this HMAC: for tokens that name none. The last `secret` parts are shown to nobody.
    pub(super) fn any_hmac(&mut self, hash: Hash, parts: &[&[u8]], secret: usize, tag: &[u8]) -> Result<(), Reason> {
        self.any(|check, key| check.salted_hmac(key, hash, parts, secret, Tag::Bytes(tag)))
    }

    fn salted_hmac(
        &mut self,
        key: &Key,
        hash: Hash,
        parts: &[&[u8]],
        secret: usize,
        tag: Tag<'_>,
    ) -> Result<(), Reason> {
        if hash == Hash::Sha1 {
            self.allows("sha1")?;
        }
        let mut short = [0; SHORT];
        let long: Vec<u8>;
        let message = match joined(parts, &mut short) {
            Some(message) => message,
            None => {
                long = parts.concat();
                &long
            }
        };
        let computed = || key.hmac(hash, message);
        let good = match tag {
            Tag::Bytes(bytes) => self.is_tag(key, Kind::Hmac(hash), message, bytes, || Ok(bytes), computed)?,
            Tag::Written(text) => {
                let read = || encoding::base64url_exact::<32>(text).ok_or(Reason::Malformed);
                self.is_tag(key, Kind::Written(hash), message, text.as_bytes(), read, computed)?
            }
        };
        let shown = parts.len().saturating_sub(secret);
        self.signature(key, &parts[..shown], good)
    }

    /// Whether `given`, which `read` reads, is the tag that `computed` gives, a function of all else. That it is so is remembered
    /// as long as the token is good; that it is not is not, since nobody who guesses guesses twice the same.
    pub(super) fn is_tag<G: AsRef<[u8]>, T: AsRef<[u8]>>(
        &mut self,
        key: &Key,
        kind: Kind,
        message: &[u8],
        given: &[u8],
        read: impl FnOnce() -> Result<G, Reason>,
        computed: impl FnOnce() -> Result<T, Reason>,
    ) -> Result<bool, Reason> {
        let name = self.name(key, kind, message, given);
        if self.known(name) == Some(true) {
            return Ok(true);
        }
        let tag = read()?;
        self.computes()?;
        let good = is_same(computed()?.as_ref(), tag.as_ref());
        if good {
            self.remember(name, true);
        }
        Ok(good)
    }

    fn name(&self, key: &Key, kind: Kind, message: &[u8], tag: &[u8]) -> Option<u128> {
        let memory = self.memory?;
        Some(memory.verified.name(key, kind, message, tag))
    }

    fn known(&self, name: Option<u128>) -> Option<bool> {
        self.memory?.verified.get(name?, self.monotonic)
    }

    fn remember(&self, name: Option<u128>, good: bool) {
        if let Some((memory, name)) = self.memory.zip(name) {
            let lasts = Duration::from_secs(self.until.saturating_sub(self.now));
            memory.verified.remember(name, good, lasts, self.monotonic);
        }
    }

    /// Whether one of the keys does it.
    pub(super) fn any(
        &mut self,
        mut try_key: impl FnMut(&mut Self, &'c Key) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut worst = Reason::UnknownKey;
        for key in self.keys.iter() {
            match try_key(self, key) {
                Err(reason) if worst != Reason::Signature => worst = reason,
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        Err(worst)
    }

    /// Whether two tags are the same.
    pub(super) fn compared(&mut self, key: &Key, signed: &[&[u8]], computed: &[u8], tag: &[u8]) -> Result<(), Reason> {
        let good = is_same(computed, tag);
        self.signature(key, signed, good)
    }

    /// Whether `signature` is one of `message`. What came of it is remembered for a while, as long as the token is good.
    pub(super) fn public(&mut self, key: &Key, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), Reason> {
        if matches!(scheme, Scheme::RsaSha1 | Scheme::P256Sha1Asn1) {
            self.allows("sha1")?;
        }
        let name = self.name(key, Kind::Public(scheme), message, signature);
        let good = match self.known(name) {
            Some(good) => good,
            None => {
                self.computes()?;
                let verified = key.verify(scheme, message, signature);
                if verified == Err(Reason::Algorithm) {
                    return self.noted("algorithm", &format!("{scheme:?}"), false, Reason::Algorithm);
                }
                self.remember(name, verified.is_ok());
                verified.is_ok()
            }
        };
        self.signature(key, &[message], good)
    }

    /// Whether anything is computed for this client.
    pub(super) fn computes(&mut self) -> Result<(), Reason> {
        let asks = self.memory.zip(self.asks);
        match asks.is_some_and(|(memory, client)| memory.failures.barred(client, self.monotonic)) {
            true => Err(Reason::TooMany),
            false => Ok(()),
        }
    }

    /// Notes what is signed, and whether the signature is good.
    pub(super) fn signature(&mut self, key: &Key, signed: &[&[u8]], good: bool) -> Result<(), Reason> {
        let good = good || planted::is(Bug::AnySignature);
        self.note("signed", || signed.concat().escape_ascii().to_string());
        self.noted("signature", key.id(), good, Reason::Signature)
    }
}

/// An HMAC as a token has it.
#[derive(Clone, Copy)]
enum Tag<'t> {
    Bytes(&'t [u8]),
    /// In base64url.
    Written(&'t str),
}

/// Whether two tags are the same; how long it takes does not tell where they differ.
fn is_same(computed: &[u8], tag: &[u8]) -> bool {
    verify_slices_are_equal(computed, tag).is_ok()
}

/// The parts as one message, if there is room for it. Each piece that is handed over by itself costs more than copying it.
fn joined<'r>(parts: &[&[u8]], room: &'r mut [u8; SHORT]) -> Option<&'r [u8]> {
    let mut end = 0;
    for part in parts {
        room.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    room.get(..end)
}
