//! Files that change.

use verge::tls::{CertificateFiles, ClientCertificates, Reload, TlsError};

use crate::client::*;
use crate::harness::*;

fn failed(reload: Reload) -> Vec<TlsError> {
    match reload {
        Reload::Failed(errors) => errors,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_certificate() {
    let edge = Edge::with(&["www.example.com"]);
    let open = edge.open();
    let old = edge.leaf("c0.pem");
    let before = Client::default().build().shake(&open, 0, "www.example.com");
    assert_eq!(open.reload(false), Reload::Unchanged);
    assert_eq!(open.reload(true), Reload::Done);
    let new = edge.issue("c0", "www.example.com new.example.com", ECDSA, 90);
    let shown = || {
        Client::default()
            .build()
            .shake(&open, 0, "www.example.com")
            .shown()
            .clone()
    };
    assert_eq!(shown(), old);
    assert_eq!(open.reload(false), Reload::Done);
    assert_eq!(open.reload(false), Reload::Unchanged);
    assert_eq!(shown(), new);
    assert_eq!(open.certificates()[0].names, ["www.example.com", "new.example.com"]);
    // What was said at its handshake holds for a connection.
    assert!(before.voice.may_speak_for("new.example.com"));
    assert_eq!(*before.shown(), old);
}

#[test]
fn broken_files_leave_all_as_it_was() {
    let mut edge = Edge::with(&["www.example.com", "other.test"]);
    let ca = edge.write("ca.pem", &edge.authority.pem);
    edge.listeners.push(ClientCertificates::Asked(ca));
    edge.settings.ticket_keys = vec![edge.write("tickets", [7; 80])];
    edge.settings.certificates[1].ocsp = Some(edge.write("c1.ocsp", [0x30, 0]));
    let open = edge.open();
    let old = edge.leaf("c0.pem");
    edge.issue("c0", "www.example.com", ECDSA, 90);
    let contents = |file: &str| std::fs::read(edge.folder.path().join(file)).unwrap();
    for (file, broken, part) in [
        ("c1.pem", &b""[..], "it holds no certificate"),
        (
            "c1.pem",
            &b"-----BEGIN CERTIFICATE-----\nAAAA\n"[..],
            "it is not whole (no line says -----END CERTIFICATE-----)",
        ),
        (
            "c1.pem",
            &b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"[..],
            "first certificate",
        ),
        ("c1.key", &b""[..], "it holds no private key"),
        (
            "c1.key",
            &b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"[..],
            "its key cannot be used",
        ),
        (
            "c1.key",
            &b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"[..],
            "its key is encrypted",
        ),
        ("c1.ocsp", &b"hello"[..], "not an OCSP response"),
        ("ca.pem", &b""[..], "it holds no certificate"),
        ("tickets", &b"short"[..], "5 bytes are too few"),
    ] {
        let whole = contents(file);
        edge.write(file, broken);
        let errors = failed(open.reload(false));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].file.ends_with(file) && errors[0].what.contains(part),
            "{file}: {errors:?}"
        );
        // Said once; then again if asked.
        assert_eq!(open.reload(false), Reload::Unchanged);
        assert_eq!(failed(open.reload(true)), errors);
        let client = Client::default().build();
        assert_eq!(*client.shake(&open, 0, "www.example.com").shown(), old, "{file}");
        edge.write(file, whole);
    }
    assert_eq!(open.reload(false), Reload::Done);
    assert_ne!(
        *Client::default().build().shake(&open, 0, "www.example.com").shown(),
        old
    );
}

#[test]
fn a_key_of_another_certificate() {
    let edge = Edge::with(&["www.example.com"]);
    let open = edge.open();
    let old = edge.leaf("c0.pem");
    // As where a reload falls between the two writes of a renewal.
    let (chain, key) = edge.authority.issue(&["www.example.com"], ECDSA, 90);
    edge.write("c0.key", key);
    let error = failed(open.reload(false)).remove(0).to_string();
    let (cert, key) = (edge.folder.path().join("c0.pem"), edge.folder.path().join("c0.key"));
    let what = format!(
        "the key in `{}` is not that of the certificate in `{}`",
        key.display(),
        cert.display()
    );
    assert!(error.contains(&what), "{error}");
    assert_eq!(
        *Client::default().build().shake(&open, 0, "www.example.com").shown(),
        old
    );
    edge.write("c0.pem", chain);
    assert_eq!(open.reload(false), Reload::Done);
    assert_ne!(
        *Client::default().build().shake(&open, 0, "www.example.com").shown(),
        old
    );
}

#[test]
fn every_fault_at_once() {
    let mut edge = Edge::with(&["www.example.com"]);
    let chain = std::fs::read_to_string(edge.folder.path().join("c0.pem")).unwrap();
    // The issuer's certificate first.
    let at = chain[1..].find("-----BEGIN").unwrap() + 1;
    edge.write("c0.pem", format!("{}{}", &chain[at..], &chain[..at]));
    edge.settings.certificates.push(CertificateFiles {
        cert: "/none.pem".into(),
        key: "/none.key".into(),
        ocsp: Some("/".into()),
    });
    edge.settings.ticket_keys = vec![edge.write("tickets", "")];
    let errors = edge.try_open().err().unwrap();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 5, "{errors:#?}");
    assert!(errors[0].contains("is that of a later certificate"), "{errors:#?}");
    assert!(errors[1].starts_with("`/none.pem`: it cannot be read"), "{errors:#?}");
    assert!(errors[2].starts_with("`/none.key`: it cannot be read"), "{errors:#?}");
    assert!(errors[3].starts_with("`/`: it is not a file"), "{errors:#?}");
    assert!(errors[4].contains("openssl rand 80 > "), "{errors:#?}");
}

/// Made once by openssl: `genrsa -traditional`, `ecparam -genkey -noout`, and `req -x509` without alternative names.
#[test]
fn keys_in_older_spellings_and_certificates_with_a_common_name_only() {
    let mut edge = Edge::new();
    for (name, pem, key) in [
        (
            "sec1",
            include_str!("fixtures/sec1.crt"),
            include_str!("fixtures/sec1.key"),
        ),
        (
            "pkcs1",
            include_str!("fixtures/pkcs1.crt"),
            include_str!("fixtures/pkcs1.key"),
        ),
    ] {
        edge.settings.certificates.push(CertificateFiles {
            cert: edge.write(&format!("{name}.pem"), pem),
            key: edge.write(&format!("{name}.key"), format!("Words before it.\n{key}")),
            ocsp: None,
        });
    }
    edge.certify("pkcs8", "pkcs8.test", ECDSA, 90);
    let open = edge.open();
    let names: Vec<_> = open.certificates().into_iter().map(|info| info.names).collect();
    assert_eq!(names, [["sec1.test"], ["192.0.2.3"], ["pkcs8.test"]]);
    for name in ["sec1", "pkcs8"] {
        let pair = Client::default().build().shake(&open, 0, &format!("{name}.test"));
        assert_eq!(*pair.shown(), edge.leaf(&format!("{name}.pem")));
    }
    assert!(!open.choose(0, None, &[]).voice.may_speak_for("192.0.2.3"));
    edge.settings.certificates.swap(0, 1);
    let pair = Client::default().build().shake(&edge.open(), 0, "other.test");
    assert_eq!(*pair.shown(), edge.leaf("pkcs1.pem"));
}
