//! `verge stats`: a running edge's figures in the terminal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::api::Reach;
use super::{Failure, print};

/// What `verge stats` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print them anew every second, with rates, until interrupted.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut before = Figures::of(&args.reach)?;
    if !args.watch {
        return print(before.shown(None).as_bytes());
    }
    loop {
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_secs(1));
        let now = Figures::of(&args.reach)?;
        // Clears the terminal and goes to its upper left corner.
        print(format!("\x1b[2J\x1b[H{}", now.shown(Some(&before))).as_bytes())?;
        before = now;
    }
}

/// One scrape.
struct Figures {
    at: Instant,
    /// Values by metric, then by the labels as written.
    values: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Figures {
    fn of(reach: &Reach) -> Result<Figures, Failure> {
        let answer = reach.ask("GET", "/metrics", "")?;
        match answer.status {
            200 => Ok(Figures::read(&answer.content)),
            status => Err(format!("http://{}/metrics: {status}", reach.admin)),
        }
    }

    fn read(text: &str) -> Figures {
        let mut values: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            values
                .entry(name.to_owned())
                .or_default()
                .insert(labels.to_owned(), value);
        }
        #[allow(clippy::disallowed_methods)]
        let at = Instant::now();
        Figures { at, values }
    }

    /// The sum of a metric's values whose labels hold `label`.
    fn sum(&self, metric: &str, label: &str) -> f64 {
        let series = self.values.get(metric).into_iter().flatten();
        series
            .filter(|(labels, _)| labels.contains(label))
            .fold(0.0, |sum, (_, value)| sum + value)
    }

    fn shown(&self, before: Option<&Figures>) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: String| out.push_str(&format!("{name:<14} {text}\n"));
        let counted = |metric: &str, label: &str| Counted::new(self, before, metric, label);
        let requests = counted("verge_requests_total", "");
        let outcomes = ["hit", "stale", "revalidated", "miss", "collapsed", "pass", "edge"];
        let by_outcome = outcomes.map(|outcome| {
            let of = counted("verge_requests_total", &format!("cache=\"{outcome}\""));
            format!("{outcome} {}", of.share_of(&requests))
        });
        let ready = match self.sum("verge_ready", "") {
            1.0 => "yes",
            _ => "no",
        };
        line("ready", ready.to_owned());
        line("requests", requests.shown());
        line("", by_outcome.join(", "));
        line("answers 5xx", counted("verge_requests_total", "status=\"5xx\"").shown());
        line("bytes sent", counted("verge_response_bytes_total", "").bytes());
        line("connections", number(self.sum("verge_connections", "")));
        let (ram, capacity) = (
            self.sum("verge_ram_bytes", ""),
            self.sum("verge_ram_capacity_bytes", ""),
        );
        let entries = number(self.sum("verge_ram_entries", "pool=\"entries\""));
        line(
            "ram",
            format!("{} of {}, {entries} entries", bytes(ram), bytes(capacity)),
        );
        line("evicted", counted("verge_ram_evictions_total", "").shown());
        line("origin", counted("verge_origin_requests_total", "").shown());
        line("origin errors", counted("verge_origin_errors_total", "").shown());
        line("fills", number(self.sum("verge_fills", "")));
        line("purges", counted("verge_purges_total", "").shown());
        out
    }
}

/// A counter, and what it grew by since an earlier scrape.
struct Counted {
    total: f64,
    /// How much, in how many seconds.
    since: Option<(f64, f64)>,
}

impl Counted {
    fn new(now: &Figures, before: Option<&Figures>, metric: &str, label: &str) -> Counted {
        let total = now.sum(metric, label);
        let since = before.map(|before| {
            let seconds = now.at.duration_since(before.at).as_secs_f64();
            (total - before.sum(metric, label), seconds.max(1e-3))
        });
        Counted { total, since }
    }

    fn shown(&self) -> String {
        match self.since {
            None => number(self.total),
            Some((more, seconds)) => format!("{} ({}/s)", number(self.total), number(more / seconds)),
        }
    }

    fn bytes(&self) -> String {
        match self.since {
            None => bytes(self.total),
            Some((more, seconds)) => format!("{} ({}/s)", bytes(self.total), bytes(more / seconds)),
        }
    }

    /// Of what was counted since, else of all.
    fn share_of(&self, all: &Counted) -> String {
        let of = |counted: &Counted| counted.since.map_or(counted.total, |(more, _)| more);
        match of(all) {
            0.0 => "-".to_owned(),
            whole => format!("{:.1} %", 100.0 * of(self) / whole),
        }
    }
}

fn number(value: f64) -> String {
    format!("{value:.0}")
}

pub(super) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = "# HELP verge_requests_total Requests.\n\
        verge_requests_total{site=\"a b\",cache=\"hit\",status=\"2xx\"} 3\n\
        verge_requests_total{site=\"a b\",cache=\"miss\",status=\"5xx\"} 1\n\
        verge_ready 1\nverge_ram_bytes{pool=\"entries\"} 2048\nnonsense\n";

    #[test]
    fn figures_are_read_from_a_scrape() {
        let shown = Figures::read(SCRAPE).shown(None);
        for line in [
            "ready          yes\n",
            "requests       4\n",
            "hit 75.0 %, stale 0.0 %, revalidated 0.0 %, miss 25.0 %",
            "answers 5xx    1\n",
            "ram            2.0 KiB of 0.0 B, 0 entries\n",
        ] {
            assert!(shown.contains(line), "{line:?} is not in\n{shown}");
        }
    }

    #[test]
    fn rates_are_of_what_came_since() {
        let mut before = Figures::read("verge_requests_total{cache=\"hit\"} 1\n");
        let now = Figures::read(SCRAPE);
        before.at = now.at - Duration::from_secs(3);
        let shown = now.shown(Some(&before));
        assert!(shown.contains("requests       4 (1/s)\n"), "{shown}");
    }
}
