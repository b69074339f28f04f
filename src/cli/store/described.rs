//! What the record of a version says of it. `store/ssd/FORMAT.md` has the bytes.

use std::time::Duration;

use bytes::{Buf, Bytes};

/// The version of the description that is known here.
const VERSION: u8 = 1;
/// Stands for a number that is not known.
const NONE: u64 = u64::MAX;

/// A version, as its record describes it; times as the calendar had them.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) site: String,
    pub(super) tags: Vec<u128>,
    /// What its chunks are named by.
    pub(super) body: u128,
    /// Bytes in chunks; `None` if the body stands in the record.
    pub(super) in_chunks: Option<u64>,
    pub(super) status: u16,
    pub(super) content_length: Option<u64>,
    /// When the response came, since 1970.
    pub(super) came: Duration,
    pub(super) initial_age: Duration,
    pub(super) lifetime: Duration,
    pub(super) heuristic: bool,
    /// The fields that select it.
    pub(super) vary: Vec<String>,
    /// Status line and fields.
    pub(super) wire: Bytes,
}

impl Described {
    /// `None`: it is of another version, or not of this form.
    pub(super) fn read(meta: &Bytes) -> Option<Described> {
        let mut reader = Reader(meta.clone());
        if reader.0.try_get_u8().ok()? != VERSION {
            return None;
        }
        let site = reader.short()?;
        let tags = (0..reader.0.try_get_u32_le().ok()?).map(|_| reader.0.try_get_u128_le().ok());
        let tags = tags.collect::<Option<_>>()?;
        let body = reader.0.try_get_u128_le().ok()?;
        let in_chunks = reader.maybe()?;
        let status = reader.0.try_get_u16_le().ok()?;
        let _began = reader.maybe()?;
        let content_length = reader.maybe()?;
        let [came, initial_age, lifetime] = [reader.time()?, reader.time()?, reader.time()?];
        let _stale = [reader.maybe()?, reader.maybe()?];
        let heuristic = reader.0.try_get_u8().ok()? & 4 != 0;
        let vary = reader.names()?;
        if !vary.is_empty() {
            reader.long()?;
        }
        for _ in 0..reader.0.try_get_u32_le().ok()? {
            reader.short()?;
            reader.long()?;
        }
        Some(Described {
            site,
            tags,
            body,
            in_chunks,
            status,
            content_length,
            came,
            initial_age,
            lifetime,
            heuristic,
            vary,
            wire: reader.long()?,
        })
    }

    /// Its fields, a line each.
    pub(super) fn fields(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.wire);
        text.split("\r\n")
            .skip(1)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// The variants of a key, as their record describes them.
#[derive(Debug)]
pub(super) struct Variants {
    /// Sets of names of fields, any of which may select.
    pub(super) specs: Vec<Vec<String>>,
    /// The names of the variants' records.
    pub(super) ids: Vec<u128>,
}

impl Variants {
    /// `None`: it is of another version, or not of this form.
    pub(super) fn read(meta: &Bytes) -> Option<Variants> {
        let mut reader = Reader(meta.clone());
        if reader.0.try_get_u8().ok()? != VERSION {
            return None;
        }
        let _since = reader.maybe()?;
        let specs = (0..reader.0.try_get_u16_le().ok()?).map(|_| reader.names());
        let specs = specs.collect::<Option<_>>()?;
        let ids = (0..reader.0.try_get_u16_le().ok()?).map(|_| reader.0.try_get_u128_le().ok());
        Some(Variants {
            specs,
            ids: ids.collect::<Option<_>>()?,
        })
    }
}

/// Reads off the front of a description; `None` where it ends too early.
struct Reader(Bytes);

impl Reader {
    fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn maybe(&mut self) -> Option<Option<u64>> {
        let number = self.0.try_get_u64_le().ok()?;
        Some((number != NONE).then_some(number))
    }

    fn time(&mut self) -> Option<Duration> {
        self.0.try_get_u64_le().ok().map(Duration::from_nanos)
    }

    fn short(&mut self) -> Option<String> {
        let length = self.0.try_get_u16_le().ok()?;
        let bytes = self.bytes(usize::from(length))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn long(&mut self) -> Option<Bytes> {
        let length = self.0.try_get_u32_le().ok()?;
        self.bytes(length as usize)
    }

    fn names(&mut self) -> Option<Vec<String>> {
        (0..self.0.try_get_u16_le().ok()?).map(|_| self.short()).collect()
    }
}
