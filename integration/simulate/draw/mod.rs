//! Plans drawn from a seed.

mod ops;

use ops::{guard, op};

use crate::executor::Ms;
use crate::life::End;
use crate::plan::{Behaviour, Disk, Knobs, Op, Outcome, Plan, Policy, Resource, Tag, VaryBy, Version, What};
use crate::prng::Prng;
use crate::world::HOSTS;

const SECOND: Ms = 1000;

/// What sets one plan apart from another as a whole.
struct Mood {
    /// Some bodies are larger than a chunk.
    large: bool,
    /// The origin fails often.
    failing: bool,
    /// Purges are frequent.
    purging: bool,
    /// Most responses may be stored.
    storable: bool,
    /// One resource whose equally long versions follow each other while it is asked for all the time.
    focused: bool,
    /// Milliseconds over which things happen.
    span: Ms,
}

/// The plan of `seed`.
pub fn plan(seed: u64) -> Plan {
    let mut prng = Prng::new(seed);
    let prng = &mut prng;
    let mood = Mood {
        large: prng.chance(15),
        failing: prng.chance(35),
        purging: prng.chance(50),
        storable: prng.chance(60),
        focused: prng.chance(10),
        span: prng.pick(&[SECOND, 5 * SECOND, 30 * SECOND, 200 * SECOND]),
    };
    let mood = match mood.focused {
        true => Mood {
            span: 10 * SECOND,
            storable: true,
            large: prng.chance(50),
            ..mood
        },
        false => mood,
    };
    let knobs = knobs(prng, &mood);
    let places = if mood.focused { 1 } else { prng.between(1, 4) as usize };
    let mut resources: Vec<Resource> = (0..places).map(|place| resource(prng, &mood, place)).collect();
    if knobs.many_variants {
        let policies = resources[0].policies.iter_mut();
        policies.for_each(|policy| policy.vary = VaryBy::Lang);
    }
    let moments = if mood.focused {
        prng.between(6, 16)
    } else {
        prng.between(1, 6)
    };
    let moments: Vec<Ms> = (0..moments).map(|_| prng.below(mood.span)).collect();
    let count = match (mood.large && !mood.focused, knobs.many_variants) {
        (true, _) => prng.between(3, 16),
        (false, true) => prng.between(40, 120),
        (false, false) => prng.between(4, 40),
    };
    let mut ops: Vec<Op> = (0..count)
        .map(|_| op(prng, &mood, &knobs, &resources, &moments))
        .collect();
    let schedule = prng.next();
    let mut knobs = knobs;
    if prng.chance(50) {
        knobs.disk = Some(disk(prng));
        ops.extend((0..prng.below(4)).map(|_| crash(prng, mood.span)));
    }
    // Drawn apart, so that all else is as it is without tokens.
    guard(&mut Prng::new(!seed), &mut resources, &mut ops);
    Plan {
        schedule,
        knobs,
        resources,
        ops,
    }
}

fn disk(prng: &mut Prng) -> Disk {
    const KIB: u64 = 1 << 10;
    let (size, segment) = match prng.below(10) {
        0 => (256 * KIB, 32 * KIB),
        1..=2 => (3 << 20, 512 * KIB),
        _ => (64 << 20, 1 << 20),
    };
    Disk {
        seed: prng.next(),
        size,
        segment,
        cold_reads: prng.pick(&[0, 20, 100]),
        second_hit: prng.chance(15),
    }
}

fn crash(prng: &mut Prng, span: Ms) -> Op {
    let end = if prng.chance(50) { End::Kill } else { End::PowerCut };
    let rot = if prng.chance(20) { prng.between(1, 20) } else { 0 };
    Op {
        at: prng.below(span + 5 * SECOND),
        what: What::Crash(end, rot),
    }
}

fn knobs(prng: &mut Prng, mood: &Mood) -> Knobs {
    let defaults = Knobs::default();
    let small = match mood.large {
        true => [1 << 20, 2 << 20, 4 << 20],
        false => [16 << 10, 64 << 10, 256 << 10],
    };
    Knobs {
        ram: if prng.chance(30) {
            prng.pick(&small)
        } else {
            defaults.ram
        },
        window: prng.pick(&[1 << 10, 8 << 10, 64 << 10]),
        pass_window: prng.pick(&[512, 4 << 10, 32 << 10]),
        finish_bytes: prng.pick(&[0, 1 << 10, 64 << 10]),
        finish_share: prng.pick(&[0.1, 0.5, 1.0]),
        max_fills: if prng.chance(5) {
            prng.between(1, 4) as usize
        } else {
            defaults.max_fills
        },
        max_readers: if prng.chance(5) {
            prng.between(1, 4) as usize
        } else {
            defaults.max_readers
        },
        client_may_revalidate: prng.chance(20),
        swr: if prng.chance(15) { prng.between(1, 60) } else { 0 },
        sie: if prng.chance(15) { prng.between(1, 60) } else { 0 },
        spurious: prng.chance(20),
        many_variants: prng.chance(4),
        housekeeping: prng.between(1, 32) as u32,
        ..defaults
    }
}

