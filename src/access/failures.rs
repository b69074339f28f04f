//! Who sends wrong tokens, and how many: a table of a fixed size, by client.

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

/// Places that one client may be in.
const WAYS: usize = 4;

/// A count of wrong tokens by client (an IPv4 address, or an IPv6 network of 64 bits). Each takes `interval` to be forgiven;
/// with more than `burst` of them unforgiven a client is barred (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug)]
pub struct Failures {
    secret: [u8; 16],
    interval: Duration,
    burst: u32,
    sets: Box<[Mutex<[Slot; WAYS]>]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    client: u64,
    /// When the last of them is forgiven.
    until: Duration,
}

impl Failures {
    /// A table of at least `slots` places of 24 bytes, in which `per_second` wrong tokens of a client are forgiven a second,
    /// and `burst` are let through at once. `secret` keys its hash: strangers cannot choose whose place they take.
    pub fn new(slots: usize, per_second: u32, burst: u32, secret: [u8; 16]) -> Self {
        let sets = slots.div_ceil(WAYS).max(1).next_power_of_two();
        Failures {
            secret,
            interval: Duration::from_secs(1) / per_second.max(1),
            burst,
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whether nothing more is computed for a client for now. `now` is monotonic.
    pub fn barred(&self, client: IpAddr, now: Duration) -> bool {
        let client = self.hash(client);
        let set = self.set(client).lock();
        let known = set.iter().find(|slot| slot.client == client);
        known.is_some_and(|slot| slot.until > now + self.interval * self.burst)
    }

    /// Counts a wrong token. A client that is new takes the place of the one that is forgiven first.
    pub fn failed(&self, client: IpAddr, now: Duration) {
        let client = self.hash(client);
        let mut set = self.set(client).lock();
        let same = set.iter().position(|slot| slot.client == client);
        let first = || (0..WAYS).min_by_key(|at| set[*at].until).unwrap_or(0);
        let (at, from) = match same {
            Some(at) => (at, set[at].until.max(now)),
            None => (first(), now),
        };
        // Nobody is barred for longer than twice the burst takes.
        let until = (from + self.interval).min(now + self.interval * self.burst.saturating_mul(2).saturating_add(1));
        set[at] = Slot { client, until };
    }

    fn hash(&self, client: IpAddr) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        match client.to_canonical() {
            IpAddr::V4(v4) => hasher.write_u32(v4.to_bits()),
            IpAddr::V6(v6) => hasher.write_u64((v6.to_bits() >> 64) as u64),
        }
        // Nobody is zero, which an empty place has.
        hasher.finish() | 1 << 63
    }

    fn set(&self, client: u64) -> &Mutex<[Slot; WAYS]> {
        &self.sets[client as usize & (self.sets.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn too_many_are_barred_and_forgiven() {
        let failures = Failures::new(64, 10, 3, [1; 16]);
        let now = Duration::from_secs(5);
        (0..3).for_each(|_| failures.failed(client(1), now));
        assert!(!failures.barred(client(1), now));
        failures.failed(client(1), now);
        assert!(failures.barred(client(1), now));
        assert!(!failures.barred(client(2), now));
        assert!(!failures.barred(client(1), now + Duration::from_millis(100)));
    }

    #[test]
    fn nobody_is_barred_for_ever() {
        let failures = Failures::new(64, 10, 3, [1; 16]);
        (0..100_000).for_each(|_| failures.failed(client(1), Duration::ZERO));
        assert!(failures.barred(client(1), Duration::from_millis(300)));
        assert!(!failures.barred(client(1), Duration::from_millis(400)));
    }

    #[test]
    fn one_network_of_ipv6_is_one_client() {
        let failures = Failures::new(64, 10, 1, [1; 16]);
        for last in 1..9 {
            let of_one = format!("2001:db8::{last}").parse().unwrap();
            failures.failed(of_one, Duration::ZERO);
        }
        assert!(failures.barred("2001:db8::ffff".parse().unwrap(), Duration::ZERO));
        assert!(!failures.barred("2001:db8:0:1::1".parse().unwrap(), Duration::ZERO));
        assert!(!failures.barred(client(1), Duration::ZERO));
        (0..9).for_each(|_| failures.failed("::ffff:192.0.2.1".parse().unwrap(), Duration::ZERO));
        assert!(failures.barred(client(1), Duration::ZERO));
    }

    #[test]
    fn it_is_bounded() {
        let failures = Failures::new(1, 1, 1, [1; 16]);
        for last in 0..=255 {
            failures.failed(client(last), Duration::from_millis(u64::from(last)));
        }
        assert_eq!(failures.sets.len() * WAYS, 4);
    }
}
