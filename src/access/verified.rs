//! What came of signatures that cost much to verify, remembered for a while: a table of a fixed size.

use std::hash::Hasher;
use std::time::Duration;

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::keys::{Hash, Key, Scheme};

/// Places that one name may be in.
const WAYS: usize = 4;

/// The longest that a good signature is remembered.
const GOOD: Duration = Duration::from_secs(3600);

/// How long a wrong one is.
const WRONG: Duration = Duration::from_secs(10);

/// Signatures and whether they are good, by a keyed hash of all that was verified: to find another that has the hash of a
/// good one takes as many tries as to guess a signature.
#[derive(Debug)]
pub struct Verified {
    secret: [u8; 16],
    sets: Box<[Mutex<[Slot; WAYS]>]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    name: u128,
    until: Duration,
    good: bool,
}

/// What kind of signature it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// One that a public key verifies.
    Public(Scheme),
    /// An HMAC.
    Hmac(Hash),
    /// An HMAC as it is written in a token.
    Written(Hash),
    /// AWS's version 4, whose keys are made of the day, region and service that the message names.
    Aws4,
}

impl Kind {
    fn mark(self) -> u8 {
        match self {
            Kind::Public(scheme) => scheme as u8,
            Kind::Hmac(hash) => 0x80 | hash as u8,
            Kind::Written(hash) => 0xc0 | hash as u8,
            Kind::Aws4 => 0xff,
        }
    }
}

impl Verified {
    /// A table of at least `slots` places of 48 bytes. `secret` keys its hash: strangers cannot make two names collide.
    pub fn new(slots: usize, secret: [u8; 16]) -> Self {
        let sets = slots.div_ceil(WAYS).max(1).next_power_of_two();
        Verified {
            secret,
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// The hash of all that is verified.
    pub(super) fn name(&self, key: &Key, kind: Kind, message: &[u8], signature: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write_u64(key.mark());
        hasher.write_u8(kind.mark());
        hasher.write_u64(message.len() as u64);
        hasher.write(message);
        hasher.write(signature);
        hasher.finish128().as_u128()
    }

    /// Whether that signature was good, if it was seen lately. `now` is monotonic.
    pub(super) fn get(&self, name: u128, now: Duration) -> Option<bool> {
        let set = self.set(name).lock();
        let known = set.iter().find(|slot| slot.name == name && slot.until > now);
        known.map(|slot| slot.good)
    }

    /// Remembers it for as long as its token lasts, within bounds, in the place of what ends first: a wrong one, mostly, so
    /// that strangers' guesses push out no good ones.
    pub(super) fn remember(&self, name: u128, good: bool, lasts: Duration, now: Duration) {
        let until = now + lasts.min(if good { GOOD } else { WRONG });
        let mut set = self.set(name).lock();
        let same = set.iter().position(|slot| slot.name == name);
        let first = || (0..WAYS).min_by_key(|at| set[*at].until).unwrap_or(0);
        let at = same.unwrap_or_else(first);
        set[at] = Slot { name, until, good };
    }

    fn set(&self, name: u128) -> &Mutex<[Slot; WAYS]> {
        &self.sets[name as usize & (self.sets.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_remembers_as_long_as_the_token_lasts() {
        let verified = Verified::new(64, [1; 16]);
        verified.remember(1, true, at(60), at(100));
        verified.remember(2, false, at(60), at(100));
        verified.remember(3, true, at(1_000_000), at(100));
        for (name, when, known) in [
            (1, 159, Some(true)),
            (1, 160, None),
            (2, 109, Some(false)),
            (2, 110, None),
            (3, 3699, Some(true)),
            (3, 3700, None),
            (4, 100, None),
        ] {
            assert_eq!(verified.get(name, at(when)), known, "{name} {when}");
        }
    }

    #[test]
    fn it_is_bounded_and_what_ends_first_goes() {
        let verified = Verified::new(1, [1; 16]);
        for name in 1..=5 {
            verified.remember(name, true, at(name as u64 * 10), at(0));
        }
        assert_eq!(verified.get(1, at(0)), None);
        assert!((2..=5).all(|name| verified.get(name, at(0)) == Some(true)));
    }

    #[test]
    fn wrong_ones_push_out_no_good_one_that_lasts() {
        let verified = Verified::new(4, [1; 16]);
        (1..=3).for_each(|name| verified.remember(name, true, at(3000), at(0)));
        (10..1000).for_each(|name| verified.remember(name, false, at(3000), at(0)));
        assert!((1..=3).all(|name| verified.get(name, at(0)) == Some(true)));
    }

    #[test]
    fn names_are_of_all_that_is_verified() {
        let verified = Verified::new(4, [1; 16]);
        let one = Key::secret("a", "one", Default::default()).unwrap();
        let two = Key::secret("a", "two", Default::default()).unwrap();
        let names = [
            verified.name(&one, Kind::Public(Scheme::Ed25519), b"ab", b"c"),
            verified.name(&one, Kind::Public(Scheme::Ed25519), b"a", b"bc"),
            verified.name(&one, Kind::Public(Scheme::RsaSha1), b"ab", b"c"),
            verified.name(&two, Kind::Public(Scheme::Ed25519), b"ab", b"c"),
            verified.name(&one, Kind::Hmac(Hash::Sha256), b"ab", b"c"),
            verified.name(&one, Kind::Hmac(Hash::Sha1), b"ab", b"c"),
            verified.name(&one, Kind::Written(Hash::Sha256), b"ab", b"c"),
            verified.name(&one, Kind::Aws4, b"ab", b"c"),
        ];
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
