//! Every vector as an edge decides on it: alike, and what goes on is what is left without the token.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use verge::access::Request;
use verge::cache::Brought;
use verge::cache::Secret;
use verge::clock::ManualClock;
use verge::listen::OnThisThread;
use verge::origin::{BoxFuture, Fetch, FetchError, FetchRequest, Fetched, RequestBody};
use verge::pipeline::{Edge, RequestLength, RequestView, explain};

use super::vectors::{Asked, FILES, configuration, outcome, read};

/// An origin that nobody asks.
struct Nobody;

impl Fetch for Nobody {
    fn fetch<'a>(
        self: Arc<Self>,
        _: FetchRequest,
        _: Option<&'a mut (dyn RequestBody + 'a)>,
    ) -> BoxFuture<'a, Result<Fetched<'a>, FetchError>> {
        Box::pin(async { Err(FetchError::ConnectionRefused) })
    }
}

/// An edge that asks for what a request brings, at its time.
pub fn edge(keys: &str, asked: &Asked) -> Edge {
    let config = Arc::new(configuration(keys, &asked.signed));
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(asked.now));
    let secret = Secret::new([7; 16]);
    Edge::new(
        config,
        vec![Arc::new(Nobody)],
        secret,
        Arc::new(clock),
        Arc::new(OnThisThread),
    )
}

/// A request as the transports hand it over.
pub fn view<'a>(request: &Request<'a>) -> RequestView<'a> {
    RequestView {
        method: request.method,
        scheme: request.scheme,
        host: Cow::Borrowed(request.host),
        path: Cow::Borrowed(request.path),
        raw_path: request.raw_path,
        query: request.query,
        fields: *request.fields,
        client: request.client,
        version: "1.1",
        body: RequestLength::None,
    }
}

/// What an edge would do: what goes on, or the code that is answered. `None`: it is not read.
fn decided(edge: &Edge, asked: &Asked) -> Option<Result<String, &'static str>> {
    asked.with(|request| {
        let explained = explain(edge, &view(request), |_| Brought::default());
        let admitted = explained.steps.iter().find(|(what, _)| *what == "admitted");
        match (admitted, explained.detail) {
            (Some((_, says)), _) => Ok(says.clone()),
            (None, detail) => Err(detail.unwrap_or_default()),
        }
    })
}

#[test]
fn every_vector() {
    let mut cases = 0;
    for file in FILES {
        let vectors = read(file);
        // To read the keys takes longer than all else.
        let mut edges = HashMap::new();
        for asked in vectors.vectors.iter().flat_map(|vector| vector.cases()) {
            let edge = edges.entry((&asked.signed, asked.now));
            let edge = edge.or_insert_with(|| self::edge(&vectors.keys, asked));
            let Some(decided) = decided(edge, asked) else { continue };
            let site = edge.config.sites.iter().next().unwrap();
            let expected = outcome(site.policies().next().unwrap(), asked);
            match (&decided, &expected) {
                (Ok(goes_on), Ok(left)) => {
                    let end = format!("{left}, on route *");
                    assert!(goes_on.ends_with(&end), "{file}: {asked:?}: {goes_on}, not {left}");
                }
                (Err(code), Err(reason)) => assert_eq!(*code, reason.code(), "{file}: {asked:?}"),
                _ => panic!("{file}: {asked:?}: {decided:?}, not {expected:?}"),
            }
            cases += 1;
        }
    }
    assert!(cases > 500, "{cases}");
}
