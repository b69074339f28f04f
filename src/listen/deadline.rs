//! A deadline that is cheap to move: the timer behind it is touched only when it runs out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::ClientLimits;

/// A moment to wait for no longer than; unset at first.
#[derive(Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Sets it to `from_now` from now.
    pub fn set(&mut self, from_now: Duration) {
        self.at = Instant::now().checked_add(from_now);
    }

    /// Sets it unless it is set.
    pub fn set_if_unset(&mut self, from_now: Duration) {
        if self.at.is_none() {
            self.set(from_now);
        }
    }

    /// Sets it to `from_now` from now, unless it is set to earlier than that.
    pub fn set_to_at_most(&mut self, from_now: Duration) {
        let at = Instant::now().checked_add(from_now);
        self.at = self.at.into_iter().chain(at).min();
    }

    /// Moves it, if it is set, by what `bytes` that went through are worth at the least rate, but to no later than one
    /// input and output timeout from now.
    pub fn extend_for(&mut self, bytes: usize, limits: &ClientLimits) {
        if let Some(at) = self.at {
            let earned = Duration::from_secs_f64(bytes as f64 / limits.min_rate.max(1) as f64);
            self.at = at
                .checked_add(earned)
                .min(Instant::now().checked_add(limits.io_timeout));
        }
    }

    /// Unsets it.
    pub fn clear(&mut self) {
        self.at = None;
    }

    /// Ready once it has passed. Never, while it is unset.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            std::task::ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}
