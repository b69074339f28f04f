//! What a request is for: pseudo-headers, hosts and methods (RFC 9113 8.3 and 8.5).

use crate::fields::{Field, GET, PLAIN, block, get_with, literal, request};
use crate::frames::{Frame, code};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

const METHOD: Field = GET[0];
const SCHEME: Field = GET[1];
const PATH: Field = GET[2];
const AUTHORITY: Field = GET[3];

/// A request of these fields is malformed.
fn malformed(peer: &mut Peer, fields: &[Field]) -> Outcome {
    peer.ask(1, block(fields)).malformed(1)
}

/// `GET` of this path.
fn bad_path(peer: &mut Peer, path: &str) -> Outcome {
    malformed(peer, &[METHOD, SCHEME, (":path", path), AUTHORITY])
}

/// `GET /` of this host.
fn bad_authority(peer: &mut Peer, authority: &str) -> Outcome {
    malformed(peer, &[METHOD, SCHEME, PATH, (":authority", authority)])
}

/// A request of these fields is served.
fn served(peer: &mut Peer, fields: &[Field]) -> Outcome {
    peer.ask(1, block(fields)).answered(1).map(drop)
}

/// A request that need not be understood.
fn declined(peer: &mut Peer, fields: &[Field]) -> Outcome {
    peer.ask(1, block(fields))
        .refused(1, &[code::PROTOCOL_ERROR, code::CANCEL, code::REFUSED_STREAM], &[4, 5])
}

