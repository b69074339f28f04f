//! Every wait has its end.

use std::time::Duration;

use super::raw;
use super::server::*;
use crate::scripts::*;
use http::Method;
use verge::origin::{Fetch, FetchError};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let (listener, mut config) = listen().await;
    config.first_byte_timeout = SHORT;
    config.between_bytes_timeout = SHORT;
    let origin = open(config);
    let server = tokio::spawn(async move {
        // A connection on which somebody has waited in vain is used no more: it may be dead.
        let mut first = Peer::accept(&listener).await;
        let mut silent = first.rx().await;
        assert_eq!(silent.reset().await, h2::Reason::CANCEL);
        first.expect_close().await;
        let mut second = Peer::accept(&listener).await;
        let mut asked = second.rx().await;
        let mut stream = asked.begin(&[]);
        stream.send_data("hel".into(), false).unwrap();
        assert_eq!(reset(&mut stream).await, h2::Reason::CANCEL);
        second.expect_close().await;
    });
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ReadTimeout);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ReadTimeout);
    server.await.unwrap();
}

#[tokio::test]
async fn interim_responses_do_not_buy_time() {
    let (listener, mut config) = listen().await;
    config.first_byte_timeout = SHORT;
    let origin = open(config);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut asked = peer.rx().await;
        let processing = head(http::StatusCode::PROCESSING, &[]);
        asked.reply.send_informational(processing).unwrap();
        assert_eq!(asked.reset().await, h2::Reason::CANCEL);
    });
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ReadTimeout);
    server.await.unwrap();
}

#[tokio::test]
async fn an_origin_that_takes_nothing_is_given_up() {
    let (listener, mut config) = listen().await;
    config.write_timeout = SHORT;
    let origin = open(config);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        // The window is never made larger.
        let mut asked = peer.rx().await;
        assert_eq!(asked.reset().await, h2::Reason::CANCEL);
    });
    let mut body = Pieces::new([pattern(0, MUCH)]);
    let outcome = origin.clone().fetch(request(Method::POST, "/"), Some(&mut body)).await;
    assert_eq!(failure(outcome), FetchError::WriteTimeout);
    server.await.unwrap();
}

#[tokio::test]
async fn a_client_that_delivers_nothing_is_not_the_origins_fault() {
    let (listener, mut config) = listen().await;
    config.write_timeout = SHORT;
    config.first_byte_timeout = SHORT;
    let origin = open(config);
    let server = tokio::spawn(async move { Peer::accept(&listener).await.rx().await });
    let mut body = Pieces::new(["some".into()]);
    (body.length, body.ends) = (Some(1000), false);
    let fetch = origin.clone().fetch(request(Method::POST, "/"), Some(&mut body));
    assert!(tokio::time::timeout(4 * SHORT, fetch).await.is_err());
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_without_settings_is_given_up() {
    let (address, server) = serve(|listener| {
        let mut stream = accept(&listener);
        expect_close(&mut stream);
    });
    let mut config = config_h2(address);
    config.connect_timeout = SHORT;
    let origin = open(config);
    assert_eq!(get(&origin).await.unwrap_err(), FetchError::ConnectionTimeout);
    raw::joined(server).await;
}
