//! HTTP/1.1 messages as a strict peer reads them: what is not as the RFC says is an error, never a guess.

use std::io::{BufRead, BufReader, ErrorKind, Read};

/// Nobody sends larger heads here.
const MAX_HEAD: usize = 64 * 1024;

/// What a peer can see go wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection ended before a byte of it came.
    Closed,
    /// It ended within the message, after so many bytes of the body.
    Cut(usize),
    /// It was reset.
    Reset,
    /// The bytes are not HTTP.
    Malformed(String),
}

/// The first line and the fields of a message.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The request line or the status line.
    pub first: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// All values of the field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that stands there at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [] => None,
            [value] => Some(value),
            more => panic!("{name} stands there {} times: {more:?}", more.len()),
        }
    }

    /// The `index`th word of the first line.
    pub fn word(&self, index: usize) -> &str {
        self.first.splitn(3, ' ').nth(index).unwrap_or("")
    }
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// How the body that follows `head` is delimited; `unsaid` where neither field is there (RFC 9112 6.3).
pub fn framing(head: &Head, unsaid: Framing) -> Result<Framing, Trouble> {
    match (
        head.all("transfer-encoding").as_slice(),
        head.all("content-length").as_slice(),
    ) {
        ([], []) => Ok(unsaid),
        (["chunked"], []) => Ok(Framing::Chunked),
        ([], [length]) => match length.parse() {
            Ok(length) => Ok(Framing::Length(length)),
            Err(_) => Err(Trouble::Malformed(format!("content-length: {length}"))),
        },
        both => Err(Trouble::Malformed(format!("framed twice: {both:?}"))),
    }
}

/// Reads a head.
pub fn read_head<S: Read>(stream: &mut BufReader<S>) -> Result<Head, Trouble> {
    let mut size = 0;
    let mut head = Head {
        first: read_line(stream, &mut size)?,
        fields: Vec::new(),
    };
    loop {
        match read_line(stream, &mut size) {
            Ok(line) if line.is_empty() => return Ok(head),
            Ok(line) => head.fields.push(split_field(&line)?),
            Err(Trouble::Closed) => return Err(Trouble::Cut(0)),
            Err(trouble) => return Err(trouble),
        }
    }
}

fn split_field(line: &str) -> Result<(String, String), Trouble> {
    let malformed = || Trouble::Malformed(line.to_owned());
    let (name, value) = line.split_once(':').ok_or_else(malformed)?;
    let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let wanted = || (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned());
    token.then(wanted).ok_or_else(malformed)
}

/// A line without its CRLF; a bare LF or a NUL is an error.
fn read_line<S: Read>(stream: &mut BufReader<S>, size: &mut usize) -> Result<String, Trouble> {
    let mut line = Vec::new();
    let read = stream.take((MAX_HEAD - *size) as u64).read_until(b'\n', &mut line);
    *size += unless_late(read)?;
    if line.is_empty() {
        return Err(Trouble::Closed);
    }
    if !line.ends_with(b"\n") {
        return Err(Trouble::Cut(0));
    }
    // Bytes that are no UTF-8 stay apart from one another.
    let latin1 = |line: Vec<u8>| line.into_iter().map(char::from).collect();
    let text = String::from_utf8(line).unwrap_or_else(|error| latin1(error.into_bytes()));
    match text.strip_suffix("\r\n") {
        Some(line) if !line.contains(['\r', '\n', '\0']) => Ok(line.to_owned()),
        _ => Err(Trouble::Malformed(text)),
    }
}

/// Reads a body to its end.
pub fn read_body<S: Read>(stream: &mut BufReader<S>, framing: Framing) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => read_more(stream, &mut body, length)?,
        Framing::UntilClose => {
            unless_late(stream.read_to_end(&mut body))?;
        }
        Framing::Chunked => while read_chunk(stream, &mut body)? {},
    }
    Ok(body)
}

/// Appends exactly `length` bytes to `body`.
fn read_more<S: Read>(stream: &mut BufReader<S>, body: &mut Vec<u8>, length: usize) -> Result<(), Trouble> {
    let read = unless_late(stream.take(length as u64).read_to_end(body))?;
    if read < length {
        Err(Trouble::Cut(body.len()))
    } else {
        Ok(())
    }
}

/// Reads a chunk; `false` for the last one. The tests send no trailers and expect none.
fn read_chunk<S: Read>(stream: &mut BufReader<S>, body: &mut Vec<u8>) -> Result<bool, Trouble> {
    let cut = |trouble, body: &[u8]| match trouble {
        Trouble::Closed | Trouble::Cut(_) => Trouble::Cut(body.len()),
        trouble => trouble,
    };
    let line = read_line(stream, &mut 0).map_err(|trouble| cut(trouble, body))?;
    let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
    let size = size.ok_or_else(|| Trouble::Malformed(format!("chunk size {line:?}")))?;
    read_more(stream, body, size)?;
    match read_line(stream, &mut 0).map_err(|trouble| cut(trouble, body))? {
        end if end.is_empty() => Ok(size > 0),
        end => Err(Trouble::Malformed(format!("after a chunk: {end:?}"))),
    }
}

/// What was read; a peer that says nothing for as long as the tests wait for anything ends the test.
pub fn unless_late<T>(read: std::io::Result<T>) -> Result<T, Trouble> {
    read.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => panic!("nothing came for {:?}", super::PATIENCE),
        _ => Trouble::Reset,
    })
}
