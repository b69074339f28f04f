//! An edge in a process of its own, with a folder below its RAM, that is killed and started again.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How long what is stored may take to be in the folder, and how often it is looked.
const LOOKS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// The edge. Dropping it ends it, and removes its folder.
pub(super) struct Killable {
    process: Child,
    /// Where it listens; it keeps that.
    pub(super) address: SocketAddr,
    origin: SocketAddr,
    folder: TempDir,
}

impl Killable {
    /// An edge before `origin`, with an empty folder.
    pub(super) fn start(origin: SocketAddr) -> io::Result<Killable> {
        let folder = tempfile::Builder::new().prefix("verge-demo-").tempdir()?;
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let (process, address) = start(any, origin, folder.path())?;
        Ok(Killable {
            process,
            address,
            origin,
            folder,
        })
    }

    /// Waits until the response that is stored for `path` is in the folder, as `verge store find` sees it.
    pub(super) async fn has_stored(&self, path: &str) -> io::Result<()> {
        let url = format!("http://{}{path}", self.address);
        for _ in 0..LOOKS {
            let mut find = verge(&["store", "find"])?;
            let found = find.arg(self.folder.path()).arg(&url).stdout(Stdio::null()).status()?;
            if found.success() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(io::Error::other(format!("{url} did not get into the folder")))
    }

    /// Kills it (`SIGKILL`: it can do nothing more), and starts another one over its folder.
    pub(super) fn kill_and_start(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        (self.process, _) = start(self.address, self.origin, self.folder.path())?;
        Ok(())
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program with these arguments; what it complains of is not shown.
fn verge(arguments: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Starts an edge, and says where it listens.
fn start(listen: SocketAddr, origin: SocketAddr, folder: &Path) -> io::Result<(Child, SocketAddr)> {
    let (listen, origin) = (listen.to_string(), format!("http://{origin}"));
    let mut run = verge(&["run", "--origin", &origin, "--listen", &listen, "--admin", "off"])?;
    run.args(["--threads", "1", "--ssd-size", "256MiB", "--ssd"])
        .arg(folder);
    let mut process = run.stdout(Stdio::piped()).spawn()?;
    let said = process.stdout.take().map(BufReader::new);
    let mut lines = said.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("verge: listening on http://")?.parse().ok());
    match address {
        Some(address) => Ok((process, address)),
        None => {
            let _ = process.kill();
            let ended = process.wait()?;
            Err(io::Error::other(format!("the other edge did not start: {ended}")))
        }
    }
}
