//! A Range written for some bytes gets these bytes.

use proptest::prelude::*;
use verge::policy::range::{ByteRange, Ranges, select};
use verge::policy::validator::{EntityTag, Validators};

use crate::input::Input;
use crate::spelling::spelling;
use crate::{config, input, laws};

/// Parts of a representation that do not touch, and its length.
fn parts() -> impl Strategy<Value = (Vec<ByteRange>, u64)> {
    let steps = prop::collection::vec((0..200u64, 1..200u64), 1..=16);
    (steps, 0..200u64, prop_oneof![3 => Just(0), 1 => Just(u64::MAX / 2)]).prop_map(|(steps, rest, from)| {
        let mut end = from;
        let part = |(gap, length): (u64, u64)| {
            let start = end + gap;
            end = start + length;
            ByteRange { start, end }
        };
        let parts: Vec<ByteRange> = steps.into_iter().map(part).collect();
        (parts, end + rest)
    })
}

fn chosen(value: &str, if_range: Option<&str>, stored: &Validators, length: u64) -> Ranges {
    let mut lines = vec![(&b"Range"[..], value.as_bytes())];
    lines.extend(if_range.map(|value| (&b"If-Range"[..], value.as_bytes())));
    input::with(&lines, |fields| select(fields, stored, length))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn parts_are_selected_as_they_are_written((parts, length) in parts(), mut spelling in spelling()) {
        laws::range::reads_what_is_written(&parts, length);
        let parts = spelling.shuffled(parts);
        let spec = |part: &ByteRange| match (part.end == length, spelling.choose(3)) {
            (true, 1) => format!("{}-", part.start),
            (true, 2) if part.start > 0 => format!("-{}", part.length()),
            (true, _) if spelling.choose(2) == 1 => format!("0{}-{}", part.start, u64::MAX),
            _ => format!("{}-{}", part.start, part.end - 1),
        };
        let specs: Vec<String> = parts.iter().map(spec).collect();
        let set = specs.join(spelling.one_of(&[",", ", ", " ,, "]));
        let value = format!("{}={set}", spelling.case("bytes"));
        let selected = chosen(&value, None, &Validators::default(), length);
        prop_assert_eq!(selected, Ranges::Parts(parts.into()), "{} of {}", value, length);
    }

    #[test]
    fn one_range_gets_its_bytes(body in prop::collection::vec(any::<u8>(), 1..300), first in 0..300usize, more in 0..300usize) {
        let length = body.len() as u64;
        let nothing = Validators::default();
        let expected = body.get(first..).map(|rest| &rest[..rest.len().min(more + 1)]);
        for (value, expected) in [
            (format!("bytes={first}-{}", first + more), expected),
            (format!("bytes={first}-"), body.get(first..)),
            (format!("bytes=-{first}"), Some(&body[body.len().saturating_sub(first)..])),
        ] {
            let got = match chosen(&value, None, &nothing, length) {
                Ranges::Parts(parts) => parts.iter().flat_map(|part| &body[part.start as usize..part.end as usize]).copied().collect(),
                Ranges::Unsatisfiable => Vec::new(),
                Ranges::Whole => panic!("{value} of {length} is whole"),
            };
            prop_assert_eq!(&got[..], expected.unwrap_or_default(), "{} of {}", value, length);
        }
    }

    #[test]
    fn more_parts_than_are_sent_become_the_whole(count in 17..40u64, gap in 90..200u64) {
        let specs: Vec<String> = (0..count).map(|at| format!("{}-{}", at * gap, at * gap + 4)).collect();
        let value = format!("bytes={}", specs.join(","));
        prop_assert_eq!(chosen(&value, None, &Validators::default(), count * gap), Ranges::Whole);
    }

    #[test]
    fn sets_that_overlap_hold_what_every_set_does(specs in prop::collection::vec((0..400u64, 0..40u64), 1..24), length in 100..400u64) {
        let specs: Vec<String> = specs.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        let input = format!("= {length}\n> Range: bytes={}", specs.join(","));
        laws::range::hold(&Input::read(input.as_bytes()));
    }

    #[test]
    fn parts_come_only_of_the_version_that_was_named(tag in "[!#-~]{0,6}", other in "[!#-~]{0,6}", weak in any::<bool>(), (parts, length) in parts()) {
        let quoted = format!("\"{tag}\"");
        let etag = EntityTag { weak, opaque: quoted.clone().into() };
        let stored = Validators { etag: Some(etag), ..Validators::default() };
        let part = parts[0];
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        let expected = |named: bool| match named {
            true => Ranges::Parts([part].as_slice().into()),
            false => Ranges::Whole,
        };
        for (value, named) in [
            (quoted.clone(), !weak),
            (format!("W/{quoted}"), false),
            (format!("\"{other}\""), !weak && other == tag),
            (format!("{quoted}, {quoted}"), false),
            (tag.clone(), false),
        ] {
            prop_assert_eq!(chosen(&range, Some(&value), &stored, length), expected(named), "{}", value);
        }
        // RFC 9110 13.1.5: it names one version; of two lines none counts.
        let lines = [(&b"Range"[..], range.as_bytes()), (b"If-Range", quoted.as_bytes()), (b"If-Range", quoted.as_bytes())];
        prop_assert_eq!(input::with(&lines, |fields| select(fields, &stored, length)), Ranges::Whole);
    }
}
