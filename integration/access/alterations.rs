//! Alterations that no vector survives, whatever its dialect.

use std::time::Duration;

use verge::access::{Memory, Policy, Reason, Verdict};

use super::vectors::{Asked, FILES, Vector, outcome, policy, read};

/// Every vector that is granted, with its policy.
fn each(mut look: impl FnMut(&str, &Vector, &Policy)) {
    for file in FILES {
        let vectors = read(file);
        for vector in vectors.vectors.iter().filter(|vector| vector.expected.is_ok()) {
            look(file, vector, &policy(&vectors.keys, &vector.asked.signed));
        }
    }
}

/// Stretches of query and path that carry the token.
fn carried(policy: &Policy, asked: &Asked) -> Vec<String> {
    let stripped = asked.with(|request| match policy.explain(request).0 {
        Verdict::Granted(grant) => {
            let left = grant.strip.query(request.query).unwrap_or_default().into_owned();
            let parts = request.query.unwrap_or_default().split('&');
            let gone = parts.filter(|part| !left.split('&').any(|kept| kept == *part));
            let in_path = cut(request.path, &grant.strip.path(request.path));
            gone.chain((!in_path.is_empty()).then_some(in_path))
                .map(str::to_owned)
                .collect()
        }
        Verdict::Denied(_) => Vec::new(),
    });
    stripped.unwrap_or_default()
}

/// What of a path is not left.
fn cut<'a>(path: &'a str, left: &str) -> &'a str {
    let before = path.bytes().zip(left.bytes()).take_while(|(a, b)| a == b).count();
    &path[before.min(left.len())..path.len() - (left.len() - before)]
}

/// A token with one letter changed is another token.
#[test]
fn no_letter_of_a_token_can_be_changed() {
    each(|file, vector, policy| {
        for part in carried(policy, &vector.asked) {
            for (at, letter) in part.char_indices() {
                let other = if letter == 'x' { 'y' } else { 'x' };
                let changed = [&part[..at], &other.to_string(), &part[at + 1..]].concat();
                let mut asked = vector.asked.clone();
                asked.url = asked.url.replace(&part, &changed);
                let got = outcome(policy, &asked);
                assert!(got.is_err(), "{file}, {}: {part} as {changed}: {got:?}", vector.name);
            }
        }
    });
}

/// Nor can one be left out, or a letter be added.
#[test]
fn no_letter_of_a_token_can_go_or_come() {
    each(|file, vector, policy| {
        for part in carried(policy, &vector.asked) {
            // Padding of base64 may go: `=` at the end says nothing.
            for (at, _) in part.char_indices().filter(|(_, letter)| *letter != '=') {
                for changed in [
                    [&part[..at], &part[at + 1..]].concat(),
                    [&part[..at], "0", &part[at..]].concat(),
                ] {
                    let mut asked = vector.asked.clone();
                    asked.url = asked.url.replace(&part, &changed);
                    let got = outcome(policy, &asked);
                    assert!(got.is_err(), "{file}, {}: {part} as {changed}: {got:?}", vector.name);
                }
            }
        }
    });
}

#[test]
fn no_part_of_a_token_can_be_given_twice() {
    each(|file, vector, policy| {
        for part in carried(policy, &vector.asked).iter().filter(|part| !part.contains('/')) {
            let name = part.split('=').next().unwrap_or_default();
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            for more in [part.clone(), format!("{name}=x"), format!("{escaped}=x")] {
                let mut asked = vector.asked.clone();
                asked.url = format!("{}&{more}", asked.url);
                let got = outcome(policy, &asked);
                assert!(got.is_err(), "{file}, {}: and {more}: {got:?}", vector.name);
            }
        }
    });
}

/// Ways to name another path, or the same in another way. What is granted all the same must be for the path that was
/// asked for: it lies in what the token grants, and is what is left.
#[test]
fn no_path_is_taken_for_another() {
    each(|file, vector, policy| {
        let (begin, rest) = vector.asked.url.split_at(vector.asked.url[8..].find('/').unwrap() + 8);
        for trick in [
            "/.", "/..", "/x/..", "/%2e", "/%2e%2E", "/..;", "/.;x=1", "/x/..;", "/..%2f", "/..%5c", "/..%3b",
        ] {
            let mut asked = vector.asked.clone();
            asked.url = [begin, trick, rest].concat();
            let got = outcome(policy, &asked);
            assert!(got.is_err(), "{file}, {}: {}: {got:?}", vector.name, asked.url);
        }
    });
}

