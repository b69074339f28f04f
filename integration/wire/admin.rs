//! The admin listener of a running edge.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use verge::admin::{self, Admin};
use verge::clock::ManualClock;
use verge::config::Config;
use verge::node::Node;
use verge::telemetry::metrics::METRICS;

use crate::harness::{Client, Origin, configuration, patient};

const TAGGED: &[&str] = &[
    "Cache-Control: max-age=60",
    "Surrogate-Key: shop page-7",
    "Cache-Tag: one,two",
    "Cache-Groups: \"group a\", \"group b\"",
];

/// A running edge with an admin listener.
pub struct Watched {
    pub node: Arc<Node>,
    pub clock: ManualClock,
    admin: Admin,
    pub origin: Origin,
}

impl Watched {
    pub fn new(site: &str) -> Watched {
        let origin = Origin::start();
        let config = configuration(&format!("http://{}", origin.address), "", site);
        Watched::of(config, origin)
    }

    pub fn of(config: Config, origin: Origin) -> Watched {
        let source = config.clone();
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let node = Node::start(config, Box::new(move || Ok(source.clone())), Arc::new(clock.clone())).unwrap();
        let node = Arc::new(node);
        let admin = Admin::start(&node, admin::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
        Watched {
            node,
            clock,
            admin,
            origin,
        }
    }

    pub fn client(&self) -> Client {
        Client::to(self.node.server.addresses[0])
    }

    fn store(&self, path: &str) {
        let mut client = self.client();
        client.get(path);
        self.origin.rx_for(&format!("GET {path}")).ok(TAGGED, "stored");
        client.rx().expect(200, "stored");
        client.fetch(path).expect(200, "stored").cached("hit");
    }

    /// Status and content of the answer to a request, head and all, that says that it is the last.
    fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = patient(TcpStream::connect(self.admin.address).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), content.to_owned())
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    pub fn post(&self, path: &str, content: &Value) -> (u16, Value) {
        let content = content.to_string();
        let (status, answer) = self.raw(&format!(
            "POST {path} HTTP/1.0\r\nVerge-Admin: 1\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        ));
        (status, serde_json::from_str(&answer).unwrap())
    }
}

#[test]
fn health_is_told_without_a_host() {
    let edge = Watched::new("");
    assert_eq!(edge.get("/livez"), (200, "live\n".to_owned()));
    assert_eq!(edge.get("/readyz"), (200, "ready\n".to_owned()));
    let (status, _) = edge.post("/api/drain", &json!({}));
    assert_eq!(status, 200);
    assert_eq!(edge.get("/readyz"), (503, "not ready: draining\n".to_owned()));
    assert_eq!(edge.get("/livez"), (200, "live\n".to_owned()));
}

#[test]
fn what_there_is_not() {
    let edge = Watched::new("");
    assert_eq!(edge.get("/nothing").0, 404);
    assert_eq!(edge.raw("DELETE /livez HTTP/1.0\r\n\r\n").0, 405);
    assert_eq!(edge.raw("POST /api/drain HTTP/1.0\r\n\r\n").0, 403);
    assert_eq!(
        edge.raw("GET /api/status HTTP/1.0\r\nHost: rebound.example\r\n\r\n").0,
        421
    );
    assert_eq!(edge.get("/api/object?url=nonsense").0, 400);
    assert_eq!(edge.get("/api/object?url=http://example.test/").0, 404);
    assert_eq!(edge.post("/api/purge", &json!({})).0, 400);
    assert_eq!(edge.post("/api/purge", &json!({ "tag": "misspelt" })).0, 400);
    assert_eq!(edge.post("/api/purge", &json!({ "sites": ["none"] })).0, 400);
    assert_eq!(edge.node.ready(), Ok(()));
}

#[test]
fn every_kind_of_purge() {
    for purge in [
        json!({ "urls": ["http://example.test/a/b"] }),
        json!({ "urls": ["https://EXAMPLE.test/a/./b#part"] }),
        json!({ "tags": ["other", "page-7"] }),
        json!({ "tags": ["two"] }),
        json!({ "tags": ["group b"] }),
        json!({ "prefixes": ["example.test/a"] }),
        json!({ "prefixes": ["https://example.test/a/"] }),
        json!({ "sites": ["*"] }),
        json!({ "all": true }),
    ] {
        let edge = Watched::new("");
        edge.store("/a/b");
        assert_eq!(edge.get("/api/object?url=http://example.test/a/b").0, 200);
        let (status, answer) = edge.post("/api/purge", &purge);
        assert_eq!(status, 200, "{purge}: {answer}");
        assert_eq!(edge.get("/api/object?url=http://example.test/a/b").0, 404);
        edge.store("/a/b");
    }
}

#[test]
fn a_purge_that_names_a_mistake_does_nothing() {
    let edge = Watched::new("");
    edge.store("/a/b");
    let (status, _) = edge.post("/api/purge", &json!({ "all": true, "urls": ["nonsense"] }));
    assert_eq!(status, 400);
    edge.client().fetch("/a/b").expect(200, "stored").cached("hit");
}

#[test]
fn the_purge_method_needs_the_sites_token() {
    let edge = Watched::new("purge_token = \"sesame\"");
    edge.store("/a");
    let mut client = edge.client();
    client.ask("PURGE", "/a", &[]).rx().is(401);
    client.ask("PURGE", "/a", &["Authorization: Bearer other"]).rx().is(401);
    client.fetch("/a").expect(200, "stored").cached("hit");
    client
        .ask("PURGE", "/a", &["Authorization: Bearer sesame"])
        .rx()
        .is(200);
    edge.store("/a");
    let soft = ["Authorization: Bearer sesame", "Verge-Purge: soft"];
    client.ask("PURGE", "/a", &soft).rx().is(200);
    client.get("/a");
    edge.origin.rx().ok(TAGGED, "new");
    client.rx().expect(200, "new").cached("fwd=stale detail=soft-purged");
}

#[test]
fn without_a_token_purge_is_any_other_method() {
    let edge = Watched::new("");
    edge.store("/a");
    let mut client = edge.client();
    client.ask("PURGE", "/a", &["Authorization: Bearer sesame"]);
    edge.origin.rx_for("PURGE /a").ok(&[], "the origin's");
    client.rx().expect(200, "the origin's");
}

#[test]
fn every_metric_is_exported_once_and_counts() {
    // They need more than this traffic to have a value.
    const QUIET: [&str; 2] = [
        "verge_certificate_expiry_timestamp_seconds",
        "verge_origin_errors_total",
    ];
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start();
    let disk = format!("cache.ssd = [{{ path = {:?}, size = \"64MiB\" }}]", folder.path());
    let config = configuration(
        &format!("http://{}", origin.address),
        &format!("keys.main.secret = \"open sesame\"\n{disk}"),
        "[[sites.routes]]\npath = \"/signed/*\"\nsigned = { keys = [\"main\"] }",
    );
    let edge = Watched::of(config, origin);
    edge.store("/a");
    let mut client = edge.client();
    client.ask("HEAD", "/signed/a", &[]).rx_head().is(403);
    client.send("POST", "/b", "12345");
    edge.origin.rx_for("POST /b").ok(&[], "posted");
    client.rx().expect(200, "posted");
    edge.post("/api/purge", &json!({ "tags": ["shop"], "soft": true }));
    edge.post("/api/reload", &json!({}));
    let (_, scrape) = edge.get("/metrics");
    for metric in METRICS.iter().filter(|metric| !QUIET.contains(&metric.name)) {
        let types = scrape.matches(&format!("# TYPE {} ", metric.name)).count();
        assert_eq!(types, 1, "{}", metric.name);
    }
    for line in [
        "verge_requests_total{site=\"*\",method=\"GET\",status=\"2xx\",protocol=\"h1\",cache=\"miss\"} 1\n",
        "verge_requests_total{site=\"*\",method=\"GET\",status=\"2xx\",protocol=\"h1\",cache=\"hit\"} 1\n",
        "verge_requests_total{site=\"*\",method=\"write\",status=\"2xx\",protocol=\"h1\",cache=\"pass\"} 1\n",
        "verge_request_bytes_total{site=\"*\"} 5\n",
        "verge_response_bytes_total{site=\"*\"} 18\n",
        "verge_request_duration_seconds_count{site=\"*\",cache=\"hit\"} 1\n",
        "verge_tokens_denied_total{site=\"*\",reason=\"token-missing\"} 1\n",
        "verge_fills_total{outcome=\"stored\"} 1\n",
        "verge_origin_requests_total{origin=\"app\",status=\"2xx\"} 2\n",
        "verge_purges_total{selector=\"tag\",mode=\"soft\"} 1\n",
        "verge_reloads_total{outcome=\"done\"} 1\n",
        "verge_ram_entries{pool=\"entries\"} 1\n",
        "verge_ssd_lookups_total{result=\"miss\"} 1\n",
        "verge_ready 1\n",
    ] {
        assert!(scrape.contains(line), "{line:?} is not in\n{scrape}");
    }
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let edge = Watched::new("purge_token = \"sesame\"");
    for path in [
        "/api/config",
        "/api/sites",
        "/api/origins",
        "/api/status",
        "/api/openapi.json",
    ] {
        let (status, content) = edge.get(path);
        assert_eq!(status, 200, "{path}");
        assert!(serde_json::from_str::<Value>(&content).is_ok(), "{path}: {content}");
        assert!(!content.contains("sesame"), "{path}");
    }
}
