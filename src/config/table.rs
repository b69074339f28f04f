//! Tables of TOML as types, declared with `table!`. What is wrong with a key is reported, and reading goes on with the
//! next one, so that all errors of a file are found at once.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::report::{At, Place, Report};
use super::value::{Fault, Reader, TABLE, Value, mismatch, read};

/// What a file says of a key that it may give once.
#[derive(Clone, Debug, Default)]
pub(super) enum Key<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something that has been reported.
    Wrong,
    /// This.
    Is(At<T>),
}

/// A key that must be given.
#[derive(Clone, Debug, Default)]
pub(super) struct Required<T>(Key<T>);

/// Values that files may add to, such as `[[sites]]`.
#[derive(Clone, Debug)]
pub(super) struct Many<T> {
    /// Those that could be read.
    pub(super) items: Vec<At<T>>,
    /// Whether more were meant.
    pub(super) wrong: bool,
}

/// Tables with names, such as `[origins.NAME]`.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    /// Those that could be read.
    pub(super) items: BTreeMap<String, At<T>>,
    /// Whether more were meant.
    pub(super) wrong: bool,
}

impl<T> Key<T> {
    /// What it says, if that could be read.
    pub(super) fn get(&self) -> Option<&At<T>> {
        match self {
            Key::Is(value) => Some(value),
            Key::Absent | Key::Wrong => None,
        }
    }

    /// The value alone.
    pub(super) fn value(&self) -> Option<&T> {
        self.get().map(|value| &value.value)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Key::Absent)
    }
}

impl<T: Clone> Key<T> {
    /// What it says, and if that is nothing what `outer` says.
    pub(super) fn or(&self, outer: &Key<T>) -> Key<T> {
        if self.is_absent() { outer.clone() } else { self.clone() }
    }
}

impl<T> Required<T> {
    /// What it says, if that could be read.
    pub(super) fn get(&self) -> Option<&At<T>> {
        self.0.get()
    }
}

impl<T> Required<Vec<T>> {
    /// The elements of a list, none if it could not be read.
    pub(super) fn items(&self) -> &[T] {
        self.0.value().map_or(&[], Vec::as_slice)
    }
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Many {
            items: Vec::new(),
            wrong: false,
        }
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named {
            items: BTreeMap::new(),
            wrong: false,
        }
    }
}

/// What a table has under a name.
pub(super) enum Entry<'a> {
    /// Nothing.
    Absent,
    /// This, under a name that is nearly the same. Tables are read all the same.
    Misspelt(&'a Spanned<DeValue<'a>>),
    /// This.
    Is(&'a Spanned<DeValue<'a>>),
}

impl<'a> Entry<'a> {
    fn value(&self) -> Option<&'a Spanned<DeValue<'a>>> {
        match self {
            Entry::Absent => None,
            Entry::Misspelt(value) | Entry::Is(value) => Some(value),
        }
    }
}

/// A table whose keys are known.
pub(super) trait Table: Sized {
    /// The names of its keys.
    fn key_names() -> Vec<&'static str>;
    /// Reads all of its keys.
    fn read_keys(entries: &Entries<'_>, reader: &mut Reader<'_>) -> Self;
    /// Adds what another file says.
    fn merge_keys(&mut self, other: Self, report: &mut Report);
    /// Notes the keys and those within as paths, such as `sites[].hosts`.
    fn note_keys(path: &str, paths: &mut BTreeSet<String>);
}

/// The entries of a table.
pub(super) struct Entries<'a> {
    table: &'a DeTable<'a>,
    /// Where the table stands.
    place: Place,
    /// By the names that were probably meant: nobody is to say that they are missing.
    misspelt: BTreeMap<&'static str, &'a Spanned<DeValue<'a>>>,
}

