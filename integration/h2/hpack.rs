//! Field compression (RFC 7541).

use crate::fields::{
    FIRST_DYNAMIC, INDEXED, NEVER, PLAIN, TABLE_SIZE, block, get, huffman_octets, huffman_string, indexed, integer,
    literal, literal_at, string, table_size,
};
use crate::frames::{Frame, code, setting};
use crate::huffman::{self, EOS};
use crate::peer::{Outcome, Peer};
use crate::{Case, case};

/// A field block that is fine.
fn good(peer: &mut Peer, block: &[u8]) -> Outcome {
    let stream = peer.next();
    peer.ask(stream, block).answered(stream).map(drop)
}

/// A request, and after it what makes its field block wrong.
fn bad(peer: &mut Peer, end: &[u8]) -> Outcome {
    let stream = peer.next();
    peer.ask(stream, [&get("/"), end].concat())
        .connection_error(&[code::COMPRESSION_ERROR])
}

/// A request, and after it what is fine in a field block.
fn fine(peer: &mut Peer, end: &[u8]) -> Outcome {
    good(peer, &[&get("/"), end].concat())
}

/// A field whose value is these octets, said to be in Huffman's code.
fn coded(octets: &[u8]) -> Vec<u8> {
    [vec![PLAIN], string("x-test"), huffman_octets(octets)].concat()
}

/// The largest table that the server allows.
fn largest_table(peer: &Peer) -> usize {
    peer.settings
        .get(&setting::HEADER_TABLE_SIZE)
        .map_or(TABLE_SIZE, |size| *size as usize)
}

/// An entry of so many octets in the table, with a name of six.
fn entry(octets: usize) -> Vec<u8> {
    literal(INDEXED, "x-test", vec![b'a'; octets - 32 - 6])
}

