//! One run of a plan: the edge, its origin and its clients, over virtual time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use verge::cache::{Below, KeyParts, SchemeClass, Secret, Settings, fill::Terms};
use verge::clock::Clock;
use verge::config::{ClientLimits, Config, Drain, Glob, Log, Origin as OriginEntry, Route, Site, SiteTable};
use verge::origin::{Fetch, OriginConfig};
use verge::pipeline::{Edge, Spawn};
use verge::policy::reuse;
use verge::purge::{Mode, Selector};

use crate::client;
use crate::executor::{Ended, Executor, Handle, Ms};
use crate::ledger::{Crash, Ledger, Purge, Violation};
use crate::life::{End, Life};
use crate::model;
use crate::origin::Origin;
use crate::plan::{Knobs, Plan, Target, What};
use crate::tokens;

/// The hosts of the sites.
pub const HOSTS: [&str; 2] = ["a.example", "b.example"];

/// What the parts of a simulation share.
pub struct World {
    /// What is to happen.
    pub plan: Arc<Plan>,
    /// Time and tasks.
    pub handle: Handle,
    /// What happened.
    pub ledger: Mutex<Ledger>,
    /// The process that lives.
    life: Mutex<Option<Life>>,
}

impl World {
    /// The present moment.
    pub fn now(&self) -> Ms {
        self.handle.now()
    }

    /// The edge that runs.
    pub fn edge(&self) -> Arc<Edge> {
        let life = self.life.lock();
        Arc::clone(&life.as_ref().expect("a process lives").edge)
    }

    /// The place in the plan of what `host` has at `target`.
    pub fn resource(&self, host: &str, target: &str) -> usize {
        let text = format!("{host}{target}");
        self.plan
            .resources
            .iter()
            .position(|resource| resource.text() == text)
            .unwrap_or(0)
    }
}

/// Runs `plan` and gives what happened. `keep` says whether to write the history.
pub fn run(plan: &Plan, keep: bool) -> Ledger {
    let mut executor = Executor::new(plan.schedule, plan.knobs.spurious);
    let world = Arc::new(World {
        plan: Arc::new(plan.clone()),
        handle: executor.handle(),
        ledger: Mutex::new(Ledger::new(plan, keep)),
        life: Mutex::new(None),
    });
    let first = Life::first(&plan.knobs, &world.handle, |clock, below| edge(&world, clock, below));
    *world.life.lock() = Some(first);
    for op in &plan.ops {
        let (world, op) = (Arc::clone(&world), op.clone());
        executor.handle().start(async move {
            world.handle.until(op.at).await;
            happen(&world, op.what);
        });
    }
    let mut polls = 0;
    let work = |work: &mut dyn FnMut(&mut Life) -> bool| world.life.lock().as_mut().is_some_and(work);
    let between = || {
        polls += 1;
        let edge = world.edge();
        // moka would else do this by real time.
        if polls % u64::from(plan.knobs.housekeeping) == 0 {
            edge.cache.ram().weight();
        }
        work(&mut |life| {
            life.work(polls);
            false
        });
        model::watch(&world, &edge, &plan.knobs);
    };
    let ended = executor.run(between, || work(&mut Life::work_off));
    // Tasks that are left write down that they end.
    drop(executor);
    let edge = world.edge();
    let ledger = finish(&world, &edge, ended);
    // What the edge's tasks hold of the world would else keep both.
    *world.life.lock() = None;
    ledger
}

/// Does what an op says.
fn happen(world: &Arc<World>, what: What) {
    let edge = world.edge();
    let own = Arc::clone(world);
    match what {
        What::Ask(ask) => world.handle.start_mortal(client::ask(own, edge, ask)),
        What::Purge(target, hard) => world.handle.start_mortal(purge(own, edge, target, hard)),
        What::Crash(end, rot) => crash(world, end, rot),
    }
}

fn crash(world: &Arc<World>, end: End, rot: u64) {
    world.handle.end_life();
    {
        let mut ledger = world.ledger.lock();
        let at = ledger.stamp(world.now());
        ledger.note(at.at, || format!("crash: {end:?}, bits flipped: {rot}"));
        ledger.count("crashes");
        // Nobody waited for these to be on the device.
        ledger.purges.retain(|purge| purge.for_good);
        ledger.crashes.push(Crash { at, rot: rot > 0 });
    }
    let before = world.life.lock().take();
    let knobs = &world.plan.knobs;
    let next =
        before.map(|before| before.next(knobs, &world.handle, end, rot, |clock, below| edge(world, clock, below)));
    *world.life.lock() = next;
}