impl<'a> Entries<'a> {
    /// Those of a table that may have these keys; all others are reported.
    fn of(table: &'a DeTable<'a>, place: Place, known: &[&'static str], reader: &mut Reader<'_>) -> Self {
        let mut misspelt = BTreeMap::new();
        for (key, value) in table {
            if known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let word = key.get_ref();
            let meant = nearest(word, known.iter().copied());
            let what = match (meant, super::file::home_of(word)) {
                (Some(meant), _) => format!("unknown key `{word}`; did you mean `{meant}`?"),
                (None, Some(home)) => format!("unknown key `{word}`; it belongs to {home}"),
                (None, None) => format!("unknown key `{word}`; there is: {}", known.join(", ")),
            };
            reader.report.wrong(reader.place(key), what);
            misspelt.extend(meant.map(|meant| (meant, value)));
        }
        Entries { table, place, misspelt }
    }

    fn get(&self, name: &str) -> Entry<'a> {
        match (self.table.get(name), self.misspelt.get(name)) {
            (Some(value), _) => Entry::Is(value),
            (None, Some(value)) => Entry::Misspelt(value),
            (None, None) => Entry::Absent,
        }
    }

    /// What the table says of a key.
    pub(super) fn read<F: Field>(&self, name: &str, reader: &mut Reader<'_>) -> F {
        F::read(self.get(name), name, self.place, reader)
    }
}

/// What may stand under a key, and how it is read.
pub(super) trait Field: Sized {
    fn read(entry: Entry<'_>, name: &str, table: Place, reader: &mut Reader<'_>) -> Self;
    /// Adds what another file says of the same key.
    fn merge(&mut self, other: Self, name: &str, report: &mut Report);
    /// Notes the keys within, as [`Table::note_keys`] does.
    fn note(path: &str, paths: &mut BTreeSet<String>);
}

impl<T: Value> Field for Key<T> {
    fn read(entry: Entry<'_>, _: &str, _: Place, reader: &mut Reader<'_>) -> Self {
        match entry {
            Entry::Absent => Key::Absent,
            Entry::Misspelt(_) => Key::Wrong,
            Entry::Is(value) => read(value, reader).map_or(Key::Wrong, Key::Is),
        }
    }

    fn merge(&mut self, other: Self, name: &str, report: &mut Report) {
        match (&*self, other) {
            (Key::Is(first), Key::Is(second)) => twice(name, first.place, second.place, report),
            (Key::Absent, other) => *self = other,
            (_, _) => {}
        }
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        T::note(path, paths);
    }
}

fn twice(name: &str, first: Place, second: Place, report: &mut Report) {
    let first = report.position(first);
    report.wrong(
        second,
        format!("`{name}` is given already, at {first}; keep one of the two"),
    );
}

impl<T: Value> Field for Required<T> {
    fn read(entry: Entry<'_>, name: &str, table: Place, reader: &mut Reader<'_>) -> Self {
        if matches!(entry, Entry::Absent) {
            reader.report.wrong(table, format!("missing key `{name}`"));
        }
        Required(Field::read(entry, name, table, reader))
    }

    fn merge(&mut self, other: Self, name: &str, report: &mut Report) {
        self.0.merge(other.0, name, report);
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        T::note(path, paths);
    }
}

impl<T: Value> Field for Many<T> {
    fn read(entry: Entry<'_>, _: &str, _: Place, reader: &mut Reader<'_>) -> Self {
        let given = entry.value().map(|value| read(value, reader));
        Many {
            wrong: matches!(given, Some(None)),
            items: given.flatten().map_or_else(Vec::new, |items: At<Vec<_>>| items.value),
        }
    }

    fn merge(&mut self, other: Self, _: &str, _: &mut Report) {
        self.items.extend(other.items);
        self.wrong |= other.wrong;
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        <Vec<At<T>>>::note(path, paths);
    }
}

impl<T: Value + Default> Field for Named<T> {
    fn read(entry: Entry<'_>, _: &str, _: Place, reader: &mut Reader<'_>) -> Self {
        let mut named = Named::default();
        let Some(value) = entry.value() else { return named };
        let tables = table_of(value, reader);
        named.wrong = tables.is_none();
        for (name, value) in tables.into_iter().flatten() {
            // Its name is known, even if nothing else of it is.
            let item = read(value, reader).unwrap_or_else(|| At {
                value: T::default(),
                place: reader.place(value),
            });
            named.items.insert(name.get_ref().to_string(), item);
        }
        named
    }

