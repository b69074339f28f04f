//! What the edge counts and tells: the one table of metrics, and the figures behind it.
//!
//! What a hit counts lies in a shard of its thread's own, so that threads do not wait for one another; a scrape adds the
//! shards up. All else is counted where it happens.

pub mod access;
mod counts;
mod escape;
pub mod events;
mod export;
mod histogram;
pub mod metrics;
mod record;
mod request_id;
mod site;
pub(crate) mod timestamp;

use std::sync::Arc;

use parking_lot::Mutex;

pub use counts::{ConnectionCounts, Count, OriginCounts};
pub use export::Export;
pub use histogram::Histogram;

pub use record::{AskedOrigin, MethodClass, Outcome, Protocol, Record, Tally};
pub use request_id::RequestId;
pub use site::{SiteCounts, use_shard};

/// Sites that are counted apart; those beyond are counted together, as `other`. The same for origins.
const MOST: usize = 1_000;

/// The name under which the rest is counted.
const OTHER: &str = "other";

/// What is counted for requests that belong to no site.
const NO_SITE: &str = "none";

/// All that is counted, over all configurations that the process has had.
#[derive(Debug)]
pub struct Telemetry {
    shards: usize,
    sites: Mutex<Vec<Arc<SiteCounts>>>,
    origins: Mutex<Vec<Arc<OriginCounts>>>,
    /// Connections and handshakes.
    pub connections: ConnectionCounts,
    /// Purges, by what they name, in the order of [`metrics::SELECTORS`], hard ones before soft ones.
    pub purges: [[Count; 2]; 5],
    /// Reloads that were done, and that failed.
    pub reloads: [Count; 2],
    /// Lines of the access log that were not written because the disk was too slow.
    pub log_lines_dropped: Count,
}

impl Telemetry {
    /// Nothing counted yet; for so many serving threads.
    pub fn new(threads: usize) -> Self {
        Telemetry {
            shards: threads + 1,
            sites: Mutex::default(),
            origins: Mutex::default(),
            connections: ConnectionCounts::default(),
            purges: Default::default(),
            reloads: Default::default(),
            log_lines_dropped: Count::default(),
        }
    }

    /// What is counted for the site of this name.
    pub fn site(&self, name: &str) -> Arc<SiteCounts> {
        let new = |name: &str| SiteCounts::new(name, self.shards);
        find(&self.sites, name, |counts| &counts.name, new)
    }

    /// What is counted for requests that belong to no site.
    pub fn no_site(&self) -> Arc<SiteCounts> {
        self.site(NO_SITE)
    }

    /// What is counted for the origin of this name.
    pub fn origin(&self, name: &str) -> Arc<OriginCounts> {
        find(&self.origins, name, |counts| &counts.name, OriginCounts::new)
    }

    fn sites(&self) -> Vec<Arc<SiteCounts>> {
        self.sites.lock().clone()
    }

    fn origins(&self) -> Vec<Arc<OriginCounts>> {
        self.origins.lock().clone()
    }
}

/// What is counted under `name`, new if need be, or with the rest once there are too many.
fn find<T>(all: &Mutex<Vec<Arc<T>>>, name: &str, name_of: impl Fn(&T) -> &str, new: impl Fn(&str) -> T) -> Arc<T> {
    let mut all = all.lock();
    let name = match all.len() < MOST || all.iter().any(|known| name_of(known) == name) {
        true => name,
        false => OTHER,
    };
    if let Some(known) = all.iter().find(|known| name_of(known) == name) {
        return Arc::clone(known);
    }
    let made = Arc::new(new(name));
    all.push(Arc::clone(&made));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_bounded() {
        let telemetry = Telemetry::new(1);
        for site in 0..3 * MOST {
            telemetry.site(&format!("site{site}"));
        }
        assert_eq!(telemetry.sites().len(), MOST + 1);
        assert!(Arc::ptr_eq(&telemetry.site("site2500"), &telemetry.site(OTHER)));
        assert_eq!(&*telemetry.site("site7").name, "site7");
    }
}
