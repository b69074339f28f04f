//! One timer for all the waits of an exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::FetchError;
use super::upload::Waits;

/// Measures the present wait. Nothing is armed while bytes keep coming: the timer rings at the end of some earlier wait,
/// sees that it was not this one's end, and is only then set anew.
#[derive(Default)]
pub(super) struct Patience {
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// There was progress: the next wait is a new one.
    pub(super) fn restart(&mut self) {
        self.since = None;
    }

    /// Ready when the origin has kept us waiting for too long: `write` to take the request, or `silence` to say something.
    /// While it waits for the client, it does not.
    pub(super) fn poll_error(
        &mut self,
        cx: &mut Context<'_>,
        waits: Waits,
        (write, silence): (Duration, Duration),
    ) -> Poll<FetchError> {
        let (limit, error) = match waits {
            Waits::Client => return Poll::Pending,
            Waits::Origin => (write, FetchError::WriteTimeout),
            Waits::Nothing => (silence, FetchError::ReadTimeout),
        };
        ready!(self.poll_exhausted(cx, limit));
        Poll::Ready(error)
    }

    /// Ready once the present wait has lasted `limit`.
    fn poll_exhausted(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
