//! A client's request head (RFC 9112 2 to 6), read strictly.

use std::mem::MaybeUninit;

use super::head::{self, End, MAX_FIELDS, Version};
use super::judge::judge;
pub use super::refusal::Refusal;
pub use super::storage::HeadStorage;
use crate::policy::fields::RequestFields;

/// The most bytes in a request head.
pub const MAX_HEAD: usize = 32 * 1024;

/// The longest method that is taken.
const MAX_METHOD: usize = 32;

/// How long a request's body is (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// As the chunks say.
    Chunked,
}

/// A request head that can be read in one way only.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// A token of at most 32 bytes.
    pub method: &'a str,
    /// The target as received, in a form that the method may have; for [`Target::new`](crate::target::Target::new).
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// The field lines.
    pub fields: RequestFields<'a>,
    /// How long the body is, whatever the method.
    pub framing: Framing,
    /// Whether the client means to send another request on the connection (RFC 9112 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 10.1.1).
    pub expects_continue: bool,
    /// The valid host, as received, that the request is addressed to: the target's if it has one, else `Host`'s. HTTP/1.0 may have none.
    pub host_value: Option<&'a str>,
}

/// Whether enough of a head has arrived for [`parse_request`] to judge it, and where that is: past the empty line, past a bare LF, or at
/// [`MAX_HEAD`]. `from` is how much an earlier call has seen, so that slow bytes are not looked at again and again.
pub fn find_head_end(buf: &[u8], from: usize) -> Option<usize> {
    match head::find_end(&buf[..buf.len().min(MAX_HEAD)], from) {
        End::At(end) | End::BareLf(end) => Some(end),
        End::Unseen => (buf.len() >= MAX_HEAD).then_some(MAX_HEAD),
    }
}

/// Reads the request head at the start of `buf`: the head and how many bytes it took, or `None` if more are needed. Allocates nothing.
pub fn parse_request<'s, 'b: 's>(
    buf: &'b [u8],
    storage: &'s mut HeadStorage<'b>,
) -> Result<Option<(RequestHead<'s>, usize)>, Refusal> {
    // RFC 9112 2.2: one empty line before the request line is an old client's slip; more are not.
    let start = if buf.starts_with(b"\r\n") { 2 } else { 0 };
    let within = &buf[start..buf.len().min(MAX_HEAD)];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = parsed.parse_with_uninit_headers(within, &mut headers);
    let (Ok(httparse::Status::Complete(len)), Some(method), Some(target), Some(minor)) =
        (outcome, parsed.method, parsed.path, parsed.version)
    else {
        return refuse_or_wait(buf, start, outcome);
    };
    // Where httparse is more lenient than this module.
    if method.len() > MAX_METHOD || matches!(within[0], b'\r' | b'\n') || head::has_bare_lf(&within[..len]) {
        return refuse_or_wait(buf, start, outcome);
    }
    let fields = RequestFields::new(storage.fill(parsed.headers));
    let head = judge(method, target, Version::of_minor(minor), fields)?;
    Ok(Some((head, start + len)))
}

/// What to say of bytes that are no head: nothing yet, or why they never will be. The answer is the same for every longer piece of the stream.
fn refuse_or_wait<T>(buf: &[u8], start: usize, outcome: httparse::Result<usize>) -> Result<Option<T>, Refusal> {
    if buf == b"\r" {
        return Ok(None);
    }
    check_method(&buf[start..])?;
    let within = &buf[..buf.len().min(MAX_HEAD)];
    match (head::find_end(within, start), outcome) {
        (End::At(_), Err(error)) => Err(refusal_for(error, &buf[start..])),
        (End::At(_), Ok(_)) => Err(Refusal::FieldLine),
        (End::BareLf(_), _) => Err(Refusal::BareLf),
        (End::Unseen, _) if within.len() < MAX_HEAD => Ok(None),
        // RFC 9112 3 and RFC 6585 5: which of the two was too long.
        (End::Unseen, _) if memchr::memchr(b'\n', &within[start..]).is_none() => Err(Refusal::TargetTooLong),
        (End::Unseen, _) => Err(Refusal::HeadTooLarge),
    }
}

