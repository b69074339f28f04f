//! A request head means the same however its bytes arrive: the first byte of the input says where they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use verge::http1::{HeadStorage, find_head_end, parse_request};
use verge::target::Target;

/// `Ok(None)`: more is needed.
fn verdict(bytes: &[u8]) -> Result<Option<String>, u16> {
    let mut storage = HeadStorage::new();
    let Some((head, len)) = parse_request(bytes, &mut storage).map_err(|refusal| refusal.status())? else {
        return Ok(None);
    };
    let target = Target::new(head.method, head.target, head.host_value);
    Ok(Some(format!("{head:?} {target:?} {len}")))
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
    assert!(
        find_head_end(part, 0).is_none() || got != Ok(None),
        "a head was announced that is not there"
    );
});
