//! What sites ask of connections: another host's certificate, clients' certificates, HSTS, redirects.

use rustls::HandshakeKind;

use crate::certificates::{SecureClient, secure, try_shake};
use crate::edge::{HOST, OTHER, PRIVATE, Rig, STRANGER};
use crate::harness::{Client, Response};
use crate::multiplexed::H2;

/// RFC 9110 7.4, RFC 9113 9.1.2
#[test]
fn a_connection_speaks_for_the_hosts_of_its_certificate() {
    let rig = Rig::start();
    rig.world
        .origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "abc"));
    let (mut old, mut new) = (rig.h1s(), rig.h2s());
    for (host, status) in [
        (OTHER, 200),
        ("EXAMPLE.TEST:443", 200),
        (STRANGER, 421),
        ("nobody.test", 200),
    ] {
        old.tx(of(host)).rx().is(status);
        new.request("GET", host, "/", &[], true).rx().is(status);
        if status == 421 {
            old = rig.h1s();
        }
    }
    // A name of no certificate is shown the first one.
    let mut stranger = secure(rig.tls(), &rig.old, STRANGER);
    stranger.tx(of(STRANGER)).rx().expect(200, "abc");
    stranger.tx(of("nobody.test")).rx().is(421);
}

fn of(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Beside the site of all tests, one whose clients show certificates.
fn with_private_site(more: &str) -> Rig {
    let site = format!(
        "\n[[sites]]\nhosts = [\"{PRIVATE}\"]\norigin = \"app\"\nclient_certificates = \"require\"\n\
         client_ca = \"FOLDER/clients.pem\"\n{more}"
    );
    let rig = Rig::with("", &site);
    rig.world
        .origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "abc"));
    rig
}

#[test]
fn clients_without_a_certificate_do_not_reach_a_site_that_requires_one() {
    let rig = with_private_site("");
    // In TLS 1.3 the client learns of it when it reads.
    if let Ok(stream) = try_shake(rig.tls(), &rig.old, PRIVATE) {
        let mut client = Client::over(stream);
        client.try_tx(of(PRIVATE));
        assert!(client.try_rx().is_err());
    }
    let (mut old, mut new) = (rig.h1s(), rig.h2s());
    old.tx(of(PRIVATE)).rx().is(421).cached("detail=another-host");
    new.request("GET", PRIVATE, "/", &[], true).rx().is(421);
    rig.h1()
        .tx(of(PRIVATE))
        .rx()
        .is(403)
        .cached("detail=client-certificate-required");
    rig.h2().request("GET", PRIVATE, "/", &[], true).rx().is(403);
    assert_eq!(rig.world.origin.requests(), 0);
}

#[test]
fn in_clear_text_they_are_redirected_if_the_site_says_so() {
    let rig = with_private_site("redirect_to_https = true");
    let location = "https://private.test/";
    rig.h1().tx(of(PRIVATE)).rx().is(301).has("location", location);
    rig.h2()
        .request("GET", PRIVATE, "/", &[], true)
        .rx()
        .is(301)
        .has("location", location);
}

#[test]
fn clients_with_a_certificate_reach_it_resumed_as_well() {
    let rig = with_private_site("");
    let proof = rig.authority.issue("client.test");
    let config = rig.authority.client(&["http/1.1"], Some(&proof));
    let kinds = [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed];
    for kind in kinds {
        let mut client = secure(rig.tls(), &config, PRIVATE);
        client.tx(of(PRIVATE)).rx().expect(200, "abc");
        assert_eq!(client.stream().conn.handshake_kind(), Some(kind));
        // Whoever has proved something to one site has proved nothing to another.
        client.tx(of(HOST)).rx().is(421);
    }
    let config = rig.authority.client(&["h2"], Some(&proof));
    let mut client = H2::secure(rig.tls(), &config, PRIVATE);
    client.request("GET", PRIVATE, "/", &[], true).rx().expect(200, "abc");
    // A certificate is asked for by the name in the handshake, not by what is said later.
    let mut client = H2::secure(rig.tls(), &config, HOST);
    client.request("GET", PRIVATE, "/", &[], true).rx().is(421);
}

#[test]
fn hsts_is_the_sites_and_said_over_tls_alone() {
    let rig = Rig::with(
        "origins.down.servers = [\"http://127.0.0.1:1\"]",
        "hsts = \"max-age=99\"\n[[sites.routes]]\npath = \"/down\"\norigin = \"down\"",
    );
    rig.world.origin.answer_all(|asked| {
        asked.ok(
            &["Cache-Control: max-age=60", "Strict-Transport-Security: max-age=5"],
            "abc",
        )
    });
    let requests = [
        ("GET", "/a", 200),
        ("GET", "/a", 200),
        ("HEAD", "/a", 200),
        ("POST", "/a", 200),
        ("GET", "/down", 502),
        ("TRACE", "/a", 405),
    ];
    let (mut old, mut new) = (rig.h1s(), rig.h2s());
    for (method, path, status) in requests {
        // The field is said once, and in the site's words.
        ask(&mut old, method, path)
            .is(status)
            .has("strict-transport-security", "max-age=99");
        let answer = new.ask(method, path, &[]).rx();
        answer.is(status).has("strict-transport-security", "max-age=99");
    }
    let (mut old, mut new) = (rig.h1(), rig.h2());
    for (method, path, status) in requests {
        let answer = match method {
            "HEAD" => old.ask(method, path, &[]).rx_head(),
            _ => old.ask(method, path, &[]).rx(),
        };
        for answer in [answer, new.ask(method, path, &[]).rx()] {
            let said = answer
                .is(status)
                .head
                .field("strict-transport-security")
                .map(str::to_owned);
            assert_ne!(said.as_deref(), Some("max-age=99"), "{method} {path}");
        }
    }
}

fn ask(client: &mut SecureClient, method: &str, path: &str) -> Response {
    client.ask(method, path, &[]);
    match method {
        "HEAD" => client.rx_head(),
        _ => client.rx(),
    }
}

#[test]
fn redirects_keep_method_path_and_query() {
    let rig = Rig::with(
        "",
        "redirect_to_https = true\nhttps_port = 8443\n\
         [[sites.routes]]\npath = \"/.well-known/acme-challenge/*\"\nredirect_to_https = false\n\
         [[sites.routes]]\npath = \"/usual/*\"\nhttps_port = 443",
    );
    rig.world
        .origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "abc"));
    for (method, path, status, location) in [
        ("GET", "/a?b=c&d", 301, "https://example.test:8443/a?b=c&d"),
        ("HEAD", "/a/../b", 301, "https://example.test:8443/b"),
        ("POST", "/a%2fb?", 308, "https://example.test:8443/a%2Fb?"),
        ("DELETE", "/usual/a", 308, "https://example.test/usual/a"),
        ("OPTIONS", "//a", 308, "https://example.test:8443//a"),
    ] {
        let mut client = rig.h1();
        client.ask(method, path, &[]);
        let answer = match method {
            "HEAD" => client.rx_head(),
            _ => client.rx(),
        };
        for answer in [answer, rig.h2().ask(method, path, &[]).rx()] {
            answer.is(status).has("location", location);
        }
    }
    let challenge = "/.well-known/acme-challenge/x";
    rig.h1().fetch(challenge).expect(200, "abc");
    rig.h2().fetch(challenge).expect(200, "abc");
    rig.h1s().fetch("/a").expect(200, "abc");
}
