//! Health, status, and what changes the process as a whole.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::routes::{Call, Reply};
use crate::access::Key;
use crate::cache::Cache;
use crate::config::{Config, Found, Level, Listener, Origin, Route, Site, Speaks};
use crate::node::Node;
use crate::policy::date;
use crate::telemetry::events;

pub(super) fn livez(_: &Arc<Node>, _: &Call) -> Reply {
    Reply::text(StatusCode::OK, "live\n")
}

/// The first word is for those who match strings.
pub(super) fn readyz(node: &Arc<Node>, _: &Call) -> Reply {
    match node.ready() {
        Ok(()) => Reply::text(StatusCode::OK, "ready\n"),
        Err(why) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

pub(super) fn status(node: &Arc<Node>, _: &Call) -> Reply {
    let edge = node.server.edge();
    let [entries, chunks] = edge.cache.ram().pools();
    let pool = |pool: crate::store::Pool| {
        json!({
            "bytes": pool.bytes, "capacity": pool.capacity, "entries": pool.entries, "evicted": pool.evicted,
        })
    };
    Reply::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": node.ready().is_ok(),
        "reason": node.ready().err(),
        "uptime_seconds": edge.clock.monotonic().as_secs(),
        "config_loaded": time(node.loaded()),
        "listening": node.server.listening(),
        "connections": node.server.connections(),
        "fills": edge.cache.fills_under_way(),
        "ram": { "entries": pool(entries), "chunks": pool(chunks), "live_bytes": edge.cache.ram().gauge().live() },
        "ssd": folders(&edge.cache),
        "purges_remembered": edge.cache.purges().remembered(),
        "newest_purge": edge.cache.purges().latest(),
        "certificates": certificates(node),
    }))
}

fn folders(cache: &Cache) -> Vec<Value> {
    let disks = cache.below().map_or(&[][..], |below| below.tier.disks());
    let shown = disks.iter().map(|disk| {
        let stats = disk.ssd.stats();
        json!({
            "folder": disk.path,
            "state": stats.state.to_string(),
            "recovered": stats.recovered.share(),
            "bytes": stats.bytes,
            "capacity": stats.capacity,
            "entries": stats.entries,
            "queued_bytes": stats.queued_bytes,
            "damaged": stats.damaged,
            "device_errors": stats.device_errors,
        })
    });
    shown.collect()
}

fn certificates(node: &Node) -> Vec<Value> {
    let tls = node.server.tls();
    let certificates = tls.iter().flat_map(|tls| tls.certificates());
    let shown = certificates.map(|certificate| {
        json!({
            "names": certificate.names,
            "file": certificate.file.as_ref().map(|file| file.display().to_string()),
            "expires": time(certificate.not_after),
        })
    });
    shown.collect()
}

pub(super) fn config(node: &Arc<Node>, _: &Call) -> Reply {
    let edge = node.server.edge();
    let config: &Config = &edge.config;
    let (client, cache, tls) = (&config.client, &config.cache, &config.tls);
    Reply::json(&json!({
        "server": {
            "threads": config.threads,
            "admin": config.admin.as_ref().map(|admin| admin.address),
            "admin_token": config.admin.as_ref().and_then(|admin| admin.token.as_ref()).map(|_| "(hidden)"),
            "drain_wait": seconds(config.drain.wait),
            "drain": seconds(config.drain.finish),
        },
        "listen": config.listen.iter().map(listener).collect::<Vec<_>>(),
        "tls": {
            "certificates": tls.certificates.iter().map(|files| files.cert.display().to_string()).collect::<Vec<_>>(),
            "handshake_timeout": seconds(tls.handshake_timeout),
            "max_handshakes": tls.max_handshakes,
            "reload": seconds(tls.reload),
        },
        "client": {
            "max_connections": client.max_connections,
            "head_timeout": seconds(client.head_timeout),
            "idle_timeout": seconds(client.idle_timeout),
            "io_timeout": seconds(client.io_timeout),
            "min_rate": client.min_rate,
            "max_streams": client.max_streams,
        },
        "cache": {
            "ram": cache.ram,
            "chunk_share": cache.chunk_share,
            "window": cache.terms.window,
            "finish_bytes": cache.terms.finish_bytes,
            "finish_share": cache.terms.finish_share,
            "max_fills": cache.max_fills,
            "max_readers": cache.max_readers,
            "uncacheable_ttl": seconds(cache.uncacheable_ttl),
            "failure_ttl": seconds(cache.failure_ttl),
            "ssd": config.ssd.folders.iter().map(|folder| json!({
                "path": folder.path.display().to_string(), "size": folder.size,
            })).collect::<Vec<_>>(),
            "ssd_admission": config.ssd.admission.name(),
            "ssd_write_budget": config.ssd.write_budget,
        },
        "origins": config.origins.iter().map(origin).collect::<Vec<_>>(),
        "sites": config.sites.iter().map(|known| site(config, known)).collect::<Vec<_>>(),
    }))
}

