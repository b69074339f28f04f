//! `verge store find`: what is stored for a URL, and where.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderName;

use super::{Failure, Folder, line, moment, unusable};
use crate::admin::Url;
use crate::cache::object::Head;
use crate::cache::record::{Place, Stamp, read_head, read_index};
use crate::cache::{Key, KeyParts, Secret};
use crate::clock::Now;
use crate::policy::fields::{Field, RequestFields};
use crate::policy::vary::VarySpec;
use crate::purge::{Purges, Verdict};
use crate::store::CHUNK;
use crate::store::ssd::inspect::{Located, Opened};
use crate::store::ssd::{Kind, milliseconds};

/// What is looked for.
pub(super) struct Asked {
    url: Url,
    fields: Vec<(String, String)>,
}

impl Asked {
    /// Reads a URL, and fields as `Name: value`.
    pub(super) fn read(url: &str, fields: &[String]) -> Result<Asked, Failure> {
        let split = |field: &String| match field.split_once(':') {
            Some((name, value)) if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Ok((name.to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("`{field}` is not a field; write Name: value")),
        };
        Ok(Asked {
            url: Url::parse(url)?,
            fields: fields.iter().map(split).collect::<Result<_, _>>()?,
        })
    }

    /// The name of the variant that the fields select of `key`.
    fn variant(&self, secret: &Secret, key: &Key, spec: &VarySpec) -> u128 {
        let lines = self.fields.iter().map(|(name, value)| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
        let lines: Vec<Field<'_>> = lines.collect();
        secret.variant(key.hash, spec, &RequestFields::new(&lines))
    }
}

/// Where each record is that was looked for.
type Places = HashMap<(u128, u32), Located>;

/// What is found, and what is known to say of it.
struct Search<'a> {
    folder: &'a Folder,
    key: Arc<Key>,
    purges: Option<Purges>,
    /// The present moment, or the latest that was noted if that is later. Since 1970.
    now: Duration,
    out: &'a mut Vec<u8>,
}

pub(super) fn find(folder: &Folder, asked: &Asked, now: SystemTime, out: &mut Vec<u8>) -> Result<(), Failure> {
    let secret = Secret::new(folder.inspector.secret());
    let parts = asked.url.key_parts();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut search = Search {
        folder,
        key: Arc::new(secret.stored_key(&parts)),
        purges: folder.inspector.purges().map(|replay| Purges::restored(&replay)),
        now: now.max(Duration::from_millis(folder.inspector.latest())),
        out,
    };
    line(search.out, "folder", &format!("{}, {}", folder.name, folder.use_of()));
    line(search.out, "key", &key_text(&parts));
    let hash = search.key.hash;
    let places = search.locate(&|name| name == hash)?;
    let Some(place) = places.get(&(hash, 0)) else {
        return Err("nothing is stored for it in this folder".to_owned());
    };
    match place.kind {
        Kind::Head => search.versions(&[hash], &places),
        Kind::Index => search.variants(place, asked, &secret),
        Kind::Tombstone => Err(format!("it was removed: a tombstone is in {}", place_text(place))),
        Kind::Chunk => Err(format!("what is in {} is not of this key", place_text(place))),
    }
}

impl Search<'_> {
    fn locate(&self, wanted: &dyn Fn(u128) -> bool) -> Result<Places, Failure> {
        let found = self.folder.inspector.locate(wanted);
        found.map_err(|error| unusable(&self.folder.name, error))
    }

    /// What a record says, if it is of the key that is looked for.
    fn open(&self, place: &Located) -> Result<Opened, Failure> {
        let opened = self.folder.inspector.read(place);
        let opened = opened.ok_or_else(|| {
            format!(
                "the record in {} is damaged; `verge store verify` says what else",
                place_text(place)
            )
        })?;
        match KeyParts::from_bytes(&opened.key).is_some_and(|parts| self.key.is(&parts)) {
            true => Ok(opened),
            false => Err("nothing is stored for it: what has its name is of another key".to_owned()),
        }
    }

    fn variants(&mut self, place: &Located, asked: &Asked, secret: &Secret) -> Result<(), Failure> {
        let opened = self.open(place)?;
        let unknown = || {
            format!(
                "the record in {} describes variants as this program does not know",
                place_text(place)
            )
        };
        let index = read_index(&opened.meta).ok_or_else(unknown)?;
        line(
            self.out,
            "variants",
            &format!("{} known, listed in {}", index.variants.len(), place_text(place)),
        );
        for spec in &index.specs {
            line(self.out, "vary", &names_text(spec));
        }
        let selected = index.specs.iter().map(|spec| asked.variant(secret, &self.key, spec));
        let ids: Vec<u128> = match asked.fields.is_empty() {
            true => index.variants,
            false => selected.collect(),
        };
        let places = self.locate(&|name| ids.contains(&name))?;
        self.versions(&ids, &places)
    }

