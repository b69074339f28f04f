//! Streams and connections that end before their time.

use super::server::*;
use crate::scripts::*;
use h2::Reason;
use http::Method;
use verge::origin::{Fetch, FetchError};

#[tokio::test]
async fn a_reset_before_the_head_is_no_response() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.rx().await.reply.send_reset(Reason::INTERNAL_ERROR);
        // The others on the connection are not concerned.
        peer.rx().await.tx("ok");
        peer
    });
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_cut_short_is_incomplete() {
    for reason in [Some(Reason::NO_ERROR), Some(Reason::INTERNAL_ERROR), None] {
        let (listener, origin) = usual().await;
        let (seen, wait) = tokio::sync::oneshot::channel();
        let server = tokio::spawn(async move {
            let mut peer = Peer::accept(&listener).await;
            let mut asked = peer.rx().await;
            let mut stream = asked.begin(&[]);
            stream.send_data("hel".into(), false).unwrap();
            wait.await.unwrap();
            match reason {
                Some(reason) => stream.send_reset(reason),
                None => return peer.close().await,
            }
            peer.expect_close().await;
        });
        let mut fetched = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
        let piece = std::future::poll_fn(|cx| fetched.body.poll_piece(cx)).await.unwrap();
        assert_eq!(piece.unwrap(), "hel");
        seen.send(()).unwrap();
        let rest = read(&mut *fetched.body).await;
        assert_eq!(rest.unwrap_err(), FetchError::Incomplete, "{reason:?}");
        drop((fetched, origin));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated_and_only_once() {
    let (listener, origin) = usual().await;
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let mut peer = Peer::accept(&listener).await;
            peer.rx().await;
            peer.close().await;
        }
    });
    let post = origin.clone().fetch(request(Method::POST, "/"), None).await;
    assert_eq!(failure(post), FetchError::ConnectionTerminated);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTerminated);
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_given_up_is_cancelled() {
    let (listener, origin) = usual().await;
    let (taken, asked_for) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        let mut stream = asked.begin(&[]);
        stream.send_data("hello".into(), false).unwrap();
        assert_eq!(reset(&mut stream).await, Reason::CANCEL);
        let mut asked = peer.rx().await;
        taken.send(()).unwrap();
        assert_eq!(asked.reset().await, Reason::CANCEL);
        peer.rx().await.tx("ok");
        peer
    });
    // Once with a head, once without.
    let fetched = origin.clone().fetch(request(Method::GET, "/"), None).await.unwrap();
    drop(fetched);
    let pending = origin.clone().fetch(request(Method::GET, "/"), None);
    tokio::select! {
        _ = pending => panic!("an answer from nobody"),
        seen = asked_for => seen.unwrap(),
    }
    assert_eq!(get(&origin).await.unwrap().1, "ok");
    server.await.unwrap();
}
