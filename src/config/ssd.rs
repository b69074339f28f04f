//! `[cache] ssd`: the folders of the tier below RAM, and what goes there.

use std::path::PathBuf;

use super::file;
use super::resolve::Resolver;
use super::units::{parse_size, write_size};
use crate::store::ssd::Settings;
use crate::store::tiered::Rule;

/// The tier below RAM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ssd {
    /// Its folders; none: there is no such tier.
    pub folders: Vec<SsdFolder>,
    /// What is written there.
    pub admission: Rule,
    /// Bytes a day, at most.
    pub write_budget: Option<u64>,
}

/// A folder of the tier below RAM.
#[derive(Clone, Debug, PartialEq)]
pub struct SsdFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes that its files may have together.
    pub size: u64,
}

impl SsdFolder {
    /// A folder of so many bytes.
    ///
    /// # Errors
    /// It is too small for anything; names the least.
    pub fn new(path: PathBuf, size: u64) -> Result<SsdFolder, String> {
        let least = Settings::new(size).least_size();
        match size >= least {
            true => Ok(SsdFolder { path, size }),
            false => Err(format!(
                "{} is too small; write \"{}\" or more",
                write_size(size),
                write_size(least)
            )),
        }
    }
}

pub(super) fn resolve(resolver: &mut Resolver, cache: &file::Cache) -> Ssd {
    let mut ssd = Ssd::default();
    for folder in &cache.ssd.items {
        let (Some(path), Some(size)) = (folder.value.path.get(), folder.value.size.get()) else {
            continue;
        };
        let known = ssd.folders.iter().any(|known| known.path.as_os_str() == &*path.value);
        if path.value.is_empty() || known {
            let what = if known { "named twice" } else { "no folder is named" };
            resolver.report.wrong(path.place, what);
            continue;
        }
        match parse_size(&size.value).and_then(|size| SsdFolder::new(path.value.clone().into(), size)) {
            Ok(folder) => ssd.folders.push(folder),
            Err(what) => resolver.report.wrong(size.place, what),
        }
    }
    let rules = [Rule::Always, Rule::SecondHit].map(|rule| (rule.name(), rule));
    ssd.admission = resolver.word(&cache.ssd_admission, ssd.admission, "a rule of admission", &rules);
    ssd.write_budget = resolver.parsed(&cache.ssd_write_budget, None, |text| match parse_size(text)? {
        0 => Err(format!("`{text}` a day would write nothing; leave `ssd` out for that")),
        size => Ok(Some(size)),
    });
    ssd
}
