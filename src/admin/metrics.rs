//! One scrape: what telemetry has counted, and what is to be seen now.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::StatusCode;

use super::routes::{Call, Reply};
use crate::node::Node;
use crate::pipeline::Edge;
use crate::store::ssd::{State, Stats};
use crate::store::tiered::Tier;
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
    if let Some(below) = cache.below() {
        ssd(export, &below.tier);
    }
}

fn ssd(export: &mut Export, tier: &Tier) {
    export.value(&metrics::SSD_LOOKUPS, &["hit"], tier.hits.get() as f64);
    export.value(&metrics::SSD_LOOKUPS, &["miss"], tier.misses.get() as f64);
    export.value(&metrics::SSD_NOT_ADMITTED, &[], tier.not_admitted.get() as f64);
    for disk in tier.disks() {
        folder(export, &disk.path, &disk.ssd.stats());
    }
}

fn folder(export: &mut Export, folder: &str, stats: &Stats) {
    let state = match stats.state {
        State::Healthy => 2.0,
        State::ReadOnly { .. } => 1.0,
        State::Failed { .. } => 0.0,
    };
    export.value(&metrics::SSD_STATE, &[folder], state);
    export.value(&metrics::SSD_RECOVERED, &[folder], stats.recovered.share());
    let from_device = stats.hits.saturating_sub(stats.inline);
    let of_records = stats
        .written_bytes
        .saturating_sub(stats.reinserted_bytes + stats.checkpoint_bytes);
    for (metric, label, value) in [
        (&metrics::SSD_READS, "memory", stats.inline),
        (&metrics::SSD_READS, "device", from_device),
        (&metrics::SSD_WRITTEN_BYTES, "records", of_records),
        (&metrics::SSD_WRITTEN_BYTES, "reinserted", stats.reinserted_bytes),
        (&metrics::SSD_WRITTEN_BYTES, "checkpoints", stats.checkpoint_bytes),
    ] {
        export.value(metric, &[folder, label], value as f64);
    }
    for (metric, value) in [
        (&metrics::SSD_BYTES, stats.bytes),
        (&metrics::SSD_CAPACITY, stats.capacity),
        (&metrics::SSD_ENTRIES, stats.entries),
        (&metrics::SSD_INDEX_BYTES, stats.index_bytes),
        (&metrics::SSD_READ_BYTES, stats.read_bytes),
        (&metrics::SSD_ADMITTED_BYTES, stats.put_bytes),
        (&metrics::SSD_RECLAIMED, stats.reclaimed),
        (&metrics::SSD_REINSERTED, stats.reinserted),
        (&metrics::SSD_REFUSED, stats.refused),
        (&metrics::SSD_DAMAGED, stats.damaged),
        (&metrics::SSD_DEVICE_ERRORS, stats.device_errors),
        (&metrics::SSD_QUEUED_BYTES, stats.queued_bytes),
        (&metrics::SSD_QUEUED_READS, stats.queued_reads),
    ] {
        export.value(metric, &[folder], value as f64);
    }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
