//! What a simulation is to do: plain data, drawn from a seed or written by hand, so that it can be shrunk and replayed.

use crate::executor::Ms;

/// A whole simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides which ready task runs next.
    pub schedule: u64,
    /// Sizes and limits of the edge.
    pub knobs: Knobs,
    /// What the origin has.
    pub resources: Vec<Resource>,
    /// What happens, in any order.
    pub ops: Vec<Op>,
}

/// Sizes and limits of the edge.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Bytes of RAM.
    pub ram: u64,
    /// Share of them for chunks.
    pub chunk_share: f64,
    /// Bytes that a windowed fill runs ahead.
    pub window: u64,
    /// The same for what one client reads.
    pub pass_window: u64,
    /// An unread fill is finished if no more than this is missing.
    pub finish_bytes: u64,
    /// An unread fill is finished if this share has come.
    pub finish_share: f64,
    /// Fills at a time.
    pub max_fills: usize,
    /// Readers of one fill.
    pub max_readers: usize,
    /// Whether clients may demand validation.
    pub client_may_revalidate: bool,
    /// The site's stale-while-revalidate, in seconds.
    pub swr: u64,
    /// The site's stale-if-error, in seconds.
    pub sie: u64,
    /// Whether tasks are polled now and then though nobody woke them.
    pub spurious: bool,
    /// Whether clients differ more than a key may have variants.
    pub many_variants: bool,
    /// Polls between two turns of the RAM tier's housekeeping.
    pub housekeeping: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs {
            ram: 64 << 20,
            chunk_share: 0.5,
            window: 16 << 10,
            pass_window: 8 << 10,
            finish_bytes: 4 << 10,
            finish_share: 0.5,
            max_fills: 10_000,
            max_readers: 10_000,
            client_may_revalidate: false,
            swr: 0,
            sie: 0,
            spurious: false,
            many_variants: false,
            housekeeping: 8,
        }
    }
}

impl Knobs {
    /// Whether nothing is ever evicted, and every body kept.
    pub fn is_roomy(&self) -> bool {
        self.ram >= 64 << 20
    }

    /// Whether no request is turned away for there being too many.
    pub fn is_generous(&self) -> bool {
        self.max_fills >= 1000 && self.max_readers >= 1000 && !self.many_variants
    }
}

/// Something with a URL, and how it changes.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its host, which is also its site's name.
    pub host: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Its query.
    pub query: Option<&'static str>,
    /// The contents it has one after another, over and over.
    pub versions: Vec<Version>,
    /// When the next one comes, besides by `POST`.
    pub changes: Vec<Ms>,
    /// What is said of it beside its content, one after another.
    pub policies: Vec<Policy>,
    /// When the next of `policies` comes.
    pub policy_changes: Vec<Ms>,
    /// How the origin treats one request after another, over and over.
    pub behaviours: Vec<Behaviour>,
}

impl Resource {
    /// `host/path?query`
    pub fn text(&self) -> String {
        match self.query {
            Some(query) => format!("{}{}?{query}", self.host, self.path),
            None => format!("{}{}", self.host, self.path),
        }
    }
}

/// A content.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Its size in bytes.
    pub size: usize,
    /// Its entity tag.
    pub etag: Tag,
    /// Whether it says when it was modified.
    pub last_modified: bool,
    /// Its status.
    pub status: u16,
}

/// What a version has for an entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// None.
    None,
    /// A strong one of its own.
    Strong,
    /// A weak one of its own.
    Weak,
    /// A strong one that all variants of the version share, as many origins' do.
    OfAllVariants,
    /// A strong one that never changes, though the content does: a lie.
    Always,
}

