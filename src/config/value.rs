//! Values of TOML as types: texts, numbers, lists.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeValue};

use super::report::{At, Place, Report};

/// A file that is being read.
pub(super) struct Reader<'a> {
    pub(super) report: &'a mut Report,
    /// Which of the report's files.
    pub(super) file: usize,
}

impl Reader<'_> {
    /// Where this stands.
    pub(super) fn place<T>(&self, of: &Spanned<T>) -> Place {
        Place {
            file: self.file,
            offset: of.span().start,
        }
    }
}

/// A type of values.
pub(super) trait Value: Sized {
    /// What is written for one.
    const WRITTEN: &'static str;
    /// Makes one of what is written.
    fn make(value: &DeValue<'_>, place: Place, reader: &mut Reader<'_>) -> Result<Self, Fault>;
    /// Notes the keys within as paths, such as `sites[].hosts`.
    fn note(_path: &str, _paths: &mut BTreeSet<String>) {}
}

/// Why no value could be made.
pub(super) enum Fault {
    /// What is written is of another type.
    OtherType,
    /// This is wrong with it.
    Is(String),
    /// What is wrong has been reported.
    Reported,
}

/// Reads a value. What is wrong is reported, and then there is none.
pub(super) fn read<T: Value>(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<At<T>> {
    let place = reader.place(value);
    let what = match T::make(value.get_ref(), place, reader) {
        Ok(value) => return Some(At { value, place }),
        Err(Fault::OtherType) => mismatch(T::WRITTEN, value.get_ref()),
        Err(Fault::Is(what)) => what,
        Err(Fault::Reported) => return None,
    };
    reader.report.wrong(place, what);
    None
}

/// Says of what type a value is, and not what it is: it may be a secret.
pub(super) fn mismatch(expected: &str, found: &DeValue<'_>) -> String {
    let text = found.as_str().unwrap_or_default();
    let found = match found {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let mend = match (expected, found) {
        (TEXT, "a whole number" | "a number with a fraction" | "true" | "false" | "a date or time") => {
            "; put it in quotes"
        }
        (WHOLE | NUMBER, "text") if text.parse::<f64>().is_ok() => "; write it without quotes",
        (BOOLEAN, "text") if ["true", "false"].contains(&text) => "; write it without quotes",
        (LIST, "a table") => "; write [[NAME]], or [{ ... }]",
        (LIST, _) => "; write it in brackets",
        (TABLE, "a list") => "; write [NAME]",
        _ => "",
    };
    format!("expected {expected}, found {found}{mend}")
}

const TEXT: &str = "text";
const WHOLE: &str = "a whole number";
const NUMBER: &str = "a number";
const BOOLEAN: &str = "true or false";
const LIST: &str = "a list";
pub(super) const TABLE: &str = "a table";

impl Value for String {
    const WRITTEN: &'static str = TEXT;

    fn make(value: &DeValue<'_>, _: Place, _: &mut Reader<'_>) -> Result<Self, Fault> {
        value.as_str().map(str::to_owned).ok_or(Fault::OtherType)
    }
}

impl Value for bool {
    const WRITTEN: &'static str = BOOLEAN;

    fn make(value: &DeValue<'_>, _: Place, _: &mut Reader<'_>) -> Result<Self, Fault> {
        value.as_bool().ok_or(Fault::OtherType)
    }
}

impl Value for f64 {
    const WRITTEN: &'static str = NUMBER;

    fn make(value: &DeValue<'_>, _: Place, _: &mut Reader<'_>) -> Result<Self, Fault> {
        let float = value.as_float().map(DeFloat::as_str);
        let integer = value.as_integer().filter(|integer| integer.radix() == 10);
        let number = float.or(integer.map(DeInteger::as_str)).ok_or(Fault::OtherType)?;
        let parsed = number.parse();
        parsed.map_err(|_| Fault::Is(format!("`{number}` is not a number that can be read")))
    }
}

macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl Value for $type {
            const WRITTEN: &'static str = WHOLE;

            fn make(value: &DeValue<'_>, _: Place, _: &mut Reader<'_>) -> Result<Self, Fault> {
                let written = value.as_integer().ok_or(Fault::OtherType)?;
                let number = i128::from_str_radix(written.as_str(), written.radix()).unwrap_or(i128::MAX);
                <$type>::try_from(number).map_err(|_| Fault::Is(match number < 0 {
                    true => format!("expected a whole number, 0 or more, found {number}"),
                    false => format!("the number is too large; at most {}", <$type>::MAX),
                }))
            }
        }
    )*};
}

whole_numbers!(u16 u32 usize);

/// A list without what of it could not be read.
impl<T: Value> Value for Vec<At<T>> {
    const WRITTEN: &'static str = LIST;

    fn make(value: &DeValue<'_>, _: Place, reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let list = value.as_array().ok_or(Fault::OtherType)?;
        let items: Vec<At<T>> = list.iter().filter_map(|item| read(item, reader)).collect();
        // Where nothing is left, nobody is to say that it is empty.
        match items.is_empty() && !list.is_empty() {
            true => Err(Fault::Reported),
            false => Ok(items),
        }
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        T::note(&format!("{path}[]"), paths);
    }
}
