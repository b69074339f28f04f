//! Cache control that is meant for some caches only (RFC 9213).

use crate::harness::World;

const FOR_US: &[&str] = &[
    "Cache-Control: no-store",
    "CDN-Cache-Control: max-age=60",
    "Expires: 0",
    "ETag: \"1\"",
];

#[test]
fn what_is_meant_for_us_governs_and_is_not_passed_on() {
    let world = World::start();
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(FOR_US, "one");
    let first = client.rx().expect(200, "one").cached("ttl=60");
    client
        .fetch("/a")
        .expect(200, "one")
        .cached("hit")
        .has("cdn-cache-control", None);
    first.has("cdn-cache-control", None).has("cache-control", "no-store");
    // Nor is what was never to be stored.
    client.send("PUT", "/a", "x");
    world.origin.rx().ok(FOR_US, "");
    client.rx().is(200).has("cdn-cache-control", None);
}

#[test]
fn a_validation_that_leaves_it_out_leaves_it_as_it_was() {
    let world = World::start();
    world.store("/a", FOR_US, "one");
    for _ in 0..2 {
        world.pass_seconds(61);
        let mut client = world.client();
        client.get("/a");
        world
            .origin
            .rx()
            .has("if-none-match", "\"1\"")
            .not_modified(&["ETag: \"1\""]);
        client
            .rx()
            .expect(200, "one")
            .cached("ttl=60")
            .has("cdn-cache-control", None);
        world.fetch("/a").expect(200, "one").cached("hit");
    }
    world.pass_seconds(61);
    let mut client = world.client();
    client.get("/a");
    world
        .origin
        .rx()
        .not_modified(&["ETag: \"1\"", "CDN-Cache-Control: no-store"]);
    client.rx().expect(200, "one");
    client.get("/a");
    world.origin.rx().ok(&[], "two");
    client.rx().expect(200, "two");
}

#[test]
fn a_site_names_what_counts() {
    let site = "target_list = [\"Verge-Cache-Control\", \"Surrogate-Control\"]\nforward_targeted = true";
    let world = World::with("", site);
    let mut client = world.client();
    client.get("/own");
    let fields = ["Surrogate-Control: no-store", "Verge-Cache-Control: max-age=5"];
    world
        .origin
        .rx()
        .has("surrogate-capability", "verge=\"Surrogate/1.0\"")
        .ok(&fields, "one");
    let answer = client.rx().expect(200, "one").cached("ttl=5");
    answer
        .has("surrogate-control", "no-store")
        .has("verge-cache-control", "max-age=5");
    world.store("/surrogate", &["Surrogate-Control: max-age=10+20"], "two");
    world.pass_seconds(11);
    world
        .fetch("/surrogate")
        .expect(200, "two")
        .cached("detail=stale-while-revalidate");
    world.origin.rx().ok(&[], "");
    client.get("/cdn");
    world.origin.rx().ok(&["CDN-Cache-Control: max-age=60"], "three");
    client.rx().expect(200, "three").cached("detail=no-freshness");
}
