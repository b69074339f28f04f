//! What happens, drawn.

use super::{Mood, SECOND};
use crate::executor::Ms;
use crate::plan::{Ask, Knobs, Method, Op, Resource, Target, Token, What};
use crate::prng::Prng;
use crate::world::HOSTS;

/// Something that happens at about one of `moments`.
pub(super) fn op(prng: &mut Prng, mood: &Mood, knobs: &Knobs, resources: &[Resource], moments: &[Ms]) -> Op {
    let spread = prng.pick(&[1, 30, 300, 3000]);
    let at = prng.pick(moments) + prng.below(spread);
    let what = match prng.chance(if mood.purging { 18 } else { 2 }) {
        true => What::Purge(target(prng, resources), prng.chance(70)),
        false => What::Ask(ask(prng, knobs, resources)),
    };
    Op { at, what }
}

fn target(prng: &mut Prng, resources: &[Resource]) -> Target {
    let place = prng.below(resources.len() as u64) as usize;
    match prng.below(6) {
        0..=1 => Target::Url(place),
        2 => Target::Tag(prng.below(3) as u8),
        3 => Target::Prefix(
            prng.pick(&["a.example/r", "a.example/s?q", "b", "b.example/r/1"])
                .to_owned(),
        ),
        4 => Target::Site(prng.pick(&HOSTS)),
        _ => Target::All,
    }
}

fn ask(prng: &mut Prng, knobs: &Knobs, resources: &[Resource]) -> Ask {
    let (varied, langs) = if knobs.many_variants { (95, 60) } else { (40, 3) };
    // The first is the popular one.
    let resource = if prng.chance(60) {
        0
    } else {
        prng.below(resources.len() as u64) as usize
    };
    let size = resources[resource].versions[0].size as u64;
    let slow = prng.chance(20);
    Ask {
        resource,
        secure: prng.chance(5),
        method: match prng.below(20) {
            0 => Method::Post,
            1 => Method::Head,
            _ => Method::Get,
        },
        lang: prng.chance(varied).then(|| prng.below(langs) as u8),
        mode: prng.chance(20).then(|| prng.below(2) as u8),
        authorization: prng.chance(6),
        cookie: prng.chance(8),
        cache_control: prng
            .chance(12)
            .then(|| prng.pick(&["no-store", "no-store", "only-if-cached", "no-cache", "max-stale"])),
        range: prng.chance(15).then(|| range(prng, size)),
        if_none_match: prng.chance(10).then(|| prng.below(3) as u32),
        if_range: prng.chance(5).then(|| prng.below(2) as u32),
        pace: if slow { prng.pick(&[1, 20, 500]) } else { 0 },
        stall: (slow && prng.chance(50)).then(|| (prng.below(size + 1), prng.pick(&[SECOND, 60 * SECOND]))),
        leaves_at: prng.chance(12).then(|| prng.pick(&[0, 1, 7, 50, 1000])),
        leaves_after: prng.chance(10).then(|| prng.below(size + 1)),
        token: Token::None,
        in_cookie: false,
    }
}

/// Has tokens asked for, for some resources, and gives most of those who ask one.
pub(super) fn guard(prng: &mut Prng, resources: &mut [Resource], ops: &mut [Op]) {
    if !prng.chance(50) {
        return;
    }
    for resource in resources {
        resource.guarded = prng.chance(60);
    }
    for op in ops {
        if let What::Ask(ask) = &mut op.what {
            ask.in_cookie = prng.chance(30);
            ask.token = match prng.below(16) {
                0..=11 => Token::Good,
                12 => Token::None,
                13 => Token::Old,
                14 => Token::OfAnother,
                _ => Token::Forged,
            };
        }
    }
}

fn range(prng: &mut Prng, size: u64) -> String {
    let from = prng.below(size + 2);
    let length = prng.between(1, size / 3 + 2);
    let (to, next) = (from + length - 1, from + length + prng.between(1, size / 4 + 100));
    match prng.below(5) {
        0 => format!("bytes={from}-"),
        1 => format!("bytes=-{length}"),
        2 => format!("bytes={from}-{to},{next}-{}", next + length),
        _ => format!("bytes={from}-{to}"),
    }
}
