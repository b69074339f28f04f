//! What all requests share.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use crate::access;
use crate::cache::{Below, Cache, Purged, Secret};
use crate::clock::Clock;
use crate::config::{Config, Site};
use crate::origin::Fetch;
use crate::purge::{Mode, Selector};
use crate::telemetry::access::AccessLog;
use crate::telemetry::{SiteCounts, Telemetry};

/// Starts tasks that belong to no request: fills. The edge's runtime, or the simulator's.
pub trait Spawn: Send + Sync {
    /// Runs `task` to its end, whatever becomes of the caller.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// An origin as requests see it.
pub struct OriginSlot {
    /// Its responses.
    pub fetch: Arc<dyn Fetch>,
    /// Fetches under way.
    pub under_way: Arc<AtomicUsize>,
    /// How many there may be.
    pub max_fetches: usize,
}

/// Everything that a request needs besides itself.
pub struct Edge {
    /// What the operator wants.
    pub config: Arc<Config>,
    /// What is stored and on its way.
    pub cache: Arc<Cache>,
    /// The origins, in the order of [`Config::origins`].
    pub origins: Vec<OriginSlot>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where fills run.
    pub spawn: Arc<dyn Spawn>,
    /// All that is counted.
    pub telemetry: Arc<Telemetry>,
    /// What is counted for each site, in the configuration's order, and last for none.
    pub sites: Vec<Arc<SiteCounts>>,
    /// Where requests are logged, if they are.
    pub access: Option<Arc<AccessLog>>,
    /// What this edge, and no other, calls itself in `CDN-Loop` (RFC 8586).
    pub cdn_id: Arc<str>,
    /// What is remembered of tokens, once one was asked for.
    pub tokens: Arc<OnceLock<access::Memory>>,
}

impl Edge {
    /// An edge with an empty cache of RAM alone. `origins` are those of the configuration, in its order.
    pub fn new(
        config: Arc<Config>,
        origins: Vec<Arc<dyn Fetch>>,
        secret: Secret,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        let cache = Cache::new(config.cache.clone(), secret);
        Edge::over(config, cache, origins, clock, spawn)
    }

    /// An edge over what the tier below RAM has.
    pub fn with_below(
        config: Arc<Config>,
        origins: Vec<Arc<dyn Fetch>>,
        below: Below,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        let cache = Cache::with_below(config.cache.clone(), below);
        Edge::over(config, cache, origins, clock, spawn)
    }

    fn over(
        config: Arc<Config>,
        cache: Cache,
        origins: Vec<Arc<dyn Fetch>>,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        let slot = |(fetch, origin): (Arc<dyn Fetch>, &crate::config::Origin)| OriginSlot {
            fetch,
            under_way: Arc::default(),
            max_fetches: origin.max_fetches,
        };
        set_quotas(&cache, &config);
        let telemetry = Arc::new(Telemetry::new(config.threads));
        Edge {
            cdn_id: format!("verge-{:016x}", cache.secret().tag(b"cdn-loop") >> 64).into(),
            cache: Arc::new(cache),
            sites: counts(&telemetry, &config),
            telemetry,
            origins: origins.into_iter().zip(&config.origins).map(slot).collect(),
            config,
            clock,
            spawn,
            access: None,
            tokens: Arc::default(),
        }
    }

    /// The same, with everything counted in `telemetry`.
    pub fn counting(self, telemetry: Arc<Telemetry>) -> Self {
        Edge {
            sites: counts(&telemetry, &self.config),
            telemetry,
            ..self
        }
    }

    /// The same edge under another configuration, with these origins: nothing that is stored is lost. An origin that had
    /// its name before keeps its count of fetches under way.
    pub fn renewed(&self, config: Arc<Config>, origins: Vec<Arc<dyn Fetch>>) -> Self {
        let slot = |(fetch, origin): (Arc<dyn Fetch>, &crate::config::Origin)| OriginSlot {
            fetch,
            under_way: self
                .place_of(&origin.reach.name)
                .map_or_else(Arc::default, |place| Arc::clone(&self.origins[place].under_way)),
            max_fetches: origin.max_fetches,
        };
        set_quotas(&self.cache, &config);
        Edge {
            cache: Arc::clone(&self.cache),
            sites: counts(&self.telemetry, &config),
            telemetry: Arc::clone(&self.telemetry),
            origins: origins.into_iter().zip(&config.origins).map(slot).collect(),
            config,
            clock: Arc::clone(&self.clock),
            spawn: Arc::clone(&self.spawn),
            access: self.access.clone(),
            cdn_id: Arc::clone(&self.cdn_id),
            tokens: Arc::clone(&self.tokens),
        }
    }

    /// What is remembered of tokens, whatever the configuration.
    pub fn tokens(&self) -> &access::Memory {
        let secret = || self.cache.secret().tag(b"tokens").to_ne_bytes();
        self.tokens.get_or_init(|| access::Memory::new(secret()))
    }

    /// Purges what `selector` names. When this returns, no request that arrives later is answered with it; what it gives says
    /// when not even a crash brings that back.
    pub fn purge(&self, selector: &Selector, mode: Mode) -> Purged {
        let kind = match selector {
            Selector::Url(_) => 0,
            Selector::Tag(_) => 1,
            Selector::Prefix(_) => 2,
            Selector::Site(_) => 3,
            Selector::All => 4,
        };
        self.telemetry.purges[kind][usize::from(mode == Mode::Soft)].up();
        self.cache.purge_for_good(selector, mode)
    }

    /// The place of the origin of this name.
    pub fn place_of(&self, origin: &str) -> Option<usize> {
        self.config.origins.iter().position(|known| known.reach.name == origin)
    }
}

fn set_quotas(cache: &Cache, config: &Config) {
    let quota = |site: &Site| Some((Arc::clone(&site.name), site.ssd_quota?));
    if let Some(below) = cache.below() {
        below.tier.set_quotas(config.sites.iter().filter_map(quota).collect());
    }
}

/// What is counted for each site of a configuration, and last for none.
fn counts(telemetry: &Telemetry, config: &Config) -> Vec<Arc<SiteCounts>> {
    let sites = config.sites.iter().map(|site| telemetry.site(&site.name));
    sites.chain([telemetry.no_site()]).collect()
}
