//! Names to addresses, kept for as long as the DNS says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::FetchError;

const LEAST_TTL: Duration = Duration::from_secs(1);
const GREATEST_TTL: Duration = Duration::from_secs(3600);
/// For how long beyond its time the last good answer is used while no newer one can be had (RFC 8767).
const STALE: Duration = Duration::from_secs(600);
/// How long a lookup may keep a request waiting that an old answer would serve (RFC 8767 section 5).
const STALE_WAIT: Duration = Duration::from_millis(1800);
/// How long a failed lookup is not tried again.
const HOLD_DOWN: Duration = Duration::from_secs(5);
const HOLD_DOWN_WITHOUT_ANSWER: Duration = Duration::from_secs(1);

/// The addresses of a host, IPv4 first; never empty.
pub(super) type Addresses = Arc<[IpAddr]>;

/// Where names are looked up: `/etc/hosts`, then the DNS servers of the system's configuration.
pub(super) struct Resolver {
    hosts: Hosts,
    dns: Option<TokioResolver>,
    limit: Duration,
}

impl Resolver {
    /// Reads the system's configuration; without one, only `/etc/hosts` and `localhost` are known. One lookup takes
    /// at most `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        let dns = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            // Answers are kept here, by our rules.
            options.cache_size = 0;
            builder.build()
        });
        Resolver {
            hosts: Hosts::from_system().unwrap_or_default(),
            dns: dns.ok(),
            limit,
        }
    }

    async fn look_up(&self, host: &str) -> Result<(Addresses, Duration), FetchError> {
        let name = Name::from_ascii(host).map_err(|_| FetchError::Dns)?;
        if let Some(known) = self.local(host, name) {
            return Ok((known, GREATEST_TTL));
        }
        let dns = self.dns.as_ref().ok_or(FetchError::Dns)?;
        let answer = match timeout(self.limit, dns.lookup_ip(host)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(NetError::Timeout)) | Err(_) => return Err(FetchError::DnsTimeout),
            Ok(Err(_)) => return Err(FetchError::Dns),
        };
        let ttl = Instant::from_std(answer.valid_until()).duration_since(Instant::now());
        let addresses = in_order(answer.iter()).ok_or(FetchError::Dns)?;
        Ok((addresses, ttl.clamp(LEAST_TTL, GREATEST_TTL)))
    }

    /// What is known without the DNS. A name in `/etc/hosts` is not asked for at all, not even for its other family.
    fn local(&self, host: &str, name: Name) -> Option<Addresses> {
        let listed = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|family| {
                let query = Query::query(name.clone(), family);
                self.hosts.lookup_static_host(&query)
            })
            .flat_map(|lookup| {
                let answers = lookup.answers().iter();
                answers.filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>()
            });
        // RFC 6761 section 6.3: `localhost` and what is under it is the loopback address, and is never asked for.
        let is_loopback = || {
            let host = host.strip_suffix('.').unwrap_or(host);
            host == "localhost" || host.ends_with(".localhost")
        };
        in_order(listed)
            .or_else(|| is_loopback().then(|| Arc::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])))
    }
}

/// IPv4 first: a broken IPv6 route is the commoner fault, and addresses are not raced.
fn in_order(addresses: impl Iterator<Item = IpAddr>) -> Option<Addresses> {
    let (mut all, v6): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv4);
    all.extend(v6);
    (!all.is_empty()).then(|| Arc::from(all))
}

/// A host and its addresses, as last heard.
pub(super) struct Host {
    name: String,
    known: Mutex<Known>,
    /// Held by the one lookup under way.
    lookup: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    answer: Option<Answer>,
    /// The last failure, and until when no other lookup is made.
    failure: Option<(FetchError, Instant)>,
}

struct Answer {
    addresses: Addresses,
    /// `None`: an address literal.
    until: Option<Instant>,
}

impl Host {
    /// A host of this name or address, not looked up yet.
    pub(super) fn new(name: &str) -> Arc<Host> {
        let literal = name.parse::<IpAddr>().ok().map(|address| Answer {
            addresses: Arc::from([address]),
            until: None,
        });
        Arc::new(Host {
            name: name.to_owned(),
            known: Mutex::new(Known {
                answer: literal,
                failure: None,
            }),
            lookup: Arc::default(),
        })
    }

