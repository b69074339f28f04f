//! Certificates that change while connections are open.

use rustls::pki_types::CertificateDer;
use verge::tls::Reload;

use crate::certificates::{SecureClient, secure, try_shake};
use crate::edge::{HOST, OTHER, PRIVATE, Rig};

fn shown(client: &SecureClient) -> CertificateDer<'static> {
    client.stream().conn.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

fn reload(rig: &Rig) -> Reload {
    rig.world.server.tls().unwrap().reload(false)
}

#[test]
fn old_connections_go_on_and_new_ones_get_the_new_certificate() {
    let rig = Rig::start();
    rig.world.store("/a", &["Cache-Control: max-age=60"], "abc");
    rig.world
        .origin
        .answer_all(|asked| asked.ok(&["Cache-Control: max-age=60"], "abc"));
    let (mut old, mut multiplexed) = (rig.h1s(), rig.h2s());
    let before = shown(&old);
    let names = format!("{HOST} {OTHER} {PRIVATE}");

    let renewed = rig.authority.issue(&names);
    renewed.write(rig.folder.path(), "edge");
    assert_eq!(reload(&rig), Reload::Done);
    // Sessions of before are not resumed into it: a client of its own has none.
    let fresh = rig.authority.client(&["http/1.1"], None);
    let mut new = secure(rig.tls(), &fresh, HOST);
    assert!(shown(&new) == renewed.leaf() && shown(&new) != before);
    for client in [&mut old, &mut new] {
        client.fetch("/a").expect(200, "abc");
    }
    multiplexed.fetch("/a").expect(200, "abc");

    std::fs::write(rig.folder.path().join("edge.pem"), "no certificate").unwrap();
    assert!(matches!(reload(&rig), Reload::Failed(errors) if !errors.is_empty()));
    let mut another = secure(rig.tls(), &rig.authority.client(&["http/1.1"], None), HOST);
    assert!(shown(&another) == renewed.leaf());
    for client in [&mut old, &mut new, &mut another] {
        client.fetch("/a").expect(200, "abc");
    }
}

#[test]
fn a_key_of_another_certificate_changes_nothing() {
    let rig = Rig::start();
    let before = shown(&rig.h1s());
    rig.authority.issue(HOST).write(rig.folder.path(), "other");
    std::fs::copy(rig.folder.path().join("other.key"), rig.folder.path().join("edge.key")).unwrap();
    assert!(matches!(reload(&rig), Reload::Failed(_)));
    assert_eq!(reload(&rig), Reload::Unchanged);
    let config = rig.authority.client(&[], None);
    let stream = try_shake(rig.tls(), &config, HOST).unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap()[0], before);
}
