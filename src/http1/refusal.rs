use std::fmt;

macro_rules! refusals {
    ($($(#[$note:meta])* $variant:ident = $status:literal $detail:literal $reason:literal;)*) => {
        /// Why a request is refused. It is the client's fault, and the connection is not used further: where the next request starts is unknown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal { $(#[doc = $reason] $(#[$note])* $variant),* }

        impl Refusal {
            /// All of them.
            pub const ALL: &[Refusal] = &[$(Refusal::$variant),*];

            /// The status to answer with.
            pub fn status(self) -> u16 {
                match self { $(Refusal::$variant => $status),* }
            }

            /// A short token for logs and `Proxy-Status`.
            pub fn detail(self) -> &'static str {
                match self { $(Refusal::$variant => $detail),* }
            }

            /// One sentence for people.
            pub fn reason(self) -> &'static str {
                match self { $(Refusal::$variant => $reason),* }
            }
        }
    };
}

refusals! {
    BareLf = 400 "bare-lf" "A line ends with LF instead of CRLF.";
    RequestLine = 400 "request-line" "The request line is not a method, a target and a version with single spaces between them.";
    Method = 400 "method" "The method is not a token.";
    MethodTooLong = 501 "method-too-long" "The method is longer than any that is implemented.";
    Target = 400 "target" "The request target is not one that the method may have.";
    TargetTooLong = 414 "target-too-long" "The request line is too long.";
    Version = 505 "version" "Only HTTP/1.0 and HTTP/1.1 are spoken here.";
    FieldLine = 400 "field-line" "A field line is malformed.";
    TooManyFields = 431 "too-many-fields" "There are too many field lines.";
    HeadTooLarge = 431 "head-too-large" "The head is too large.";
    NoHost = 400 "no-host" "The Host field is missing.";
    SeveralHosts = 400 "several-hosts" "There is more than one Host field.";
    BadHost = 400 "bad-host" "The Host field is not a host with an optional port.";
    HostMismatch = 400 "host-mismatch" "The request target and the Host field name different hosts.";
    ContentLength = 400 "content-length" "Content-Length is not one number.";
    LengthAndCoding = 400 "length-and-coding" "Content-Length and Transfer-Encoding exclude each other.";
    TransferCoding = 400 "transfer-coding" "Transfer-Encoding is not exactly chunked.";
    UnsupportedCoding = 501 "unsupported-coding" "The only transfer coding that is implemented is chunked.";
    CodingInHttp10 = 400 "coding-in-http10" "HTTP/1.0 has no Transfer-Encoding.";
    Connection = 400 "connection" "The Connection field is malformed or names a field that is meant for the recipient.";
    Expectation = 417 "expectation" "The only expectation that can be met is 100-continue.";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}
