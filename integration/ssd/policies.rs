//! Which segment is given up, and how much of it is kept: simulated, with sizes alone.

use std::collections::HashMap;

use super::load::{MIB, Zipf, size_of};

const SIZE: u64 = 1024 * MIB;
const SEGMENT: u64 = 8 * MIB;
const OBJECTS: u64 = 300_000;
const REQUESTS: u64 = 3_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Oldest,
    /// The one whose hit bytes are fewest.
    Coldest,
}

#[derive(Default)]
struct Segment {
    objects: Vec<u64>,
    bytes: u64,
}

struct Simulation {
    victim: Victim,
    kept: f64,
    segments: Vec<Segment>,
    /// The segment of an object by its number, and its hits since it was written.
    at: HashMap<u64, (u64, u8)>,
    first: u64,
    written: u64,
    taken: u64,
    hits: u64,
}

impl Simulation {
    fn ask(&mut self, object: u64) {
        match self.at.get_mut(&object) {
            Some((_, hits)) => {
                *hits = (*hits + 1).min(3);
                self.hits += 1;
            }
            None => {
                self.taken += size_of(object) as u64;
                self.write(object);
            }
        }
    }

    fn write(&mut self, object: u64) {
        let size = size_of(object) as u64;
        if self
            .segments
            .last()
            .is_none_or(|segment| segment.bytes + size > SEGMENT)
        {
            self.segments.push(Segment::default());
            if self.segments.iter().filter(|segment| segment.bytes > 0).count() as u64 >= SIZE / SEGMENT {
                self.give_up();
            }
        }
        let number = self.first + self.segments.len() as u64 - 1;
        let open = self.segments.last_mut().expect("there is one");
        open.objects.push(object);
        open.bytes += size;
        self.written += size;
        self.at.insert(object, (number, 0));
    }

    fn give_up(&mut self) {
        let full = 0..self.segments.len() - 1;
        let there = full.filter(|at| self.segments[*at].bytes > 0);
        let victim = match self.victim {
            Victim::Oldest => there.min(),
            Victim::Coldest => there.min_by_key(|at| self.hit_bytes(*at)),
        };
        let Some(victim) = victim else { return };
        let number = self.first + victim as u64;
        let gone = std::mem::take(&mut self.segments[victim]);
        let mut here: Vec<_> = gone
            .objects
            .into_iter()
            .filter(|object| self.at[object].0 == number)
            .collect();
        here.sort_by_key(|object| std::cmp::Reverse(self.at[object].1));
        let mut room = (SEGMENT as f64 * self.kept) as u64;
        for object in here {
            let size = size_of(object) as u64;
            if self.at[&object].1 > 0 && size <= room {
                room -= size;
                self.write(object);
            } else {
                self.at.remove(&object);
            }
        }
        while self.segments.first().is_some_and(|segment| segment.bytes == 0) {
            self.segments.remove(0);
            self.first += 1;
        }
    }

    fn hit_bytes(&self, at: usize) -> u64 {
        let number = self.first + at as u64;
        let here = self.segments[at].objects.iter().filter_map(|object| {
            let (segment, hits) = self.at.get(object)?;
            (*segment == number && *hits > 0).then(|| size_of(*object) as u64)
        });
        here.sum()
    }
}

fn simulate(victim: Victim, kept: f64, exponent: f64) -> (f64, f64) {
    let mut simulation = Simulation {
        victim,
        kept,
        segments: Vec::new(),
        at: HashMap::new(),
        first: 0,
        written: 0,
        taken: 0,
        hits: 0,
    };
    let mut zipf = Zipf::new(OBJECTS, exponent);
    (0..REQUESTS / 2).for_each(|_| simulation.ask(zipf.next()));
    (simulation.written, simulation.taken, simulation.hits) = (0, 0, 0);
    (0..REQUESTS / 2).for_each(|_| simulation.ask(zipf.next()));
    let ratio = simulation.hits as f64 / (REQUESTS / 2) as f64;
    (ratio, simulation.written as f64 / simulation.taken as f64)
}

pub fn measure() {
    println!("1 GiB of about 10, segments of 8 MiB: hits of requests, bytes written for a byte taken");
    let oldest = [0.0, 0.05, 0.1, 0.15, 0.25].map(|kept| (Victim::Oldest, "oldest", kept));
    let coldest = [0.0, 0.1].map(|kept| (Victim::Coldest, "coldest", kept));
    for exponent in [0.8, 0.9, 1.0] {
        for (victim, called, kept) in oldest.iter().chain(&coldest) {
            let (hits, wear) = simulate(*victim, *kept, exponent);
            println!(
                "  Zipf {exponent}, {called:7}, {:2.0} % kept: {:5.2} %, {wear:.3}",
                kept * 100.0,
                hits * 100.0
            );
        }
    }
}
