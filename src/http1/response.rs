//! An origin's response head (RFC 9112 4 to 6), read as strictly as a request's: a response that two readers cut in different places
//! hands one client's bytes to another.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::head::{self, Coding, End, MAX_FIELDS, Version};

/// How long a response's body is (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// As the chunks say.
    Chunked,
    /// Until the origin closes the connection; that it was cut short cannot be known.
    UntilClose,
}

/// A response head that can be read in one way only.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The version.
    pub version: Version,
    /// The fields, hop-by-hop ones too; the values share one copy of the head. `Content-Length` is there at most once.
    pub fields: HeaderMap,
    /// How long the body is.
    pub framing: ResponseFraming,
    /// Whether the connection can be used again after the body (RFC 9112 9.3).
    pub keep_alive: bool,
}

/// Why a response head cannot be used; always the origin's fault and worth a `502`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// Not an HTTP/1.0 or HTTP/1.1 status line.
    StatusLine,
    /// A line ends with LF instead of CRLF.
    BareLf,
    /// A field line is malformed or folded.
    FieldLine,
    /// More than [`MAX_FIELDS`] field lines.
    TooManyFields,
    /// More bytes than the caller allows.
    HeadTooLarge,
    /// `Content-Length` is no number, or several different ones.
    ContentLength,
    /// `Content-Length` together with `Transfer-Encoding`.
    LengthAndCoding,
    /// `Transfer-Encoding` is a compression, or could be read in several ways, or stands in HTTP/1.0.
    TransferCoding,
    /// A `1xx` that announces a body.
    InterimBody,
}

impl ResponseFault {
    /// A short token for logs and `Proxy-Status`.
    pub fn detail(self) -> &'static str {
        match self {
            ResponseFault::StatusLine => "status-line",
            ResponseFault::BareLf => "bare-lf",
            ResponseFault::FieldLine => "field-line",
            ResponseFault::TooManyFields => "too-many-fields",
            ResponseFault::HeadTooLarge => "head-too-large",
            ResponseFault::ContentLength => "content-length",
            ResponseFault::LengthAndCoding => "length-and-coding",
            ResponseFault::TransferCoding => "transfer-coding",
            ResponseFault::InterimBody => "interim-body",
        }
    }
}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the origin's response head is not valid ({})", self.detail())
    }
}

impl std::error::Error for ResponseFault {}

/// Reads the response head at the start of `buf`: the head and how many bytes it took, or `None` if more are needed.
pub fn parse_response(
    buf: &[u8],
    method_was_head: bool,
    max_head: usize,
) -> Result<Option<(ResponseHead, usize)>, ResponseFault> {
    // An origin that speaks something else is not waited for.
    if !buf.iter().zip(b"HTTP/1.").all(|(got, expected)| got == expected) {
        return Err(ResponseFault::StatusLine);
    }
    let searched = &buf[..buf.len().min(max_head)];
    let end = match head::find_end(searched, 0) {
        End::At(end) => end,
        End::BareLf(_) => return Err(ResponseFault::BareLf),
        End::Unseen if searched.len() < max_head => return Ok(None),
        End::Unseen => return Err(ResponseFault::HeadTooLarge),
    };
    let block = Bytes::copy_from_slice(&buf[..end]);
    let (status, version, mut fields) = parse_block(&block)?;
    let framing = frame(status, version, &mut fields)?;
    let has_body = !(method_was_head || status.is_informational() || matches!(status.as_u16(), 204 | 304));
    // RFC 9110 6.4.1, 15.3.5, 15.4.5. A 204 that announces bytes against RFC 9110 8.6 may well send them: nothing is to follow it.
    let dangling = status == StatusCode::NO_CONTENT
        && !matches!(framing, ResponseFraming::Length(0) | ResponseFraming::UntilClose);
    let coded = fields.contains_key(TRANSFER_ENCODING) && framing == ResponseFraming::UntilClose;
    let endless = has_body && framing == ResponseFraming::UntilClose || coded;
    let options = fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| head::list(value.as_bytes()));
    let keep_alive = head::keeps_alive(version, options) && !dangling && !endless;
    let framing = if has_body { framing } else { ResponseFraming::None };
    Ok(Some((
        ResponseHead {
            status,
            version,
            fields,
            framing,
            keep_alive,
        },
        end,
    )))
}

fn parse_block(block: &Bytes) -> Result<(StatusCode, Version, HeaderMap), ResponseFault> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, block, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len == block.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(ResponseFault::TooManyFields),
        Ok(_) | Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err(ResponseFault::FieldLine);
        }
        Err(_) => return Err(ResponseFault::StatusLine),
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(ResponseFault::StatusLine);
    };
    let status = StatusCode::from_u16(code).map_err(|_| ResponseFault::StatusLine)?;
    let fields = head::field_map(block, parsed.headers.iter()).ok_or(ResponseFault::FieldLine)?;
    Ok((status, Version::of_minor(minor), fields))
}

/// The framing that the fields announce (RFC 9112 6.3, 4 to 8), body or not, so that a wrong one is found out in any answer.
fn frame(status: StatusCode, version: Version, fields: &mut HeaderMap) -> Result<ResponseFraming, ResponseFault> {
    let length = content_length(fields)?;
    let framing = if fields.contains_key(TRANSFER_ENCODING) {
        if length.is_some() {
            return Err(ResponseFault::LengthAndCoding);
        }
        let mut values = fields.get_all(TRANSFER_ENCODING).iter();
        let only = values.next().filter(|_| values.next().is_none());
        match head::coding(only.map(HeaderValue::as_bytes)) {
            // RFC 9112 6.1: no coding in HTTP/1.0.
            _ if version == Version::Http10 => return Err(ResponseFault::TransferCoding),
            Coding::Chunked => ResponseFraming::Chunked,
            // RFC 9112 6.3: without chunked the body ends with the connection. RFC 9112 7.4 forbids any coding but chunked
            // that was not asked for, and none was: so the field is untrue, and the bytes are what they are.
            Coding::Unknown => ResponseFraming::UntilClose,
            // These may well be what the field says, and nobody undoes them.
            Coding::Unsupported | Coding::Ambiguous => return Err(ResponseFault::TransferCoding),
        }
    } else {
        length.map_or(ResponseFraming::UntilClose, ResponseFraming::Length)
    };
    match framing {
        // RFC 9112 6.1, RFC 9110 8.6: the bytes would be read as the final response.
        ResponseFraming::Chunked | ResponseFraming::Length(1..) if status.is_informational() => {
            Err(ResponseFault::InterimBody)
        }
        _ if status.is_informational() && fields.contains_key(TRANSFER_ENCODING) => Err(ResponseFault::InterimBody),
        framing => Ok(framing),
    }
}

/// RFC 9110 8.6: repetitions of one number are that number, and are made one here; anything else is a fault.
pub fn content_length(fields: &mut HeaderMap) -> Result<Option<u64>, ResponseFault> {
    let mut length = None;
    let mut elements = 0;
    for value in fields.get_all(CONTENT_LENGTH) {
        for element in value.as_bytes().split(|byte| *byte == b',') {
            let number = head::decimal(element.trim_ascii()).ok_or(ResponseFault::ContentLength)?;
            if *length.get_or_insert(number) != number {
                return Err(ResponseFault::ContentLength);
            }
            elements += 1;
        }
    }
    if let (Some(length), 2..) = (length, elements) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
