//! The walk: one step after another, each held against what it should be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::AheadClock;
use super::client::{Ask, Connection, Reply, get, patiently};
use super::content::{LARGE, large};
use super::killed::Killable;
use super::members;
use super::origin::Sample;
use super::report::Report;
use super::secure;
use crate::cache::{KeyParts, SchemeClass};
use crate::clock::{Clock, SystemClock};
use crate::pipeline::Edge;
use crate::purge::Mode;

/// Clients that ask for the slow page at once.
const CROWD: usize = 50;

/// More than the lifetime of the start page; less than that and the time for which it may stand in for an error.
const A_MINUTE_AND_MORE: Duration = Duration::from_secs(61);

/// Longer than a failed fetch is remembered.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// What stands for a status where no answer came.
const NO_ANSWER: &str = "-";

/// Walks through what the edge at these addresses, in clear text and for TLS, does, and gives the titles of the steps that were not as they should be.
pub(super) async fn walk(
    [address, secure]: [SocketAddr; 2],
    edge: &Arc<Edge>,
    sample: &Sample,
    clock: &AheadClock,
    report: &mut Report,
) -> Vec<String> {
    let mut walk = Walk {
        address,
        secure,
        connection: None,
        edge,
        sample,
        clock,
        report,
        failed: Vec::new(),
    };
    walk.miss_and_hit().await;
    walk.crowd().await;
    walk.large_file().await;
    walk.private_page().await;
    walk.stale_page().await;
    walk.purges().await;
    walk.signed_url().await;
    walk.over_tls().await;
    walk.after_a_kill().await;
    walk.failed
}

struct Walk<'a> {
    address: SocketAddr,
    /// Where TLS is spoken.
    secure: SocketAddr,
    /// One connection for all requests that come one after another.
    connection: Option<Connection>,
    edge: &'a Arc<Edge>,
    sample: &'a Sample,
    clock: &'a AheadClock,
    report: &'a mut Report,
    failed: Vec<String>,
}

/// One request, and what should come of it.
struct Step<'a> {
    title: &'a str,
    ask: Ask<'a>,
    status: u16,
    /// What `Cache-Status` should say or, after `!`, should not.
    says: &'a [&'a str],
    /// How often the origin should be asked for it.
    fetches: usize,
}

/// What was expected and did not come.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, expected: impl Into<String>) {
        if !holds {
            self.0.push(expected.into());
        }
    }
}

