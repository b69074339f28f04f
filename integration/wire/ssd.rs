//! The SSD tier: what a process finds of what the one before it stored, and what RAM alone could not hold.

use std::sync::Arc;

use verge::clock::Clock;
use verge::config::Config;
use verge::origin::Fetch;
use verge::purge::{Mode, Selector};

use crate::harness::{Origin, World, bytes, configuration, key, request};

const FIELDS: &[&str] = &[
    "Cache-Control: max-age=600",
    "ETag: \"1\"",
    "Cache-Tag: t",
    "X-Own: a: b",
];

/// A folder for one process after the other, and what they have in common.
struct Disk {
    folder: tempfile::TempDir,
    lives: std::cell::Cell<usize>,
    all: &'static str,
    site: &'static str,
}

impl Disk {
    fn with(all: &'static str, site: &'static str) -> Disk {
        Disk {
            folder: tempfile::tempdir().unwrap(),
            lives: std::cell::Cell::new(0),
            all,
            site,
        }
    }

    fn new() -> Disk {
        Disk::with("", "")
    }

    fn path(&self, life: usize) -> std::path::PathBuf {
        self.folder.path().join(life.to_string())
    }

    fn config(&self, origin: &Origin) -> Config {
        let path = self.path(self.lives.get());
        let disk = format!("cache.ssd = [{{ path = {path:?}, size = \"64MiB\" }}]");
        let all = format!("{disk}\n{}", self.all);
        configuration(&format!("http://{}", origin.address), &all, self.site)
    }

    fn start(&self) -> World {
        let origin = Origin::start();
        World::of(self.config(&origin), origin)
    }

    /// Kills the process, and starts the next one.
    fn kill(&self, world: World) -> World {
        let life = self.lives.get();
        self.lives.set(life + 1);
        let config = self.config(&world.origin);
        world.killed(&self.path(life), config)
    }
}

#[test]
fn what_was_stored_is_a_hit_after_a_kill() {
    let disk = Disk::new();
    let world = disk.start();
    let bodies = [
        ("/none", 0),
        ("/small", 100),
        ("/medium", 100_000),
        ("/chunk", 262_144),
        ("/large", 1_000_000),
    ];
    for (path, length) in bodies {
        world.store(path, FIELDS, bytes(length));
    }
    let asked = world.origin.requests();
    let mut world = disk.kill(world);
    for round in ["from the disk", "from RAM", "from the disk again"] {
        if round == "from the disk again" {
            world = disk.kill(world);
        }
        world.pass_seconds(5);
        for (path, length) in bodies {
            let response = world.fetch(path).expect(200, bytes(length)).cached("hit");
            let response = response.has("etag", "\"1\"").has("x-own", "a: b").has("cache-tag", "t");
            assert!(
                response.head.field("age").is_some_and(|age| age != "0"),
                "{path} {round}"
            );
        }
    }
    assert_eq!(world.origin.requests(), asked);
}

#[test]
fn requests_of_every_kind_are_answered_from_it() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, bytes(1_000_000));
    let world = disk.kill(world);
    let body = bytes(1_000_000);
    let mut client = world.client();
    client.ask("HEAD", "/a", &[]).rx_head().is(200).cached("hit");
    client.tx(request("GET", "/a", &["Range: bytes=600000-600099"]));
    client.rx().expect(206, &body[600_000..600_100]).cached("hit");
    client.tx(request("GET", "/a", &["If-None-Match: \"1\""]));
    client.rx().is(304).cached("hit");
    client.tx(request("GET", "/a", &["Cache-Control: only-if-cached"]));
    client.rx().expect(200, &body).cached("hit");
    client.tx(request("GET", "/b", &["Cache-Control: only-if-cached"]));
    client.rx().is(504);
    // Parts out of order.
    client.tx(request("GET", "/a", &["Range: bytes=900000-900001,5-6"]));
    let parts = client.rx().is(206).cached("hit");
    let at = |part: &[u8]| parts.body.windows(2).position(|bytes| bytes == part);
    assert!(at(&body[900_000..900_002]).unwrap() < at(&body[5..7]).unwrap());
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn variants_are_found_again() {
    let disk = Disk::new();
    let world = disk.start();
    let fields = &["Cache-Control: max-age=600", "Vary: Accept-Language"];
    let ask = |world: &World, language: &str| {
        let mut client = world.client();
        client.tx(request("GET", "/a", &[&format!("Accept-Language: {language}")]));
        client
    };
    for language in ["de", "en"] {
        let mut client = ask(&world, language);
        world.origin.rx().ok(fields, language);
        client.rx().expect(200, language);
    }
    let world = disk.kill(world);
    for language in ["en", "de"] {
        ask(&world, language).rx().expect(200, language).cached("hit");
    }
    let mut client = ask(&world, "fr");
    world.origin.rx().ok(fields, "fr");
    client.rx().expect(200, "fr").cached("fwd=vary-miss");
    let world = disk.kill(world);
    for language in ["fr", "en", "de"] {
        ask(&world, language).rx().expect(200, language).cached("hit");
    }
}

