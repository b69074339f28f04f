//! Which certificate, version, suite and key exchange a client gets.

use rustls::{NamedGroup, ProtocolVersion, SignatureScheme};
use verge::tls::{KeyKind, Standing, Version, provider};

use crate::client::*;
use crate::harness::*;

#[test]
fn exact_then_wildcard_then_the_first() {
    let edge = Edge::with(&[
        "first.test",
        "example.com *.example.com",
        "www.example.com",
        "*.a.example.com",
    ]);
    let open = edge.open();
    let client = Client::default().build();
    for (name, file) in [
        ("first.test", "c0.pem"),
        ("example.com", "c1.pem"),
        ("WWW.Example.COM", "c2.pem"),
        ("www.example.com.", "c2.pem"),
        ("api.example.com", "c1.pem"),
        // One label only (RFC 9525 6.3).
        ("b.a.example.com", "c3.pem"),
        ("a.b.example.com", "c0.pem"),
        ("a.example.com", "c1.pem"),
        ("xample.com", "c0.pem"),
        ("com", "c0.pem"),
        // Without SNI.
        ("192.0.2.1", "c0.pem"),
    ] {
        assert_eq!(*client.shake(&open, 0, name).shown(), edge.leaf(file), "{name}");
    }
}

#[test]
fn ecdsa_before_rsa() {
    let rsa = vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
    let ecdsa = vec![SignatureScheme::ECDSA_NISTP256_SHA256];
    let mut edge = Edge::new();
    let of_rsa = edge.certify("rsa", "www.example.com", RSA, 90);
    let of_ecdsa = edge.certify("ecdsa", "www.example.com", ECDSA, 90);
    let open = edge.open();
    let kinds: Vec<_> = open.certificates().iter().map(|info| info.kind).collect();
    assert_eq!(kinds, [KeyKind::Rsa, KeyKind::EcdsaP256]);
    let all = Client::default().schemes;
    for versions in [Client::tls12().versions, Client::tls13().versions] {
        for (schemes, expected) in [(&rsa, &of_rsa), (&ecdsa, &of_ecdsa), (&all, &of_ecdsa)] {
            let client = Client {
                schemes: schemes.clone(),
                versions: versions.clone(),
                ..Client::default()
            };
            let pair = client.build().shake(&open, 0, "www.example.com");
            assert_eq!(pair.shown(), expected, "{schemes:?}");
        }
    }
    // None fits: the handshake fails in rustls, not here.
    let client = Client {
        schemes: vec![SignatureScheme::ED25519],
        ..Client::tls13()
    };
    assert!(client.build().try_shake(&open, 0, "www.example.com").is_err());
}

#[test]
fn of_one_kind_the_one_that_lasts_longer() {
    let mut edge = Edge::new();
    edge.certify("soon", "www.example.com", ECDSA, 10);
    let late = edge.certify("late", "www.example.com other.test", ECDSA, 90);
    edge.certify("over", "www.example.com", ECDSA, 0);
    let open = edge.open();
    assert_eq!(
        *Client::default().build().shake(&open, 0, "www.example.com").shown(),
        late
    );
    edge.clock.advance(HOUR);
    let now = start() + HOUR;
    let standing: Vec<_> = open.certificates().iter().map(|info| info.standing(now)).collect();
    assert_eq!(standing, [Standing::Valid, Standing::Valid, Standing::Expired]);
}

#[test]
fn kinds_of_keys() {
    let mut edge = Edge::new();
    edge.certify("p384", "p384.test", &rcgen::PKCS_ECDSA_P384_SHA384, 90);
    edge.certify("ed", "ed.test 192.0.2.7 2001:db8::7", &rcgen::PKCS_ED25519, 90);
    let open = edge.open();
    let infos = open.certificates();
    assert_eq!((infos[0].kind, infos[1].kind), (KeyKind::EcdsaP384, KeyKind::Ed25519));
    assert_eq!(infos[1].names, ["ed.test", "192.0.2.7", "2001:db8::7"]);
    assert_eq!(infos[1].file.as_deref(), Some(&*edge.folder.path().join("ed.pem")));
    for name in ["p384.test", "ed.test"] {
        for client in [Client::tls12(), Client::tls13()] {
            let pair = client.build().shake(&open, 0, name);
            assert_eq!(
                *pair.shown(),
                edge.leaf(&format!("{}.pem", name.strip_suffix(".test").unwrap()))
            );
        }
    }
}

