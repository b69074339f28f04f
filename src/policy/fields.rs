//! The field lines of a request, borrowed from wherever they were received.

use super::list;

/// One field line: the name in any case, the value without surrounding whitespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field name as received.
    pub name: &'a [u8],
    /// The field value as received.
    pub value: &'a [u8],
}

macro_rules! known_fields {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// The request fields that Verge reads itself; each is found once, when a head is taken in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Known { $(#[doc = concat!("`", $name, "`")] $variant),* }

        impl Known {
            /// How many there are.
            pub const COUNT: usize = [$(Known::$variant),*].len();

            /// The field's name in lower case.
            pub fn name(self) -> &'static str {
                match self { $(Known::$variant => $name),* }
            }

            /// The known field of this name, in any case.
            pub fn of(name: &[u8]) -> Option<Known> {
                $(const _: () = assert!($name.len() < 32);)*
                // Length and first letter tell nearly all of them apart, so mostly one comparison is made.
                $(if name.len() == $name.len() && name[0] | 0x20 == $name.as_bytes()[0]
                    && name.eq_ignore_ascii_case($name.as_bytes()) { return Some(Known::$variant); })*
                None
            }
        }
    };
}

known_fields! {
    AcceptEncoding = "accept-encoding",
    Authorization = "authorization",
    CacheControl = "cache-control",
    CdnLoop = "cdn-loop",
    Connection = "connection",
    ContentLength = "content-length",
    Cookie = "cookie",
    Expect = "expect",
    Host = "host",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    KeepAlive = "keep-alive",
    MaxForwards = "max-forwards",
    Pragma = "pragma",
    Range = "range",
    Te = "te",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    Via = "via",
}

const ABSENT: u8 = u8::MAX;

/// A request's field lines, in order, with the known ones indexed. Holds at most 255 lines.
#[derive(Clone, Copy, Debug)]
pub struct RequestFields<'a> {
    lines: &'a [Field<'a>],
    first: [u8; Known::COUNT],
}

impl<'a> RequestFields<'a> {
    /// Indexes `lines`; those beyond the 255th are not seen, so a transport must bound their number below that.
    pub fn new(lines: &'a [Field<'a>]) -> Self {
        debug_assert!(lines.len() < ABSENT as usize);
        let mut first = [ABSENT; Known::COUNT];
        for (i, line) in lines.iter().take(ABSENT as usize).enumerate() {
            if let Some(known) = Known::of(line.name)
                && first[known as usize] == ABSENT
            {
                first[known as usize] = i as u8;
            }
        }
        RequestFields { lines, first }
    }

    /// All field lines in the order received.
    pub fn lines(&self) -> &'a [Field<'a>] {
        self.lines
    }

    /// Whether the field was sent at all.
    pub fn has(&self, known: Known) -> bool {
        self.first[known as usize] != ABSENT
    }

    /// The value of every line of this name, in order.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let from = match self.first[known as usize] {
            ABSENT => self.lines.len(),
            at => at as usize,
        };
        named(&self.lines[from..], known.name())
    }

    /// The value, if the field was sent in exactly one line.
    pub fn only(&self, known: Known) -> Option<&'a [u8]> {
        let mut values = self.all(known);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Whether the one who asks takes trailer fields (RFC 9110 10.1.4).
    pub fn takes_trailers(&self) -> bool {
        let is_trailers = |member: &[u8]| member.eq_ignore_ascii_case(b"trailers");
        self.all(Known::Te).flat_map(list::members).any(is_trailers)
    }

    /// The value of every line of the field called `name` (any case), in order; for names known only at run time, as in `Vary`.
    pub fn named<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        named(self.lines, name)
    }
}

fn named<'a, 'n>(lines: &'a [Field<'a>], name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    lines
        .iter()
        .filter(move |line| line.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|line| line.value)
}

/// Field lines that own their bytes, for a request that outlives the buffer it was read into.
#[derive(Clone, Debug, Default)]
pub struct OwnedFields {
    bytes: Vec<u8>,
    /// Where each line's name and value end in `bytes`.
    ends: Vec<(u32, u32)>,
}

impl OwnedFields {
    /// A copy of `fields`.
    pub fn new(fields: &RequestFields<'_>) -> Self {
        let size = fields.lines.iter().map(|line| line.name.len() + line.value.len()).sum();
        let mut owned = OwnedFields {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(fields.lines.len()),
        };
        for line in fields.lines {
            owned.bytes.extend_from_slice(line.name);
            let name_end = owned.bytes.len() as u32;
            owned.bytes.extend_from_slice(line.value);
            owned.ends.push((name_end, owned.bytes.len() as u32));
        }
        owned
    }

    /// Lends the fields.
    pub fn with<R>(&self, lend: impl FnOnce(&RequestFields<'_>) -> R) -> R {
        let mut from = 0;
        let lines: smallvec::SmallVec<[Field<'_>; 32]> = self
            .ends
            .iter()
            .map(|&(name_end, end)| {
                let name = &self.bytes[from..name_end as usize];
                from = end as usize;
                Field {
                    name,
                    value: &self.bytes[name_end as usize..from],
                }
            })
            .collect();
        lend(&RequestFields::new(&lines))
    }
}