pub const CASES: &[Case] = &[
    case("RFC 7541 2.3.3", "an index beyond the static table", |peer| {
        bad(peer, &indexed(FIRST_DYNAMIC))
    }),
    case("RFC 7541 2.3.3", "an index beyond the dynamic table", |peer| {
        fine(peer, &literal(INDEXED, "x-test", "a"))?;
        bad(peer, &indexed(FIRST_DYNAMIC + 1))
    }),
    case("RFC 7541 2.3.3", "an index far beyond", |peer| {
        bad(peer, &indexed(100_000))
    }),
    case("RFC 7541 2.3.3", "a name's index beyond the tables", |peer| {
        bad(peer, &literal_at(PLAIN, 70, "a"))
    }),
    case(
        "RFC 7541 2.3.3",
        "a name's index beyond the tables, to be indexed",
        |peer| bad(peer, &literal_at(INDEXED, 70, "a")),
    ),
    case(
        "RFC 7541 2.3.3",
        "a name's index beyond the tables, never to be indexed",
        |peer| bad(peer, &literal_at(NEVER, 70, "a")),
    ),
    case("RFC 7541 4.2", "a change of size after a field", |peer| {
        bad(peer, &table_size(0))
    }),
    case("RFC 7541 4.2", "a change of size between fields", |peer| {
        let middle = [table_size(100), literal(PLAIN, "x-test", "a")].concat();
        bad(peer, &middle)
    }),
    case("RFC 7541 4.2", "a change of size before the fields", |peer| {
        good(peer, &[table_size(128), get("/")].concat())?;
        good(
            peer,
            &[table_size(TABLE_SIZE.min(largest_table(peer))), get("/")].concat(),
        )
    }),
    case("RFC 7541 4.2", "two changes of size before the fields", |peer| {
        good(peer, &[table_size(0), table_size(100), get("/")].concat())
    }),
    case("RFC 7541 4.2", "a change of size in trailers", |peer| {
        peer.post(1)
            .ask(1, [table_size(0), block(&[("x-a", "b")])].concat())
            .answered(1)
            .map(drop)
    }),
    case("RFC 7541 4.3", "a smaller table forgets", |peer| {
        fine(peer, &literal(INDEXED, "x-test", "a"))?;
        good(peer, &[table_size(0), get("/")].concat())?;
        bad(peer, &indexed(FIRST_DYNAMIC))
    }),
    case(
        "RFC 7541 4.3",
        "a table made small and large again has forgotten",
        |peer| {
            fine(peer, &literal(INDEXED, "x-test", "a"))?;
            good(peer, &[table_size(0), table_size(1000), get("/")].concat())?;
            bad(peer, &indexed(FIRST_DYNAMIC))
        },
    ),
    case("RFC 7541 4.4", "a full table forgets the oldest", |peer| {
        fine(peer, &literal(INDEXED, "x-first", "a"))?;
        good(peer, &[table_size(1000), get("/")].concat())?;
        fine(peer, &entry(500))?;
        fine(peer, &entry(500))?;
        fine(peer, &indexed(FIRST_DYNAMIC + 1))?;
        bad(peer, &indexed(FIRST_DYNAMIC + 2))
    }),
    case("RFC 7541 4.4", "an entry larger than the table empties it", |peer| {
        fine(peer, &literal(INDEXED, "x-test", "a"))?;
        fine(peer, &entry(largest_table(peer).min(1 << 14) + 1))?;
        if largest_table(peer) > 1 << 14 {
            Ok(())
        } else {
            bad(peer, &indexed(FIRST_DYNAMIC))
        }
    }),
    case("RFC 7541 4.4", "an entry as large as the table", |peer| {
        good(peer, &[table_size(1000), get("/")].concat())?;
        fine(peer, &entry(1000))?;
        fine(peer, &indexed(FIRST_DYNAMIC))?;
        bad(peer, &indexed(FIRST_DYNAMIC + 1))
    }),
    case("RFC 7541 5.1", "a number cut short", |peer| bad(peer, &[0xff, 0x80])),
    case("RFC 7541 5.1", "a number beyond all bounds", |peer| {
        bad(peer, &[[0xff].as_slice(), &[0xff; 20], &[0x7f]].concat())
    }),
    case("RFC 7541 5.1", "a number that wraps around 32 bits", |peer| {
        // 2 to the power of 32 more than the index of `:method: GET`.
        bad(peer, &[0xff, 0x83, 0xff, 0xff, 0xff, 0x0f])
    }),
    case("RFC 7541 5.1", "a length beyond all bounds", |peer| {
        bad(
            peer,
            &[&[PLAIN][..], &string("x-test"), &[0x7f, 0xff, 0xff, 0xff, 0xff, 0x07]].concat(),
        )
    }),
    case("RFC 7541 5.1", "a number of one octet more than it needs", |peer| {
        // `accept-charset` written with the index 15 + 0, and the 0 in two octets.
        let field = [&[PLAIN | 0x0f, 0x80, 0x00][..], &string("a")].concat();
        peer.ask(1, [get("/"), field].concat())
            .tolerated(&[code::COMPRESSION_ERROR])
    }),
    case("RFC 7541 5.1", "numbers at the edge of their prefix", |peer| {
        let field = |length| literal(PLAIN, "x-test", vec![b'a'; length]);
        fine(peer, &[126, 127, 128, 254, 255, 256].map(field).concat())
    }),
    case("RFC 7541 5.2", "a string longer than its block", |peer| {
        bad(peer, &[PLAIN, 6, b'x', b'-', b'a'])
    }),
    case("RFC 7541 5.2", "a value left out", |peer| {
        bad(peer, &[&[PLAIN][..], &string("x-test")].concat())
    }),
    case("RFC 7541 5.2", "Huffman's code", |peer| {
        fine(
            peer,
            &[
                &[PLAIN][..],
                &huffman_string("x-test"),
                &huffman_string("What, \"this\"? {~}"),
            ]
            .concat(),
        )
    }),
    case(
        "RFC 7541 5.2",
        "every symbol that a value may hold in Huffman's code",
        |peer| {
            let symbols = huffman::encode((0x21..0x7f).chain(0x80..EOS));
            fine(peer, &coded(&symbols))
        },
    ),
    case("RFC 7541 5.2", "an empty string in Huffman's code", |peer| {
        fine(peer, &coded(&[]))
    }),
    case("RFC 7541 5.2", "padding of eight bits", |peer| {
        bad(peer, &coded(&[huffman::encode([b'a'.into()]), vec![0xff]].concat()))
    }),
    case("RFC 7541 5.2", "nothing but padding", |peer| bad(peer, &coded(&[0xff]))),
    case("RFC 7541 5.2", "padding of zeros", |peer| {
        // `a` is 00011, and three bits are left.
        bad(peer, &coded(&[0b0001_1000]))
    }),
    case("RFC 7541 5.2", "padding of ones and a zero", |peer| {
        bad(peer, &coded(&[0b0001_1110]))
    }),
    case("RFC 7541 5.2", "EOS", |peer| {
        bad(peer, &coded(&huffman::encode([b'a'.into(), EOS, b'b'.into()])))
    }),
    case("RFC 7541 5.2", "EOS alone", |peer| {
        bad(peer, &coded(&huffman::encode([EOS])))
    }),
    case("RFC 7541 5.2", "a name in Huffman's code with EOS", |peer| {
        let name = huffman_octets(&huffman::encode([b'a'.into(), EOS]));
        bad(peer, &[vec![PLAIN], name, string("a")].concat())
    }),
    case("RFC 7541 5.2", "an upper-case name in Huffman's code", |peer| {
        let field = [vec![PLAIN], huffman_string("X-Test"), string("a")].concat();
        peer.ask(1, [get("/"), field].concat()).malformed(1)
    }),
    case("RFC 7541 5.2", "a line's end in Huffman's code", |peer| {
        let field = [vec![PLAIN], string("x-test"), huffman_string("a\r\nb: c")].concat();
        peer.ask(1, [get("/"), field].concat()).malformed(1)
    }),
    case("RFC 7541 6.1", "index 0", |peer| bad(peer, &indexed(0))),
    case("RFC 7541 6.1", "a request of indices", |peer| {
        good(
            peer,
            &[indexed(2), indexed(6), indexed(4), literal_at(PLAIN, 1, "example.test")].concat(),
        )
    }),
    case(
        "RFC 7541 6.1",
        "an index of a field that a request cannot have",
        |peer| peer.ask(1, [get("/"), indexed(8)].concat()).malformed(1),
    ),
    case("RFC 7541 6.2.1", "a new name, and its entry", |peer| {
        fine(peer, &literal(INDEXED, "x-test", "a"))?;
        fine(
            peer,
            &[indexed(FIRST_DYNAMIC), literal_at(PLAIN, FIRST_DYNAMIC, "b")].concat(),
        )
    }),
    case("RFC 7541 6.2.1", "a known name, and its entry", |peer| {
        fine(peer, &literal_at(INDEXED, 58, "a"))?;
        fine(peer, &indexed(FIRST_DYNAMIC))
    }),
    case("RFC 7541 6.2.1", "an entry used within its own block", |peer| {
        fine(
            peer,
            &[
                literal(INDEXED, "x-test", "a"),
                indexed(FIRST_DYNAMIC),
                indexed(FIRST_DYNAMIC),
            ]
            .concat(),
        )
    }),
    case("RFC 7541 6.2.1", "the host as an entry", |peer| {
        good(
            peer,
            &[
                indexed(2),
                indexed(6),
                indexed(4),
                literal_at(INDEXED, 1, "example.test"),
            ]
            .concat(),
        )?;
        good(
            peer,
            &[indexed(2), indexed(6), indexed(4), indexed(FIRST_DYNAMIC)].concat(),
        )
    }),
    case("RFC 7541 6.2.2", "literals make no entry", |peer| {
        fine(
            peer,
            &[literal(PLAIN, "x-test", "a"), literal_at(PLAIN, 58, "a")].concat(),
        )?;
        bad(peer, &indexed(FIRST_DYNAMIC))
    }),
    case("RFC 7541 6.2.3", "literals never to be indexed make no entry", |peer| {
        fine(
            peer,
            &[literal(NEVER, "x-test", "a"), literal_at(NEVER, 23, "secret")].concat(),
        )?;
        bad(peer, &indexed(FIRST_DYNAMIC))
    }),
    case("RFC 7541 6.2.3", "names in Huffman's code in every form", |peer| {
        let field = |form: u8| [vec![form], huffman_string("x-test"), string("a")].concat();
        fine(peer, &[INDEXED, PLAIN, NEVER].map(field).concat())
    }),
    case("RFC 7541 6.3", "a table larger than allowed", |peer| {
        let size = largest_table(peer) + 1;
        peer.ask(1, [table_size(size), get("/")].concat())
            .connection_error(&[code::COMPRESSION_ERROR])
    }),
    case("RFC 7541 6.3", "a table of a size beyond all bounds", |peer| {
        peer.ask(1, [integer(0x20, 5, 1 << 40), get("/")].concat())
            .connection_error(&[code::COMPRESSION_ERROR])
    }),
    case("RFC 7541 2.2", "each connection has its own table", |peer| {
        fine(peer, &literal(INDEXED, "x-test", "a"))?;
        bad(&mut Peer::connect(peer.address)?, &indexed(FIRST_DYNAMIC))?;
        fine(peer, &indexed(FIRST_DYNAMIC))
    }),
    case("RFC 7541 2.1", "fields of all streams share a table", |peer| {
        let entry = |value: &str| literal(INDEXED, "x-test", value);
        peer.send(Frame::headers(
            1,
            [crate::fields::request("POST", "/"), entry("a")].concat(),
        ));
        fine(peer, &[entry("b"), indexed(FIRST_DYNAMIC + 1)].concat())?;
        peer.ask(1, [indexed(FIRST_DYNAMIC), indexed(FIRST_DYNAMIC + 1)].concat())
            .answered(1)
            .map(drop)
    }),
];
