//! Field blocks (RFC 7541): written as plainly as can be, or wrongly on purpose; read as a decoder must.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::huffman;

/// A field to be sent.
pub type Field<'a> = (&'a str, &'a str);

/// The least of a request.
pub const GET: [Field; 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "example.test"),
];

/// A request with a body.
pub const POST: [Field; 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "example.test"),
];

/// Literal with incremental indexing (RFC 7541 6.2.1).
pub const INDEXED: u8 = 0x40;
/// Literal without indexing (RFC 7541 6.2.2).
pub const PLAIN: u8 = 0x00;
/// Literal never indexed (RFC 7541 6.2.3).
pub const NEVER: u8 = 0x10;

/// The dynamic table's size until SETTINGS say otherwise, and the static table's length.
pub const TABLE_SIZE: usize = 4096;
/// The first index of the dynamic table (RFC 7541 2.3.3).
pub const FIRST_DYNAMIC: usize = STATIC.len() + 1;

/// These fields, without use of any table.
pub fn block(fields: &[Field]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| literal(PLAIN, name, value))
        .collect()
}

/// `GET path`.
pub fn get(path: &str) -> Vec<u8> {
    request("GET", path)
}

/// A request that is never answered, for a resource that nobody else asks for.
pub fn slow() -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    get(&format!("/slow?{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// `method path`.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "example.test"),
    ])
}

/// `GET /` with more fields.
pub fn get_with(more: &[Field]) -> Vec<u8> {
    [block(&GET), block(more)].concat()
}

/// `POST /` with more fields.
pub fn post_with(more: &[Field]) -> Vec<u8> {
    [block(&POST), block(more)].concat()
}

/// A field with a new name, in one of the literal forms.
pub fn literal(form: u8, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![form], string(name), string(value)].concat()
}

/// A field with the name at this index, in one of the literal forms.
pub fn literal_at(form: u8, index: usize, value: impl AsRef<[u8]>) -> Vec<u8> {
    let prefix = if form == INDEXED { 6 } else { 4 };
    [integer(form, prefix, index), string(value)].concat()
}

/// The field at this index (RFC 7541 6.1).
pub fn indexed(index: usize) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// A change of the dynamic table's size (RFC 7541 6.3).
pub fn table_size(size: usize) -> Vec<u8> {
    integer(0x20, 5, size)
}

/// A number below the bits of a form (RFC 7541 5.1).
pub fn integer(form: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![form | value as u8];
    }
    let (mut octets, mut rest) = (vec![form | most as u8], value - most);
    while rest >= 128 {
        octets.push(rest as u8 | 128);
        rest >>= 7;
    }
    octets.push(rest as u8);
    octets
}

/// A string as it is (RFC 7541 5.2).
pub fn string(octets: impl AsRef<[u8]>) -> Vec<u8> {
    [&integer(0, 7, octets.as_ref().len())[..], octets.as_ref()].concat()
}

/// A string in Huffman's code.
pub fn huffman_string(text: &str) -> Vec<u8> {
    huffman_octets(&huffman::encode(text.bytes().map(usize::from)))
}

/// Octets called a string in Huffman's code.
pub fn huffman_octets(octets: &[u8]) -> Vec<u8> {
    [&integer(0x80, 7, octets.len())[..], octets].concat()
}

/// What reads the server's field blocks.
pub struct Table {
    dynamic: VecDeque<(String, String)>,
    size: usize,
    max: usize,
    /// What our SETTINGS allow.
    limit: usize,
}

impl Table {
    pub fn new() -> Table {
        Table {
            dynamic: VecDeque::new(),
            size: 0,
            max: TABLE_SIZE,
            limit: TABLE_SIZE,
        }
    }

    /// The server has acknowledged this size; from now on its blocks must keep to it (RFC 7541 4.2).
    pub fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The fields of a block.
    pub fn read(&mut self, mut block: &[u8]) -> Result<Vec<(String, String)>, String> {
        let mut fields = Vec::new();
        while let Some(&first) = block.first() {
            if first & 0xe0 == 0x20 {
                if !fields.is_empty() {
                    return Err("the server changes the table's size within a field block".to_owned());
                }
                self.resize(number(&mut block, 5)?)?;
                continue;
            }
            if self.max > self.limit {
                return Err(format!(
                    "the server uses a table of {} after {} was agreed",
                    self.max, self.limit
                ));
            }
            fields.push(self.field(first, &mut block)?);
        }
        Ok(fields)
    }

    fn field(&mut self, first: u8, block: &mut &[u8]) -> Result<(String, String), String> {
        if first & 0x80 != 0 {
            let index = number(block, 7)?;
            return self.at(index);
        }
        let index = number(block, if first & 0x40 != 0 { 6 } else { 4 })?;
        let name = if index == 0 { text(block)? } else { self.at(index)?.0 };
        let field = (name, text(block)?);
        if first & 0x40 != 0 {
            self.size += cost(&field);
            self.dynamic.push_front(field.clone());
            self.evict();
        }
        Ok(field)
    }

    fn at(&self, index: usize) -> Result<(String, String), String> {
        let index = index.checked_sub(1).ok_or("the server sent index 0")?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok(((*name).to_owned(), (*value).to_owned()));
        }
        let found = self.dynamic.get(index - STATIC.len()).cloned();
        found.ok_or(format!("the server sent index {}, which there is not", index + 1))
    }

    fn resize(&mut self, max: usize) -> Result<(), String> {
        if max > self.limit {
            return Err(format!("the server sets the table to {max}; {} was agreed", self.limit));
        }
        self.max = max;
        self.evict();
        Ok(())
    }

    fn evict(&mut self) {
        while self.size > self.max {
            self.size -= self.dynamic.pop_back().as_ref().map_or(self.size, cost);
        }
    }
}

/// What an entry counts in the table (RFC 7541 4.1).
fn cost((name, value): &(String, String)) -> usize {
    name.len() + value.len() + 32
}

fn number(block: &mut &[u8], prefix: u32) -> Result<usize, String> {
    let mut octet = || {
        let (first, rest) = block.split_first().ok_or("the server's field block ends early")?;
        *block = rest;
        Ok::<usize, String>((*first).into())
    };
    let most = (1 << prefix) - 1;
    let mut value = octet()? & most;
    if value < most {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let next = octet()?;
        value += (next & 127) << shift;
        if next < 128 {
            return Ok(value);
        }
    }
    Err("the server sent a number of many octets".to_owned())
}

fn text(block: &mut &[u8]) -> Result<String, String> {
    let huffman = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = number(block, 7)?;
    let (octets, rest) = block.split_at_checked(length).ok_or("the server's string ends early")?;
    *block = rest;
    let octets = if huffman {
        huffman::decode(octets)?
    } else {
        octets.to_vec()
    };
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// RFC 7541, Appendix A.
const STATIC: [Field; 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
