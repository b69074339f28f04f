//! The share of requests, and of bytes, that RAM and the SSD tier answer of a trace: the stores themselves, over a folder in
//! memory and time of their own. `ratios.py` makes the traces and runs this:
//!
//!     cargo run --example ratios -- RAM CHUNKS SSD KEPT always|second-hit TRACE…
//!
//! RAM and SSD are sizes in bytes (no SSD: 0), CHUNKS the share of RAM for chunks, KEPT the share of a segment that what was hit
//! may take up. The files are one trace in
//! libcachesim's `oracleGeneral` form; the last of them is what is counted. Prints one line of JSON.

#![allow(clippy::unwrap_used, missing_docs)]

mod sparse;
mod tiers;

use serde_json::json;
use tiers::{Counts, Tiers};
use verge::store::tiered::Rule;

/// Bytes of a request in a trace: its time, object and size, and what is not looked at here.
const REQUEST: usize = 24;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [ram, chunks, ssd, kept, rule, traces @ ..] = &args[..] else {
        panic!("RAM CHUNKS SSD KEPT always|second-hit TRACE…");
    };
    let rule = match rule.as_str() {
        "second-hit" => Rule::SecondHit,
        _ => Rule::Always,
    };
    let ram = (ram.parse().unwrap(), chunks.parse().unwrap());
    let ssd = (ssd.parse().unwrap(), kept.parse().unwrap());
    let mut tiers = Tiers::new(ram, ssd, rule);
    for trace in traces {
        tiers.counts = Counts::default();
        for request in std::fs::read(trace).unwrap().chunks_exact(REQUEST) {
            let time = u32::from_le_bytes(request[..4].try_into().unwrap());
            let object = u64::from_le_bytes(request[4..12].try_into().unwrap());
            let size = u32::from_le_bytes(request[12..16].try_into().unwrap());
            tiers.ask(object, u64::from(size), u64::from(time));
        }
    }
    let stats = tiers.stats();
    let Counts {
        requests,
        bytes,
        ram,
        both,
    } = &tiers.counts;
    let share = |hits: &[u64; 2]| json!([hits[0] as f64 / *requests as f64, hits[1] as f64 / *bytes as f64]);
    println!(
        "{}",
        json!({
            "ram": share(ram),
            "both": share(both),
            "written_bytes": stats.as_ref().map(|stats| stats.written_bytes),
            "kept_bytes": stats.as_ref().map(|stats| stats.reinserted_bytes),
            "refused": stats.as_ref().map(|stats| stats.refused),
            "damaged": stats.as_ref().map(|stats| stats.damaged),
        })
    );
}
