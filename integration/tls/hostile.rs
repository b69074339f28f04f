//! Names that nobody means well by.

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::client::*;
use crate::harness::*;

/// A hello whose SNI is these 40 bytes.
fn hello(sni: &[u8; 40]) -> Vec<u8> {
    let name = format!("{}.example.com", "a".repeat(28));
    let client = Client::default().build();
    let server = ServerName::try_from(name.clone()).unwrap();
    let mut client = ClientConnection::new(client.config, server).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let at = hello.windows(40).position(|window| window == name.as_bytes()).unwrap();
    hello[at..at + 40].copy_from_slice(sni);
    hello
}

#[test]
fn odd_names_on_the_wire() {
    let open = Edge::with(&["www.example.com"]).open();
    for (sni, taken) in [
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa.EXAMPLE.com", true),
        (b"*.aaaaaaaaaaaaaaaaaaaaaaaaaa.example.com", false),
        (b"aaaaaaaaaaaaaa..aaaaaaaaaaaa.example.com", false),
        (b".aaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com", false),
        (b"aaaaaaaaaaaaaa\0aaaaaaaaaaaaa.example.com", false),
        (b"aaaaaaaaaaaaaa\xff\xfeaaaaaaaaaaaa.example.com", false),
        (b"aaaaaaaaaaaaaa/../etc/passwd.example.com", false),
        (b"aaaaaaaaaaaaaaa\r\nHost: a.b.c.example.com", false),
        (b"........................................", false),
        (b"0000000000000000000000000000000192.0.2.1", false),
    ] {
        let got = accept(&open, 0, &hello(sni));
        assert_eq!(got.is_ok(), taken, "{}", sni.escape_ascii());
    }
}

#[test]
fn an_address_as_a_name_is_no_name() {
    let open = Edge::with(&["first.test", "192.0.2.1"]).open();
    // RFC 6066 3 forbids it; rustls takes it for a hello without a name.
    let hello = hello(b"2001:0db8:0000:0000:0000:0000:192.0.2.11");
    if let Ok((server, voice)) = accept(&open, 0, &hello) {
        assert_eq!(server.server_name(), None);
        assert!(voice.may_speak_for("first.test"));
    }
}

#[test]
fn any_string_is_answered() {
    let mut edge = Edge::with(&["www.example.com *.example.com", "other.test"]);
    edge.settings.hosts = vec![("*.example.com".to_owned(), None)];
    let open = edge.open();
    let long = "a".repeat(100_000);
    let dots = ".".repeat(10_000);
    for sni in [
        "",
        ".",
        "..",
        "*",
        "*.example.com",
        ".example.com",
        "é.example.com",
        "[::1]",
        "[",
        "]",
        "1",
        "\0",
        &long,
        &dots,
    ] {
        let chosen = open.choose(0, Some(sni), &[]);
        assert_eq!(chosen.config.alpn_protocols.len(), 2);
        for host in ["", "www.example.com", "other.test", &long, &dots, "é", "[é]", "é1"] {
            chosen.voice.may_speak_for(host);
        }
    }
    // A pattern is not a name that a client can ask for by itself.
    let voice = open.choose(0, Some("other.test"), &[]).voice;
    assert!(!voice.may_speak_for("*.example.com"));
}

#[test]
fn garbage_for_a_hello() {
    let open = Edge::with(&["www.example.com"]).open();
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff\x01",
    ] {
        assert!(accept(&open, 0, garbage).is_err());
    }
    let whole = hello(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com");
    for at in 5..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x80;
        // Whatever comes of it, no panic does.
        let _ = accept(&open, 0, &broken);
        assert!(accept(&open, 0, &whole[..at]).is_err());
    }
}