impl Walk<'_> {
    async fn miss_and_hit(&mut self) {
        let first = self
            .step(Step {
                title: "Miss: nothing is stored, so the origin is asked and its answer kept",
                ask: get("/"),
                status: 200,
                says: &["fwd=uri-miss", "fwd-status=200", "stored"],
                fetches: 1,
            })
            .await;
        let hit = Step {
            title: "Hit: answered from RAM, the origin is not asked",
            ask: get("/"),
            status: 200,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(hit, |reply, wrong| {
            wrong.unless(reply.body == first.body, "the same bytes as before");
            wrong.unless(!reply.field("age").is_empty(), "the field Age");
        })
        .await;
        let head = Step {
            title: "HEAD: the same head without the body, from the stored GET",
            ask: Ask {
                method: "HEAD",
                ..get("/")
            },
            status: 200,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(head, |reply, wrong| {
            let length = first.body.len().to_string();
            wrong.unless(
                reply.field("content-length") == length,
                format!("Content-Length: {length}"),
            );
        })
        .await;
        let known = Step {
            title: "304: a client that has this version already is told so, by the edge",
            ask: get("/").with("If-None-Match", first.field("etag")),
            status: 304,
            says: &["hit"],
            fetches: 0,
        };
        self.step(known).await;
    }

    /// Many clients, one fetch.
    async fn crowd(&mut self) {
        let title = format!("Coalescing: {CROWD} clients ask for a slow page at once, the origin makes it once");
        let before = SystemClock.now().monotonic;
        let replies = all_at_once(self.address, "/slow").await;
        let took = SystemClock.now().monotonic.saturating_sub(before).as_millis();
        let saying = |what| {
            replies
                .iter()
                .filter(|reply| said(reply).any(|word| word == what))
                .count()
        };
        // On a busy machine some come when the page is stored already.
        let (collapsed, hits) = (saying("collapsed"), saying("hit"));
        let same = replies
            .iter()
            .filter(|reply| reply.status.as_u16() == 200 && reply.body == replies[0].body)
            .count();
        let fetches = self.sample.asked("/slow");
        let mut wrong = Wrong::default();
        wrong.unless(
            same == CROWD,
            format!("{CROWD} equal answers with status 200, not {same}"),
        );
        wrong.unless(fetches == 1, format!("1 fetch at the origin, not {fetches}"));
        wrong.unless(
            collapsed + hits + 1 == CROWD,
            format!("{} answers that say `collapsed` or `hit`", CROWD - 1),
        );
        let outcome = format!("{fetches} fetch; {collapsed} collapsed, {hits} hits; all answered after {took} ms");
        let odd = replies.iter().find(|reply| reply.status.as_u16() != 200);
        let status = odd.or(replies.first()).map_or(NO_ANSWER, |reply| reply.status.as_str());
        self.conclude(&title, &format!("{CROWD} × GET /slow"), status, &outcome, wrong);
    }

    async fn large_file(&mut self) {
        let whole = |reply: &Reply, wrong: &mut Wrong| {
            wrong.unless(reply.body == large(0..LARGE), "all 8 MiB, each byte in its place");
        };
        let cold = Step {
            title: "A large file: 8 MiB stream through while they are stored in chunks",
            ask: get("/large"),
            status: 200,
            says: &["fwd=uri-miss", "stored"],
            fetches: 1,
        };
        self.step_and(cold, whole).await;
        let warm = Step {
            title: "The same again: 8 MiB from RAM",
            ask: get("/large"),
            status: 200,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(warm, whole).await;
        let range = Step {
            title: "A range of it: 64 bytes out of the middle",
            ask: get("/large").with("Range", "bytes=4096-4159"),
            status: 206,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(range, |reply, wrong| {
            let expected = "bytes 4096-4159/8388608";
            wrong.unless(
                reply.field("content-range") == expected,
                format!("Content-Range: {expected}"),
            );
            wrong.unless(reply.body == large(4096..4160), "those 64 bytes");
        })
        .await;
        let ranges = Step {
            title: "Several ranges: the first and the last line, in one answer of two parts",
            ask: get("/large").with("Range", "bytes=0-15,-16"),
            status: 206,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(ranges, |reply, wrong| {
            wrong.unless(
                reply
                    .field("content-type")
                    .starts_with("multipart/byteranges; boundary="),
                "multipart/byteranges",
            );
            let text = String::from_utf8_lossy(&reply.body);
            for part in [
                "bytes 0-15/8388608\r\n\r\n000000000000000\n",
                "bytes 8388592-8388607/8388608\r\n\r\n000000008388592\n",
            ] {
                wrong.unless(text.contains(part), format!("a part with {}", part.escape_debug()));
            }
        })
        .await;
    }

    async fn private_page(&mut self) {
        let step = |title| Step {
            title,
            ask: get("/account"),
            status: 200,
            says: &["!hit", "!stored", "detail=private"],
            fetches: 1,
        };
        let mine = self.step(step("A private page: passed on and never stored")).await;
        let theirs = step("The same for the next client: the origin makes another one");
        self.step_and(theirs, |reply, wrong| {
            wrong.unless(reply.body != mine.body, "another page than before")
        })
        .await;
    }

    async fn stale_page(&mut self) {
        self.clock.advance(A_MINUTE_AND_MORE);
        self.step(Step {
            title: "A minute later, revalidation: the page is stale, the origin says 304, the body stays",
            ask: get("/"),
            status: 200,
            says: &["fwd=stale", "fwd-status=304", "stored"],
            fetches: 1,
        })
        .await;
        self.clock.advance(A_MINUTE_AND_MORE);
        self.sample.fail(true);
        self.step(Step {
            title: "A minute later the origin fails with 503: the stale page stands in for the error",
            ask: get("/"),
            status: 200,
            says: &["fwd=stale", "detail=stale-if-error"],
            fetches: 1,
        })
        .await;
        self.sample.fail(false);
        self.clock.advance(FORGOTTEN);
        self.step(Step {
            title: "The origin is well again, and so is the page",
            ask: get("/"),
            status: 200,
            says: &["fwd=stale", "fwd-status=304", "stored"],
            fetches: 1,
        })
        .await;
    }

    async fn purges(&mut self) {
        let host = self.address.to_string();
        let page = KeyParts {
            scheme: SchemeClass::Clear,
            host: host.strip_suffix(":80").unwrap_or(&host),
            path: "/",
            query: None,
        };
        self.edge.cache.purge_url(&page, Mode::Hard);
        self.step(Step {
            title: "Purge by URL: the page is fetched anew, although it was fresh",
            ask: get("/"),
            status: 200,
            says: &["fwd=uri-miss", "fwd-status=200", "stored"],
            fetches: 1,
        })
        .await;
        let tagged = [
            ("/logo.svg", "A picture, which the origin has tagged `images`"),
            ("/photo.png", "Another one with that tag"),
        ];
        for (path, title) in tagged {
            self.step(Step {
                title,
                ask: get(path),
                status: 200,
                says: &["fwd=uri-miss", "stored"],
                fetches: 1,
            })
            .await;
        }
        self.edge.cache.purge_tag("images", Mode::Hard);
        let purged = [
            ("/logo.svg", "Purge by tag: what carries `images` is fetched anew"),
            ("/photo.png", "So is the other one"),
        ];
        for (path, title) in purged {
            self.step(Step {
                title,
                ask: get(path),
                status: 200,
                says: &["fwd=uri-miss", "stored"],
                fetches: 1,
            })
            .await;
        }
        self.step(Step {
            title: "What does not carry the tag is left alone",
            ask: get("/"),
            status: 200,
            says: &["hit"],
            fetches: 0,
        })
        .await;
    }

    async fn signed_url(&mut self) {
        let [first, second] = [60, 120].map(|seconds| {
            let lasts = Duration::from_secs(seconds);
            members::link(self.edge, self.clock, self.address, lasts)
        });
        let step = |title, path, status, says, fetches| Step {
            title,
            ask: get(path),
            status,
            says,
            fetches,
        };
        let bare: &[&str] = &["!hit", "detail=token-missing"];
        let title = "Signed URL: without a token nobody gets the page, and the origin is not asked";
        self.step(step(title, members::PAGE, 403, bare, 0)).await;
        let title = "With a token: fetched for the first who has one; the origin does not see it";
        self.step(step(title, &first, 200, &["fwd=uri-miss", "stored"], 1))
            .await;
        let title = "With another token: a hit";
        self.step(step(title, &second, 200, &["hit"], 0)).await;
        self.clock.advance(A_MINUTE_AND_MORE);
        let title = "A minute later the first token is over";
        self.step(step(title, &first, 410, &["!hit", "detail=token-expired"], 0))
            .await;
    }

    async fn over_tls(&mut self) {
        let first = self
            .step(Step {
                title: "TLS and HTTP/2: the same site, stored apart from what was asked for in clear text",
                ask: get("/").secure(),
                status: 200,
                says: &["fwd=uri-miss", "stored"],
                fetches: 1,
            })
            .await;
        let again = Step {
            title: "Again, on a new connection: a hit over HTTP/2",
            ask: get("/").secure(),
            status: 200,
            says: &["hit"],
            fetches: 0,
        };
        self.step_and(again, |reply, wrong| {
            wrong.unless(reply.body == first.body, "the same bytes as before");
        })
        .await;
    }

    /// Another edge, which has a folder on a disk and a process of its own.
    async fn after_a_kill(&mut self) {
        let (address, connection) = (self.address, self.connection.take());
        if let Err(error) = self.kill().await {
            let title = "An edge with a folder on an SSD is killed and started again";
            let mut wrong = Wrong::default();
            wrong.unless(false, format!("that this could be tried, but: {error}"));
            self.conclude(title, "GET /large", NO_ANSWER, "", wrong);
        }
        (self.address, self.connection) = (address, connection);
    }

    async fn kill(&mut self) -> std::io::Result<()> {
        let mut edge = Killable::start(self.sample.address)?;
        self.address = edge.address;
        let whole = |reply: &Reply, wrong: &mut Wrong| {
            wrong.unless(reply.body == large(0..LARGE), "all 8 MiB, each byte in its place");
        };
        let stored = Step {
            title: "SSD: another edge, in a process of its own, stores the large file in a folder as well",
            ask: get("/large"),
            status: 200,
            says: &["fwd=uri-miss", "stored"],
            fetches: 1,
        };
        self.step_and(stored, whole).await;
        edge.has_stored("/large").await?;
        edge.kill_and_start()?;
        self.connection = None;
        let warm = Step {
            title: "kill -9, and started again: 8 MiB from the folder, the origin is not asked",
            ask: get("/large"),
            status: 200,
            says: &["hit", "detail=ssd"],
            fetches: 0,
        };
        self.step_and(warm, whole).await;
        Ok(())
    }

    async fn step(&mut self, step: Step<'_>) -> Reply {
        self.step_and(step, |_, _| {}).await
    }

    /// Takes a step, holds it against what it should be and against what `also` says, and prints it.
    async fn step_and(&mut self, step: Step<'_>, also: impl FnOnce(&Reply, &mut Wrong)) -> Reply {
        let Step {
            title,
            ask,
            status,
            says,
            fetches,
        } = step;
        let path = ask.path.split('?').next().unwrap_or_default();
        let before = self.sample.asked(path);
        let outcome = self.exchange(ask).await;
        let fetched = self.sample.asked(path) - before;
        let mut wrong = Wrong::default();
        let answered = match &outcome {
            Ok(reply) => reply.status.as_str().to_owned(),
            Err(error) => {
                wrong.unless(false, format!("an answer, but: {error}"));
                NO_ANSWER.to_owned()
            }
        };
        let reply = outcome.unwrap_or_default();
        if wrong.0.is_empty() {
            wrong.unless(reply.status.as_u16() == status, format!("status {status}"));
            for word in says {
                let (word, wanted) = word.strip_prefix('!').map_or((*word, true), |word| (word, false));
                let expected = if wanted {
                    "Cache-Status with"
                } else {
                    "Cache-Status without"
                };
                wrong.unless(
                    said(&reply).any(|said| said == word) == wanted,
                    format!("{expected} `{word}`"),
                );
            }
            wrong.unless(
                fetched == fetches,
                format!("{fetches} fetch(es) at the origin, not {fetched}"),
            );
            also(&reply, &mut wrong);
        }
        self.conclude(title, &shown(ask), &answered, reply.field("cache-status"), wrong);
        reply
    }

    async fn exchange(&mut self, ask: Ask<'_>) -> std::io::Result<Reply> {
        if ask.secure {
            return patiently(secure::exchange(self.secure, ask)).await;
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let reply = connection.exchange(ask).await?;
        self.connection = Some(connection);
        Ok(reply)
    }

    fn conclude(&mut self, title: &str, asked: &str, status: &str, outcome: &str, wrong: Wrong) {
        self.report.step(title, asked, status, outcome, &wrong.0);
        if !wrong.0.is_empty() {
            self.failed.push(format!("{title} (expected {})", wrong.0.join(", ")));
        }
    }
}

/// What `Cache-Status` says, word by word.
fn said(reply: &Reply) -> impl Iterator<Item = &str> {
    reply.field("cache-status").split(';').map(str::trim)
}

fn shown(ask: Ask<'_>) -> String {
    let field = match ask.field {
        None => String::new(),
        Some(("Range", value)) => format!(" {value}"),
        Some((name, value)) => format!(" {name}: {value}"),
    };
    let version = if ask.secure { " (HTTP/2)" } else { "" };
    format!("{} {}{field}{version}", ask.method, ask.path)
}

/// The answers to [`CROWD`] clients that ask for `path` in the same moment, each on a connection of its own. Those who got
/// none are missing.
async fn all_at_once(edge: SocketAddr, path: &'static str) -> Vec<Reply> {
    let start = Arc::new(Barrier::new(CROWD));
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let start = Arc::clone(&start);
        crowd.spawn(async move {
            let connection = Connection::open(edge).await;
            start.wait().await;
            connection?.exchange(get(path)).await
        });
    }
    let outcomes = crowd.join_all().await;
    outcomes.into_iter().filter_map(Result::ok).collect()
}
