//! Everything that happened, in order: what the origin was asked and gave, what clients asked and got, what was purged.
//! The model judges from this alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::executor::Ms;
use crate::plan::{Ask, Plan, Policy, Target};
use crate::prng::mix;

/// A moment: its place in the order of all events, and the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Place in the order.
    pub order: u64,
    /// Time.
    pub at: Ms,
}

/// A content that the origin has, or had.
#[derive(Debug)]
pub struct Content {
    /// What it is, for people.
    pub name: String,
    /// Its bytes, unlike those of any other content at the same place.
    pub bytes: Bytes,
}

/// What names a content: resource, variant, version number.
pub type ContentId = (usize, u16, u32);

/// A request that reached the origin.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The resource.
    pub resource: usize,
    /// Whether the client came over TLS.
    pub secure: bool,
    /// The client's request that it is made for.
    pub request: usize,
    /// `X-Lang` and `X-Mode`, as they were sent.
    pub selecting: (Option<u8>, Option<u8>),
    /// It asks for a part.
    pub range: bool,
    /// It is a `POST`.
    pub unsafe_method: bool,
    /// When it came.
    pub begun: Stamp,
    /// What was answered.
    pub given: Option<Given>,
    /// When it failed without a head.
    pub failed: Option<Stamp>,
    /// When the body's last byte, or its failure, was given.
    pub ended: Option<Stamp>,
    /// When the edge gave it up.
    pub dropped: Option<Stamp>,
    /// Bytes of the body given so far.
    pub bytes_given: u64,
}

/// What the origin answered.
#[derive(Clone, Debug)]
pub struct Given {
    /// When the head was given.
    pub head: Stamp,
    /// The status.
    pub status: u16,
    /// What was said.
    pub policy: Policy,
    /// The whole content, even where only a part, or none, was sent.
    pub content: Arc<Content>,
    /// Where in the content the body begins.
    pub from: u64,
    /// The entity tag.
    pub etag: Option<String>,
    /// Whether other contents may have the same tag.
    pub lying: bool,
    /// `Last-Modified`, in seconds since the simulation began.
    pub modified: Option<i64>,
    /// `Age`
    pub age: u64,
    /// Whether the body's length was said.
    pub chunked: bool,
    /// The body does not come whole.
    pub cut: bool,
    /// When the last piece is there.
    pub schedule_end: Ms,
    /// Whether the response may be given to anybody but the client it was asked for.
    pub shareable: bool,
    /// It is an error of the server.
    pub error: bool,
}

/// A client's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it asks.
    pub ask: Ask,
    /// When it came.
    pub came: Stamp,
    /// The entity tag that it names in `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The contact whose body it reads, and up to where it has.
    pub reading: Option<(usize, u64)>,
}

/// A purge, or an invalidation by an unsafe method.
#[derive(Clone, Debug)]
pub struct Purge {
    /// What it names.
    pub target: Target,
    /// Whether nothing of it may be served again.
    pub hard: bool,
    /// When it was asked for.
    pub asked: Stamp,
    /// When it was acknowledged.
    pub done: Stamp,
    /// No crash undoes it.
    pub for_good: bool,
}

/// The end of a process.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// When.
    pub at: Stamp,
    /// Whether what is stored may have been damaged.
    pub rot: bool,
}

/// A broken rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What broke it.
    pub what: String,
}

/// Everything that happened.
#[derive(Default)]
pub struct Ledger {
    order: u64,
    /// What the origin was asked.
    pub contacts: Vec<Contact>,
    /// What clients asked.
    pub requests: Vec<Request>,
    /// What was purged.
    pub purges: Vec<Purge>,
    /// When purges were asked for, also those that were never acknowledged.
    pub purges_asked: Vec<Stamp>,
    /// The processes that ended.
    pub crashes: Vec<Crash>,
    /// How often each resource was changed by a `POST`.
    pub posts: Vec<u32>,
    /// The first rules that were broken.
    pub violations: Vec<Violation>,
    /// A line for each event, if they are kept.
    pub history: Option<Vec<String>>,
    /// How often each kind of thing happened.
    pub tally: BTreeMap<&'static str, u64>,
    contents: BTreeMap<ContentId, Arc<Content>>,
}

impl Ledger {
    /// An empty ledger for `plan`; `keep` says whether to write the history.
    pub fn new(plan: &Plan, keep: bool) -> Self {
        Ledger {
            posts: vec![0; plan.resources.len()],
            history: keep.then(Vec::new),
            ..Ledger::default()
        }
    }

    /// The next moment in the order of events.
    pub fn stamp(&mut self, at: Ms) -> Stamp {
        self.order += 1;
        Stamp { order: self.order, at }
    }

    /// Writes a line of the history, if it is kept.
    pub fn note(&mut self, at: Ms, line: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>7}.{:03}  {}", at / 1000, at % 1000, line()));
        }
    }

    /// Counts something.
    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Writes a broken rule down.
    pub fn broken(&mut self, at: Ms, violation: Violation) {
        self.note(at, || format!("!! {}: {}", violation.rule, violation.what));
        self.violations.push(violation);
    }

    /// The content of this name.
    pub fn content(&mut self, id: ContentId, size: usize) -> Arc<Content> {
        let make = || {
            let (resource, variant, version) = id;
            let seed = mix((resource as u64) << 48 | u64::from(variant) << 32 | u64::from(version));
            Arc::new(Content {
                name: format!("r{resource} variant {variant} version {version}"),
                bytes: bytes_of(seed, size),
            })
        };
        Arc::clone(self.contents.entry(id).or_insert_with(make))
    }

    /// Which content has `bytes` at `offset`, for people.
    pub fn whose(&self, bytes: &[u8], offset: u64) -> String {
        let holds = |content: &Content| {
            content
                .bytes
                .get(offset as usize..)
                .is_some_and(|rest| rest.starts_with(bytes))
        };
        let elsewhere = |content: &Content| {
            content
                .bytes
                .windows(bytes.len().clamp(1, 16))
                .position(|at| bytes.starts_with(at))
        };
        match self.contents.values().find(|content| holds(content)) {
            Some(content) => content.name.clone(),
            None => match self
                .contents
                .values()
                .find_map(|content| Some((content, elsewhere(content)?)))
            {
                Some((content, at)) => format!("{} at {at}", content.name),
                None => "nothing known".to_owned(),
            },
        }
    }
}

/// The number of the version that `resource` has at `at`.
pub fn version_at(plan: &Plan, ledger: &Ledger, resource: usize, at: Ms) -> u32 {
    let changes = plan.resources[resource]
        .changes
        .iter()
        .filter(|change| **change <= at)
        .count() as u32;
    changes + ledger.posts[resource]
}

/// Words that no two contents share at any place.
fn bytes_of(seed: u64, size: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut word = mix(seed);
    while bytes.len() < size {
        bytes.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}