    fn merge(&mut self, other: Self, key: &str, report: &mut Report) {
        for (name, item) in other.items {
            match self.items.get(&name) {
                Some(first) => twice(&format!("{key}.{name}"), first.place, item.place, report),
                None => drop(self.items.insert(name, item)),
            }
        }
        self.wrong |= other.wrong;
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        let any = format!("{path}.*");
        paths.insert(any.clone());
        T::note(&any, paths);
    }
}

impl<T: Table> Value for T {
    const WRITTEN: &'static str = TABLE;

    fn make(value: &DeValue<'_>, place: Place, reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let table = value.as_table().ok_or(Fault::OtherType)?;
        Ok(read_entries(table, place, reader))
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        T::note_keys(path, paths);
    }
}

/// A table that has a key of its own; what it does not say is as by default.
impl<T: Table + Default> Field for T {
    fn read(entry: Entry<'_>, _: &str, _: Place, reader: &mut Reader<'_>) -> Self {
        let table = entry.value().and_then(|value| read(value, reader));
        table.map_or_else(T::default, |table| table.value)
    }

    fn merge(&mut self, other: Self, _: &str, report: &mut Report) {
        self.merge_keys(other, report);
    }

    fn note(path: &str, paths: &mut BTreeSet<String>) {
        T::note_keys(path, paths);
    }
}

fn table_of<'a>(value: &'a Spanned<DeValue<'a>>, reader: &mut Reader<'_>) -> Option<&'a DeTable<'a>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        reader
            .report
            .wrong(reader.place(value), mismatch(TABLE, value.get_ref()));
    }
    table
}

/// Reads a whole file.
pub(super) fn read_root<T: Table>(root: &Spanned<DeTable<'_>>, reader: &mut Reader<'_>) -> T {
    read_entries(root.get_ref(), reader.place(root), reader)
}

fn read_entries<T: Table>(table: &DeTable<'_>, place: Place, reader: &mut Reader<'_>) -> T {
    let entries = Entries::of(table, place, &T::key_names(), reader);
    T::read_keys(&entries, reader)
}

/// The path of a key in a table, as [`Table::note_keys`] has it.
pub(super) fn path_of(table: &str, key: &str) -> String {
    match table {
        "" => key.to_owned(),
        table => format!("{table}.{key}"),
    }
}

/// Declares a table: a struct with a field a key. `with settings: T` adds the keys of another table.
macro_rules! table {
    ($(#[$meta:meta])* $name:ident { $($key:ident: $type:ty,)* } $(with $more:ident: $shared:ty)?) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $key: $type,)*
            $(pub(super) $more: $shared,)?
        }

        impl $crate::config::table::Table for $name {
            fn key_names() -> Vec<&'static str> {
                let own = vec![$(stringify!($key)),*];
                $(let own = [own, <$shared>::key_names()].concat();)?
                own
            }

            fn read_keys(
                entries: &$crate::config::table::Entries<'_>,
                reader: &mut $crate::config::value::Reader<'_>,
            ) -> Self {
                $name {
                    $($key: entries.read(stringify!($key), reader),)*
                    $($more: <$shared>::read_keys(entries, reader),)?
                }
            }

            fn merge_keys(&mut self, other: Self, report: &mut $crate::config::report::Report) {
                use $crate::config::table::Field;
                $(self.$key.merge(other.$key, stringify!($key), report);)*
                $(self.$more.merge_keys(other.$more, report);)?
            }

            fn note_keys(path: &str, paths: &mut std::collections::BTreeSet<String>) {
                use $crate::config::table::{Field, path_of};
                $(
                    let key = path_of(path, stringify!($key));
                    <$type>::note(&key, paths);
                    paths.insert(key);
                )*
                $(<$shared>::note_keys(path, paths);)?
            }
        }
    };
}

pub(super) use table;
