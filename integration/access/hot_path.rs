//! What a token costs a hit in heap allocations: none where it is an HMAC over what the request has.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use verge::access::{Memory, Verdict};
use verge::pipeline::{Decision, decide};

use super::served::{edge, view};
use super::vectors::{policy, read};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

impl Counting {
    fn count() {
        // A thread that is ending has no counter any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promises are those of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn an_hmac_costs_no_allocation() {
    for (file, name) in [
        ("verge", "path"),
        ("verge", "path in a cookie"),
        ("verge", "older key"),
        ("akamai", "acl list in a cookie (npm)"),
        ("akamai", "two patterns (PyPI)"),
        ("akamai", "url (npm)"),
        ("gcp", "index"),
        ("gcp", "query"),
    ] {
        let vectors = read(file);
        let vector = vectors.vectors.iter().find(|vector| vector.name == name).unwrap();
        let policy = policy(&vectors.keys, &vector.asked.signed);
        let memory = Memory::new([1; 16]);
        let count = vector.asked.with(|request| {
            let before = COUNT.get();
            let verdict = policy.decide(request, &memory, Duration::ZERO);
            let Verdict::Granted(grant) = verdict else {
                panic!("{file}, {name}: {verdict:?}");
            };
            drop(grant.strip.query(request.query));
            drop(grant.strip.path(request.path));
            COUNT.get() - before
        });
        assert_eq!(count, Some(0), "{file}, {name}");
    }
}

/// Whom a policy refuses for having sent too many wrong tokens, and whom it does not.
#[test]
fn who_guesses_is_barred_for_a_while() {
    let vectors = read("verge");
    let vector = vectors.vectors.iter().find(|vector| vector.name == "path").unwrap();
    let policy = policy(&vectors.keys, &vector.asked.signed);
    let memory = Memory::new([1; 16]);
    let decide = |url: &str, client: &str, at: Duration| {
        let mut asked = vector.asked.clone();
        asked.url = url.to_owned();
        asked.client = client.parse().unwrap();
        let verdict = asked.with(|request| match policy.decide(request, &memory, at) {
            Verdict::Granted(_) => "granted",
            Verdict::Denied(reason) => reason.code(),
        });
        verdict.unwrap()
    };
    let (good, wrong) = (vector.asked.url.as_str(), vector.asked.url.replace("b.jpg", "c.jpg"));
    for _ in 0..40 {
        decide(&wrong, "192.0.2.9", Duration::ZERO);
    }
    assert_eq!(decide(good, "192.0.2.9", Duration::ZERO), "token-too-many");
    assert_eq!(decide(good, "192.0.2.10", Duration::ZERO), "granted");
    assert_eq!(decide(good, "192.0.2.9", Duration::from_secs(10)), "granted");
    // Who comes without a token, or with an old one, guesses nothing.
    for _ in 0..100 {
        decide("https://cdn.example.com/a/b.jpg", "192.0.2.11", Duration::ZERO);
    }
    assert_eq!(decide(good, "192.0.2.11", Duration::ZERO), "granted");
}

/// A signature that cost much is computed once: a client that is barred has it taken from memory.
#[test]
fn a_public_key_token_is_remembered() {
    let vectors = read("cloudfront");
    let vector = &vectors.vectors[0];
    let policy = policy(&vectors.keys, &vector.asked.signed);
    let memory = Memory::new([1; 16]);
    let decide = |at: Duration| {
        vector
            .asked
            .with(|request| policy.decide(request, &memory, at))
            .unwrap()
    };
    assert!(matches!(decide(Duration::ZERO), Verdict::Granted(_)));
    for _ in 0..100 {
        memory.failures.failed(vector.asked.client, Duration::ZERO);
    }
    assert!(matches!(decide(Duration::ZERO), Verdict::Granted(_)));
    (0..100).for_each(|_| memory.failures.failed(vector.asked.client, Duration::from_secs(3601)));
    assert!(matches!(decide(Duration::from_secs(3601)), Verdict::Denied(_)));
}

/// From the request to the decision on it, as it is without its token.
#[test]
fn nor_does_admitting_who_has_it() {
    let vectors = read("verge");
    let vector = vectors.vectors.iter().find(|vector| vector.name == "path").unwrap();
    let edge = edge(&vectors.keys, &vector.asked);
    let count = vector.asked.with(|request| {
        let view = view(request);
        // The first time room is made for what is remembered of tokens.
        drop(decide(&edge, &view, Duration::ZERO));
        let before = COUNT.get();
        let decision = decide(&edge, &view, Duration::ZERO);
        assert!(matches!(decision, Decision::Fetch(..)));
        COUNT.get() - before
    });
    assert_eq!(count, Some(0));
}
