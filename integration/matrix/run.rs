//! Asking all of it, and counting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;

use crate::cases::Case;
use crate::client::{Ask, Client, Got, PROTOCOLS, Protocol};
use crate::compare::{Stage, Verdict, verdict};
use crate::edge::Edge;
use crate::origin;
use crate::resource::{ASKED, Dates, LANGUAGE};

/// Cases under way at a time, each on connections of its own.
const WORKERS: usize = 4;
/// No answer takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer that is not as it should be.
pub struct Difference {
    pub protocol: Protocol,
    pub stage: Stage,
    pub ask: Ask,
    pub what: Vec<String>,
    pub direct: Got,
    pub got: Got,
}

/// What came of all cases.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub answers: usize,
    pub hits: usize,
    /// How many answers were others than the origin's, by the section that allows it.
    pub allowed: BTreeMap<&'static str, usize>,
    pub differences: Vec<Difference>,
}

/// The cases that are left to ask.
type Queue = Arc<Mutex<std::iter::Enumerate<std::vec::IntoIter<Case>>>>;

/// Starts an origin and an edge, and asks all cases.
pub async fn all(cases: Vec<Case>, dates: Dates) -> Tally {
    let origin = origin::start(dates).await.unwrap();
    let edge = Arc::new(Edge::start(origin));
    let queue: Queue = Arc::new(Mutex::new(cases.into_iter().enumerate()));
    let workers = (0..WORKERS).map(|_| tokio::spawn(Worker::new(origin, &edge, dates).work(Arc::clone(&queue))));
    let mut whole = Tally::default();
    for worker in workers.collect::<Vec<_>>() {
        whole.add(worker.await.unwrap());
    }
    whole
}

struct Worker {
    dates: Dates,
    direct: Client,
    edge: Vec<(Protocol, Client)>,
    tally: Tally,
}

impl Worker {
    fn new(origin: std::net::SocketAddr, edge: &Edge, dates: Dates) -> Worker {
        let client = |protocol| {
            let address = if protocol == Protocol::Http1 {
                edge.clear
            } else {
                edge.tls
            };
            (protocol, Client::new(protocol, address, edge.trust.clone()))
        };
        Worker {
            dates,
            direct: Client::new(Protocol::Http1, origin, edge.trust.clone()),
            edge: PROTOCOLS.map(client).into(),
            tally: Tally::default(),
        }
    }

    async fn work(mut self, queue: Queue) -> Tally {
        loop {
            let next = queue.lock().unwrap().next();
            let Some((number, case)) = next else {
                return self.tally;
            };
            self.case(number, &case).await;
        }
    }

    async fn case(&mut self, number: usize, case: &Case) {
        self.tally.cases += 1;
        let target = format!("{}?{number}", case.resource().path());
        let plain = case.plain();
        let direct = self.direct(case, &target).await;
        let whole = self.direct(&plain, &target).await;
        for at in 0..self.edge.len() {
            let target = format!("{target}-{:?}", self.edge[at].0);
            if case.varies() {
                let other = Ask {
                    fields: vec![(LANGUAGE, "en".to_owned())],
                    ..ask(&plain, &self.dates, target.clone())
                };
                let _ = asked(&mut self.edge[at].1, &other).await;
            }
            self.compare(at, case, Stage::Cold, &target, &direct).await;
            // Nothing is stored for who wants nothing else.
            if case.directive() == "only-if-cached" {
                self.compare(at, &plain, Stage::Cold, &target, &whole).await;
                self.compare(at, case, Stage::Primed, &target, &direct).await;
            }
            self.compare(at, case, Stage::Warm, &target, &direct).await;
            // What comes of it does not depend on the protocol any more.
            if number % self.edge.len() == at {
                self.compare(at, &plain, Stage::After, &target, &whole).await;
            }
        }
    }

    async fn direct(&mut self, case: &Case, target: &str) -> Got {
        let ask = ask(case, &self.dates, target.to_owned());
        asked(&mut self.direct, &ask).await.expect("the origin answers")
    }

