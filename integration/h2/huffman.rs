//! The Huffman code of RFC 7541, Appendix B, which is canonical: the lengths say it all.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The end of a string, never to be seen in one.
pub const EOS: usize = 256;

/// The length of each symbol's code in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Each symbol's code and its length.
static CODES: LazyLock<Vec<(u32, u8)>> = LazyLock::new(|| {
    let mut codes = vec![(0, 0); LENGTHS.len()];
    let mut next = 0;
    for length in 1..=30 {
        next <<= 1;
        for symbol in (0..LENGTHS.len()).filter(|&symbol| LENGTHS[symbol] == length) {
            codes[symbol] = (next, length);
            next += 1;
        }
    }
    codes
});

/// Each code's symbol.
static SYMBOLS: LazyLock<HashMap<(u32, u8), usize>> =
    LazyLock::new(|| CODES.iter().enumerate().map(|(symbol, &code)| (code, symbol)).collect());

/// These symbols, padded with ones (RFC 7541 5.2).
pub fn encode(symbols: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bits = Vec::new();
    for symbol in symbols {
        let (code, length) = CODES[symbol];
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    let octet = |bits: &[bool]| (0..8).fold(0, |octet, at| octet << 1 | u8::from(*bits.get(at).unwrap_or(&true)));
    bits.chunks(8).map(octet).collect()
}

/// The string that these octets stand for.
pub fn decode(octets: &[u8]) -> Result<Vec<u8>, String> {
    let (mut out, mut code, mut length) = (Vec::new(), 0u32, 0u8);
    for at in 0..octets.len() * 8 {
        code = code << 1 | u32::from(octets[at / 8] >> (7 - at % 8) & 1);
        length += 1;
        match SYMBOLS.get(&(code, length)) {
            Some(&EOS) => return Err("the server's Huffman code holds EOS".to_owned()),
            Some(&symbol) => {
                out.push(symbol as u8);
                (code, length) = (0, 0);
            }
            None if length > 30 => return Err("no such Huffman code".to_owned()),
            None => {}
        }
    }
    if length > 7 || code != (1 << length) - 1 {
        return Err("the server's Huffman code is padded badly".to_owned());
    }
    Ok(out)
}
