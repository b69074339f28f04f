//! Sessions that are resumed, and those that must not be.

use verge::tls::ClientCertificates;

use crate::client::*;
use crate::harness::*;

const NAME: &str = "www.example.com";

fn both_versions(test: impl Fn(fn() -> Client)) {
    test(Client::tls12);
    test(Client::tls13);
}

#[test]
fn by_ticket() {
    both_versions(|client| {
        let open = Edge::with(&["www.example.com other.test"]).open();
        let client = client().build();
        assert!(!client.shake(&open, 0, NAME).resumed());
        for _ in 0..3 {
            assert!(client.shake(&open, 0, NAME).resumed());
        }
        assert!(!client.shake(&open, 0, "other.test").resumed());
    });
}

#[test]
fn a_ticket_is_for_one_sni() {
    both_versions(|client| {
        let open = Edge::with(&["www.example.com other.test"]).open();
        let client = client().build();
        client.shake(&open, 0, NAME);
        // A client that offers its sessions for another name: the tickets go with another SNI.
        let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
        let mut connection = rustls::ClientConnection::new(client.config.clone(), name).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        let at = hello
            .windows(NAME.len())
            .position(|window| window == NAME.as_bytes())
            .unwrap();
        let kind = |hello: &[u8]| accept(&open, 0, hello).unwrap().0.handshake_kind();
        assert_eq!(kind(&hello), Some(rustls::HandshakeKind::Resumed));
        hello[at] = b'x';
        assert_ne!(kind(&hello), Some(rustls::HandshakeKind::Resumed));
        let (server, _) = accept(&open, 0, &hello).unwrap();
        assert_eq!(server.server_name(), Some("xww.example.com"));
    });
}

#[test]
fn not_where_another_proof_is_asked() {
    both_versions(|client| {
        let mut edge = Edge::with(&[NAME]);
        let ca = edge.write("ca.pem", &edge.authority.pem);
        edge.listeners = vec![
            ClientCertificates::NotAsked,
            ClientCertificates::Asked(ca.clone()),
            ClientCertificates::Required(ca),
        ];
        let open = edge.open();
        for from in 0..3 {
            for to in (0..3).filter(|to| *to != from) {
                let client = client().proving(edge.authority.issue(&["me"], ECDSA, 90)).build();
                assert!(!client.shake(&open, from, NAME).resumed());
                assert!(client.shake(&open, from, NAME).resumed(), "{from}");
                let pair = client.shake(&open, to, NAME);
                assert!(!pair.resumed(), "{from} {to}");
                assert_eq!(pair.proof() > 0, to > 0, "{from} {to}");
            }
        }
        // Who has nothing to show is refused in spite of a ticket.
        let client = client().build();
        client.shake(&open, 0, NAME);
        assert!(client.try_shake(&open, 2, NAME).is_err());
    });
}

#[test]
fn not_where_the_authorities_were_exchanged() {
    both_versions(|client| {
        let mut edge = Edge::with(&[NAME]);
        let ca = edge.write("ca.pem", &edge.authority.pem);
        edge.listeners = vec![ClientCertificates::Required(ca)];
        let open = edge.open();
        let client = client().proving(edge.authority.issue(&["me"], ECDSA, 90)).build();
        client.shake(&open, 0, NAME);
        assert!(client.shake(&open, 0, NAME).resumed());
        edge.write("ca.pem", Authority::new().pem);
        open.reload(false);
        assert!(client.try_shake(&open, 0, NAME).is_err());
    });
}

#[test]
fn a_resumed_session_may_outlive_its_proof() {
    both_versions(|client| {
        let mut edge = Edge::with(&[NAME]);
        let ca = edge.write("ca.pem", &edge.authority.pem);
        edge.listeners = vec![ClientCertificates::Required(ca), ClientCertificates::NotAsked];
        let open = edge.open();
        let client = client().proving(edge.authority.issue(&["me"], ECDSA, 1)).build();
        let pair = client.shake(&open, 0, NAME);
        assert!(pair.voice.proof_stands(pair.server.peer_certificates()));
        assert!(!pair.voice.proof_stands(None));
        for hours in [5, 10, 15, 20, 25] {
            edge.clock.advance(HOUR * 5);
            let pair = client.shake(&open, 0, NAME);
            assert!(pair.resumed());
            assert_eq!(
                pair.voice.proof_stands(pair.server.peer_certificates()),
                hours <= 24,
                "{hours}"
            );
        }
        assert!(open.choose(1, None, &[]).voice.proof_stands(None));
    });
}

#[test]
fn across_edges_that_share_a_file() {
    both_versions(|client| {
        let mut edge = Edge::with(&[NAME]);
        let own = client().build();
        own.shake(&edge.open(), 0, NAME);
        assert!(!own.shake(&edge.open(), 0, NAME).resumed());

        edge.settings.ticket_keys = vec![edge.write("tickets", [7; 80])];
        let shared = client().build();
        shared.shake(&edge.open(), 0, NAME);
        assert!(shared.shake(&edge.open(), 0, NAME).resumed());

        // A new key seals; what the old one sealed still opens, until it is taken away.
        let open = edge.open();
        edge.settings.ticket_keys.insert(0, edge.write("new", [8; 80]));
        let both = edge.open();
        assert!(shared.shake(&both, 0, NAME).resumed());
        edge.settings.ticket_keys.pop();
        assert!(shared.shake(&edge.open(), 0, NAME).resumed());
        assert!(!shared.shake(&open, 0, NAME).resumed());
    });
}

#[test]
fn own_keys_survive_reloads_and_change_by_the_clock() {
    both_versions(|client| {
        let edge = Edge::with(&[NAME]);
        let open = edge.open();
        let client = client().build();
        client.shake(&open, 0, NAME);
        open.reload(true);
        assert!(client.shake(&open, 0, NAME).resumed());
        edge.clock.advance(HOUR * 6);
        assert!(client.shake(&open, 0, NAME).resumed());
        edge.clock.advance(HOUR * 13);
        assert!(!client.shake(&open, 0, NAME).resumed());
        assert!(client.shake(&open, 0, NAME).resumed());
    });
}

#[test]
fn keys_of_files_are_read_again() {
    let mut edge = Edge::with(&[NAME]);
    edge.settings.ticket_keys = vec![edge.write("tickets", [7; 80])];
    let open = edge.open();
    let client = Client::tls13().build();
    client.shake(&open, 0, NAME);
    edge.write("tickets", [8; 80]);
    assert!(client.shake(&open, 0, NAME).resumed());
    assert_eq!(open.reload(false), verge::tls::Reload::Done);
    assert!(!client.shake(&open, 0, NAME).resumed());
}
