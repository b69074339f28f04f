//! Connections: which is used, which is used again, and who is asked next.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::scripts::*;
use http::{Method, StatusCode};
use verge::origin::{Fetch, FetchError, ServerUrl};

#[tokio::test]
async fn a_dead_idle_connection_costs_one_more() {
    let (address, server) = serve(|listener| {
        let mut first = accept(&listener);
        rx(&mut first);
        tx(&mut first, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
        // The request is taken and never answered, as by a server that was about to close.
        rx(&mut first);
        drop(first);
        let mut second = accept(&listener);
        rx(&mut second);
        tx(&mut second, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    });
    let origin = origin(address);
    assert_eq!(get(&origin).await.unwrap().1, "one");
    assert_eq!(get(&origin).await.unwrap().1, "two");
    server.join().unwrap();
}

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated_and_only_once() {
    let (address, server) = serve(|listener| {
        for _ in 0..3 {
            let mut stream = accept(&listener);
            rx(&mut stream);
        }
        // A beginning of a response is an answer: no repetition.
        let mut stream = accept(&listener);
        rx(&mut stream);
        tx(&mut stream, "HTTP/1.1 200");
    });
    let origin = origin(address);
    let post = origin.clone().fetch(request(Method::POST, "/"), None).await;
    assert_eq!(failure(post), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    server.join().unwrap();
}

#[tokio::test]
async fn servers_take_turns() {
    let one = |name: &'static str| {
        serve(move |listener| {
            let mut stream = accept(&listener);
            drop(listener);
            for _ in 0..2 {
                rx(&mut stream);
                tx(
                    &mut stream,
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"),
                );
            }
        })
    };
    let ((first, a), (second, b)) = (one("a"), one("b"));
    let mut config = config(first);
    config
        .servers
        .push(ServerUrl::parse(&format!("http://{second}")).unwrap());
    let origin = open(config);
    for expected in ["a", "b", "a", "b"] {
        assert_eq!(get(&origin).await.unwrap().1, expected);
    }
    a.join().unwrap();
    b.join().unwrap();
}

fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn refused_is_known_at_once() {
    let mut config = config(refusing());
    config.connect_timeout = Duration::from_secs(3600);
    let origin = open(config);
    let outcome = tokio::time::timeout(Duration::from_secs(10), get(&origin))
        .await
        .unwrap();
    assert_eq!(outcome.unwrap_err(), FetchError::ConnectionRefused);
}

#[tokio::test]
async fn the_next_server_is_asked_whatever_the_method() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        for _ in 0..2 {
            rx(&mut stream);
            let mut body = [0; 4];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"body");
            tx(&mut stream, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut config = config(refusing());
    config
        .servers
        .push(ServerUrl::parse(&format!("http://{address}")).unwrap());
    let origin = open(config);
    for _ in 0..2 {
        let mut body = Pieces::new(["body".into()]);
        let fetched = origin
            .clone()
            .fetch(request(Method::POST, "/"), Some(&mut body))
            .await
            .unwrap();
        assert_eq!(fetched.status, StatusCode::CREATED);
    }
    server.join().unwrap();
}

#[tokio::test]
async fn localhost_is_found_without_a_network() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        let head = rx(&mut stream);
        assert!(head.contains("\r\nHost: shop.example\r\n"), "{head}");
        tx(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let mut config = config(address);
    config.servers = vec![ServerUrl::parse(&format!("http://localhost:{}", address.port())).unwrap()];
    config.host = Some("shop.example".to_owned());
    get(&open(config)).await.unwrap();
    server.join().unwrap();
}

#[tokio::test]
async fn a_connection_that_its_server_is_about_to_close_is_not_used_again() {
    let (address, server) = serve(|listener| {
        let mut first = accept(&listener);
        for kept in ["timeout=60, max=99", "max=98, timeout=1"] {
            rx(&mut first);
            tx(
                &mut first,
                format!("HTTP/1.1 200 OK\r\nKeep-Alive: {kept}\r\nContent-Length: 3\r\n\r\none"),
            );
        }
        let mut second = accept(&listener);
        rx(&mut second);
        tx(&mut second, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    });
    let origin = origin(address);
    for expected in ["one", "one", "two"] {
        assert_eq!(get(&origin).await.unwrap().1, expected);
    }
    server.join().unwrap();
}
