//! The one table of what the admin listener answers. `openapi.json` describes the same, and a test compares the two.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::guard::Access;
use super::{api, explain, metrics, object, purge};
use crate::node::Node;

/// The API's description (OpenAPI 3.1).
pub const OPENAPI: &str = include_str!("openapi.json");

/// One thing that can be asked for.
pub struct Route {
    /// The method; what `GET` answers, `HEAD` does without its body.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it needs.
    pub access: Access,
    /// What it does, in a few words.
    pub what: &'static str,
    /// Makes the answer.
    pub reply: fn(&Arc<Node>, &Call) -> Reply,
}

/// What came with a request.
pub struct Call {
    /// What followed `?`.
    pub query: String,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// All values that the query has under this name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// The first of them.
    pub fn first(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
}

/// An answer.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub kind: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Reply {
            status,
            kind: "text/plain; charset=utf-8",
            body: text.into(),
        }
    }

    /// JSON.
    pub fn json(value: &Value) -> Self {
        Reply {
            status: StatusCode::OK,
            kind: "application/json",
            body: format!("{value:#}\n").into(),
        }
    }

    /// An error: `why` names the culprit and the mend.
    pub fn error(status: StatusCode, why: impl Into<String>) -> Self {
        Reply {
            status,
            ..Reply::json(&json!({ "error": why.into() }))
        }
    }

    /// The caller's fault.
    pub fn bad(why: impl Into<String>) -> Self {
        Reply::error(StatusCode::BAD_REQUEST, why)
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $reply:path, $what:literal;)*) => {
        /// Everything that can be asked for.
        pub const ROUTES: &[Route] = &[
            $(Route {
                method: stringify!($method),
                path: $path,
                access: Access::$access,
                what: $what,
                reply: $reply,
            }),*
        ];
    };
}

routes! {
    GET "/" Open index, "This list.";
    GET "/livez" Open api::livez, "Whether the process lives.";
    GET "/readyz" Open api::readyz, "Whether it is to be sent requests; 503 and the reasons if not.";
    GET "/metrics" Open metrics::reply, "Metrics, as Prometheus reads them.";
    GET "/api/openapi.json" Read openapi, "The description of this API.";
    GET "/api/status" Read api::status, "Version, readiness, connections, figures of the cache.";
    GET "/api/config" Read api::config, "The configuration in use, without secrets.";
    GET "/api/sites" Read api::sites, "The sites and their routes.";
    GET "/api/origins" Read api::origins, "The origins and what they were asked.";
    GET "/api/object" Read object::reply, "What is stored for a URL.";
    GET "/api/explain" Read explain::reply, "What the edge would do with a request, and why.";
    POST "/api/purge" Write purge::reply, "Purges by URL, tag, prefix, site, or all.";
    POST "/api/reload" Write api::reload, "Reads configuration and certificates anew.";
    POST "/api/log-level" Write api::log_level, "Sets the least important level of events that is told, until the next reload.";
    POST "/api/drain" Write api::drain, "Ends the process as SIGTERM does.";
}

/// The route of a request; or the methods that its path has, if any.
pub(super) fn find(method: &str, path: &str) -> Result<&'static Route, Vec<&'static str>> {
    let here: Vec<&Route> = ROUTES.iter().filter(|route| route.path == path).collect();
    match here.iter().find(|route| route.method == method) {
        Some(route) => Ok(route),
        None => Err(here.iter().map(|route| route.method).collect()),
    }
}

fn index(_: &Arc<Node>, _: &Call) -> Reply {
    let line = |route: &Route| format!("{:<5} {:<20} {}\n", route.method, route.path, route.what);
    Reply::text(StatusCode::OK, ROUTES.iter().map(line).collect::<String>())
}

fn openapi(_: &Arc<Node>, _: &Call) -> Reply {
    Reply {
        status: StatusCode::OK,
        kind: "application/json",
        body: Bytes::from_static(OPENAPI.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_of_what_there_is() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, what) in methods.as_object().unwrap() {
                assert!(what["responses"].is_object(), "{method} {path} has no responses");
                described.push((
                    method.to_uppercase(),
                    path.clone(),
                    what["summary"].as_str().unwrap().to_owned(),
                ));
            }
        }
        let mut there: Vec<_> = ROUTES
            .iter()
            .map(|route| (route.method.to_owned(), route.path.to_owned(), route.what.to_owned()))
            .collect();
        described.sort();
        there.sort();
        assert_eq!(described, there);
    }
}