/// Judges the method as its bytes arrive, so that a peer that speaks another protocol is not waited for.
fn check_method(line: &[u8]) -> Result<(), Refusal> {
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => return Err(Refusal::RequestLine),
            b' ' if at > 0 => return Ok(()),
            _ if !head::is_token_byte(*byte) => return Err(Refusal::Method),
            // RFC 9112 3: longer than any that is implemented.
            _ if at == MAX_METHOD => return Err(Refusal::MethodTooLong),
            _ => {}
        }
    }
    Ok(())
}

fn refusal_for(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::FieldLine,
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version if names_a_version(head) => Refusal::Version,
        _ => Refusal::RequestLine,
    }
}

/// Whether the request line ends with an `HTTP-version` (RFC 9112 2.3), though not with one of ours; HTTP/2's preface does (RFC 9113 3.4).
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or(head);
    let version = line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or(b"");
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fields::Field;

    // Each refusal is in integration/hostile/heads.txt; here is what is understood.
    fn read<T>(text: &str, look: impl FnOnce(RequestHead<'_>, usize) -> T) -> T {
        let mut storage = HeadStorage::new();
        let (head, len) = parse_request(text.as_bytes(), &mut storage).unwrap().unwrap();
        look(head, len)
    }

    #[test]
    fn understood() {
        let text =
            "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nA:\t b c \r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc";
        read(text, |head, len| {
            assert_eq!(&text[len..], "abc");
            assert_eq!((head.method, head.target, head.host_value), ("POST", "/a?b", Some("x")));
            assert_eq!((head.version, head.framing), (Version::Http11, Framing::Length(3)));
            assert!(head.keep_alive && head.expects_continue);
            assert_eq!(
                head.fields.lines()[1],
                Field {
                    name: b"A",
                    value: b"b c"
                }
            );
        });
    }

    #[test]
    fn connections() {
        let cases = [
            ("1.1", "", true),
            ("1.1", "Connection: Close\r\n", false),
            ("1.1", "Connection: upgrade\r\nConnection: , close\r\n", false),
            ("1.1", "Connection: keep-alive, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: foo, Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ];
        for (version, fields, keep_alive) in cases {
            let text = format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
            read(&text, |head, _| assert_eq!(head.keep_alive, keep_alive, "{text}"));
        }
    }

    #[test]
    fn hosts_and_framing() {
        let cases = [
            ("GET http://X/ HTTP/1.1\r\nHost: x\r\n\r\n", Some("X"), Framing::None),
            ("GET http://x/ HTTP/1.0\r\n\r\n", Some("x"), Framing::None),
            ("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", None, Framing::None),
            ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Some("x"), Framing::None),
            ("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", Some("x:1"), Framing::None),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
                Some("x"),
                Framing::Chunked,
            ),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                Some("x"),
                Framing::Length(0),
            ),
        ];
        for (text, host, framing) in cases {
            read(text, |head, _| {
                assert_eq!(
                    (head.host_value, head.framing, head.expects_continue),
                    (host, framing, false),
                    "{text}"
                );
            });
        }
    }

    #[test]
    fn ends_of_heads() {
        let cases: [(&[u8], usize, Option<usize>); 6] = [
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 0, Some(24)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 23, Some(24)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\r", 0, None),
            (b"\r\nGET / HTTP/1.1\r\n", 0, None),
            (b"GET / HTTP/1.1\nA: b", 0, Some(15)),
            (b"", 9, None),
        ];
        for (bytes, from, end) in cases {
            assert_eq!(
                find_head_end(bytes, from),
                end,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
        assert_eq!(find_head_end(&[b'a'; MAX_HEAD], 0), Some(MAX_HEAD));
        assert_eq!(find_head_end(&[b'a'; MAX_HEAD - 1], 0), None);
    }

    #[test]
    fn largest_head() {
        let lines = "a: b\r\n".repeat(MAX_FIELDS - 1);
        let small = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let wide = format!("{}: {}", &small[..small.len() - 5], "b".repeat(MAX_HEAD));
        let exact = format!("{}\r\n\r\n", &wide[..MAX_HEAD - 4]);
        for text in [small, exact] {
            read(&text, |head, len| {
                assert_eq!((head.fields.lines().len(), len), (MAX_FIELDS, text.len()))
            });
        }
    }
}