    /// Says what there is of versions of these names.
    fn versions(&mut self, ids: &[u128], places: &Places) -> Result<(), Failure> {
        let heads = ids.iter().filter_map(|id| places.get(&(*id, 0)));
        let mut said = 0;
        for place in heads.filter(|place| place.kind == Kind::Head) {
            match self.open(place) {
                Ok(opened) => self.version(place, &opened)?,
                Err(why) => line(self.out, "stored", &why),
            }
            said += 1;
        }
        match said {
            0 => Err("none of its variants that these fields select is stored in this folder".to_owned()),
            _ => Ok(()),
        }
    }

    fn version(&mut self, place: &Located, opened: &Opened) -> Result<(), Failure> {
        let Some((head, place_of_body)) = read_head(Arc::clone(&self.key), &opened.meta, &self.stamp(opened)) else {
            line(self.out, "stored", "it is described as this program does not know");
            return Ok(());
        };
        let inside = match place_of_body {
            Place::Inside => "in the record of its head",
            Place::Chunks(_) => "in chunks",
        };
        let length = head
            .content_length
            .map_or(String::new(), |length| format!(", {length} bytes"));
        line(self.out, "stored", &format!("{}{length}, {inside}", head.status));
        line(self.out, "where", &place_text(place));
        if !opened.body_is_right {
            line(self.out, "damaged", "its body");
        }
        line(self.out, "site", &head.site);
        line(self.out, "age", &self.age_text(&head));
        line(self.out, "lifetime", &self.lifetime_text(&head));
        line(self.out, "of use until", &moment(opened.head.expires));
        line(self.out, "purged", &self.purged_text(&head));
        if let Some(selected) = &head.vary {
            let names = names_text(&selected.spec);
            line(self.out, "variant", &format!("selected by {names}"));
        }
        line(self.out, "tags", &head.tags.len().to_string());
        for (name, value) in &head.fields {
            let value = String::from_utf8_lossy(value.as_bytes());
            line(self.out, "field", &format!("{name}: {value}"));
        }
        match place_of_body {
            Place::Chunks(length) => self.chunks(head.body, length),
            Place::Inside => Ok(()),
        }
    }

    /// As a process would read it that has run since 1970, so that all times are those of the calendar.
    fn stamp(&self, opened: &Opened) -> Stamp {
        Stamp {
            epoch: opened.head.epoch,
            generation: opened.head.generation,
            now: Now {
                monotonic: self.now,
                wall: SystemTime::UNIX_EPOCH + self.now,
            },
            not_before: SystemTime::UNIX_EPOCH,
        }
    }

    fn age_text(&self, head: &Head) -> String {
        let freshness = &head.freshness;
        format!(
            "{} s: {} s when it came, at {} (RFC 9111 4.2.3)",
            freshness.age(self.now).as_secs(),
            freshness.initial_age.as_secs(),
            moment(milliseconds(freshness.response_date))
        )
    }

    fn lifetime_text(&self, head: &Head) -> String {
        let freshness = &head.freshness;
        let guessed = match freshness.heuristic {
            true => ", guessed (RFC 9111 4.2.2)",
            false => " (RFC 9111 4.2.1)",
        };
        let state = match freshness.is_fresh(self.now) {
            true => {
                let left = freshness.lifetime.saturating_sub(freshness.age(self.now));
                format!("fresh for {} s", left.as_secs())
            }
            false => format!("stale for {} s", freshness.staleness(self.now).as_secs()),
        };
        format!("{} s{guessed}; {state}", freshness.lifetime.as_secs())
    }

    fn purged_text(&self, head: &Head) -> String {
        let epoch = head.epoch;
        let Some(purges) = &self.purges else {
            return format!("not known: the journal is in another folder; epoch {epoch}");
        };
        let says = match purges.verdict(&head.names(), epoch) {
            Verdict::Untouched => "no; no purge in the journal names it",
            Verdict::Soft => "softly; it is stale",
            Verdict::Hard => "yes; it is not served",
        };
        format!("{says}; epoch {epoch}")
    }

    fn chunks(&mut self, body: u128, length: u64) -> Result<(), Failure> {
        let places = self.locate(&|name| name == body)?;
        let count = length.div_ceil(CHUNK as u64);
        let place = |index: u64| {
            let place = places.get(&(body, u32::try_from(index).ok()?))?;
            (place.kind == Kind::Chunk).then_some(place)
        };
        let here = (0..count).filter(|index| place(*index).is_some()).count();
        line(self.out, "chunks", &format!("{here} of {count} are here"));
        for index in 0..count {
            if let Some(place) = place(index) {
                line(self.out, &format!("chunk {index}"), &place_text(place));
            }
        }
        Ok(())
    }
}

fn key_text(parts: &KeyParts<'_>) -> String {
    let query = parts.query.map_or("none".to_owned(), |query| format!("`{query}`"));
    format!("{}, {}, {}, query {query}", parts.scheme.name(), parts.host, parts.path)
}

fn place_text(place: &Located) -> String {
    format!("{} at {}, {} bytes", place.file(), place.at, place.length)
}

fn names_text(spec: &VarySpec) -> String {
    let names: Vec<&str> = spec.names().iter().map(|name| name.as_str()).collect();
    names.join(", ")
}
