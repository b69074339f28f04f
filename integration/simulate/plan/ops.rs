//! What happens: clients ask, somebody purges.

use crate::executor::Ms;
use crate::life::End;

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
    /// The process ends, and the next one begins; so many bits on the disk are flipped in between.
    Crash(End, u64),
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
    /// What it has where a token is asked for.
    pub token: Token,
    /// Whether that is in a cookie, not in the query.
    pub in_cookie: bool,
}

/// A token, as far as it matters whether it is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Token {
    /// None.
    #[default]
    None,
    /// One that is good.
    Good,
    /// One whose time is over.
    Old,
    /// One for something else.
    OfAnother,
    /// One that was made with another key.
    Forged,
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
