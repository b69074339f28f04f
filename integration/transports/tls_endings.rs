//! How connections over TLS end: what is whole says so, what is not does not.

use crate::edge::Rig;
use crate::harness::{Trouble, request};

#[test]
fn what_is_cut_off_shows() {
    let rig = Rig::start();
    // The last is delimited by the connection's end alone, which only close_notify tells from a cut.
    for (version, framing) in [
        ("1.1", "Content-Length: 10\r\n\r\nabc"),
        ("1.1", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ] {
        let mut client = rig.h1s();
        client.tx(format!("GET /cut HTTP/{version}\r\nHost: example.test\r\n\r\n"));
        let mut asked = rig.world.origin.rx_for("GET /cut");
        asked.tx(format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n{framing}"));
        let head = client.rx_head().is(200);
        asked.close();
        let body = client.try_rx_body(&head);
        assert!(
            matches!(body, Err(Trouble::Reset | Trouble::Cut(3))),
            "{framing}: {body:?}"
        );
    }
}

#[test]
fn what_is_whole_ends_with_close_notify() {
    let rig = Rig::start();
    rig.world
        .origin
        .answer_all(|asked| asked.chunked(&["Cache-Control: no-store"], b"abc"));
    let mut client = rig.h1s();
    client.ask("GET", "/a", &["Connection: close"]).rx().expect(200, "abc");
    expect_farewell(client);
    let mut client = rig.h1s();
    client.tx("GET /a HTTP/1.0\r\nHost: example.test\r\n\r\n");
    // Without close_notify its end could not be believed.
    client.rx().expect(200, "abc");
    expect_farewell(client);
}

#[test]
fn idle_connections_end_with_close_notify() {
    let rig = Rig::with("client.idle_timeout = \"100ms\"", "");
    let mut client = rig.h1s();
    client.ask("TRACE", "/", &[]).rx().is(405);
    expect_farewell(client);
}

/// rustls reports an end without close_notify as an error.
fn expect_farewell(mut client: crate::certificates::SecureClient) {
    assert_eq!(client.try_rest().unwrap(), b"");
}

#[test]
fn an_upgrade_through_tls() {
    let rig = Rig::with("", "upgrade = true");
    let mut client = rig.h1s();
    client.tx(request("GET", "/socket", &["Connection: Upgrade", "Upgrade: echo"]));
    let mut asked = rig.world.origin.rx_for("GET /socket").has("upgrade", "echo");
    asked.tx("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello");
    client
        .rx_head()
        .is(101)
        .has("connection", "upgrade")
        .has("upgrade", "echo");
    assert_eq!(client.rx_bytes(5), b"hello");
    for round in 0..5 {
        let word = format!("{round:010}");
        client.tx(&word);
        assert_eq!(asked.rx_bytes(10), word.as_bytes());
        asked.tx(&word);
        assert_eq!(client.rx_bytes(10), word.as_bytes());
    }
    asked.close();
    expect_farewell(client);
}
