//! What the origin has, what it says of it, and how it behaves.

use crate::executor::Ms;

/// Something with a URL, and how it changes.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its host, which is also its site's name.
    pub host: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Its query.
    pub query: Option<&'static str>,
    /// Whether a token is asked for.
    pub guarded: bool,
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
