//! HTTP messages: their frames, lengths and fields (RFC 9113 8.1, 8.2 and 8.5).

use crate::fields::{Field, PLAIN, block, get, get_with, literal, post_with, request};
use crate::frames::{Frame, code};
use crate::peer::{Outcome, Peer};
use crate::server::LARGE;
use crate::{Case, case};

/// A request with this field is malformed.
fn bad_field(peer: &mut Peer, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Outcome {
    peer.ask(1, [get("/"), literal(PLAIN, name, value)].concat())
        .malformed(1)
}

/// A request with these fields is served.
fn good_fields(peer: &mut Peer, fields: &[Field]) -> Outcome {
    peer.ask(1, get_with(fields)).answered(1).map(drop)
}

/// Trailers with this field make the request malformed.
fn bad_trailer(peer: &mut Peer, name: &str, value: &str) -> Outcome {
    peer.send(Frame::headers(1, request("POST", "/")))
        .send(Frame::data(1, *b"abc"));
    peer.ask(1, block(&[(name, value)])).malformed(1)
}

/// A body of these frames with a `content-length` that says otherwise.
fn bad_length(peer: &mut Peer, length: &str, bodies: &[&[u8]]) -> Outcome {
    peer.send(Frame::headers(1, post_with(&[("content-length", length)])));
    let (last, others) = bodies.split_last().ok_or("a case without a body")?;
    others.iter().for_each(|body| {
        peer.send(Frame::data(1, *body));
    });
    peer.send(Frame::data(1, *last).end()).malformed(1)
}

pub const CASES: &[Case] = &[
    case("8.1", "HEAD gets no DATA", |peer| {
        let head = peer.ask(1, request("HEAD", "/large")).answered(1)?;
        (head.body == 0).then_some(()).ok_or(format!("{} octets", head.body))
    }),
    case("8.1", "HEAD after GET gets no DATA", |peer| {
        peer.get(1, "/").answered(1)?;
        let head = peer.ask(3, request("HEAD", "/")).answered(3)?;
        (head.body == 0).then_some(()).ok_or(format!("{} octets", head.body))
    }),
    case("8.1", "GET gets all of a large body", |peer| {
        peer.get(1, "/large")
            .send(Frame::window_update(0, 1 << 24))
            .send(Frame::window_update(1, 1 << 24));
        let large = peer.answered(1)?;
        (large.body == LARGE)
            .then_some(())
            .ok_or(format!("{} octets", large.body))
    }),
    case("8.1", "trailers", |peer| {
        peer.post(1)
            .send(Frame::data(1, *b"abc"))
            .ask(1, block(&[("x-sum", "1"), ("x-more", "2")]));
        peer.answered(1).map(drop)
    }),
    case("8.1", "trailers without a body", |peer| {
        peer.post(1).ask(1, block(&[("x-sum", "1")])).answered(1).map(drop)
    }),
    case("8.1", "empty trailers", |peer| {
        peer.post(1)
            .send(Frame::data(1, *b"abc"))
            .ask(1, [])
            .answered(1)
            .map(drop)
    }),
    case("8.1", "HEADERS again that do not end the stream", |peer| {
        peer.send(Frame::headers(1, request("POST", "/slow")))
            .send(Frame::data(1, *b"abc"));
        peer.send(Frame::headers(1, block(&[("x-a", "b")]))).malformed(1)
    }),
    case("8.1", "DATA after trailers", |peer| {
        peer.send(Frame::headers(1, request("POST", "/slow")))
            .ask(1, block(&[("x-a", "b")]));
        peer.send(Frame::data(1, *b"abc").end())
            .stream_error(1, &[code::STREAM_CLOSED])
    }),
    case("8.1", "a pseudo-header in trailers", |peer| {
        bad_trailer(peer, ":method", "POST")
    }),
    case("8.1", "a response's pseudo-header in trailers", |peer| {
        bad_trailer(peer, ":status", "200")
    }),
    case("8.1", "an upper-case name in trailers", |peer| {
        bad_trailer(peer, "X-Sum", "1")
    }),
    case("8.1", "a connection's field in trailers", |peer| {
        bad_trailer(peer, "connection", "close")
    }),
    case("8.1", "expecting 100 (Continue)", |peer| {
        peer.send(Frame::headers(
            1,
            post_with(&[("expect", "100-continue"), ("content-length", "3")]),
        ));
        peer.pinged()?;
        peer.send(Frame::data(1, *b"abc").end()).answered(1).map(drop)
    }),
    case("8.1.1", "a body as long as said", |peer| {
        peer.send(Frame::headers(1, post_with(&[("content-length", "6")])));
        peer.send(Frame::data(1, *b"abc"))
            .send(Frame::data(1, *b"def").end())
            .answered(1)
            .map(drop)
    }),
    case("8.1.1", "padding does not count as body", |peer| {
        peer.send(Frame::headers(1, post_with(&[("content-length", "3")])));
        peer.send(Frame::data(1, *b"abc").padded(10).end())
            .answered(1)
            .map(drop)
    }),
    case("8.1.1", "no body, as said", |peer| {
        good_fields(peer, &[("content-length", "0")])
    }),
    case("8.1.1", "a body longer than said", |peer| {
        bad_length(peer, "1", &[b"abc"])
    }),
    case("8.1.1", "a body longer than said, in frames", |peer| {
        bad_length(peer, "4", &[b"abc", b"def"])
    }),
    case("8.1.1", "a body shorter than said", |peer| {
        bad_length(peer, "4", &[b"abc"])
    }),
    case("8.1.1", "a body shorter than said, in frames", |peer| {
        bad_length(peer, "10", &[b"abc", b"def"])
    }),
    case("8.1.1", "a body shorter than said, with an empty end", |peer| {
        bad_length(peer, "4", &[b"abc", b""])
    }),
    case("8.1.1", "a body where none was said", |peer| {
        bad_length(peer, "0", &[b"abc"])
    }),
    case("8.1.1", "no body where one was said", |peer| {
        peer.ask(1, post_with(&[("content-length", "5")])).malformed(1)
    }),
    case("8.1.1", "a body shorter than said, before trailers", |peer| {
        peer.send(Frame::headers(1, post_with(&[("content-length", "5")])))
            .send(Frame::data(1, *b"abc"));
        peer.ask(1, block(&[("x-a", "b")])).malformed(1)
    }),
    case("8.1.1", "a length that is no number", |peer| {
        bad_length(peer, "abc", &[b"abc"])
    }),
    case("8.1.1", "a length with a sign", |peer| {
        bad_length(peer, "+3", &[b"abc"])
    }),
    case("8.1.1", "a length beyond 64 bits", |peer| {
        bad_length(peer, "18446744073709551619", &[b"abc"])
    }),
    case("8.1.1", "two lengths that differ", |peer| {
        peer.send(Frame::headers(
            1,
            post_with(&[("content-length", "3"), ("content-length", "4")]),
        ));
        peer.send(Frame::data(1, *b"abc").end()).malformed(1)
    }),
    case("8.2.1", "an upper-case name", |peer| bad_field(peer, "X-Test", "a")),
    case("8.2.1", "an upper-case letter at the end of a name", |peer| {
        bad_field(peer, "x-tesT", "a")
    }),
    case("8.2.1", "an empty name", |peer| bad_field(peer, "", "a")),
    case("8.2.1", "a space in a name", |peer| bad_field(peer, "x test", "a")),
    case("8.2.1", "a space at the end of a name", |peer| {
        bad_field(peer, "x-test ", "a")
    }),
    case("8.2.1", "a colon in a name", |peer| bad_field(peer, "x:test", "a")),
    case("8.2.1", "NUL in a name", |peer| bad_field(peer, "x\0test", "a")),
    case("8.2.1", "a line's end in a name", |peer| {
        bad_field(peer, "x-a: b\r\nx-c", "a")
    }),
    case("8.2.1", "DEL in a name", |peer| bad_field(peer, "x\x7ftest", "a")),
    case("8.2.1", "a name that is not ASCII", |peer| {
        bad_field(peer, b"x-\xfctest", "a")
    }),
    case("8.2.1", "NUL in a value", |peer| bad_field(peer, "x-test", "a\0b")),
    case("8.2.1", "CR in a value", |peer| bad_field(peer, "x-test", "a\rb")),
    case("8.2.1", "LF in a value", |peer| bad_field(peer, "x-test", "a\nb")),
    case("8.2.1", "a request in a value", |peer| {
        bad_field(
            peer,
            "x-test",
            "a\r\n\r\nGET /other HTTP/1.1\r\nHost: other.test\r\n\r\n",
        )
    }),
    case("8.2.1", "a value that begins with a space", |peer| {
        bad_field(peer, "x-test", " a")
    }),
    case("8.2.1", "a value that ends with a space", |peer| {
        bad_field(peer, "x-test", "a ")
    }),
    case("8.2.1", "a value that begins with a tab", |peer| {
        bad_field(peer, "x-test", "\ta")
    }),
    case("8.2.1", "a value that ends with a tab", |peer| {
        bad_field(peer, "x-test", "a\t")
    }),
    case("8.2.1", "an empty value", |peer| good_fields(peer, &[("x-test", "")])),
    case("8.2.1", "spaces and tabs within a value", |peer| {
        good_fields(peer, &[("x-test", "a \t b")])
    }),
    case("8.2.1", "a value that is not ASCII", |peer| {
        peer.ask(1, [get("/"), literal(PLAIN, "x-test", b"\xfc\x80\xff")].concat())
            .answered(1)
            .map(drop)
    }),
    case("8.2.1", "all marks that a name may hold", |peer| {
        good_fields(peer, &[("!#$%&'*+-.^_`|~09az", "a")])
    }),
    case("8.2.2", "connection", |peer| {
        bad_field(peer, "connection", "keep-alive")
    }),
    case("8.2.2", "keep-alive", |peer| bad_field(peer, "keep-alive", "timeout=5")),
    case("8.2.2", "proxy-connection", |peer| {
        bad_field(peer, "proxy-connection", "keep-alive")
    }),
    case("8.2.2", "transfer-encoding", |peer| {
        bad_field(peer, "transfer-encoding", "chunked")
    }),
    case("8.2.2", "upgrade", |peer| bad_field(peer, "upgrade", "websocket")),
    case("8.2.2", "te: trailers", |peer| good_fields(peer, &[("te", "trailers")])),
    case("8.2.2", "te with another value", |peer| bad_field(peer, "te", "gzip")),
    case("8.2.2", "te with another value beside trailers", |peer| {
        bad_field(peer, "te", "trailers, deflate;q=0.5")
    }),
    case("8.2.2", "a response has no field of the origin's connection", |peer| {
        // Every case looks for them; here it is a response that was stored.
        peer.get(1, "/").answered(1)?;
        peer.get(3, "/").answered(3).map(drop)
    }),
    case("8.2.3", "cookies in several fields", |peer| {
        good_fields(peer, &[("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")])
    }),
    case("8.2", "a field many times", |peer| {
        good_fields(peer, &[("x-test", "a"); 50])
    }),
];
