//! A running edge as its operator knows it: started, reloaded, drained.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::cache::below::Folder;
use crate::cache::{Below, Secret};
use crate::clock::Clock;
use crate::config::{Config, Listener, Log, Speaks, SsdFolder};
use crate::device::Disk;
use crate::listen::{Bound, OnThisThread, Server};
use crate::origin::{Fetch, Origin, OriginConfig};
use crate::pipeline::Edge;
use crate::store;
use crate::store::tiered::Admission;
use crate::telemetry::Telemetry;
use crate::telemetry::access::AccessLog;
use crate::telemetry::events::{self, Event};
use crate::tls::{CertificateInfo, ClientCertificates, Reload, Standing, Terminator};

/// Reads the configuration anew; the errors are whole lines.
pub type Source = Box<dyn Fn() -> Result<Config, Vec<String>> + Send + Sync>;

/// A running edge.
pub struct Node {
    /// The threads and sockets.
    pub server: Server,
    source: Source,
    clock: Arc<dyn Clock>,
    draining: AtomicBool,
    drain_asked: Notify,
    /// When the configuration in use was loaded.
    loaded: Mutex<SystemTime>,
    /// The configuration's files, as they were last looked at.
    files_seen: Mutex<Vec<Mark>>,
    /// Held while something is exchanged.
    changing: Mutex<()>,
}

impl Node {
    /// Starts an edge of this configuration; `source` reads it anew. An error is one line or several, each of which names
    /// its culprit and the mend.
    pub fn start(config: Config, source: Source, clock: Arc<dyn Clock>) -> Result<Node, Vec<String>> {
        let one = |error: String| vec![error];
        tell_as(&config.log);
        let telemetry = Arc::new(Telemetry::new(config.threads));
        let files = marks(&config.files);
        let origins = config.origins.iter().map(|origin| connect(&origin.reach, &telemetry));
        let origins = origins.collect::<Result<Vec<_>, _>>().map_err(one)?;
        let bound = Bound::new(&config.listen, config.threads).map_err(|error| one(error.to_string()))?;
        let tls = terminator(&config, None, &clock)?;
        let access = AccessLog::open(&config.log, &clock, &telemetry).map_err(one)?;
        let edge = edge(config, origins, &clock).map_err(one)?;
        let edge = Edge {
            access,
            ..edge.counting(telemetry)
        };
        let server = Server::start(Arc::new(edge), tls, bound);
        Ok(Node {
            server: server.map_err(|error| one(format!("cannot start serving: {error}")))?,
            source,
            loaded: Mutex::new(clock.now().wall),
            files_seen: Mutex::new(files),
            clock,
            draining: AtomicBool::new(false),
            drain_asked: Notify::new(),
            changing: Mutex::new(()),
        })
    }

    /// Reads the configuration and all files anew, and has all requests from now on run on them; requests that are under
    /// way stay as they are, and so does all that is stored. On any error everything stays as it was. Returns what has to
    /// wait for a restart. Not for a serving thread: it reads files.
    pub fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        let _changing = self.changing.lock();
        let reloaded = self.exchange();
        self.server.edge().telemetry.reloads[usize::from(reloaded.is_err())].up();
        match &reloaded {
            Ok(wait) => {
                *self.loaded.lock() = self.clock.now().wall;
                *self.files_seen.lock() = marks(&self.server.edge().config.files);
                for what in wait.clone() {
                    events::tell(&Event::RestartNeeded { what });
                }
                events::tell(&Event::Reloaded {});
            }
            Err(errors) => {
                for error in errors.clone() {
                    events::tell(&Event::ConfigError { error });
                }
                events::tell(&Event::ReloadFailed { errors: errors.len() });
            }
        }
        reloaded
    }

    /// Whether any of the configuration's files is another than when this was last asked, or than at the start.
    pub fn files_changed(&self) -> bool {
        let now = marks(&self.server.edge().config.files);
        let mut seen = self.files_seen.lock();
        let changed = *seen != now;
        *seen = now;
        changed
    }

    fn exchange(&self) -> Result<Vec<String>, Vec<String>> {
        let config = (self.source)()?;
        let old = self.server.edge();
        let origins = config.origins.iter().map(|origin| {
            let place = old.place_of(&origin.reach.name);
            let same = place.filter(|place| {
                // What a file of authorities says may have changed.
                let known = &old.config.origins[*place].reach;
                *known == origin.reach && known.ca_file.is_none()
            });
            match same {
                Some(place) => Ok(Arc::clone(&old.origins[place].fetch)),
                None => connect(&origin.reach, &old.telemetry),
            }
        });
        let origins = origins.collect::<Result<Vec<_>, _>>().map_err(|error| vec![error])?;
        let tls = terminator(&config, self.server.tls().as_deref(), &self.clock)?;
        let wait = waits_for_restart(&old.config, &config);
        let log = config.log.clone();
        let access = match &old.access {
            Some(access) => access.renewed(&log, &self.clock).map(Some),
            None => AccessLog::open(&log, &self.clock, &old.telemetry),
        };
        let access = access.map_err(|error| vec![error])?;
        let edge = Edge {
            access: access.clone(),
            ..old.renewed(Arc::new(config), origins)
        };
        let changed = self.server.change(Arc::new(edge), tls);
        changed.map_err(|error| vec![error.to_string()])?;
        if let Some(access) = access {
            access.take_over();
        }
        tell_as(&log);
        Ok(wait)
    }

    /// Reads certificates and keys anew if any of their files has changed.
    pub fn reload_certificates(&self) -> Reload {
        let _changing = self.changing.lock();
        self.server.tls().map_or(Reload::Unchanged, |tls| tls.reload(false))
    }

    /// Opens the access log's file again, which may have been moved. Returns its name, if requests are logged in a file.
    ///
    /// # Errors
    /// It cannot be opened, and the old one stays in use; names it and the mend.
    pub fn reopen_log(&self) -> Result<Option<String>, String> {
        let edge = self.server.edge();
        edge.access.as_ref().map_or(Ok(None), |access| access.reopen())
    }

    /// When the configuration in use was loaded.
    pub fn loaded(&self) -> SystemTime {
        *self.loaded.lock()
    }

    /// Whether it is to be sent new requests; if not, why.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::SeqCst) {
            return Err("draining");
        }
        let now = self.clock.now().wall;
        let certificates = self.server.tls().map_or_else(Vec::new, |tls| tls.certificates());
        let usable = |certificate: &CertificateInfo| certificate.standing(now) == Standing::Valid;
        // While one is valid, its hosts can be served.
        if !certificates.is_empty() && !certificates.iter().any(usable) {
            return Err("no certificate is valid");
        }
        // Without what is stored there, it would ask origins for everything.
        match self
            .server
            .edge()
            .cache
            .below()
            .is_some_and(|below| below.tier.has_failed())
        {
            true => Err("a cache folder cannot be read"),
            false => Ok(()),
        }
    }

    /// Has whoever waits for [`Node::asked_to_drain`] drain it.
    pub fn ask_to_drain(&self) {
        self.begin_drain();
        self.drain_asked.notify_one();
    }

    /// Waits until it is asked to drain.
    pub async fn asked_to_drain(&self) {
        self.drain_asked.notified().await;
    }

    /// Is no longer ready, from now on.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Says for `wait` that it is not ready, and serves all the same; then takes no more connections, and ends those
    /// there are after what is under way on each, but after `longest` at the latest. Returns how many were cut off.
    pub async fn drain(&self, wait: Duration, longest: Duration) -> usize {
        self.begin_drain();
        tokio::time::sleep(wait).await;
        self.server.drain(longest).await
    }
}

