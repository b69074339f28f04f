//! Addresses whose connections were ended for a flood of frames. Whoever floods is back at once, and a handshake costs more
//! than what a connection can send before it is ended: so new connections from there take turns for a while. Those that are
//! open stay as they are, and so do all other addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// How long an address stays suspect after its last flood.
const SUSPECT: Duration = Duration::from_secs(10);

/// Between the turns of two connections from a suspect address, after one flood. Each further one doubles it.
const TURN: Duration = Duration::from_millis(100);

/// What it is doubled up to.
const SLOWEST: Duration = Duration::from_secs(1);

/// The longest wait for a turn; a connection that would wait longer is closed.
const LONGEST: Duration = Duration::from_secs(5);

/// Addresses that are remembered. When there are more, the one whose last flood is longest ago is forgotten.
const MOST: usize = 1024;

/// The suspect addresses. Times are the clock's, since its start.
#[derive(Debug, Default)]
pub struct Suspects {
    /// There are some: a look at this costs less than the lock.
    any: AtomicBool,
    known: Mutex<HashMap<IpAddr, Suspect>>,
}

#[derive(Debug)]
struct Suspect {
    until: Duration,
    /// When the next connection has its turn.
    next: Duration,
    /// How long after it the one behind it has.
    turn: Duration,
}

/// When a new connection is served.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// At once.
    Now,
    /// After a wait.
    After(Duration),
    /// Not at all: too many are waiting.
    Never,
}

impl Suspects {
    /// A connection from `address` was ended for a flood.
    pub fn add(&self, address: IpAddr, now: Duration) {
        let mut known = self.known.lock();
        let place = place(address);
        if known.len() >= MOST && !known.contains_key(&place) {
            known.retain(|_, suspect| suspect.until > now);
            let oldest = known
                .iter()
                .min_by_key(|(_, suspect)| suspect.until)
                .map(|(place, _)| *place);
            if let (Some(oldest), true) = (oldest, known.len() >= MOST) {
                known.remove(&oldest);
            }
        }
        let before = known.get(&place).filter(|suspect| suspect.until > now);
        let (next, turn) = match before {
            Some(suspect) => (suspect.next, SLOWEST.min(suspect.turn * 2)),
            None => (now + TURN, TURN),
        };
        let until = now + SUSPECT;
        known.insert(place, Suspect { until, next, turn });
        self.any.store(true, Ordering::Relaxed);
    }

    /// When a connection from `address` that came `now` has its turn.
    pub fn turn(&self, address: IpAddr, now: Duration) -> Turn {
        if !self.any.load(Ordering::Relaxed) {
            return Turn::Now;
        }
        let mut known = self.known.lock();
        let place = place(address);
        let Some(suspect) = known.get_mut(&place) else {
            return Turn::Now;
        };
        if suspect.until <= now {
            known.remove(&place);
            self.any.store(!known.is_empty(), Ordering::Relaxed);
            return Turn::Now;
        }
        let wait = suspect.next.saturating_sub(now);
        if wait > LONGEST {
            return Turn::Never;
        }
        suspect.next = suspect.next.max(now) + suspect.turn;
        match wait.is_zero() {
            true => Turn::Now,
            false => Turn::After(wait),
        }
    }
}

/// What is suspected: an IPv4 address, or the network that one IPv6 subscriber has (a /64).
fn place(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn at(millis: u64) -> Duration {
        START + Duration::from_millis(millis)
    }

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn connections_of_a_suspect_address_take_turns_and_others_do_not() {
        let suspects = Suspects::default();
        assert_eq!(suspects.turn(v4(1), at(0)), Turn::Now);
        suspects.add(v4(1), at(0));
        assert_eq!(suspects.turn(v4(1), at(0)), Turn::After(TURN));
        assert_eq!(suspects.turn(v4(1), at(50)), Turn::After(Duration::from_millis(150)));
        assert_eq!(suspects.turn(v4(2), at(50)), Turn::Now);
        assert_eq!(suspects.turn(v4(1), at(500)), Turn::Now);
        assert_eq!(suspects.turn(v4(1), at(500)), Turn::After(TURN));
    }

    #[test]
    fn who_floods_again_waits_longer() {
        let suspects = Suspects::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..7 {
            suspects.add(v4(1), at(now));
            let Turn::After(wait) = suspects.turn(v4(1), at(now)) else {
                panic!("served at once at {now} ms");
            };
            waits.push(wait.as_millis());
            now += wait.as_millis() as u64;
        }
        assert_eq!(waits, [100, 100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn another_flood_does_not_bring_a_turn_forward() {
        let suspects = Suspects::default();
        suspects.add(v4(1), at(0));
        let mut served = 0;
        for millis in 0..3_000 {
            served += usize::from(suspects.turn(v4(1), at(millis)) != Turn::Never);
            suspects.add(v4(1), at(millis));
        }
        // One a second for three seconds, those that may wait, and a few while the turns were shorter.
        assert!((7..=12).contains(&served), "{served}");
    }

    #[test]
    fn a_queue_that_is_too_long_is_closed_to_more() {
        let suspects = Suspects::default();
        suspects.add(v4(1), at(0));
        let turns: Vec<_> = (0..60).map(|_| suspects.turn(v4(1), at(0))).collect();
        assert_eq!(turns.iter().filter(|turn| **turn != Turn::Never).count(), 50);
        assert_eq!(turns[49], Turn::After(LONGEST));
        assert_eq!(turns[50], Turn::Never);
    }

    #[test]
    fn suspicion_ends() {
        let suspects = Suspects::default();
        suspects.add(v4(1), at(0));
        assert_eq!(suspects.turn(v4(1), at(10_000)), Turn::Now);
        assert!(!suspects.any.load(Ordering::Relaxed));
        assert_eq!(suspects.turn(v4(1), at(10_000)), Turn::Now);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_place() {
        let suspects = Suspects::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        suspects.add(address("2001:db8:1:2::5"), at(0));
        assert_ne!(suspects.turn(address("2001:db8:1:2:9::1"), at(0)), Turn::Now);
        assert_eq!(suspects.turn(address("2001:db8:1:3::5"), at(0)), Turn::Now);
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_known() {
        let suspects = Suspects::default();
        for n in 0..3 * MOST as u32 {
            suspects.add(IpAddr::from(n.to_be_bytes()), at(u64::from(n)));
        }
        assert_eq!(suspects.known.lock().len(), MOST);
        let last = IpAddr::from((3 * MOST as u32 - 1).to_be_bytes());
        assert_ne!(suspects.turn(last, at(3 * MOST as u64)), Turn::Now);
    }
}
