//! Session tickets (RFC 5077, RFC 8446 4.6.1): what a client brings back to resume a session.
//!
//! A ticket is the name of its key (16 bytes), a salt (32), and, sealed with AES-256-GCM, the time (8) and the session.
//! The salt is random, and the key is derived from it and used for this ticket alone: no nonce can occur twice.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::server::ProducesTickets;

use super::files::Digest;
use super::keys::{Master, Masters};
use crate::clock::Clock;

/// For how long a ticket opens.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
const NAME: usize = 16;
const SALT: usize = 32;
const HEAD: usize = NAME + SALT;
const TIME: usize = 8;
/// Longer ones, which hold a long chain of a client's certificates, would not fit into the hellos that bring them back.
const MAX_SESSION: usize = 16 << 10;

/// Seals and opens tickets of one way to ask for client certificates.
///
/// rustls resumes a session only for the same SNI and cipher suite (`can_resume` in its server/hs.rs, which both
/// tls12.rs and tls13.rs call), but does not compare what was asked of the client. So that is part of each key
/// derivation here: a ticket that was given without proof does not open where proof is required.
pub(super) struct Sealer {
    masters: Masters,
    proof: Digest,
    clock: Arc<dyn Clock>,
}

impl Sealer {
    /// `proof`: what tells the way to ask for client certificates from others.
    pub(super) fn new(masters: Masters, proof: Digest, clock: Arc<dyn Clock>) -> Sealer {
        Sealer { masters, proof, clock }
    }

    fn name(&self, master: &Master) -> Option<Digest> {
        master.derive(&[b"name", &self.proof])
    }

    fn key(&self, master: &Master, salt: &[u8]) -> Option<LessSafeKey> {
        let key = master.derive(&[b"key", &self.proof, salt])?;
        UnboundKey::new(&AES_256_GCM, &key).ok().map(LessSafeKey::new)
    }

    /// Seconds since 1970.
    fn time(&self) -> u64 {
        let wall = self.clock.now().wall;
        wall.duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn seal(&self, master: &Master, session: &[u8]) -> Option<Vec<u8>> {
        let mut ticket = Vec::with_capacity(HEAD + TIME + session.len() + AES_256_GCM.tag_len());
        ticket.extend_from_slice(&self.name(master)?[..NAME]);
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt).ok()?;
        ticket.extend_from_slice(&salt);
        let mut sealed = [&self.time().to_be_bytes(), session].concat();
        let key = self.key(master, &salt)?;
        let aad = Aad::from(ticket.as_slice());
        key.seal_in_place_append_tag(only_nonce(), aad, &mut sealed).ok()?;
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn open(&self, masters: &[Master], ticket: &[u8]) -> Option<Vec<u8>> {
        let (head, sealed) = ticket.split_at_checked(HEAD)?;
        let (name, salt) = head.split_at(NAME);
        let is_it = |master: &&Master| self.name(master).is_some_and(|its| its[..NAME] == *name);
        let key = self.key(masters.iter().find(is_it)?, salt)?;
        let mut sealed = sealed.to_vec();
        let opened = key.open_in_place(only_nonce(), Aad::from(head), &mut sealed).ok()?;
        let (time, session) = opened.split_first_chunk::<TIME>()?;
        // Keys of files stay until somebody changes them, so that each ticket must tell its own age.
        let age = self.time().saturating_sub(u64::from_be_bytes(*time));
        (age < LIFETIME.as_secs()).then(|| session.to_vec())
    }
}

/// Each key seals one ticket.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl ProducesTickets for Sealer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME.as_secs() as u32
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        if session.len() > MAX_SESSION {
            return None;
        }
        self.masters.with(|masters| self.seal(masters.first()?, session))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.masters.with(|masters| self.open(masters, ticket))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::super::keys::Rotating;
    use super::super::{Settings, TlsError};
    use super::*;
    use crate::clock::ManualClock;

