//! Ranges of stored bodies, small and in chunks.

use crate::harness::{Client, Response, World, bytes};

const FIELDS: &[&str] = &["Cache-Control: max-age=60", "ETag: \"1\"", "Content-Type: text/x-test"];

/// A small body, one of exactly a chunk, and larger ones.
const LENGTHS: [usize; 5] = [1000, 256 * 1024, 256 * 1024 + 1, 600_000, 2 << 20];

fn stored(length: usize) -> (World, Vec<u8>) {
    let (world, body) = (World::start(), bytes(length));
    std::thread::scope(|scope| {
        // Both ends of a large body have to be served at once.
        scope.spawn(|| world.origin.rx().ok(FIELDS, &body));
        world.fetch("/a").expect(200, &body).cached("stored");
    });
    (world, body)
}

fn ask(client: &mut Client, range: &str) -> Response {
    client.ask("GET", "/a", &[&format!("Range: {range}")]).rx()
}

#[test]
fn one_range() {
    for length in LENGTHS {
        let (world, body) = stored(length);
        let mut client = world.client();
        let last = length - 1;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=1-".to_owned(), 1, last),
            ("bytes=-1".to_owned(), last, last),
            ("bytes=-100".to_owned(), length - 100, last),
            ("bytes=-99999999".to_owned(), 0, last),
            ("bytes=500-99999999".to_owned(), 500, last),
            (
                format!("bytes={}-{}", length / 2 - 50, length / 2 + 50),
                length / 2 - 50,
                length / 2 + 50,
            ),
            (format!("bytes={last}-{last}"), last, last),
        ] {
            let part = ask(&mut client, &range)
                .expect(206, &body[from..=to])
                .cached("hit")
                .has("etag", "\"1\"");
            let said = format!("bytes {from}-{to}/{length}");
            assert_eq!(part.head.field("content-range"), Some(&*said), "{range}");
            assert_eq!(part.head.field("content-type"), Some("text/x-test"));
        }
        client.fetch("/a").expect(200, &body).cached("hit");
        assert_eq!(world.origin.requests(), 1);
    }
}

#[test]
fn several_ranges() {
    for length in LENGTHS {
        let (world, body) = stored(length);
        let middle = length / 2;
        let asked = [(0, 9), (middle, middle + 199), (length - 5, length - 1)];
        let range = format!("bytes=0-9,{middle}-{},-5", middle + 199);
        let answer = ask(&mut world.client(), &range)
            .is(206)
            .cached("hit")
            .has("content-range", None);
        let boundary = answer
            .head
            .field("content-type")
            .unwrap()
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let mut expected = Vec::new();
        for (from, to) in asked {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: text/x-test\r\nContent-Range: bytes {from}-{to}/{length}\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&body[from..=to]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(answer.body == expected, "{}", answer.body.escape_ascii());
    }
}

#[test]
fn what_exists_nowhere() {
    for length in LENGTHS {
        let (world, _) = stored(length);
        for range in [
            format!("bytes={length}-"),
            "bytes=99999999-".to_owned(),
            "bytes=-0".to_owned(),
        ] {
            let answer = ask(&mut world.client(), &range).is(416);
            assert_eq!(
                answer.head.field("content-range"),
                Some(&*format!("bytes */{length}")),
                "{range}"
            );
        }
    }
}

#[test]
fn what_is_no_range_is_the_whole() {
    let (world, body) = stored(1000);
    for range in [
        "bytes=",
        "bytes=5-1",
        "bytes=a-b",
        "chapters=1-2",
        "bytes 0-1",
        "bytes=0-1,x",
    ] {
        ask(&mut world.client(), range).expect(200, &body).cached("hit");
    }
    // RFC 9110 14.2: Range is for GET.
    world
        .client()
        .ask("HEAD", "/a", &["Range: bytes=0-1"])
        .rx_head()
        .is(200)
        .has("content-length", "1000");
}

#[test]
fn if_range() {
    let (world, body) = stored(1000);
    for (condition, whole) in [
        ("\"1\"", false),
        ("W/\"1\"", true),
        ("\"2\"", true),
        ("Tue, 14 Nov 2023 22:13:20 GMT", true),
    ] {
        let fields = ["Range: bytes=0-99", &format!("If-Range: {condition}")];
        let answer = world.client().ask("GET", "/a", &fields).rx();
        match whole {
            true => answer.expect(200, &body),
            false => answer.expect(206, &body[..100]),
        };
    }
}

#[test]
fn a_condition_comes_before_a_range() {
    let (world, _) = stored(1000);
    let fields = ["Range: bytes=0-99", "If-None-Match: \"1\""];
    world.client().ask("GET", "/a", &fields).rx().expect(304, "");
}

#[test]
fn a_range_of_what_is_not_stored_is_cut_from_the_whole() {
    let world = World::start();
    let body = bytes(700_000);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| world.origin.rx().has("range", None).ok(FIELDS, &body));
        ask(&mut world.client(), "bytes=200000-200099").expect(206, &body[200_000..200_100]);
        asked.join().unwrap();
    });
}

#[test]
fn a_range_does_not_wait_for_the_rest() {
    let world = World::start();
    let body = bytes(1000);
    let mut client = world.client();
    client.ask("GET", "/a", &["Range: bytes=0-99"]);
    let mut asked = world.origin.rx();
    asked.tx_head("200 OK", FIELDS, body.len()).tx(&body[..100]);
    client.rx().expect(206, &body[..100]);
    asked.tx(&body[100..]);
    drop(asked);
    let mut again = world.client();
    again.fetch("/a").expect(200, &body);
}
