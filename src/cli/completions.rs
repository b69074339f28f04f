//! `verge completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use super::{Failure, print};

/// What `verge completions` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that is to complete.
    shell: Shell,
}

pub(super) fn run(args: &Args, definition: clap::Command) -> Result<(), Failure> {
    print(&script(args.shell, definition))
}

fn script(shell: Shell, mut definition: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition, "verge", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_shell_completes_every_command_and_flag() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell, Cli::command())).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
                for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(script.contains(long), "{shell}: {} --{long}", command.get_name());
                }
            }
        }
    }
}