fn resource(prng: &mut Prng, mood: &Mood, place: usize) -> Resource {
    let several = prng.chance(25);
    let policies: Vec<Policy> = (0..if several { prng.between(2, 3) } else { 1 })
        .map(|_| policy(prng, mood, several))
        .collect();
    let tag = match mood.focused {
        true => prng.pick(&[Tag::None, Tag::Weak, Tag::Strong, Tag::Always]),
        false => prng.pick(&[
            Tag::None,
            Tag::Strong,
            Tag::Strong,
            Tag::Weak,
            Tag::OfAllVariants,
            Tag::Always,
        ]),
    };
    let size = size(prng, mood);
    let constant = mood.focused || prng.chance(60);
    let version = |prng: &mut Prng| Version {
        size: if constant { size } else { self::size(prng, mood) },
        etag: if tag != Tag::Always && prng.chance(15) {
            Tag::None
        } else {
            tag
        },
        last_modified: tag != Tag::Always && prng.chance(50),
        status: if prng.chance(5) { 404 } else { 200 },
    };
    let versions = (0..prng.between(1, 4)).map(|_| version(prng)).collect();
    let changes = (0..prng.below(if mood.focused { 10 } else { 5 }))
        .map(|_| prng.below(mood.span))
        .collect();
    let policy_changes = (1..policies.len()).map(|_| prng.below(mood.span)).collect();
    let behaviours = (0..prng.between(1, 5)).map(|_| behaviour(prng, mood, size)).collect();
    Resource {
        host: HOSTS[place % 2],
        path: ["/r/0", "/r/1", "/s", "/r/10"][place % 4],
        query: if place == 2 { Some("q=1") } else { None },
        guarded: false,
        versions,
        changes,
        policies,
        policy_changes,
        behaviours,
    }
}

fn size(prng: &mut Prng, mood: &Mood) -> usize {
    const CHUNK: u64 = verge::store::CHUNK as u64;
    let size = match (mood.large, prng.below(10)) {
        (_, 0) => prng.below(3),
        (true, 1..=6) => CHUNK * prng.between(1, if mood.focused { 3 } else { 2 }) + prng.pick(&[0, 1, 1000, 100_000]),
        (_, 7..=9) => prng.between(3, 64 << 10),
        _ => prng.between(3, 3000),
    };
    size as usize
}

fn policy(prng: &mut Prng, mood: &Mood, explicit: bool) -> Policy {
    let now_and_then = |prng: &mut Prng, most: u64| prng.chance(25).then(|| prng.between(1, most));
    let lifetime = prng.pick(&[0, 1, 2, 10, 60, 600]);
    if mood.focused {
        return Policy {
            max_age: Some(prng.between(1, 2)),
            swr: Some(prng.between(5, 60)),
            sie: now_and_then(prng, 60),
            public: prng.chance(30),
            ..Policy::default()
        };
    }
    let odd = |prng: &mut Prng, percent: u64| prng.chance(if mood.storable { percent / 4 } else { percent });
    Policy {
        max_age: (explicit || prng.chance(85)).then_some(lifetime),
        s_maxage: prng.chance(8).then(|| prng.between(0, 30)),
        swr: now_and_then(prng, 60),
        sie: now_and_then(prng, 100),
        no_cache: odd(prng, 10),
        no_store: odd(prng, 12),
        private: odd(prng, 12),
        public: prng.chance(15),
        must_revalidate: prng.chance(8),
        vary: match prng.below(20) {
            0..=11 => VaryBy::Nothing,
            12..=16 => VaryBy::Lang,
            17..=18 => VaryBy::LangAndMode,
            _ => VaryBy::Star,
        },
        tags: (0..prng.below(3)).map(|_| prng.below(3) as u8).collect(),
    }
}

fn behaviour(prng: &mut Prng, mood: &Mood, size: usize) -> Behaviour {
    let trouble = if mood.failing { 30 } else { 3 };
    let outcome = match prng.chance(trouble) {
        false => Outcome::Response,
        true => match prng.below(3) {
            0 => Outcome::NoHead,
            _ => Outcome::Error(prng.pick(&[500, 502, 503, 504]), prng.chance(25)),
        },
    };
    let least = (size / 60).max(1) as u64;
    Behaviour {
        delay: prng.pick(&[0, 0, 5, 20, 100, 3000]),
        late: prng.chance(40),
        outcome,
        piece: prng.between(least, least * if mood.focused { 4 } else { 40 }) as usize,
        pause: prng.pick(if mood.focused {
            &[10, 50, 300]
        } else {
            &[0, 0, 1, 10, 300]
        }),
        chunked: prng.chance(25),
        cut: prng.chance(trouble).then(|| prng.below(1000)),
        unconditional: prng.chance(15),
        no_ranges: prng.chance(15),
        no_if_range: prng.chance(15),
        short_range: prng.chance(10).then(|| prng.between(1, 3000)),
        age: prng.chance(10).then(|| prng.between(0, 12)),
        date: prng.chance(80),
    }
}
