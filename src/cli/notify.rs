//! Telling the service manager how it goes (sd_notify), if one asked to be told.

use sd_notify::NotifyState;

/// Clients are served.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read anew; [`ready`] says when that is done.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The edge is going to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Nobody may be listening, and nothing depends on it.
fn tell(state: &[NotifyState]) {
    let _ = sd_notify::notify(state);
}
