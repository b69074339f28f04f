use super::*;

fn parse(text: &str, method_was_head: bool) -> Result<ResponseHead, ResponseFault> {
    let text = format!("{}\r\n\r\n", text.replace('|', "\r\n"));
    for cut in 0..text.len() {
        match parse_response(&text.as_bytes()[..cut], method_was_head, 4096) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("{text:?} was taken for whole at {cut}"),
            Err(fault) => return Err(fault),
        }
    }
    let (head, len) = parse_response(text.as_bytes(), method_was_head, 4096)?.unwrap();
    assert_eq!(len, text.len());
    Ok(head)
}

#[test]
fn framings() {
    use ResponseFraming::{Chunked, Length, None, UntilClose};
    let cases = [
        ("HTTP/1.1 200 OK|Content-Length: 5", false, Length(5), true),
        ("HTTP/1.1 200|Content-Length: 5", false, Length(5), true),
        (
            "HTTP/1.1 200 |Content-Length: 5|content-length: 5, 5",
            false,
            Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK|Content-Length: 5|Connection: close",
            false,
            Length(5),
            false,
        ),
        ("HTTP/1.1 200 OK|Content-Length: 5", true, None, true),
        ("HTTP/1.1 200 OK|Transfer-Encoding: Chunked", false, Chunked, true),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked", true, None, true),
        ("HTTP/1.1 200 OK", false, UntilClose, false),
        ("HTTP/1.1 200 OK", true, None, true),
        ("HTTP/1.0 200 OK|Content-Length: 5", false, Length(5), false),
        (
            "HTTP/1.0 200 OK|Content-Length: 5|Connection: Keep-Alive",
            false,
            Length(5),
            true,
        ),
        // A coding that there is none of, nor was any asked for.
        ("HTTP/1.1 200 OK|Transfer-Encoding: identity", false, UntilClose, false),
        ("HTTP/1.1 200 OK|Transfer-Encoding: nonsense", false, UntilClose, false),
        ("HTTP/1.1 200 OK|Transfer-Encoding: nonsense", true, None, false),
        (
            "HTTP/1.1 204 No Content|Transfer-Encoding: nonsense",
            false,
            None,
            false,
        ),
        ("HTTP/1.1 204 No Content", false, None, true),
        ("HTTP/1.1 204 No Content|Content-Length: 0", false, None, true),
        ("HTTP/1.1 204 No Content|Content-Length: 5", false, None, false),
        ("HTTP/1.1 204 No Content|Transfer-Encoding: chunked", false, None, false),
        ("HTTP/1.1 304 Not Modified|Content-Length: 5", false, None, true),
        ("HTTP/1.1 103 Early Hints|Link: </a>", false, None, true),
    ];
    for (text, method_was_head, framing, keep_alive) in cases {
        let head = parse(text, method_was_head).unwrap();
        assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{text}");
        assert!(head.fields.get_all(CONTENT_LENGTH).iter().count() <= 1, "{text}");
    }
}

#[test]
fn faults() {
    let cases = [
        ("HTTP/2.0 200 OK", ResponseFault::StatusLine),
        ("HTTP/1.2 200 OK", ResponseFault::StatusLine),
        ("HTTP/1.1  200 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 20 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 099 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 2000 OK", ResponseFault::StatusLine),
        ("HTTP/1.1 200 O\x01K", ResponseFault::StatusLine),
        ("|HTTP/1.1 200 OK", ResponseFault::StatusLine),
        ("<html>", ResponseFault::StatusLine),
        ("HTTP/1.1 200 OK\nA: b", ResponseFault::BareLf),
        ("HTTP/1.1 200 OK|A: b\rC: d", ResponseFault::FieldLine),
        ("HTTP/1.1 200 OK|A: b| folded", ResponseFault::FieldLine),
        ("HTTP/1.1 200 OK|A : b", ResponseFault::FieldLine),
        ("HTTP/1.1 200 OK|A: b\0", ResponseFault::FieldLine),
        ("HTTP/1.1 200 OK|A", ResponseFault::FieldLine),
        (
            "HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 6",
            ResponseFault::ContentLength,
        ),
        ("HTTP/1.1 200 OK|Content-Length: 5, 6", ResponseFault::ContentLength),
        ("HTTP/1.1 200 OK|Content-Length: 5,", ResponseFault::ContentLength),
        ("HTTP/1.1 200 OK|Content-Length: -1", ResponseFault::ContentLength),
        ("HTTP/1.1 304 OK|Content-Length: x", ResponseFault::ContentLength),
        (
            "HTTP/1.1 200 OK|Content-Length: 18446744073709551616",
            ResponseFault::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked",
            ResponseFault::LengthAndCoding,
        ),
        (
            "HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked",
            ResponseFault::TransferCoding,
        ),
        (
            "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Transfer-Encoding: chunked",
            ResponseFault::TransferCoding,
        ),
        ("HTTP/1.1 200 OK|Transfer-Encoding: gzip", ResponseFault::TransferCoding),
        (
            "HTTP/1.1 200 OK|Transfer-Encoding: xchunked",
            ResponseFault::TransferCoding,
        ),
        ("HTTP/1.1 200 OK|Transfer-Encoding: a b", ResponseFault::TransferCoding),
        ("HTTP/1.1 200 OK|Transfer-Encoding:", ResponseFault::TransferCoding),
        (
            "HTTP/1.0 200 OK|Transfer-Encoding: nonsense",
            ResponseFault::TransferCoding,
        ),
        (
            "HTTP/1.1 200 OK|Transfer-Encoding: nonsense|Content-Length: 5",
            ResponseFault::LengthAndCoding,
        ),
        (
            "HTTP/1.1 103 Early Hints|Transfer-Encoding: nonsense",
            ResponseFault::InterimBody,
        ),
        (
            "HTTP/1.0 200 OK|Transfer-Encoding: chunked",
            ResponseFault::TransferCoding,
        ),
        ("HTTP/1.1 100 Continue|Content-Length: 5", ResponseFault::InterimBody),
        (
            "HTTP/1.1 103 Early Hints|Transfer-Encoding: chunked",
            ResponseFault::InterimBody,
        ),
    ];
    for (text, fault) in cases {
        assert_eq!(parse(text, false).unwrap_err(), fault, "{text:?}");
    }
    assert_eq!(
        parse(&format!("HTTP/1.1 200 OK{}", "|a: b".repeat(101)), false).unwrap_err(),
        ResponseFault::TooManyFields
    );
    assert_eq!(
        parse(&format!("HTTP/1.1 200 OK|A: {}", "b".repeat(4096)), false).unwrap_err(),
        ResponseFault::HeadTooLarge
    );
}
