//! For which hosts a connection may speak.

use verge::tls::ClientCertificates::{NotAsked, Required};

use crate::harness::*;

fn voices(edge: &Edge, sni: Option<&str>, hosts: &[(&str, bool)]) {
    let voice = edge.open().choose(0, sni, &[]).voice;
    for (host, may) in hosts {
        assert_eq!(voice.may_speak_for(host), *may, "{sni:?} {host}");
    }
}

#[test]
fn hosts_of_the_same_certificates() {
    let mut edge = Edge::with(&["first.test 192.0.2.1 2001:db8::1", "example.com *.example.com"]);
    edge.certify("more", "www.example.com", RSA, 90);
    edge.certify("address", "198.51.100.1", ECDSA, 90);
    let example = [
        ("example.com", true),
        ("api.example.com", true),
        // Has a certificate more.
        ("www.example.com", false),
        ("a.b.example.com", false),
        ("first.test", false),
        ("", false),
    ];
    voices(&edge, Some("example.com"), &example);
    voices(
        &edge,
        Some("A.Example.com."),
        &[("a.example.com", true), ("b.example.com", true)],
    );
    voices(
        &edge,
        Some("www.example.com"),
        &[("www.example.com", true), ("example.com", false)],
    );
    // Who names no host, or one that no certificate is for, gets what those get.
    let first = [
        ("first.test", true),
        ("unknown.test", true),
        ("192.0.2.1", true),
        ("[2001:db8::1]", true),
        ("[2001:db8::2]", true),
        ("198.51.100.1", false),
        ("example.com", false),
        ("", true),
        ("[", true),
        ("[]", true),
        ("999.1.1.1", true),
    ];
    voices(&edge, None, &first);
    voices(&edge, Some("strange.test"), &first);
}

#[test]
fn hosts_of_which_the_same_is_asked() {
    let mut edge = Edge::with(&["*.example.com"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    edge.settings.hosts = vec![
        ("secret.example.com".to_owned(), Some(Required(ca.clone()))),
        ("also.example.com".to_owned(), Some(Required(ca.clone()))),
        ("clear.example.com".to_owned(), Some(NotAsked)),
    ];
    let open = [
        ("www.example.com", true),
        ("secret.example.com", false),
        ("clear.example.com", true),
    ];
    voices(&edge, Some("www.example.com"), &open);
    voices(&edge, None, &open);
    voices(
        &edge,
        Some("secret.example.com"),
        &[
            ("secret.example.com", true),
            ("also.example.com", true),
            ("www.example.com", false),
        ],
    );
    // Where the listener asks the same of all, only hosts that say otherwise differ.
    edge.listeners = vec![Required(ca)];
    voices(
        &edge,
        Some("www.example.com"),
        &[
            ("secret.example.com", true),
            ("other.example.com", true),
            ("clear.example.com", false),
        ],
    );
}