pub const CASES: &[Case] = &[
    case("8.3", "pseudo-headers in any order", |peer| {
        served(peer, &[AUTHORITY, PATH, METHOD, SCHEME])
    }),
    case("8.3", "https, since a proxy may have unwrapped it", |peer| {
        peer.ask(1, block(&[METHOD, (":scheme", "https"), PATH, AUTHORITY]));
        peer.refused(1, &[code::PROTOCOL_ERROR], &[2, 3, 4])
    }),
    case("8.3", "an unknown pseudo-header", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, AUTHORITY, (":test", "a")])
    }),
    case("8.3", "a pseudo-header without a name", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, AUTHORITY, (":", "a")])
    }),
    case("8.3", "an upper-case pseudo-header", |peer| {
        malformed(peer, &[(":Method", "GET"), SCHEME, PATH, AUTHORITY])
    }),
    case("8.3", "a response's pseudo-header", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")])
    }),
    case("8.3", ":path after a field", |peer| {
        malformed(peer, &[METHOD, SCHEME, AUTHORITY, ("x-test", "a"), PATH])
    }),
    case("8.3", ":authority after a field", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, ("x-test", "a"), AUTHORITY])
    }),
    case("8.3", ":method after a field", |peer| {
        malformed(peer, &[SCHEME, PATH, AUTHORITY, ("x-test", "a"), METHOD])
    }),
    case("8.3", ":scheme after a field", |peer| {
        malformed(peer, &[METHOD, PATH, AUTHORITY, ("x-test", "a"), SCHEME])
    }),
    case("8.3", ":method twice", |peer| {
        malformed(peer, &[METHOD, METHOD, SCHEME, PATH, AUTHORITY])
    }),
    case("8.3", ":scheme twice", |peer| {
        malformed(peer, &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY])
    }),
    case("8.3", ":path twice", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, PATH, AUTHORITY])
    }),
    case("8.3", ":authority twice", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY])
    }),
    case("8.3.1", "no :method", |peer| {
        malformed(peer, &[SCHEME, PATH, AUTHORITY])
    }),
    case("8.3.1", "no :scheme", |peer| {
        malformed(peer, &[METHOD, PATH, AUTHORITY])
    }),
    case("8.3.1", "no :path", |peer| {
        malformed(peer, &[METHOD, SCHEME, AUTHORITY])
    }),
    case("8.3.1", "an empty :method", |peer| {
        malformed(peer, &[(":method", ""), SCHEME, PATH, AUTHORITY])
    }),
    case("8.3.1", "an empty :scheme", |peer| {
        malformed(peer, &[METHOD, (":scheme", ""), PATH, AUTHORITY])
    }),
    case("8.3.1", "an empty :path", |peer| bad_path(peer, "")),
    case("8.3.1", "a :method that is no token", |peer| {
        malformed(peer, &[(":method", "GE T"), SCHEME, PATH, AUTHORITY])
    }),
    case("8.3.1", "a line's end in :method", |peer| {
        malformed(
            peer,
            &[(":method", "GET / HTTP/1.1\r\nx: y\r\n\r\n"), SCHEME, PATH, AUTHORITY],
        )
    }),
    case("8.3.1", "a :scheme that is none", |peer| {
        malformed(peer, &[METHOD, (":scheme", "ht tp"), PATH, AUTHORITY])
    }),
    case("8.3.1", "a :scheme that is not served", |peer| {
        peer.ask(1, block(&[METHOD, (":scheme", "ftp"), PATH, AUTHORITY]));
        peer.refused(1, &[code::PROTOCOL_ERROR, code::REFUSED_STREAM], &[2, 4, 5])
    }),
    case("8.3.1", "a :path without a slash", |peer| bad_path(peer, "index")),
    case("8.3.1", "a space in :path", |peer| bad_path(peer, "/a b")),
    case("8.3.1", "a line's end in :path", |peer| {
        bad_path(peer, "/ HTTP/1.1\r\nx: y\r\n\r\n")
    }),
    case("8.3.1", "NUL in :path", |peer| bad_path(peer, "/\0")),
    case("8.3.1", "* in :path of GET", |peer| bad_path(peer, "*")),
    case("8.3.1", "a whole URI in :path", |peer| {
        bad_path(peer, "http://example.test/")
    }),
    case("8.3.1", "* in :path of OPTIONS", |peer| {
        peer.ask(1, request("OPTIONS", "*")).refused(1, &[], &[2, 4, 5])
    }),
    case("8.3.1", "OPTIONS of a path", |peer| {
        peer.ask(1, request("OPTIONS", "/")).refused(1, &[], &[2, 4, 5])
    }),
    case("8.3.1", "a query", |peer| {
        peer.get(1, "/?a=b&c=%20d").answered(1).map(drop)
    }),
    case("8.3.1", "an unknown method", |peer| {
        peer.ask(1, request("FROB", "/")).refused(1, &[], &[2, 4, 5])
    }),
    case("8.3.1", "Host alone", |peer| {
        served(peer, &[METHOD, SCHEME, PATH, ("host", "example.test")])
    }),
    case("8.3.1", "Host that equals :authority", |peer| {
        served(peer, &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "example.test")])
    }),
    case("8.3.1", "Host that differs from :authority", |peer| {
        peer.ask(1, get_with(&[("host", "other.test")])).malformed(1)
    }),
    case("8.3.1", "Host twice", |peer| {
        malformed(
            peer,
            &[METHOD, SCHEME, PATH, ("host", "example.test"), ("host", "other.test")],
        )
    }),
    case("8.3.1", "neither Host nor :authority", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH])
    }),
    case("8.3.1", "an empty :authority", |peer| bad_authority(peer, "")),
    case("8.3.1", "an empty Host", |peer| {
        malformed(peer, &[METHOD, SCHEME, PATH, ("host", "")])
    }),
    case("8.3.1", "a user in :authority", |peer| {
        bad_authority(peer, "user@example.test")
    }),
    case("8.3.1", "a space in :authority", |peer| {
        bad_authority(peer, "example.test other")
    }),
    case("8.3.1", "a path in :authority", |peer| {
        bad_authority(peer, "example.test/a")
    }),
    case("8.3.1", "a line's end in :authority", |peer| {
        bad_authority(peer, "example.test\r\nx: y")
    }),
    case("8.3.1", "a port in :authority", |peer| {
        served(peer, &[METHOD, SCHEME, PATH, (":authority", "example.test:80")])
    }),
    case("8.3.1", "octets in :path that are not ASCII", |peer| {
        let fields = [
            block(&[METHOD, SCHEME, AUTHORITY]),
            literal(PLAIN, ":path", b"/\xc3\xbc\xff"),
        ]
        .concat();
        peer.ask(1, fields).refused(1, &[code::PROTOCOL_ERROR], &[2, 4])
    }),
    case("8.5", "CONNECT", |peer| {
        declined(peer, &[(":method", "CONNECT"), (":authority", "example.test:443")])
    }),
    case("8.5", "CONNECT with :path", |peer| {
        declined(
            peer,
            &[(":method", "CONNECT"), PATH, (":authority", "example.test:443")],
        )
    }),
    case("8.5", "CONNECT with :scheme and :path", |peer| {
        declined(
            peer,
            &[(":method", "CONNECT"), SCHEME, PATH, (":authority", "example.test:443")],
        )
    }),
    case("8.5", "CONNECT without :authority", |peer| {
        declined(peer, &[(":method", "CONNECT")])
    }),
    case("RFC 8441 3", ":protocol without leave", |peer| {
        declined(
            peer,
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                SCHEME,
                PATH,
                AUTHORITY,
            ],
        )
    }),
    case("RFC 8441 3", ":protocol with GET", |peer| {
        malformed(peer, &[METHOD, (":protocol", "websocket"), SCHEME, PATH, AUTHORITY])
    }),
    case("8.5", "DATA of a refused CONNECT", |peer| {
        let block = block(&[(":method", "CONNECT"), (":authority", "example.test:443")]);
        peer.send(Frame::headers(1, block)).send(Frame::data(1, *b"abc"));
        peer.refused(
            1,
            &[code::PROTOCOL_ERROR, code::CANCEL, code::REFUSED_STREAM, code::NO_ERROR],
            &[4, 5],
        )
    }),
];