fn finish(world: &World, edge: &Edge, ended: Ended) -> Ledger {
    let mut ledger = std::mem::take(&mut *world.ledger.lock());
    let at = world.now();
    let mut broken = |rule, what| ledger.broken(at, Violation { rule, what });
    match ended {
        Ended::Finished => {}
        Ended::Stuck(tasks) => broken("lost wake-up", format!("{tasks} tasks wait for ever")),
        Ended::Endless => broken("livelock", "the tasks never come to an end".to_owned()),
    }
    if ended == Ended::Finished && edge.cache.fills_under_way() > 0 {
        broken(
            "leak",
            format!("{} fills are counted, but none is left", edge.cache.fills_under_way()),
        );
    }
    model::at_the_end(&world.plan, &mut ledger, at);
    ledger
}

async fn purge(world: Arc<World>, edge: Arc<Edge>, target: Target, hard: bool) {
    let mode = if hard { Mode::Hard } else { Mode::Soft };
    let secret = edge.cache.secret();
    let selector = match &target {
        Target::Url(place) => {
            let resource = &world.plan.resources[*place];
            Selector::Url(secret.url(&KeyParts {
                scheme: SchemeClass::Clear,
                host: resource.host,
                path: resource.path,
                query: resource.query,
            }))
        }
        Target::Tag(tag) => Selector::Tag(secret.tag(format!("t{tag}").as_bytes())),
        Target::Prefix(prefix) => Selector::Prefix(prefix.as_str().into()),
        Target::Site(site) => Selector::Site((*site).into()),
        Target::All => Selector::All,
    };
    let asked = {
        let mut ledger = world.ledger.lock();
        let asked = ledger.stamp(world.now());
        ledger.purges_asked.push(asked);
        asked
    };
    if edge.cache.purge_for_good(&selector, mode).acknowledged().await.is_err() {
        return;
    }
    let mut ledger = world.ledger.lock();
    let done = ledger.stamp(world.now());
    ledger.note(done.at, || {
        format!("purge, {}: {target:?}", if hard { "hard" } else { "soft" })
    });
    ledger.count(if hard { "hard purges" } else { "soft purges" });
    ledger.purges.push(Purge {
        target,
        hard,
        asked,
        done,
        for_good: true,
    });
}

fn edge(world: &Arc<World>, clock: Arc<dyn Clock>, below: Option<Below>) -> Edge {
    let knobs = &world.plan.knobs;
    let config = Config {
        threads: 1,
        admin: None,
        drain: Drain::default(),
        reload: Duration::ZERO,
        log: Log::default(),
        listen: Vec::new(),
        tls: verge::tls::Settings::default(),
        client: ClientLimits::default(),
        cache: settings(knobs),
        ssd: verge::config::Ssd::default(),
        origins: vec![OriginEntry {
            reach: OriginConfig::default(),
            max_fetches: usize::MAX,
        }],
        sites: sites(&world.plan),
        keys: Default::default(),
        files: Vec::new(),
        warnings: Vec::new(),
    };
    let origin: Arc<dyn Fetch> = Arc::new(Origin(Arc::clone(world)));
    let spawn: Arc<dyn Spawn> = Arc::new(world.handle.clone());
    let config = Arc::new(config);
    match below {
        Some(below) => Edge::with_below(config, vec![origin], below, clock, spawn),
        None => Edge::new(config, vec![origin], Secret::new([7; 16]), clock, spawn),
    }
}

fn settings(knobs: &Knobs) -> Settings {
    Settings {
        ram: knobs.ram,
        chunk_share: knobs.chunk_share,
        terms: Terms {
            window: knobs.window,
            pass_window: knobs.pass_window,
            finish_bytes: knobs.finish_bytes,
            finish_share: knobs.finish_share,
            detached: false,
        },
        max_fills: knobs.max_fills,
        max_readers: knobs.max_readers,
        ..Settings::default()
    }
}

fn sites(plan: &Plan) -> SiteTable {
    let knobs = &plan.knobs;
    let mut table = SiteTable::default();
    for host in HOSTS {
        let route = Route {
            path: Glob::new("*"),
            site: host.into(),
            origin: 0,
            cache: true,
            upgrade: false,
            secure_only: false,
            redirect_to_https: None,
            hsts: None,
            signed: None,
            max_body: 1 << 20,
            targets: Arc::default(),
            terms: reuse::Terms {
                stale_while_revalidate: Duration::from_secs(knobs.swr),
                stale_if_error: Duration::from_secs(knobs.sie),
                client_may_revalidate: knobs.client_may_revalidate,
            },
        };
        let of_host = plan.resources.iter().filter(|resource| resource.host == host);
        let guarded = of_host.filter(|resource| resource.guarded).map(|resource| Route {
            path: Glob::new(resource.path),
            signed: Some(tokens::policy()),
            ..route.clone()
        });
        let routes = guarded.chain([route.clone()]).map(Arc::new);
        let site = Site {
            name: host.into(),
            purge_token: None,
            ssd_quota: None,
            routes: routes.collect(),
        };
        // The hosts differ, so none is taken.
        let _ = table.add(site, &[host.to_owned()]);
    }
    table
}