    /// A host at these addresses, for good.
    #[cfg(test)]
    pub(super) fn at(addresses: &[&str]) -> Arc<Host> {
        let host = Host::new("test");
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let until = None;
        host.known.lock().answer = Some(Answer { addresses, until });
        host
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses, if they need no lookup.
    pub(super) fn fresh(&self) -> Option<Addresses> {
        let known = self.known.lock();
        let answer = known.answer.as_ref()?;
        let fresh = answer.until.is_none_or(|until| Instant::now() < until);
        fresh.then(|| answer.addresses.clone())
    }

    /// Its addresses, looked up if need be. However many ask, one lookup is made at a time.
    pub(super) async fn resolve(self: &Arc<Self>, resolver: &Arc<Resolver>) -> Result<Addresses, FetchError> {
        if let Some(addresses) = self.fresh() {
            return Ok(addresses);
        }
        if self.is_held_down() {
            return self.best();
        }
        if let Ok(alone) = self.lookup.clone().try_lock_owned() {
            let (host, resolver) = (self.clone(), resolver.clone());
            // A task of its own, so that it ends whoever gives up waiting for it.
            tokio::spawn(async move {
                host.learn(resolver.look_up(&host.name).await);
                drop(alone);
            });
        }
        let wait = match self.stale() {
            Some(_) => STALE_WAIT.min(resolver.limit),
            None => resolver.limit,
        };
        match timeout(wait, self.lookup.lock()).await {
            Ok(_) => self.best(),
            Err(_) => self.stale().ok_or(FetchError::DnsTimeout),
        }
    }

    fn learn(&self, outcome: Result<(Addresses, Duration), FetchError>) {
        let now = Instant::now();
        let mut known = self.known.lock();
        match outcome {
            Ok((addresses, ttl)) => {
                let until = Some(now + ttl);
                known.answer = Some(Answer { addresses, until });
                known.failure = None;
            }
            Err(error) => {
                let pause = match known.answer {
                    Some(_) => HOLD_DOWN,
                    None => HOLD_DOWN_WITHOUT_ANSWER,
                };
                known.failure = Some((error, now + pause));
            }
        }
    }

    fn is_held_down(&self) -> bool {
        let known = self.known.lock();
        known.failure.is_some_and(|(_, until)| Instant::now() < until)
    }

    /// The last good answer, unless it is too old for anything.
    fn stale(&self) -> Option<Addresses> {
        let known = self.known.lock();
        let answer = known.answer.as_ref()?;
        let usable = answer.until.is_none_or(|until| Instant::now() < until + STALE);
        usable.then(|| answer.addresses.clone())
    }

    /// The last good answer, else why there is none.
    fn best(&self) -> Result<Addresses, FetchError> {
        self.stale().ok_or_else(|| {
            let failure = self.known.lock().failure;
            failure.map_or(FetchError::Dns, |(error, _)| error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn offline() -> Arc<Resolver> {
        Arc::new(Resolver {
            hosts: Hosts::default(),
            dns: None,
            limit: Duration::from_secs(5),
        })
    }

    #[tokio::test]
    async fn literals_and_localhost_need_nobody() {
        for (name, first) in [
            ("192.0.2.1", ADDRESS),
            ("::1", Ipv6Addr::LOCALHOST.into()),
            ("localhost", Ipv4Addr::LOCALHOST.into()),
            ("app.localhost", Ipv4Addr::LOCALHOST.into()),
        ] {
            let addresses = Host::new(name).resolve(&offline()).await.unwrap();
            assert_eq!(addresses[0], first, "{name}");
        }
        let unknown = Host::new("example.com").resolve(&offline()).await;
        assert_eq!(unknown.unwrap_err(), FetchError::Dns);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_answer_serves_for_ten_minutes() {
        let host = Host::new("example.com");
        host.learn(Ok((Arc::from([ADDRESS]), Duration::from_secs(60))));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(host.fresh().is_none());
        let old = host.resolve(&offline()).await.unwrap();
        assert_eq!(*old, [ADDRESS]);
        assert!(host.is_held_down());
        tokio::time::advance(STALE).await;
        let gone = host.resolve(&offline()).await;
        assert_eq!(gone.unwrap_err(), FetchError::Dns);
    }

    #[test]
    fn ipv4_comes_first() {
        let both = [Ipv6Addr::LOCALHOST.into(), ADDRESS];
        assert_eq!(in_order(both.into_iter()).unwrap()[0], ADDRESS);
        assert!(in_order(std::iter::empty()).is_none());
    }
}