fn listener(listener: &Listener) -> Value {
    let speaks = match listener.speaks {
        Speaks::Clear { h2c: false } => "http/1.1",
        Speaks::Clear { h2c: true } => "http/1.1, h2c",
        Speaks::Tls(_) => "http/1.1 and h2 over TLS",
    };
    json!({ "address": listener.address, "speaks": speaks })
}

fn origin(origin: &Origin) -> Value {
    let reach = &origin.reach;
    json!({
        "name": reach.name,
        "servers": reach.servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "host": reach.host,
        "sni": reach.sni,
        "verify": reach.verify,
        "connect_timeout": seconds(reach.connect_timeout),
        "first_byte_timeout": seconds(reach.first_byte_timeout),
        "between_bytes_timeout": seconds(reach.between_bytes_timeout),
        "write_timeout": seconds(reach.write_timeout),
        "idle_timeout": seconds(reach.idle_timeout),
        "max_idle": reach.max_idle,
        "max_fetches": origin.max_fetches,
    })
}

fn site(config: &Config, site: &Site) -> Value {
    json!({
        "name": &*site.name,
        "purge_method": site.purge_token.is_some(),
        "ssd_quota": site.ssd_quota,
        "routes": site.routes.iter().map(|known| route(config, known)).collect::<Vec<_>>(),
    })
}

fn route(config: &Config, route: &Route) -> Value {
    json!({
        "path": route.path.as_str(),
        "origin": config.origins.get(route.origin).map(|origin| &origin.reach.name),
        "cache": route.cache,
        "upgrade": route.upgrade,
        "max_body": route.max_body,
        "stale_while_revalidate": seconds(route.terms.stale_while_revalidate),
        "stale_if_error": seconds(route.terms.stale_if_error),
        "client_may_revalidate": route.terms.client_may_revalidate,
        "redirect_to_https": route.redirect_to_https,
        "hsts": route.hsts.as_ref().and_then(|hsts| hsts.to_str().ok()),
        "signed": route.signed.as_ref().map(|policy| json!({
            "dialect": policy.name.word(),
            "keys": policy.keys.iter().map(Key::id).collect::<Vec<_>>(),
        })),
    })
}

/// All sites, or with `?host=` and `?path=` the site and the route of a request for them.
pub(super) fn sites(node: &Arc<Node>, call: &Call) -> Reply {
    let edge = node.server.edge();
    let config = &edge.config;
    let Some(host) = call.first("host") else {
        return Reply::json(&json!(
            config.sites.iter().map(|known| site(config, known)).collect::<Vec<_>>()
        ));
    };
    let path = call.first("path").unwrap_or_else(|| "/".to_owned());
    match config.sites.find(&host.to_ascii_lowercase(), &path) {
        Some(Found { site, route: found, .. }) => {
            Reply::json(&json!({ "site": &*site.name, "route": route(config, found) }))
        }
        None => Reply::error(StatusCode::NOT_FOUND, format!("no site has the host `{host}`")),
    }
}

pub(super) fn origins(node: &Arc<Node>, _: &Call) -> Reply {
    let edge = node.server.edge();
    let shown = edge.config.origins.iter().zip(&edge.origins).map(|(configured, slot)| {
        let counts = edge.telemetry.origin(&configured.reach.name);
        let mut shown = origin(configured);
        shown["under_way"] = json!(slot.under_way.load(std::sync::atomic::Ordering::Relaxed));
        shown["connections_opened"] = json!(counts.opened.get());
        shown["connections_reused"] = json!(counts.reused.get());
        shown["errors"] = counts
            .errors
            .lock()
            .iter()
            .map(|(kind, count)| (*kind, json!(count)))
            .collect();
        shown
    });
    Reply::json(&json!(shown.collect::<Vec<_>>()))
}

pub(super) fn reload(node: &Arc<Node>, _: &Call) -> Reply {
    match node.reload() {
        Ok(wait) => Reply::json(&json!({ "reloaded": true, "waits_for_restart": wait })),
        Err(errors) => Reply {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            ..Reply::json(&json!({ "reloaded": false, "errors": errors }))
        },
    }
}

pub(super) fn log_level(_: &Arc<Node>, call: &Call) -> Reply {
    let level = match call.first("level").as_deref() {
        Some("error") => Level::Error,
        Some("warn") => Level::Warn,
        Some("info") => Level::Info,
        Some("debug") => Level::Debug,
        _ => return Reply::bad("name the level: ?level=error, warn, info or debug"),
    };
    events::set_level(level);
    Reply::json(&json!({ "level": call.first("level") }))
}

pub(super) fn drain(node: &Arc<Node>, _: &Call) -> Reply {
    node.ask_to_drain();
    let drain = node.server.edge().config.drain;
    Reply::json(&json!({ "draining": true, "wait": seconds(drain.wait), "longest": seconds(drain.finish) }))
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn time(time: SystemTime) -> String {
    date::format(time)
}
