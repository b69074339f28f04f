//! What is asked of clients.

use verge::tls::ClientCertificates::{Asked, NotAsked, Required};

use crate::client::*;
use crate::harness::*;

#[test]
fn none_asked_required() {
    let mut edge = Edge::with(&["www.example.com"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    edge.listeners = vec![NotAsked, Asked(ca.clone()), Required(ca)];
    let open = edge.open();
    for client in [Client::tls12, Client::tls13] {
        let silent = || client().build();
        let proving = || client().proving(edge.authority.issue(&["me"], ECDSA, 90)).build();
        let strange = || client().proving(Authority::new().issue(&["me"], ECDSA, 90)).build();
        let shown = |client: Session, listener| {
            let pair = client.try_shake(&open, listener, "www.example.com");
            pair.map(|pair| pair.proof() > 0).map_err(|_| ())
        };
        assert_eq!(
            [0, 1, 2].map(|listener| shown(silent(), listener)),
            [Ok(false), Ok(false), Err(())]
        );
        assert_eq!(
            [0, 1, 2].map(|listener| shown(proving(), listener)),
            [Ok(false), Ok(true), Ok(true)]
        );
        // RFC 8446 4.4.2.4: rustls's client shows nothing that no named authority issued.
        let strange = [0, 1, 2].map(|listener| shown(strange(), listener));
        assert_eq!((strange[0], strange[2]), (Ok(false), Err(())));
        assert_ne!(strange[1], Ok(true));
    }
}

#[test]
fn expired_proof() {
    let mut edge = Edge::with(&["www.example.com"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    edge.listeners = vec![Required(ca)];
    let open = edge.open();
    let proof = edge.authority.issue(&["me"], ECDSA, 1);
    let client = || Client::default().proving(proof.clone()).build();
    assert!(client().try_shake(&open, 0, "www.example.com").is_ok());
    edge.clock.advance(HOUR * 25);
    assert!(client().try_shake(&open, 0, "www.example.com").is_err());
}

#[test]
fn hosts_say_otherwise_than_listeners() {
    let mut edge = Edge::with(&["*.example.com"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    edge.listeners = vec![NotAsked, Required(ca.clone())];
    edge.settings.hosts = vec![
        ("*.example.com".to_owned(), Some(Required(ca.clone()))),
        ("*.open.example.com".to_owned(), Some(NotAsked)),
        ("open.example.com".to_owned(), Some(NotAsked)),
        ("left.example.com".to_owned(), None),
        ("*".to_owned(), Some(Asked(ca))),
    ];
    let open = edge.open();
    for (host, listener, refused, asked) in [
        ("www.example.com", 0, true, true),
        ("a.b.example.com", 0, true, true),
        ("open.example.com", 1, false, false),
        ("a.b.open.example.com", 1, false, false),
        // Its site says nothing, so that the wider pattern is not for it.
        ("left.example.com", 0, false, false),
        ("left.example.com", 1, true, true),
        ("example.com", 1, false, true),
        ("192.0.2.1", 1, false, true),
    ] {
        let silent = Client::default().build().try_shake(&open, listener, host);
        assert_eq!(silent.is_err(), refused, "{host} {listener}");
        let proof = edge.authority.issue(&["me"], ECDSA, 90);
        let proving = Client::default().proving(proof).build().shake(&open, listener, host);
        assert_eq!(proving.proof() > 0, asked, "{host} {listener}");
    }
}

#[test]
fn one_config_for_each_way_to_ask() {
    let mut edge = Edge::with(&["www.example.com"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    let copy = edge.write("copy.pem", &edge.authority.pem);
    edge.listeners = vec![Required(ca.clone()), Required(copy), Asked(ca), NotAsked];
    let open = edge.open();
    let config = |listener, sni| open.choose(listener, sni, &[]).config;
    let same = |one, other| std::sync::Arc::ptr_eq(&config(one, None), &config(other, Some("b.test")));
    assert!(same(0, 0) && same(0, 1) && !same(0, 2) && !same(2, 3) && !same(0, 3));
}

#[test]
fn authorities_that_cannot_be_used() {
    let mut edge = Edge::with(&["www.example.com"]);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = edge.write("second.pem", format!("{}{broken}", edge.authority.pem));
    edge.listeners = vec![
        Required(edge.write("empty.pem", "")),
        Asked(edge.folder.path().join("none.pem")),
        Required(edge.folder.path().join("none.pem")),
        Asked(second),
    ];
    let errors = edge.try_open().err().unwrap();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(errors[0].contains("empty.pem`: it holds no certificate"), "{errors:#?}");
    assert!(errors[1].contains("none.pem`: it cannot be read"), "{errors:#?}");
    assert!(
        errors[2].contains("second.pem`: its certificate number 2"),
        "{errors:#?}"
    );
}
