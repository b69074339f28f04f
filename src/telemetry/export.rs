//! Metrics as Prometheus reads them.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::histogram::{BOUNDS, Observed};
use super::metrics::{self, Kind, MODES, Metric, OUTCOMES, SELECTORS, STATUSES};
use super::{OriginCounts, SiteCounts, Telemetry};

/// One scrape in the making.
#[derive(Default)]
pub struct Export {
    families: Vec<MetricFamily>,
}

impl Export {
    /// A value of a counter or a gauge.
    pub fn value(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let mut made = prometheus::proto::Metric::default();
        match metric.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                made.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                made.set_gauge(gauge);
            }
        }
        self.push(metric, labels, made);
    }

    fn histogram(&mut self, metric: &Metric, labels: &[&str], observed: &Observed) {
        let mut histogram = Histogram::default();
        let mut so_far = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, count) in BOUNDS.iter().zip(observed.counts) {
            so_far += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(so_far);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        histogram.set_sample_count(observed.count());
        histogram.set_sample_sum(observed.seconds);
        let mut made = prometheus::proto::Metric::default();
        made.set_histogram(histogram);
        self.push(metric, labels, made);
    }

    fn push(&mut self, metric: &Metric, labels: &[&str], mut made: prometheus::proto::Metric) {
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        made.set_label(metric.labels.iter().zip(labels).map(pair).collect());
        match self.families.iter_mut().find(|family| family.name() == metric.name) {
            Some(family) => family.mut_metric().push(made),
            None => {
                let mut family = MetricFamily::default();
                family.set_name(metric.name.to_owned());
                family.set_help(metric.help.to_owned());
                family.set_field_type(match metric.kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Histogram => MetricType::HISTOGRAM,
                });
                family.set_metric(vec![made]);
                self.families.push(family);
            }
        }
    }

    /// All that `telemetry` has counted.
    pub fn telemetry(&mut self, telemetry: &Telemetry) {
        telemetry.sites().iter().for_each(|site| self.site(site));
        telemetry.origins().iter().for_each(|origin| self.origin(origin));
        let connections = &telemetry.connections;
        let counts = [
            (&metrics::CONNECTIONS_TAKEN, &["clear"][..], &connections.clear),
            (&metrics::CONNECTIONS_TAKEN, &["tls"], &connections.tls),
            (&metrics::CONNECTIONS_REFUSED, &["too-many"], &connections.too_many),
            (&metrics::CONNECTIONS_REFUSED, &["suspect"], &connections.suspect),
            (
                &metrics::CONNECTIONS_REFUSED,
                &["too-many-handshakes"],
                &connections.too_many_handshakes,
            ),
            (&metrics::HANDSHAKES, &["1.2", "no"], &connections.handshakes[0][0]),
            (&metrics::HANDSHAKES, &["1.2", "yes"], &connections.handshakes[0][1]),
            (&metrics::HANDSHAKES, &["1.3", "no"], &connections.handshakes[1][0]),
            (&metrics::HANDSHAKES, &["1.3", "yes"], &connections.handshakes[1][1]),
            (&metrics::HANDSHAKES_FAILED, &[], &connections.failed_handshakes),
            (&metrics::RELOADS, &["done"], &telemetry.reloads[0]),
            (&metrics::RELOADS, &["failed"], &telemetry.reloads[1]),
            (&metrics::LOG_LINES_DROPPED, &[], &telemetry.log_lines_dropped),
        ];
        for (metric, labels, count) in counts {
            self.value(metric, labels, count.get() as f64);
        }
        for (selector, counts) in SELECTORS.iter().zip(&telemetry.purges) {
            for (mode, count) in MODES.iter().zip(counts) {
                self.value(&metrics::PURGES, &[selector, mode], count.get() as f64);
            }
        }
    }

    fn site(&mut self, site: &SiteCounts) {
        let sums = site.sums();
        let name = &*site.name;
        for ([method, status, protocol, outcome], count) in sums.requests {
            let labels = [name, method, status, protocol, outcome];
            self.value(&metrics::REQUESTS, &labels, count as f64);
        }
        self.value(&metrics::REQUEST_BYTES, &[name], sums.request_bytes as f64);
        self.value(&metrics::RESPONSE_BYTES, &[name], sums.response_bytes as f64);
        self.value(&metrics::ABORTED, &[name], sums.aborted as f64);
        for (reason, count) in site.denials().filter(|(_, count)| *count > 0) {
            self.value(&metrics::TOKENS_DENIED, &[name, reason.code()], count as f64);
        }
        for (at, outcome) in OUTCOMES.iter().enumerate() {
            if sums.duration[at].count() > 0 {
                self.histogram(&metrics::REQUEST_DURATION, &[name, outcome], &sums.duration[at]);
                self.histogram(&metrics::FIRST_BYTE_DURATION, &[name, outcome], &sums.first_byte[at]);
            }
        }
    }

    fn origin(&mut self, origin: &OriginCounts) {
        let name = &*origin.name;
        for (status, count) in STATUSES.iter().zip(&origin.responses) {
            self.value(&metrics::ORIGIN_RESPONSES, &[name, status], count.get() as f64);
        }
        for (error, count) in origin.errors.lock().iter() {
            self.value(&metrics::ORIGIN_ERRORS, &[name, error], *count as f64);
        }
        let (opened, reused) = (origin.opened.get() as f64, origin.reused.get() as f64);
        self.value(&metrics::ORIGIN_CONNECTIONS, &[name, "no"], opened);
        self.value(&metrics::ORIGIN_CONNECTIONS, &[name, "yes"], reused);
        let mut observed = Observed::default();
        origin.first_byte.add_to(&mut observed);
        self.histogram(&metrics::ORIGIN_FIRST_BYTE, &[name], &observed);
    }

    /// The whole scrape, in Prometheus' text format, with the process' own metrics.
    pub fn finish(mut self) -> Vec<u8> {
        self.families.extend(ProcessCollector::for_self().collect());
        let mut text = Vec::new();
        // Writing to memory does not fail; families that the encoder refuses are empty ones, and none is.
        let _ = TextEncoder::new().encode(&self.families, &mut text);
        text
    }
}