    fn clock() -> ManualClock {
        ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000))
    }

    fn made(clock: &ManualClock) -> Masters {
        Masters::Made(Arc::new(Rotating::new(Arc::new(clock.clone())).unwrap()))
    }

    fn sealer(masters: &Masters, proof: u8, clock: &ManualClock) -> Sealer {
        Sealer::new(masters.clone(), [proof; 32], Arc::new(clock.clone()))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let clock = clock();
        let sealer = sealer(&made(&clock), 0, &clock);
        for length in [0, 1, 100, MAX_SESSION] {
            let session = vec![7; length];
            let ticket = sealer.encrypt(&session).unwrap();
            assert_ne!(ticket, sealer.encrypt(&session).unwrap());
            assert_eq!(sealer.decrypt(&ticket), Some(session));
        }
        assert_eq!(sealer.encrypt(&vec![7; MAX_SESSION + 1]), None);
        let ticket = sealer.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut other = ticket.clone();
            other[at] ^= 1;
            assert_eq!(sealer.decrypt(&other), None, "{at}");
            assert_eq!(sealer.decrypt(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_ticket_is_for_one_way_to_ask() {
        let clock = clock();
        let masters = made(&clock);
        let ticket = sealer(&masters, 0, &clock).encrypt(b"session").unwrap();
        assert_eq!(sealer(&masters, 1, &clock).decrypt(&ticket), None);
        assert!(sealer(&masters, 0, &clock).decrypt(&ticket).is_some());
        // Not even a ticket that bears the right name of a key.
        let mut ticket = ticket;
        let other = sealer(&masters, 1, &clock).encrypt(b"session").unwrap();
        ticket[..NAME].copy_from_slice(&other[..NAME]);
        assert_eq!(sealer(&masters, 1, &clock).decrypt(&ticket), None);
    }

    #[test]
    fn own_keys_change_every_six_hours() {
        let clock = clock();
        let sealer = sealer(&made(&clock), 0, &clock);
        let first = sealer.encrypt(b"session").unwrap();
        clock.advance(HOUR * 6 - Duration::from_secs(1));
        let second = sealer.encrypt(b"session").unwrap();
        assert_eq!(first[..NAME], second[..NAME]);
        clock.advance(Duration::from_secs(1));
        let third = sealer.encrypt(b"session").unwrap();
        assert_ne!(first[..NAME], third[..NAME]);
        assert!(sealer.decrypt(&second).is_some());
        clock.advance(HOUR * 6);
        assert_eq!(sealer.decrypt(&second), None);
        assert!(sealer.decrypt(&third).is_some());
        // After a long silence even the last one is too old.
        clock.advance(HOUR * 12);
        assert_eq!(sealer.decrypt(&third), None);
    }

    #[test]
    fn keys_of_files() {
        let clock = clock();
        let folder = tempfile::tempdir().unwrap();
        let rotating = Arc::new(Rotating::new(Arc::new(clock.clone())).unwrap());
        let load = |names: &[&str]| -> Result<Sealer, Vec<TlsError>> {
            let settings = Settings {
                ticket_keys: names.iter().map(|name| folder.path().join(name)).collect(),
                ..Settings::default()
            };
            let mut errors = Vec::new();
            let masters = Masters::new(&settings, &Files::read(&settings, &[]), &rotating, &mut errors);
            if errors.is_empty() {
                Ok(sealer(&masters, 0, &clock))
            } else {
                Err(errors)
            }
        };
        std::fs::write(folder.path().join("old"), [1; 32]).unwrap();
        std::fs::write(folder.path().join("new"), [2; 80]).unwrap();
        std::fs::write(folder.path().join("short"), [3; 31]).unwrap();
        let ticket = load(&["old"]).unwrap().encrypt(b"session").unwrap();
        let both = load(&["new", "old"]).unwrap();
        assert!(both.decrypt(&ticket).is_some());
        assert!(
            load(&["old"])
                .unwrap()
                .decrypt(&both.encrypt(b"session").unwrap())
                .is_none()
        );
        let errors = load(&["short", "none"]).err().unwrap();
        assert!(errors[0].what.contains("31 bytes are too few") && errors[0].what.contains("openssl rand 80 > "));
        assert!(errors[1].file.ends_with("none"));
        clock.advance(HOUR * 12);
        assert!(both.decrypt(&ticket).is_none());
    }
}