#[test]
fn no_time_is_passed() {
    each(|file, vector, policy| {
        let until = vector.asked.with(|request| match policy.explain(request).0 {
            Verdict::Granted(grant) => grant.until,
            Verdict::Denied(_) => 0,
        });
        let until = until.unwrap();
        for (now, granted) in [(until - 1, true), (until, false), (u64::MAX - 1, false)] {
            let asked = Asked {
                now,
                ..vector.asked.clone()
            };
            let never = until == u64::MAX && now == u64::MAX - 1;
            let got = outcome(policy, &asked).is_ok();
            assert_eq!(got, granted || never, "{file}, {}: at {now}", vector.name);
        }
    });
}

/// What is left when the token goes is what everyone has: one object serves all holders, and the token is nowhere in it.
#[test]
fn what_carried_the_token_is_gone() {
    each(|file, vector, policy| {
        let left = outcome(policy, &vector.asked).unwrap();
        for part in carried(policy, &vector.asked) {
            let value = part.split_once('=').map_or("", |(_, value)| value);
            assert!(
                value.len() < 8 || !left.contains(value),
                "{file}, {}: {value} is left in {left}",
                vector.name
            );
        }
    });
}

/// What an operator is told of a token holds no secret, whether it is granted or not.
#[test]
fn a_trace_holds_no_secret() {
    for file in FILES {
        let vectors = read(file);
        let lines = vectors.keys.lines().filter_map(|line| line.strip_prefix("secret = "));
        let secrets: Vec<&str> = lines
            .map(|secret| secret.trim_matches('"'))
            .filter(|secret| secret.len() > 6)
            .collect();
        for vector in &vectors.vectors {
            let policy = policy(&vectors.keys, &vector.asked.signed);
            let mut wrong = vector.asked.clone();
            wrong.url = wrong.url.replace("/a/b", "/a/c");
            for asked in [&vector.asked, &wrong] {
                let trace = asked.with(|request| policy.explain(request).1).unwrap();
                let told = format!("{trace:?} {policy:?}");
                let leaks = secrets.iter().chain(&["pepper"]).find(|secret| told.contains(**secret));
                assert_eq!(leaks, None, "{file}, {}: {told}", vector.name);
            }
        }
    }
}

/// Bytes that mean something to one dialect or another.
const BYTES: &[u8] = b"~&=;:/?%.,!*+-_ \"\\{}[]$|0aA9z\xc3\xa9";

/// Whatever comes is granted or denied, and by both ways of asking alike.
#[test]
fn nothing_that_comes_is_more_than_denied() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut drawn = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below.max(1)
    };
    each(|_, vector, policy| {
        let memory = Memory::new([1; 16]);
        for _ in 0..40 {
            let mut asked = vector.asked.clone();
            let values = asked.fields.iter_mut().map(|(_, value)| value);
            let mut texts: Vec<&mut String> = asked.cookies.iter_mut().chain(values).chain([&mut asked.url]).collect();
            for _ in 0..1 + drawn(4) {
                let which = drawn(texts.len());
                let mut bytes = texts[which].clone().into_bytes();
                let at = drawn(bytes.len());
                let byte = BYTES[drawn(BYTES.len())];
                match drawn(4) {
                    0 => bytes.insert(at, byte),
                    1 if !bytes.is_empty() => drop(bytes.remove(at)),
                    2 => bytes.truncate(at),
                    _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
                }
                *texts[which] = String::from_utf8_lossy(&bytes).into_owned();
            }
            asked.with(|request| {
                let decided = policy.decide(request, &memory, Duration::ZERO);
                is_safe_elsewhere(&decided);
                let explained = policy.explain(request).0;
                let barred = decided == Verdict::Denied(Reason::TooMany);
                assert!(
                    decided == explained || barred,
                    "{request:?}: {decided:?}, {explained:?}"
                );
            });
        }
    });
}

/// What is granted takes no more out of a request than there is.
fn is_safe_elsewhere(verdict: &Verdict<'_>) {
    if let Verdict::Granted(grant) = verdict {
        assert!(grant.strip.path("/").starts_with('/'));
        assert!(grant.strip.query(Some("")).is_none_or(|query| query.is_empty()));
    }
}
