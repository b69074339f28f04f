//! Every wait has its end.

use std::sync::mpsc;
use std::time::Duration;

use crate::scripts::*;
use http::Method;
use verge::origin::{Fetch, FetchError};

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let cases = ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"];
    let (address, server) = serve(move |listener| {
        for response in cases {
            let mut stream = accept(&listener);
            rx(&mut stream);
            tx(&mut stream, response);
            expect_close(&mut stream);
        }
    });
    for response in cases {
        let mut config = config(address);
        config.first_byte_timeout = Duration::from_millis(50);
        config.between_bytes_timeout = Duration::from_millis(50);
        let origin = open(config);
        assert_eq!(get(&origin).await.unwrap_err(), FetchError::ReadTimeout, "{response:?}");
    }
    server.join().unwrap();
}

#[tokio::test]
async fn an_origin_that_takes_nothing_is_given_up() {
    let (done, held) = mpsc::channel::<()>();
    let (address, server) = serve(move |listener| {
        let stream = accept(&listener);
        let _ = held.recv();
        drop(stream);
    });
    let mut config = config(address);
    config.write_timeout = Duration::from_millis(50);
    let origin = open(config);
    let mut body = Pieces::new([pattern(0, 4 * MUCH)]);
    let outcome = origin.clone().fetch(request(Method::POST, "/"), Some(&mut body)).await;
    assert_eq!(failure(outcome), FetchError::WriteTimeout);
    drop(done);
    server.join().unwrap();
}