/// What is said of a resource beside its content. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `max-age`
    pub max_age: Option<u64>,
    /// `s-maxage`
    pub s_maxage: Option<u64>,
    /// `stale-while-revalidate`
    pub swr: Option<u64>,
    /// `stale-if-error`
    pub sie: Option<u64>,
    /// `no-cache`
    pub no_cache: bool,
    /// `no-store`
    pub no_store: bool,
    /// `private`
    pub private: bool,
    /// `public`
    pub public: bool,
    /// `must-revalidate`
    pub must_revalidate: bool,
    /// `Vary`
    pub vary: VaryBy,
    /// Its tags.
    pub tags: Vec<u8>,
}

/// What a response varies by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaryBy {
    /// Nothing.
    #[default]
    Nothing,
    /// `X-Lang`
    Lang,
    /// `X-Lang` and `X-Mode`
    LangAndMode,
    /// `*`
    Star,
}

/// How the origin treats one request.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Milliseconds until the head.
    pub delay: Ms,
    /// The version is that of the end of the delay, not of its beginning.
    pub late: bool,
    /// What comes.
    pub outcome: Outcome,
    /// Bytes of a piece of the body.
    pub piece: usize,
    /// Milliseconds between pieces.
    pub pause: Ms,
    /// The body's length is not said.
    pub chunked: bool,
    /// The body ends after this many thousandths.
    pub cut: Option<u64>,
    /// Conditions are not looked at.
    pub unconditional: bool,
    /// Ranges are not looked at.
    pub no_ranges: bool,
    /// `If-Range` is not looked at: a part comes whatever it is a part of.
    pub no_if_range: bool,
    /// A `206` brings no more bytes than this, as RFC 9110 15.3.7 lets it.
    pub short_range: Option<u64>,
    /// `Age`
    pub age: Option<u64>,
    /// Whether there is a `Date`.
    pub date: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            delay: 10,
            late: false,
            outcome: Outcome::Response,
            piece: 4096,
            pause: 0,
            chunked: false,
            cut: None,
            unconditional: false,
            no_ranges: false,
            no_if_range: false,
            short_range: None,
            age: None,
            date: true,
        }
    }
}

/// What comes of a request to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The resource.
    Response,
    /// No head: the connection ends.
    NoHead,
    /// An error of this status; whether the resource's policy is said of it too.
    Error(u16, bool),
}

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Op {
    /// When.
    pub at: Ms,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A client asks.
    Ask(Ask),
    /// Somebody purges.
    Purge(Target, bool),
}

/// What is purged; beside it stands whether hard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The URL of a resource.
    Url(usize),
    /// A tag.
    Tag(u8),
    /// A prefix of `host/path?query`.
    Prefix(String),
    /// A site.
    Site(&'static str),
    /// Everything.
    All,
}

/// One client and its request.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Place of the resource in the plan.
    pub resource: usize,
    /// Over TLS.
    pub secure: bool,
    /// The method.
    pub method: Method,
    /// `X-Lang`
    pub lang: Option<u8>,
    /// `X-Mode`
    pub mode: Option<u8>,
    /// Whether there is an `Authorization`.
    pub authorization: bool,
    /// Whether there is a `Cookie`.
    pub cookie: bool,
    /// `Cache-Control`
    pub cache_control: Option<&'static str>,
    /// `Range`
    pub range: Option<String>,
    /// Which version an `If-None-Match` names: so many before the current one.
    pub if_none_match: Option<u32>,
    /// The same for `If-Range`.
    pub if_range: Option<u32>,
    /// Milliseconds after each piece.
    pub pace: Ms,
    /// Stops once for as many milliseconds, after so many bytes.
    pub stall: Option<(u64, Ms)>,
    /// Leaves so many milliseconds after it came.
    pub leaves_at: Option<Ms>,
    /// Leaves after so many bytes.
    pub leaves_after: Option<u64>,
}

impl Ask {
    /// Whether it takes what comes as soon as it comes.
    pub fn is_fast(&self) -> bool {
        self.pace == 0 && self.stall.is_none()
    }

    /// Whether it may share another's fetch.
    pub fn may_join(&self) -> bool {
        self.method != Method::Post && !self.authorization && self.cache_control != Some("no-store")
    }
}

/// A request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`, which changes the resource.
    Post,
}
