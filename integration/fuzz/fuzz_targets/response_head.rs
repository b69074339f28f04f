//! A response head means the same however its bytes arrive: the first byte of the input says where they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use verge::http1::parse_response;

/// `Ok(None)`: more is needed; `Err`: refused for whichever reason.
fn verdict(bytes: &[u8]) -> Result<Option<String>, ()> {
    let head = parse_response(bytes, false, 4096).map_err(|_| ())?;
    Ok(head.map(|head| format!("{head:?}")))
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = input.split_first() else {
        return;
    };
    let (part, whole) = (&bytes[..usize::from(*cut).min(bytes.len())], verdict(bytes));
    let got = verdict(part);
    assert!(
        got == Ok(None) || got == whole,
        "{got:?} of the first part, {whole:?} of the whole"
    );
});
