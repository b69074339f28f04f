//! The commands. Exit codes: 0 success, 1 the thing asked for failed, 2 usage.

mod check;
mod demo;
mod run;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

/// Why a command failed, in one line that names the culprit and the mend.
type Failure = String;

/// Parses the command line and runs the command. Usage errors end the process with code 2.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("verge: {failure}");
            ExitCode::FAILURE
        }
    }
}
