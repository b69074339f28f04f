//! What an exchange goes by, whatever the protocol.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::{FetchError, FetchRequest, Interims, RequestBody};
use crate::policy::hop::strip_hop_by_hop;

/// The most interim responses before a final one.
const MAX_INTERIM: u8 = 8;
/// The largest response head.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// A piece of a body of this size or less is copied rather than let hold the buffer that it was read into.
pub(super) const SMALL: usize = 4 * 1024;

/// The body that goes with a request, if one does.
pub(super) type BodyOf<'a> = Option<&'a mut (dyn RequestBody + 'a)>;

/// The longest waits of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) first_byte: Duration,
    pub(super) between_bytes: Duration,
    pub(super) write: Duration,
}

/// What the exchange keeps of the request and the configuration.
pub(super) struct Terms {
    pub(super) is_head: bool,
    pub(super) may_upgrade: bool,
    pub(super) limits: Limits,
    interims: Option<Arc<Interims>>,
    passed: u8,
}

impl Terms {
    pub(super) fn of(request: &FetchRequest, limits: Limits) -> Self {
        Terms {
            is_head: request.method == Method::HEAD,
            may_upgrade: request.upgrade.is_some(),
            limits,
            interims: request.interims.clone(),
            passed: 0,
        }
    }

    /// Passes an interim response on to whoever asked.
    pub(super) fn pass_on(&mut self, status: StatusCode, mut fields: HeaderMap) -> Result<(), FetchError> {
        // RFC 9110 section 15.2: any number may come before the final response; a bound on it is ours.
        self.passed += 1;
        if self.passed > MAX_INTERIM {
            return Err(FetchError::Protocol);
        }
        // RFC 9110 section 15.2.1: `100` answers an expectation, and none is sent on.
        if let Some(interims) = &self.interims
            && status != StatusCode::CONTINUE
        {
            strip_hop_by_hop(&mut fields);
            interims.push(status, fields);
        }
        Ok(())
    }
}

/// Why an exchange brought no response, and whether another may.
pub(super) struct Failure<'a> {
    pub(super) error: FetchError,
    pub(super) again: Again<'a>,
}

/// Whether the request may go out once more.
pub(super) enum Again<'a> {
    /// The origin did nothing with it, and its body is untouched.
    Untouched(BodyOf<'a>),
    /// The connection ended before a byte of a response.
    Unheard,
    /// It may not.
    Never,
}

impl Failure<'_> {
    /// A failure that is not repeated.
    pub(super) fn of(error: FetchError) -> Self {
        let again = Again::Never;
        Failure { error, again }
    }
}
