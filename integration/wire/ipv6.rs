//! IPv6, where the machine has it.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use verge::config::{Listener, Speaks};

use crate::harness::{Client, Origin, World, configuration};

fn listening_on(address: Ipv6Addr) -> Option<World> {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("no IPv6 here; not tested");
        return None;
    }
    let origin = Origin::start();
    let mut config = configuration(&format!("http://{}", origin.address), "", "");
    config.listen = vec![Listener {
        address: SocketAddr::from((address, 0)),
        speaks: Speaks::Clear { h2c: false },
    }];
    Some(World::of(config, origin))
}

#[test]
fn on_loopback() {
    let Some(world) = listening_on(Ipv6Addr::LOCALHOST) else {
        return;
    };
    let mut client = world.client();
    client.tx("GET /a HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    let asked = world
        .origin
        .rx_for("GET /a")
        .has("host", "[::1]")
        .has("x-forwarded-for", "::1");
    asked
        .has("forwarded", "for=\"[::1]\";host=\"[::1]\";proto=http")
        .ok(&["Cache-Control: max-age=60"], "six");
    client.rx().expect(200, "six");
    client
        .tx("GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
        .rx()
        .expect(200, "six")
        .cached("hit");
}

#[test]
fn unspecified_takes_both() {
    let Some(world) = listening_on(Ipv6Addr::UNSPECIFIED) else {
        return;
    };
    for (host, name) in [("::1", "::1"), ("127.0.0.1", "127.0.0.1")] {
        let mut client = Client::to(SocketAddr::new(host.parse().unwrap(), world.address.port()));
        client.get(&format!("/{name}"));
        world.origin.rx().has("x-forwarded-for", name).ok(&[], "both");
        client.rx().expect(200, "both");
    }
}
