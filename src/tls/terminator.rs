//! What TLS listeners share, and how it is exchanged for what the files say now.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{CipherSuite, ServerConfig};

use super::certificate::Certificate;
use super::files::{Digest, Files};
use super::keys::Rotating;
use super::names::normal;
use super::state::{Made, State};
use super::{CertificateInfo, ClientCertificates, Settings, TlsError, Voice, self_signed};
use crate::clock::Clock;

/// Everything that TLS listeners share. Reloading swaps all of it at once.
pub struct Terminator {
    settings: Settings,
    listeners: Vec<ClientCertificates>,
    made: Made,
    state: ArcSwap<State>,
    /// The files as they were last read, whether they could be used or not; held while they are read.
    seen: Mutex<Digest>,
}

/// What a client gets.
pub struct Chosen {
    /// How to shake hands.
    pub config: Arc<ServerConfig>,
    /// For which hosts the connection may then speak.
    pub voice: Voice,
}

/// What a look at the files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They are as they were at the last look.
    Unchanged,
    /// What they say is in use; connections stay as they are.
    Done,
    /// They cannot be used; everything stays as it was. Said once for each change of the files, unless forced.
    Failed(Vec<TlsError>),
}

impl Terminator {
    /// Reads all files. `listeners`: what each TLS listener asks of clients, in the listeners' order.
    ///
    /// # Errors
    /// Every fault at once, each naming its file and the mend.
    pub fn new(
        settings: Settings,
        listeners: Vec<ClientCertificates>,
        clock: Arc<dyn Clock>,
    ) -> Result<Terminator, Vec<TlsError>> {
        let made = make(&settings, clock).map_err(|error| vec![error])?;
        Terminator::with(settings, listeners, made)
    }

    /// The same under other settings: session tickets stay good.
    ///
    /// # Errors
    /// As for [`Terminator::new`].
    pub fn renewed(&self, settings: Settings, listeners: Vec<ClientCertificates>) -> Result<Terminator, Vec<TlsError>> {
        let mut made = self.made.clone();
        let same_names = settings.self_signed_names == self.settings.self_signed_names;
        if settings.certificates.is_empty() != made.self_signed.is_some() || !same_names {
            made.self_signed = self_signed_for(&settings, &made.clock).map_err(|error| vec![error])?;
        }
        Terminator::with(settings, listeners, made)
    }

    fn with(settings: Settings, listeners: Vec<ClientCertificates>, made: Made) -> Result<Terminator, Vec<TlsError>> {
        let files = Files::read(&settings, &listeners);
        let state = State::new(&settings, &listeners, &files, &made)?;
        Ok(Terminator {
            state: ArcSwap::from_pointee(state),
            seen: Mutex::new(files.digest()),
            settings,
            listeners,
            made,
        })
    }

    /// What a client that asks for `sni`, and prefers these cipher suites, gets on a listener: its index among the TLS
    /// listeners.
    ///
    /// # Panics
    /// If there is no such listener.
    pub fn choose(&self, listener: usize, sni: Option<&str>, ciphers: &[CipherSuite]) -> Chosen {
        let sni = sni.map(normal);
        let state = self.state.load_full();
        let voice = Voice::new(state.clone(), listener, sni.as_deref());
        Chosen {
            config: state.config(voice.proof(), prefers_chacha(ciphers)).clone(),
            voice,
        }
    }

    /// Reads the files, and uses what they say if any changed since, or if `force`. Keeps everything as it was if anything
    /// is wrong with any of them. Not for a runtime's thread: it reads files and checks keys.
    pub fn reload(&self, force: bool) -> Reload {
        let mut seen = self.seen.lock();
        let files = Files::read(&self.settings, &self.listeners);
        let digest = files.digest();
        if *seen == digest && !force {
            return Reload::Unchanged;
        }
        *seen = digest;
        match State::new(&self.settings, &self.listeners, &files, &self.made) {
            Ok(state) => {
                self.state.store(Arc::new(state));
                Reload::Done
            }
            Err(errors) => Reload::Failed(errors),
        }
    }

    /// The certificates in use, in the order they are configured.
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let state = self.state.load();
        state
            .certificates
            .iter()
            .map(|certificate| certificate.info.clone())
            .collect()
    }

    /// What the operator said.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Whether a client likes ChaCha20 best, as those do that have no instructions for AES.
fn prefers_chacha(ciphers: &[CipherSuite]) -> bool {
    // RFC 8701: the first may be one that means nothing.
    let first = ciphers.iter().find(|suite| !matches!(suite, CipherSuite::Unknown(_)));
    first.is_some_and(|suite| format!("{suite:?}").contains("CHACHA20"))
}

fn make(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Made, TlsError> {
    let self_signed = self_signed_for(settings, &clock)?;
    let rotating = Rotating::new(clock.clone())
        .ok_or_else(|| TlsError::of_key("ticket_keys", "the system gives no random bytes; name files of them"))?;
    Ok(Made {
        self_signed,
        rotating: Arc::new(rotating),
        clock,
    })
}

/// A certificate of the edge's own, where none is configured.
fn self_signed_for(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Certificate>, TlsError> {
    match settings.certificates.is_empty() {
        true => self_signed::make(&settings.self_signed_names, clock.now().wall).map(Some),
        false => Ok(None),
    }
}
