//! The SSD store measured on a real folder, which is emptied afterwards:
//!
//!     cargo run --profile quick --example ssd -- FOLDER [crash|deadline|policies|purges|reads|recover|wear]…
//!
//! - `crash`: a process that uses a store is killed, 500 times.
//! - `deadline`: how soon what is stored is on the device.
//! - `policies`: which segment is given up, and how much of it is kept, simulated under a Zipf load.
//! - `purges`: how long a synced purge takes.
//! - `reads`: what a hit costs.
//! - `recover`: bytes of the index an entry, and how long a start takes with 1, 3 and 10 million entries. Takes 10 GB.
//!   `fill N` and `start N` are its halves.
//! - `wear`: bytes written for a byte taken, under a Zipf load.

#![allow(clippy::disallowed_methods, missing_docs)]

mod crash;
mod deadline;
mod load;
mod policies;
mod purges;
mod reads;
mod recover;
mod wear;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use verge::clock::SystemClock;
use verge::device::Disk;
use verge::store::ssd::{OpenError, Settings, Ssd};

/// Measures something in a folder of its own, and prints it.
type Measure = fn(&Path);

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next().map(PathBuf::from) else {
        eprintln!("which folder?");
        std::process::exit(2);
    };
    let args: Vec<String> = args.collect();
    if let [what, entries] = &args[..]
        && what == "fill"
    {
        recover::fill_and_die(&folder, entries.parse().expect("how many entries"));
    }
    if let [what, entries] = &args[..]
        && what == "start"
    {
        return recover::start(&folder, entries.parse().expect("how many entries"), "as it is");
    }
    if let [what, round, from] = &args[..]
        && what == "churn"
    {
        let number = |text: &String| text.parse().expect("a number");
        crash::churn(&folder, number(round), number(from));
    }
    let asked = |what: &str| args.is_empty() || args.iter().any(|arg| arg == what);
    let measures: [(&str, Measure); 7] = [
        ("policies", |_| policies::measure()),
        ("purges", purges::measure),
        ("reads", reads::measure),
        ("wear", wear::measure),
        ("deadline", deadline::measure),
        ("crash", crash::measure),
        ("recover", recover::measure),
    ];
    for (what, measure) in measures {
        if asked(what) {
            println!("== {what}");
            let folder = folder.join(format!("verge-ssd-{what}"));
            measure(&folder);
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Opens the store in a folder.
fn open(folder: &Path, settings: Settings) -> Result<Ssd, OpenError> {
    let disk = Disk::open(folder).map_err(|error| OpenError::Device { what: "opening", error })?;
    Ssd::open(Arc::new(disk), settings, Arc::new(SystemClock))
}

/// Lets the page cache forget what is in a folder.
fn forget_pages(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let file = std::fs::File::open(entry.path()).expect("a file");
        file.sync_all().expect("it can be synced");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("it can be forgotten");
    }
}
