//! One life of the edge's process: the edge, the tier below its RAM, and the hands that do what threads would.

use std::sync::Arc;
use std::time::Duration;

use verge::cache::Below;
use verge::cache::below::Known;
use verge::clock::{Clock, Now};
use verge::device::{Device, Faults, Faulty};
use verge::pipeline::Edge;
use verge::purge::Recorder;
use verge::store::ssd::{self, ByHand, Ssd};
use verge::store::tiered::{Admission, DiskStore, Rule, Tier};

use crate::executor::Handle;
use crate::plan::{Disk, Knobs};

/// A process, as long as it lives.
pub struct Life {
    /// The edge.
    pub edge: Arc<Edge>,
    hands: Option<Hands>,
    clock: Arc<dyn Clock>,
}

/// What the threads of the tier below RAM would do.
struct Hands {
    device: Faulty,
    by_hand: ByHand,
    tier: Arc<Tier>,
    recorder: Arc<Recorder>,
}

/// The machine's clock as a process sees it: what is monotonic begins with the process.
#[derive(Clone)]
struct SinceBirth {
    handle: Handle,
    born: Duration,
}

impl Clock for SinceBirth {
    fn now(&self) -> Now {
        let now = self.handle.clock().now();
        Now {
            monotonic: now.monotonic - self.born,
            ..now
        }
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is killed: what it wrote is there.
    Kill,
    /// The power fails: what was not synced is there, or not, or torn.
    PowerCut,
}

impl Life {
    /// The first life, over an empty folder if there is one.
    pub fn first(knobs: &Knobs, handle: &Handle, edge: impl FnOnce(Arc<dyn Clock>, Option<Below>) -> Edge) -> Life {
        let device = knobs.disk.as_ref().map(|disk| Faulty::new(disk.seed));
        Life::over(knobs, handle, device, edge)
    }

    /// The life after this one.
    pub fn next(
        &self,
        knobs: &Knobs,
        handle: &Handle,
        end: End,
        rot: u64,
        edge: impl FnOnce(Arc<dyn Clock>, Option<Below>) -> Edge,
    ) -> Life {
        let device = self.hands.as_ref().map(|hands| match end {
            End::Kill => hands.device.kill(),
            End::PowerCut => hands.device.power_cut(),
        });
        if let Some(device) = &device {
            (0..rot).for_each(|number| flip(device, number));
        }
        Life::over(knobs, handle, device, edge)
    }

    fn over(
        knobs: &Knobs,
        handle: &Handle,
        device: Option<Faulty>,
        edge: impl FnOnce(Arc<dyn Clock>, Option<Below>) -> Edge,
    ) -> Life {
        let clock: Arc<dyn Clock> = Arc::new(SinceBirth {
            handle: handle.clone(),
            born: handle.clock().now().monotonic,
        });
        let (Some(device), Some(disk)) = (device, &knobs.disk) else {
            return Life {
                edge: Arc::new(edge(Arc::clone(&clock), None)),
                hands: None,
                clock,
            };
        };
        let (below, hands) = below(disk, device, &clock);
        Life {
            edge: Arc::new(edge(Arc::clone(&clock), Some(below))),
            hands: Some(hands),
            clock,
        }
    }

    /// Does a little of what threads would; `number` counts the calls.
    pub fn work(&mut self, number: u64) {
        let Some(hands) = &mut self.hands else { return };
        match number % 4 {
            0 => _ = hands.by_hand.read(&hands.tier.disks()[0].ssd),
            1 => _ = hands.recorder.write(),
            2 => _ = hands.by_hand.recover(),
            _ => hands.by_hand.write(self.clock.now(), false),
        }
    }

    /// Does all that somebody may wait for; says whether there was anything.
    pub fn work_off(&mut self) -> bool {
        let Some(hands) = &mut self.hands else { return false };
        hands.by_hand.write(self.clock.now(), false);
        let ssd = &hands.tier.disks()[0].ssd;
        let mut any = hands.recorder.write();
        any |= std::iter::from_fn(|| hands.by_hand.recover().then_some(())).count() > 0;
        any |= std::iter::from_fn(|| hands.by_hand.read(ssd).then_some(())).count() > 0;
        any
    }
}

fn below(disk: &Disk, device: Faulty, clock: &Arc<dyn Clock>) -> (Below, Hands) {
    device.set(Faults::default());
    let known = Known::default();
    let settings = ssd::Settings {
        segment: Some(disk.segment),
        entries: Some(4096),
        checkpoint_share: 0.0,
        judge: known.judge(Arc::clone(clock)),
        ..ssd::Settings::new(disk.size)
    };
    let folder: Arc<dyn Device> = Arc::new(device.clone());
    let opened = Ssd::open_by_hand(Arc::clone(&folder), settings, clock.now().wall, [7; 40]);
    let (ssd, by_hand) = opened.unwrap_or_else(|error| panic!("the folder cannot be opened: {error}"));
    let disks = vec![DiskStore {
        path: "simulated".to_owned(),
        ssd,
    }];
    let rule = if disk.second_hit { Rule::SecondHit } else { Rule::Always };
    let tier = Arc::new(Tier::new(disks, Admission::new(rule, None)));
    let below = Below::new(Arc::clone(&tier), folder, &known);
    device.set(Faults {
        cold_reads: disk.cold_reads,
        short_reads: 5,
        ..Faults::default()
    });
    let hands = Hands {
        device,
        by_hand,
        recorder: Arc::clone(&below.recorder),
        tier,
    };
    (below, hands)
}

/// Flips a bit of a segment.
fn flip(device: &Faulty, number: u64) {
    let names = device.names();
    let segments: Vec<&String> = names.iter().filter(|name| name.starts_with("segment-")).collect();
    if let Some(name) = segments.get(number as usize % segments.len().max(1)) {
        device.rot(name, |bytes| {
            let at = crate::prng::mix(number ^ bytes.len() as u64) as usize % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (number % 8);
            }
        });
    }
}