#[test]
fn what_is_stale_is_asked_about_and_what_was_confirmed_stays_so() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, bytes(100_000));
    let world = disk.kill(world);
    world.pass_seconds(700);
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().has("if-none-match", "\"1\"").not_modified(FIELDS);
    client
        .rx()
        .expect(200, bytes(100_000))
        .cached("fwd=stale fwd-status=304");
    let world = disk.kill(world);
    world.fetch("/a").expect(200, bytes(100_000)).cached("hit ttl=600");
    // The origin is gone, and something stale is better than nothing.
    world.pass_seconds(700);
    client = world.client();
    client.get("/a");
    world.origin.rx().answer("503 Trouble", &[], "");
    client.rx().expect(200, bytes(100_000)).cached("detail=stale-if-error");
}

#[test]
fn purges_outlive_the_process() {
    for (name, hard) in [("hard", true), ("soft", false)] {
        let disk = Disk::new();
        let world = disk.start();
        for path in ["/url", "/tag", "/left"] {
            let tag = format!("Cache-Tag: {}", &path[1..]);
            world.store(path, &["Cache-Control: max-age=600", "ETag: \"1\"", &tag], name);
        }
        let mode = if hard { Mode::Hard } else { Mode::Soft };
        let edge = world.server.edge();
        let secret = edge.cache.secret();
        for selector in [
            Selector::Url(secret.url(&key("/url"))),
            Selector::Tag(secret.tag(b"tag")),
        ] {
            edge.purge(&selector, mode).wait().unwrap();
        }
        drop(edge);
        let world = disk.kill(world);
        world.fetch("/left").expect(200, name).cached("hit");
        for path in ["/url", "/tag"] {
            let mut client = world.client();
            client.get(path);
            let asked = world.origin.rx();
            match hard {
                true => asked.has("if-none-match", None).ok(FIELDS, "new"),
                false => asked.has("if-none-match", "\"1\"").not_modified(FIELDS),
            }
            let body = if hard { "new" } else { name };
            client.rx().expect(200, body);
        }
        let world = disk.kill(world);
        for path in ["/url", "/tag", "/left"] {
            world.fetch(path).is(200).cached("hit");
        }
    }
}

#[test]
fn the_purge_method_is_acknowledged_once_it_is_for_good() {
    let disk = Disk::with("", "purge_token = \"secret\"");
    let world = disk.start();
    world.store("/a", FIELDS, "old");
    let mut client = world.client();
    client.tx(request("PURGE", "/a", &["Authorization: Bearer secret"]));
    client.rx().is(200);
    client.tx(request("PURGE", "/a", &["Authorization: Bearer other"]));
    client.rx().is(401);
    let world = disk.kill(world);
    let mut client = world.client();
    client.get("/a");
    world.origin.rx().ok(FIELDS, "new");
    client.rx().expect(200, "new").cached("fwd=uri-miss");
}

#[test]
fn what_an_unsafe_method_changed_is_not_served_from_it() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, "old");
    // RAM does not know it.
    let world = disk.kill(world);
    let mut client = world.client();
    client.send("POST", "/a", "x");
    world.origin.rx().ok(&[], "done");
    client.rx().expect(200, "done");
    client.get("/a");
    world.origin.rx().ok(FIELDS, "new");
    client.rx().expect(200, "new").cached("fwd=uri-miss");
}

#[test]
fn a_body_that_ram_cannot_hold_is_stored_all_the_same() {
    let disk = Disk::with("cache.ram = \"4MiB\"\ncache.window = \"256KiB\"", "");
    let world = disk.start();
    let body = bytes(5_000_000);
    let mut client = world.client();
    client.get("/a");
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", FIELDS, body.len());
    let answering = std::thread::spawn({
        let body = body.clone();
        move || {
            asked.tx(&body);
        }
    });
    client.rx().expect(200, &body);
    answering.join().unwrap();
    let edge = world.server.edge();
    let below = edge.cache.below().unwrap();
    assert!(below.tier.disks()[0].ssd.flush(crate::harness::PATIENCE));
    drop(edge);
    world.fetch("/a").expect(200, &body).cached("hit");
    let world = disk.kill(world);
    world.fetch("/a").expect(200, &body).cached("hit");
    let mut client = world.client();
    client.tx(request("GET", "/a", &["Range: bytes=4000000-4999999"]));
    client.rx().expect(206, &body[4_000_000..]).cached("hit");
    assert_eq!(world.origin.requests(), 1);
}

