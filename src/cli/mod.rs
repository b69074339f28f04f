//! The commands. Exit codes: 0 success, 1 the thing asked for failed, 2 usage.

mod api;
mod check;
mod completions;
mod demo;
mod explain;
mod health;
mod man;
mod notify;
mod purge;
mod run;
mod sign;
mod signals;
mod stats;
mod store;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// A caching reverse proxy and CDN edge node.
#[derive(Debug, Parser)]
#[command(name = "verge", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the edge.
    Run(run::Args),
    /// Check a configuration file: prints every error as file:line:column.
    Check(check::Args),
    /// Start a sample origin and an edge before it, and walk through what the edge does.
    Demo(demo::Args),
    /// Ask a running edge on this machine whether it lives, or is ready; exit status 1 if not.
    Health(health::Args),
    /// Purge URLs, tags, prefixes, sites or everything from a running edge.
    Purge(purge::Args),
    /// Say what a running edge would do with a request, and why.
    Explain(explain::Args),
    /// Sign a URL, as the configuration's routes take it.
    Sign(sign::Args),
    /// Show a running edge's figures.
    Stats(stats::Args),
    /// Look into a cache folder, also while an edge uses it.
    Store(store::Args),
    /// Print what a shell needs to complete this command line.
    Completions(completions::Args),
    /// Print the manual page.
    Man,
}

/// Why a command failed, in one line that names the culprit and the mend.
type Failure = String;

/// Parses the command line and runs the command. Usage errors end the process with code 2.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Purge(args) => purge::run(args),
        Command::Explain(args) => explain::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man => man::run(Cli::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("verge: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error. Nobody is left to be told that standard error is gone.
fn complain(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes to standard output. That its reader has gone is no failure.
fn print(text: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}
