//! `verge store`: what is in a cache folder. Nothing in it is changed, and an edge may run on it meanwhile.

mod find;
mod list;
#[cfg(test)]
mod tests;
mod verify;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Failure, print};
use crate::clock::{Clock, SystemClock};
use crate::device::ReadOnly;
use crate::store::ssd::OpenError;
use crate::store::ssd::inspect::Inspector;
use crate::telemetry::timestamp::rfc3339;

/// What `verge store` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Say what is in a cache folder: segments, records, purges.
    List {
        /// The folder, as [cache] ssd or --ssd names it.
        folder: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every record and check every checksum; exit status 1 if anything is damaged.
    Verify {
        /// The folder, as [cache] ssd or --ssd names it.
        folder: PathBuf,
    },
    /// Say what is stored for a URL, and where; exit status 1 if nothing is.
    Find {
        /// The folder, as [cache] ssd or --ssd names it.
        folder: PathBuf,
        /// The URL.
        url: String,
        /// A field of the request, where several variants are stored; may be given several times.
        #[arg(short = 'H', long, value_name = "Name: value")]
        header: Vec<String>,
    },
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut out = Vec::new();
    let done = match &args.what {
        What::List { folder, json } => Folder::open(folder).and_then(|folder| list::list(&folder, *json, &mut out)),
        What::Verify { folder } => Folder::open(folder).and_then(|folder| verify::verify(&folder, &mut out)),
        What::Find { folder, url, header } => {
            let asked = find::Asked::read(url, header)?;
            Folder::open(folder).and_then(|folder| find::find(&folder, &asked, SystemClock.now().wall, &mut out))
        }
    };
    print(&out)?;
    done
}

/// A cache folder.
struct Folder {
    name: String,
    inspector: Inspector,
    /// Whether a process uses it; `None` if that cannot be told.
    in_use: Option<bool>,
}

impl Folder {
    fn open(path: &Path) -> Result<Folder, Failure> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => {
                format!("{name}: there is no such folder; name the one that [cache] ssd or --ssd names")
            }
            ErrorKind::NotADirectory => format!("{name} is no folder; name the one that [cache] ssd or --ssd names"),
            _ => denied(&name, &error),
        };
        let device = ReadOnly::open(path).map_err(unreadable)?;
        let in_use = device.is_in_use().ok();
        let inspector = Inspector::open(Arc::new(device)).map_err(|error| unusable(&name, error))?;
        Ok(Folder {
            name,
            inspector,
            in_use,
        })
    }

    /// Whether a process uses it, in words.
    fn use_of(&self) -> &'static str {
        match self.in_use {
            Some(true) => "in use by a running process, which may know of more",
            Some(false) => "not in use",
            None => "it cannot be told whether a process uses it",
        }
    }
}

fn denied(name: &str, error: &std::io::Error) -> Failure {
    let mend = match error.kind() {
        ErrorKind::PermissionDenied => "run this as the user that runs verge, or as root",
        _ => "look at the disk",
    };
    format!("{name}: {error}; {mend}")
}

fn unusable(name: &str, error: OpenError) -> Failure {
    match error {
        OpenError::Device { error, .. } => denied(name, &error),
        error => format!("{name}: {error}"),
    }
}

/// A line of what is said.
fn line(out: &mut Vec<u8>, what: &str, says: &str) {
    let text: String = says.chars().filter(|letter| !letter.is_control()).collect();
    out.extend_from_slice(format!("{what:<12} {text}\n").as_bytes());
}

/// A point in time that is given in milliseconds since 1970.
fn moment(milliseconds: u64) -> String {
    let mut out = Vec::new();
    let since = Duration::from_millis(milliseconds);
    match SystemTime::UNIX_EPOCH.checked_add(since) {
        Some(time) => rfc3339(&mut out, time),
        None => return "never".to_owned(),
    }
    String::from_utf8_lossy(&out).into_owned()
}