#[test]
fn versions_and_protocols() {
    let mut edge = Edge::with(&["www.example.com"]);
    let (v12, v13) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
    let spoken = |edge: &Edge, client: Client| {
        let pair = client.build().try_shake(&edge.open(), 0, "www.example.com").ok()?;
        pair.server.protocol_version()
    };
    assert_eq!(spoken(&edge, Client::tls12()), Some(v12));
    assert_eq!(spoken(&edge, Client::default()), Some(v13));
    edge.settings.min_version = Version::Tls13;
    assert_eq!(spoken(&edge, Client::tls12()), None);
    assert_eq!(spoken(&edge, Client::tls13()), Some(v13));
    // Suites of one version only: no other is spoken.
    edge.settings.min_version = Version::Tls12;
    edge.settings.ciphers.retain(|suite| suite.tls13().is_none());
    assert_eq!(spoken(&edge, Client::default()), Some(v12));
    assert_eq!(spoken(&edge, Client::tls13()), None);
    edge.settings.min_version = Version::Tls13;
    let errors = edge.try_open().err().unwrap();
    assert!(
        errors[0].to_string().starts_with("`ciphers`: none of these"),
        "{errors:?}"
    );
    edge.settings.ciphers = provider().cipher_suites.clone();
    edge.settings.ciphers.retain(|suite| suite.tls13().is_some());
    edge.settings.min_version = Version::Tls12;
    assert_eq!(spoken(&edge, Client::default()), Some(v13));
    assert_eq!(spoken(&edge, Client::tls12()), None);
}

#[test]
fn application_protocols() {
    let open = Edge::with(&["www.example.com"]).open();
    for (offered, taken) in [
        (vec!["http/1.1", "h2"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let client = Client {
            alpn: offered,
            ..Client::default()
        };
        let pair = client.build().shake(&open, 0, "www.example.com");
        assert_eq!(pair.server.alpn_protocol(), taken.map(str::as_bytes));
    }
    let client = Client {
        alpn: vec!["h3"],
        ..Client::default()
    };
    assert!(client.build().try_shake(&open, 0, "www.example.com").is_err());
}

#[test]
fn key_exchanges() {
    let mut edge = Edge::with(&["www.example.com"]);
    let all = provider().kx_groups.clone();
    let only = |name: NamedGroup| {
        all.iter()
            .copied()
            .filter(move |group| group.name() == name)
            .collect::<Vec<_>>()
    };
    let taken = |edge: &Edge, client: Client| {
        let pair = client.build().try_shake(&edge.open(), 0, "www.example.com").ok()?;
        Some(pair.server.negotiated_key_exchange_group()?.name())
    };
    assert_eq!(taken(&edge, Client::tls13()), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(taken(&edge, Client::tls12()), Some(NamedGroup::X25519));
    for name in [NamedGroup::X25519MLKEM768, NamedGroup::secp384r1] {
        let client = Client {
            groups: only(name),
            ..Client::tls13()
        };
        assert_eq!(taken(&edge, client), Some(name));
    }
    // The edge takes less than is offered: it asks for another share.
    edge.settings.groups = only(NamedGroup::secp256r1);
    assert_eq!(taken(&edge, Client::tls13()), Some(NamedGroup::secp256r1));
    // A key exchange that only TLS 1.3 has.
    edge.settings.groups = only(NamedGroup::X25519MLKEM768);
    assert_eq!(taken(&edge, Client::default()), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(taken(&edge, Client::tls12()), None);
    edge.settings.ciphers.retain(|suite| suite.tls13().is_none());
    let errors = edge.try_open().err().unwrap();
    assert!(
        errors[0].to_string().starts_with("`key_exchange`: none of these"),
        "{errors:?}"
    );
}

#[test]
fn stapled_responses() {
    let mut edge = Edge::with(&["www.example.com"]);
    edge.settings.certificates[0].ocsp = Some(edge.write("c0.ocsp", b"\x30\x03\x0a\x01\x06"));
    let open = edge.open();
    assert!(open.certificates()[0].stapled);
    for client in [Client::tls12(), Client::tls13()] {
        let client = client.build();
        client.shake(&open, 0, "www.example.com");
        assert_eq!(client.ocsp(), b"\x30\x03\x0a\x01\x06");
    }
    edge.write("c0.ocsp", "-----BEGIN OCSP RESPONSE-----");
    let errors = edge.try_open().err().unwrap();
    assert!(
        errors[0].file.ends_with("c0.ocsp") && errors[0].what.contains("in DER"),
        "{errors:?}"
    );
}

#[test]
fn self_signed_where_none_is_configured() {
    let mut edge = Edge::new();
    edge.settings.self_signed_names = vec!["www.example.com".to_owned(), "no name".to_owned()];
    let open = edge.open();
    let client = Client::default().build();
    let shown = client.shake(&open, 0, "www.example.com").shown().clone();
    let info = &open.certificates()[0];
    assert!(info.names.contains(&"www.example.com".to_owned()) && info.file.is_none());
    assert_eq!(info.standing(start()), Standing::Valid);
    assert_eq!(open.reload(true), verge::tls::Reload::Done);
    let client = Client::default().build();
    assert_eq!(*client.shake(&open, 0, "www.example.com").shown(), shown);
}
