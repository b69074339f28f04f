//! Purges: at rest, during a fill, during a revalidation.

use verge::cache::Cache;
use verge::purge::{Epoch, Mode};

use crate::harness::{World, key};

const TAGGED: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\"", "Surrogate-Key: shop page-7"];

type Purge = (&'static str, fn(&Cache, Mode) -> Epoch);

/// Each names `example.test/a/b` as it is stored here.
const PURGES: [Purge; 6] = [
    ("url", |cache, mode| cache.purge_url(&key("/a/b"), mode)),
    ("tag", |cache, mode| cache.purge_tag("page-7", mode)),
    ("the other tag", |cache, mode| cache.purge_tag("shop", mode)),
    ("prefix", |cache, mode| cache.purge_prefix("example.test/a/", mode)),
    ("site", |cache, mode| cache.purge_site("*", mode)),
    ("all", |cache, mode| cache.purge_all(mode)),
];

/// These do not.
const OTHERS: [Purge; 4] = [
    ("url", |cache, mode| cache.purge_url(&key("/a"), mode)),
    ("tag", |cache, mode| cache.purge_tag("page", mode)),
    ("prefix", |cache, mode| cache.purge_prefix("example.test/b", mode)),
    ("site", |cache, mode| cache.purge_site("example.test", mode)),
];

#[test]
fn hard_purges_make_it_fetched_anew() {
    for (name, purge) in PURGES {
        let world = World::start();
        world.store("/a/b", TAGGED, "one");
        purge(&world.server.edge().cache, Mode::Hard);
        let mut client = world.client();
        client.get("/a/b");
        // Never used to validate either.
        world.origin.rx().has("if-none-match", None).ok(TAGGED, name);
        client.rx().expect(200, name).cached("fwd=uri-miss");
        client.fetch("/a/b").expect(200, name).cached("hit");
    }
}

#[test]
fn soft_purges_make_it_stale() {
    for (name, purge) in PURGES {
        let world = World::start();
        world.store("/a/b", TAGGED, "one");
        purge(&world.server.edge().cache, Mode::Soft);
        let mut client = world.client();
        client.get("/a/b");
        world.origin.rx().has("if-none-match", "\"1\"").not_modified(TAGGED);
        client
            .rx()
            .expect(200, "one")
            .cached("fwd=stale fwd-status=304 detail=soft-purged");
        client.fetch("/a/b").expect(200, "one").cached("hit");
        purge(&world.server.edge().cache, Mode::Soft);
        client.get("/a/b");
        world.origin.rx().answer("503 Trouble", &[], "");
        client.rx().expect(200, "one").cached("detail=stale-if-error");
        assert_eq!(world.origin.requests(), 3, "{name}");
    }
}

#[test]
fn other_purges_leave_it() {
    let world = World::start();
    world.store("/a/b", TAGGED, "one");
    for (_, purge) in OTHERS {
        for mode in [Mode::Soft, Mode::Hard] {
            purge(&world.server.edge().cache, mode);
            world.fetch("/a/b").expect(200, "one").cached("hit");
        }
    }
}

#[test]
fn during_a_fill() {
    for before_its_head in [true, false] {
        for (_, purge) in PURGES {
            purge_during_a_fill(before_its_head, purge);
        }
    }
}

fn purge_during_a_fill(before_its_head: bool, purge: fn(&Cache, Mode) -> Epoch) {
    let world = World::start();
    let (mut early, mut late) = (world.client(), world.client());
    early.get("/a/b");
    let mut old = world.origin.rx();
    if !before_its_head {
        old.tx_head("200 OK", TAGGED, 3);
        assert_eq!(early.rx_head().status, 200);
    }
    purge(&world.server.edge().cache, Mode::Hard);
    // Who comes after the purge does not join what began before it.
    late.get("/a/b");
    world.origin.rx_for("GET /a/b").ok(TAGGED, "new");
    late.rx().expect(200, "new");
    // Who came before gets what was asked for, and nobody else does.
    if before_its_head {
        old.tx_head("200 OK", TAGGED, 3).tx("old");
        early.rx().expect(200, "old");
    } else {
        old.tx("old");
        assert_eq!(early.rx_bytes(3), b"old");
    }
    for _ in 0..3 {
        world.fetch("/a/b").expect(200, "new").cached("hit");
    }
}

#[test]
fn what_an_old_fill_stores_is_never_served() {
    let world = World::start();
    let mut early = world.client();
    early.get("/a/b");
    let old = world.origin.rx();
    world.server.edge().cache.purge_all(Mode::Hard);
    old.ok(TAGGED, "old");
    early.rx().expect(200, "old");
    let mut late = world.client();
    late.get("/a/b");
    world.origin.rx().has("if-none-match", None).ok(TAGGED, "new");
    late.rx().expect(200, "new");
    late.fetch("/a/b").expect(200, "new").cached("hit");
}

#[test]
fn during_a_revalidation() {
    for (_, purge) in PURGES {
        let world = World::start();
        world.store("/a/b", TAGGED, "old");
        world.pass_seconds(61);
        let (mut early, mut late) = (world.client(), world.client());
        early.get("/a/b");
        let validating = world.origin.rx().has("if-none-match", "\"1\"");
        purge(&world.server.edge().cache, Mode::Hard);
        late.get("/a/b");
        let fetching = world.origin.rx().has("if-none-match", None);
        // The purge must not be undone: what was confirmed is gone, and is asked for anew.
        validating.not_modified(TAGGED);
        world.origin.rx().has("if-none-match", None).ok(TAGGED, "early");
        early.rx().expect(200, "early");
        fetching.ok(TAGGED, "late");
        late.rx().expect(200, "late");
        let served = world.fetch("/a/b").cached("hit").body;
        assert!(served == b"early" || served == b"late");
    }
}

#[test]
fn a_soft_purge_during_a_fill_makes_its_result_stale() {
    let world = World::start();
    let mut early = world.client();
    early.get("/a/b");
    let old = world.origin.rx();
    world.server.edge().cache.purge_all(Mode::Soft);
    old.ok(TAGGED, "old");
    early.rx().expect(200, "old");
    let mut late = world.client();
    late.get("/a/b");
    world.origin.rx().has("if-none-match", "\"1\"").not_modified(TAGGED);
    late.rx().expect(200, "old").cached("fwd=stale detail=soft-purged");
    late.fetch("/a/b").cached("hit");
}
