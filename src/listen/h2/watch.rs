//! Watching a connection for frames that cost more than they bring (RFC 9113 10.5): floods that keep to the protocol.
//!
//! The h2 crate reads the frames; this looks at their heads as they pass, whatever becomes of them. Each kind that a client
//! can send without end takes a token from a bucket that fills with time; an empty bucket ends the connection.

use std::time::Duration;

use h2::Reason;

/// A frame's head (RFC 9113 4.1).
const HEAD: usize = 9;

/// Before its first frame a client sends the preface (RFC 9113 3.4).
const PREFACE: usize = 24;

/// Requests taken back. They may have cost as much as those that were answered. Browsers that leave a page take back a
/// hundred or two.
const RESETS: Bucket = Bucket::new(300, 100);

/// Frames that bring nothing by themselves: pings, settings, priorities, continuations, empty data. Every request brings
/// a few along, so it gives their tokens back.
const IDLE_FRAMES: Bucket = Bucket::new(1_000, 100);
const BROUGHT_ALONG: u64 = 4;

/// Window updates. What is sent to the client gives tokens back: one that takes data has reason to send them, even one for
/// each small piece.
const UPDATES: Bucket = Bucket::new(10_000, 1_000);
const BYTES_AN_UPDATE: usize = 512;

/// Reads frame heads from the bytes that come in.
#[derive(Debug)]
pub struct Watch {
    /// Bytes to pass over: of the preface, or of a frame's payload.
    skip: usize,
    head: [u8; HEAD],
    have: usize,
    /// Its first frame has come.
    begun: bool,
    /// The time at the last look.
    now: Duration,
    resets: Bucket,
    idle: Bucket,
    updates: Bucket,
}

impl Watch {
    /// Watches a connection that begins at `now`, from its preface on.
    pub fn new(now: Duration) -> Self {
        Watch {
            skip: PREFACE,
            head: [0; HEAD],
            have: 0,
            begun: false,
            now,
            resets: RESETS,
            idle: IDLE_FRAMES,
            updates: UPDATES,
        }
    }

    /// Looks at bytes that have come. An error ends the connection, for this reason.
    pub fn look(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Reason> {
        let passed = now.saturating_sub(self.now);
        self.now = now;
        self.resets.fill(passed);
        self.idle.fill(passed);
        self.updates.fill(passed);
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD {
                self.frame()?;
            }
        }
        Ok(())
    }

    /// Counts what has been sent to the client.
    pub fn sent(&mut self, bytes: usize) {
        self.updates.give((bytes * 1000 / BYTES_AN_UPDATE) as u64);
    }

    fn length(&self) -> usize {
        u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize
    }

    /// Judges the frame whose head is here.
    fn frame(&mut self) -> Result<(), Reason> {
        const END_STREAM: u8 = 1;
        const SETTINGS: u8 = 4;
        // RFC 9113 3.4: the preface ends with SETTINGS, which the crate does not insist on.
        if !std::mem::replace(&mut self.begun, true) && self.head[3] != SETTINGS {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let length = self.length();
        self.skip = length;
        self.have = 0;
        let fits = match self.head[3] {
            0 => length > 0 || self.head[4] & END_STREAM != 0 || self.idle.take(),
            // HEADERS brings a request, or trailers.
            1 => {
                self.idle.give(BROUGHT_ALONG * 1000);
                true
            }
            3 => self.resets.take(),
            8 => self.updates.take(),
            _ => self.idle.take(),
        };
        fits.then_some(()).ok_or(Reason::ENHANCE_YOUR_CALM)
    }
}

/// Tokens that come back with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of tokens.
    left: u64,
    most: u64,
    /// Tokens a second.
    rate: u64,
}

impl Bucket {
    const fn new(most: u64, rate: u64) -> Self {
        Bucket {
            left: most * 1000,
            most: most * 1000,
            rate,
        }
    }

    fn fill(&mut self, passed: Duration) {
        let come = u64::try_from(passed.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(self.rate);
        self.give(come);
    }

    /// Thousandths of tokens.
    fn give(&mut self, thousandths: u64) {
        self.left = self.left.saturating_add(thousandths).min(self.most);
    }

    fn take(&mut self) -> bool {
        match self.left.checked_sub(1000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    fn passes(frame: &[u8], count: usize, piece: usize) -> bool {
        let mut watch = Watch::new(Duration::ZERO);
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(self::frame(4, 0, &[]));
        bytes.extend(frame.repeat(count));
        bytes
            .chunks(piece)
            .all(|piece| watch.look(piece, Duration::ZERO).is_ok())
    }

    #[test]
    fn floods_end() {
        let cancel = frame(3, 0, &[0, 0, 0, 8]);
        let tiny_update = frame(8, 0, &[0, 0, 0, 1]);
        for piece in [1, 5, 13, 8192] {
            for (frame, least) in [
                (&cancel, 300),
                (&frame(6, 0, &[0; 8]), 999),
                (&frame(4, 0, &[]), 999),
                (&frame(0, 0, &[]), 999),
                (&frame(9, 0, &[1, 2, 3]), 999),
                (&tiny_update, 10_000),
            ] {
                assert!(passes(frame, least, piece), "{frame:?}");
                assert!(!passes(frame, least + 1, piece), "{frame:?}");
            }
        }
    }

    #[test]
    fn settings_come_first() {
        let mut watch = Watch::new(Duration::ZERO);
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(6, 0, &[0; 8]));
        assert_eq!(watch.look(&bytes, Duration::ZERO), Err(Reason::PROTOCOL_ERROR));
    }

    #[test]
    fn work_does_not() {
        for frame in [frame(1, 5, &[0; 30]), frame(0, 0, &[0; 16_384]), frame(0, 1, &[])] {
            assert!(passes(&frame, 20_000, 8192), "{frame:?}");
        }
    }

    #[test]
    fn a_request_pays_for_a_few_frames_but_not_for_its_reset() {
        let request = frame(1, 5, &[0; 30]);
        let with = |more: Vec<u8>| [request.clone(), more].concat();
        assert!(passes(&with(frame(16, 0, b"u=1").repeat(4)), 10_000, 8192));
        assert!(!passes(&with(frame(3, 0, &[0, 0, 0, 8])), 301, 8192));
    }

    #[test]
    fn who_takes_data_may_update_its_windows() {
        let mut watch = Watch::new(Duration::ZERO);
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        begin.extend(frame(4, 0, &[]));
        assert!(watch.look(&begin, Duration::ZERO).is_ok());
        let update = frame(8, 0, &[0, 0, 0, 1]);
        for _ in 0..30_000 {
            watch.sent(BYTES_AN_UPDATE);
            assert!(watch.look(&update, Duration::ZERO).is_ok());
        }
        assert!(watch.look(&update.repeat(10_001), Duration::ZERO).is_err());
    }

    #[test]
    fn time_fills_the_bucket() {
        let mut watch = Watch::new(Duration::ZERO);
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, &[]));
        bytes.extend(frame(3, 0, &[0, 0, 0, 8]).repeat(300));
        assert!(watch.look(&bytes, Duration::ZERO).is_ok());
        let reset = frame(3, 0, &[0, 0, 0, 8]);
        assert!(watch.look(&reset.repeat(100), Duration::from_secs(1)).is_ok());
        assert_eq!(
            watch.look(&reset, Duration::from_secs(1)),
            Err(Reason::ENHANCE_YOUR_CALM)
        );
    }
}
