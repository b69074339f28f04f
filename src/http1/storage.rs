use std::mem::MaybeUninit;

use super::head::MAX_FIELDS;
use crate::policy::fields::Field;

/// Room for a head's field lines, on the stack; making one costs nothing. It borrows the buffer, so a fresh one is made for each head.
pub struct HeadStorage<'b> {
    lines: [MaybeUninit<Field<'b>>; MAX_FIELDS],
}

impl<'b> HeadStorage<'b> {
    /// Empty room.
    #[inline]
    pub fn new() -> Self {
        HeadStorage {
            lines: [const { MaybeUninit::uninit() }; MAX_FIELDS],
        }
    }

    /// Takes the parsed lines in; those beyond the room's end, of which there are none, are left out.
    pub(super) fn fill(&mut self, headers: &[httparse::Header<'b>]) -> &[Field<'b>] {
        let mut filled = 0;
        for (line, header) in self.lines.iter_mut().zip(headers) {
            line.write(Field {
                name: header.name.as_bytes(),
                value: header.value,
            });
            filled += 1;
        }
        // SAFETY: the loop has written the first `filled` lines, and `MaybeUninit<T>` is laid out as `T`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), filled) }
    }
}

impl Default for HeadStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}
