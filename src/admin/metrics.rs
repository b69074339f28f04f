//! One scrape: what telemetry has counted, and what is to be seen now.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::StatusCode;

use super::routes::{Call, Reply};
use crate::node::Node;
use crate::pipeline::Edge;
use crate::telemetry::{Export, metrics};

pub(super) fn reply(node: &Arc<Node>, _: &Call) -> Reply {
    Reply {
        kind: "text/plain; version=0.0.4; charset=utf-8",
        ..Reply::text(StatusCode::OK, Bytes::from(scrape(node)))
    }
}

fn scrape(node: &Node) -> Vec<u8> {
    let edge = node.server.edge();
    let mut export = Export::default();
    export.telemetry(&edge.telemetry);
    cache(&mut export, &edge);
    for (configured, slot) in edge.config.origins.iter().zip(&edge.origins) {
        let under_way = slot.under_way.load(Ordering::Relaxed) as f64;
        export.value(&metrics::ORIGIN_UNDER_WAY, &[&configured.reach.name], under_way);
    }
    let (all, secure) = (node.server.connections(), node.server.secure_connections());
    export.value(&metrics::CONNECTIONS, &["clear"], all.saturating_sub(secure) as f64);
    export.value(&metrics::CONNECTIONS, &["tls"], secure as f64);
    export.value(&metrics::READY, &[], f64::from(u8::from(node.ready().is_ok())));
    export.value(&metrics::CONFIG_LOADED, &[], unix(node.loaded()));
    for certificate in node.server.tls().iter().flat_map(|tls| tls.certificates()) {
        let name = certificate.names.first().map_or("", String::as_str);
        export.value(&metrics::CERTIFICATE_EXPIRY, &[name], unix(certificate.not_after));
    }
    export.value(&metrics::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    export.finish()
}

fn cache(export: &mut Export, edge: &Edge) {
    let (cache, ended) = (&edge.cache, &edge.cache.ended);
    for (outcome, count) in [
        ("stored", &ended.stored),
        ("uncacheable", &ended.unstored),
        ("completed", &ended.completed),
        ("revalidated", &ended.revalidated),
        ("failed", &ended.failed),
        ("abandoned", &ended.abandoned),
    ] {
        export.value(&metrics::FILLS, &[outcome], count.get() as f64);
    }
    export.value(&metrics::FILLS_UNDER_WAY, &[], cache.fills_under_way() as f64);
    export.value(&metrics::FILL_READERS, &[], cache.readers() as f64);
    export.value(&metrics::UNCACHEABLE, &[], cache.keys_remembered() as f64);
    for pool in cache.ram().pools() {
        export.value(&metrics::RAM_BYTES, &[pool.name], pool.bytes as f64);
        export.value(&metrics::RAM_CAPACITY, &[pool.name], pool.capacity as f64);
        export.value(&metrics::RAM_ENTRIES, &[pool.name], pool.entries as f64);
        export.value(&metrics::RAM_EVICTIONS, &[pool.name], pool.evicted as f64);
    }
    let stored: u64 = cache.ram().pools().iter().map(|pool| pool.bytes).sum();
    let pinned = cache.ram().gauge().live().saturating_sub(stored);
    export.value(&metrics::RAM_PINNED, &[], pinned as f64);
    export.value(&metrics::PURGES_REMEMBERED, &[], cache.purges().remembered() as f64);
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