#[test]
fn only_what_is_asked_for_twice_is_written_to_a_full_disk_if_so_configured() {
    let disk = Disk::with("cache.ssd_admission = \"second-hit\"", "");
    let world = disk.start();
    let mut client = world.client();
    let ask = |client: &mut crate::harness::Client, path: &str, body: &[u8]| {
        client.get(path);
        world.origin.rx().ok(FIELDS, body);
        client.rx().expect(200, body);
    };
    // While there is room, all is written.
    let filler = bytes(1_000_000);
    let edge = world.server.edge();
    let ssd = &edge.cache.below().unwrap().tier.disks()[0].ssd;
    for number in 0..70 {
        ask(&mut client, &format!("/filler/{number}"), &filler);
        assert!(
            ssd.flush(crate::harness::PATIENCE),
            "what is there is known when the next comes"
        );
    }
    assert!(!ssd.has_room());
    drop(edge);
    for path in ["/once", "/twice"] {
        ask(&mut client, path, b"body");
    }
    client.fetch("/twice").expect(200, "body").cached("hit");
    let asked = world.origin.requests();
    let world = disk.kill(world);
    world.fetch("/twice").expect(200, "body").cached("hit");
    world.fetch("/filler/20").expect(200, &filler).cached("hit");
    let mut client = world.client();
    client.get("/once");
    world.origin.rx().ok(FIELDS, "body");
    client.rx().expect(200, "body").cached("fwd=uri-miss");
    assert_eq!(world.origin.requests(), asked + 1);
}

#[test]
fn what_is_damaged_is_fetched_anew() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, bytes(100_000));
    world.store("/large", FIELDS, bytes(600_000));
    let world = disk.kill(world);
    // All but the headers of segments.
    for file in std::fs::read_dir(disk.path(1)).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("segment") {
            let content = std::fs::read(&path).unwrap();
            let flipped: Vec<u8> = content
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ u8::from(at % 512 == 300))
                .collect();
            std::fs::write(&path, flipped).unwrap();
        }
    }
    for (path, length) in [("/a", 100_000), ("/large", 600_000)] {
        let mut client = world.client();
        client.get(path);
        world.origin.rx().ok(FIELDS, bytes(length));
        client.rx().expect(200, bytes(length)).cached("fwd=uri-miss");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_the_mend() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, "a");
    let refused = |config: Config| {
        let origins =
            vec![Arc::new(verge::origin::Origin::new(config.origins[0].reach.clone()).unwrap()) as Arc<dyn Fetch>];
        let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
        verge::node::edge(config, origins, &clock).err().expect("it is refused")
    };
    let names = |error: &str, words: &str| {
        let path = disk.path(disk.lives.get());
        assert!(
            error.contains(&path.display().to_string()) && error.contains(words),
            "{error}"
        );
    };
    names(&refused(disk.config(&world.origin)), "another process uses this folder");
    disk.lives.set(1);
    std::fs::write(disk.path(1), "a file").unwrap();
    names(&refused(disk.config(&world.origin)), "make it, and give it to the user");
    for (life, change, words) in [
        (2, 16, "version 254 of the format"),
        (3, 40, "the superblock is damaged"),
    ] {
        disk.lives.set(life);
        std::fs::create_dir(disk.path(life)).unwrap();
        let mut superblock = std::fs::read(disk.path(0).join("superblock")).unwrap();
        for copy in superblock.chunks_mut(4096) {
            copy[change] ^= 255;
        }
        std::fs::write(disk.path(life).join("superblock"), superblock).unwrap();
        names(&refused(disk.config(&world.origin)), words);
    }
}

#[test]
fn a_folder_that_is_taken_away_ends_nothing() {
    let disk = Disk::new();
    let world = disk.start();
    world.store("/a", FIELDS, bytes(100_000));
    std::fs::remove_dir_all(disk.path(0)).unwrap();
    world.fetch("/a").expect(200, bytes(100_000)).cached("hit");
    for path in ["/b", "/c"] {
        world.store(path, FIELDS, bytes(100_000));
    }
}