/// What tells a file from what it was before: its path, when it was changed, and its length.
type Mark = (PathBuf, Option<(SystemTime, u64)>);

fn marks(files: &[PathBuf]) -> Vec<Mark> {
    let mark = |path: &PathBuf| {
        let known = std::fs::metadata(path).ok();
        (
            path.clone(),
            known.and_then(|known| Some((known.modified().ok()?, known.len()))),
        )
    };
    files.iter().map(mark).collect()
}

/// An edge over what its folders have or, without any, with an empty cache. An error names its culprit and the mend.
pub fn edge(config: Config, origins: Vec<Arc<dyn Fetch>>, clock: &Arc<dyn Clock>) -> Result<Edge, String> {
    let spawn = Arc::new(OnThisThread);
    if config.ssd.folders.is_empty() {
        let secret = Secret::random().map_err(|error| format!("the system gives no random bytes: {error}"))?;
        return Ok(Edge::new(Arc::new(config), origins, secret, Arc::clone(clock), spawn));
    }
    let below = below(&config, clock)?;
    if let Some(why) = below.damaged {
        events::tell(&Event::PurgesLost { why });
    }
    Ok(Edge::with_below(
        Arc::new(config),
        origins,
        below,
        Arc::clone(clock),
        spawn,
    ))
}

/// The tier below RAM.
fn below(config: &Config, clock: &Arc<dyn Clock>) -> Result<Below, String> {
    let folder = |folder: &SsdFolder| {
        let path = folder.path.display().to_string();
        let device = Disk::open(&folder.path).map_err(|error| {
            format!("cache folder {path}: {error}; make it, and give it to the user that runs verge")
        })?;
        Ok(Folder {
            path,
            device: Arc::new(device),
            settings: store::ssd::Settings::new(folder.size),
        })
    };
    let folders = config
        .ssd
        .folders
        .iter()
        .map(folder)
        .collect::<Result<Vec<_>, String>>()?;
    let admission = Admission::new(config.ssd.admission, config.ssd.write_budget);
    Below::open(folders, admission, clock).map_err(|error| error.to_string())
}

fn connect(origin: &OriginConfig, telemetry: &Telemetry) -> Result<Arc<dyn Fetch>, String> {
    let counts = telemetry.origin(&origin.name);
    Ok(Arc::new(Origin::counted(origin.clone(), counts)?))
}

/// Has events told as `log` says.
fn tell_as(log: &Log) {
    events::set_level(log.level);
    events::set_format(log.events);
}

/// What the TLS listeners share, if there are any. `old`: what they shared before.
pub fn terminator(
    config: &Config,
    old: Option<&Terminator>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Terminator>>, Vec<String>> {
    let asked = |listener: &Listener| match &listener.speaks {
        Speaks::Clear { .. } => None,
        Speaks::Tls(asked) => Some(asked.clone()),
    };
    let listeners: Vec<ClientCertificates> = config.listen.iter().filter_map(asked).collect();
    if listeners.is_empty() {
        return Ok(None);
    }
    let made = match old {
        Some(old) => old.renewed(config.tls.clone(), listeners),
        None => Terminator::new(config.tls.clone(), listeners, Arc::clone(clock)),
    };
    match made {
        Ok(terminator) => Ok(Some(Arc::new(terminator))),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

/// What of a new configuration cannot be taken up by a process that runs.
fn waits_for_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut waits = Vec::new();
    let mut wait = |changed: bool, what: &str| {
        if changed {
            waits.push(format!("{what} changed; that takes a restart"));
        }
    };
    wait(old.threads != new.threads, "[server] threads");
    wait(old.cache != new.cache || old.ssd != new.ssd, "[cache]");
    let admin = |config: &Config| config.admin.as_ref().map(|admin| admin.address);
    wait(admin(old) != admin(new), "[server] admin");
    waits
}