    async fn compare(&mut self, at: usize, case: &Case, stage: Stage, target: &str, direct: &Got) {
        let ask = ask(case, &self.dates, target.to_owned());
        let (protocol, client) = &mut self.edge[at];
        let got = asked(client, &ask).await;
        self.tally
            .compare(case, &self.dates, (*protocol, stage), &ask, direct, got);
    }
}

fn ask(case: &Case, dates: &Dates, target: String) -> Ask {
    let mut fields = case.fields(dates);
    fields.extend(case.varies().then(|| (LANGUAGE, ASKED.to_owned())));
    Ask {
        method: case.method(),
        target,
        fields,
        body: case.body(),
    }
}

async fn asked(client: &mut Client, ask: &Ask) -> Result<Got, String> {
    match timeout(PATIENCE, client.ask(ask)).await {
        Ok(got) => got.map_err(|error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        self.answers += other.answers;
        self.hits += other.hits;
        for (section, count) in other.allowed {
            *self.allowed.entry(section).or_default() += count;
        }
        self.differences.extend(other.differences);
    }

    fn compare(
        &mut self,
        case: &Case,
        dates: &Dates,
        (protocol, stage): (Protocol, Stage),
        ask: &Ask,
        direct: &Got,
        got: Result<Got, String>,
    ) {
        self.answers += 1;
        let (verdict, got) = match got {
            Ok(got) => (verdict(case, dates, stage, direct, &got), got),
            Err(error) => (Verdict::Wrong(vec![error]), Got::default()),
        };
        self.hits += usize::from(got.is_hit());
        match verdict {
            Verdict::Same => {}
            Verdict::Allowed(section) => *self.allowed.entry(section).or_default() += 1,
            Verdict::Wrong(what) => self.differences.push(Difference {
                protocol,
                stage,
                ask: ask.clone(),
                what,
                direct: direct.clone(),
                got,
            }),
        }
    }

    /// Prints the count, and the differences: how many of each kind, and some of them in full.
    pub fn print(&self, show: usize) {
        let mut kinds = BTreeMap::<String, usize>::new();
        for difference in &self.differences {
            *kinds.entry(difference.kind()).or_default() += 1;
        }
        // One of each kind comes before a second of any.
        let mut seen = BTreeMap::<String, usize>::new();
        let mut shown: Vec<(usize, &Difference)> = Vec::new();
        for difference in &self.differences {
            let nth = seen.entry(difference.kind()).or_default();
            *nth += 1;
            shown.push((*nth, difference));
        }
        shown.sort_by_key(|(nth, _)| *nth);
        shown.iter().take(show).for_each(|(_, difference)| difference.print());
        kinds
            .iter()
            .for_each(|(kind, count)| println!("{count:6} times: {kind}"));
        for (section, count) in &self.allowed {
            println!("{count:6} times another answer than the origin's, as allowed: {section}");
        }
        println!(
            "{} combinations, {} answers compared, {} of them hits: {} differences",
            self.cases,
            self.answers,
            self.hits,
            self.differences.len()
        );
    }
}

impl Difference {
    /// What differs, without the values.
    fn kind(&self) -> String {
        let words = |what: &String| {
            what.split_whitespace()
                .take(if what.starts_with("status") { 4 } else { 1 })
                .collect::<Vec<_>>()
                .join(" ")
        };
        let mut kinds: Vec<String> = self.what.iter().map(words).collect();
        kinds.dedup();
        format!("{:?} {}: {}", self.stage, self.ask.method, kinds.join(", "))
    }

    fn print(&self) {
        println!(
            "{} {:?}: {} {}",
            self.protocol, self.stage, self.ask.method, self.ask.target
        );
        self.ask
            .fields
            .iter()
            .for_each(|(name, value)| println!("    {name}: {value}"));
        self.what.iter().for_each(|what| println!("  {what}"));
        println!("  origin: {} {:?}", self.direct.status, self.direct.fields);
        println!("  edge:   {} {:?}\n", self.got.status, self.got.fields);
    }
}
