//! Handshakes: which protocol is agreed on, and who takes too long.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::certificates::{secure, try_shake};
use crate::edge::{HOST, Rig};
use crate::harness::{Client, PATIENCE, patient};

/// RFC 7301 3.2
#[test]
fn protocols() {
    let rig = Rig::start();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2"], Some("h2")),
        (&[], None),
    ] {
        let config = rig.authority.client(offered, None);
        let stream = try_shake(rig.tls(), &config, HOST).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), agreed.map(str::as_bytes), "{offered:?}");
        if agreed != Some("h2") {
            let mut client = Client::over(stream);
            client.ask("TRACE", "/", &[]).rx().is(405);
        }
    }
    let config = rig.authority.client(&["spdy/3", "http/1.0"], None);
    let refused = try_shake(rig.tls(), &config, HOST).unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn clear_text_where_tls_is_spoken() {
    let rig = Rig::start();
    for request in [
        "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = Client::to(rig.tls());
        let answer = client.tx(request).rx().is(400).has("connection", "close");
        assert!(answer.body.starts_with(b"This port speaks TLS"));
        client.expect_close();
    }
    rig.h1s().ask("TRACE", "/", &[]).rx().is(405);
}

/// The beginning of a handshake.
fn hello(rig: &Rig) -> Vec<u8> {
    let name = ServerName::try_from(HOST).unwrap();
    let mut session = ClientConnection::new(Arc::clone(&rig.either), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn who_takes_too_long_is_closed() {
    let rig = Rig::with("tls.handshake_timeout = \"100ms\"", "");
    let hello = hello(&rig);
    for sent in [&[][..], &hello[..1], &hello[..hello.len() / 2]] {
        let mut client = Client::to(rig.tls());
        client.tx(sent);
        client.expect_close();
    }
    // One that has the answer to its ClientHello, and does not go on.
    let mut client = Client::to(rig.tls());
    client.tx(&hello);
    client.drain();
}

#[test]
fn no_more_handshakes_at_a_time_than_configured() {
    let rig = Rig::with("tls.max_handshakes = 1", "");
    let mut busy = patient(TcpStream::connect_timeout(&rig.tls(), PATIENCE).unwrap());
    assert!(try_shake(rig.tls(), &rig.either, HOST).is_err());
    // No TLS: the edge says so and has its place back.
    busy.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    Client::over(busy).rx().is(400);
    let mut client = secure(rig.tls(), &rig.old, HOST);
    // Who has shaken hands holds no place.
    let mut other = secure(rig.tls(), &rig.old, HOST);
    for client in [&mut client, &mut other] {
        client.ask("TRACE", "/", &[]).rx().is(405);
    }
}
