//! `verge man`: one manual page, made from what the command line is defined by.

use std::io;

use clap_mangen::Man;

use super::{Failure, print};

/// What the definition does not know. Lines that begin with a dot are commands of roff.
const REST: &str = r#".SH "SIGNALS"
.TP
\fBSIGTERM\fR, \fBSIGINT\fR
\fBverge run\fR is no longer ready, takes no more connections, finishes the requests under way, and ends. A second
signal ends it at once.
.TP
\fBSIGHUP\fR
\fBverge run\fR reads again what it can read again while it serves.
.SH "EXIT STATUS"
.TP
\fB0\fR
Success.
.TP
\fB1\fR
What was asked for failed; one line on standard error names the culprit and the mend.
.TP
\fB2\fR
The command line is wrong.
.SH "FILES"
.TP
\fIedge.toml\fR
The configuration, in the folder that Verge is started in unless \fB\-\-config\fR names another. The example that comes with
Verge shows every key, its default and its unit.
"#;

pub(super) fn run(definition: clap::Command) -> Result<(), Failure> {
    print(&page(definition).map_err(|error| format!("the manual page cannot be made: {error}"))?)
}

fn page(mut definition: clap::Command) -> io::Result<Vec<u8>> {
    definition.build();
    let whole = Man::new(definition.clone()).manual("Verge");
    let mut page = Vec::new();
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    let commands = definition.get_subcommands();
    for command in commands.filter(|command| command.get_name() != "help") {
        section(command, &mut page)?;
    }
    page.extend_from_slice(REST.as_bytes());
    Ok(page)
}

/// A command's section, with what would be sections of a page of its own below it.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(command.clone());
    let mut inner = Vec::new();
    man.render_synopsis_section(&mut inner)?;
    man.render_description_section(&mut inner)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut inner)?;
    }
    let inner = String::from_utf8_lossy(&inner).replace(".SH ", ".SS ");
    page.extend_from_slice(inner.as_bytes());
    let below = command.get_subcommands();
    below
        .filter(|command| command.get_name() != "help")
        .try_for_each(|command| section(command, page))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_page_has_every_command_and_flag() {
        // roff escapes hyphens.
        let page = String::from_utf8(page(Cli::command()).unwrap())
            .unwrap()
            .replace("\\-", "-");
        let mut left: Vec<(String, clap::Command)> = vec![("VERGE".to_owned(), Cli::command())];
        while let Some((name, command)) = left.pop() {
            for below in command.get_subcommands() {
                let name = format!("{name} {}", below.get_name().to_uppercase());
                assert!(page.contains(&format!(".SH \"{name}\"")), "{name}");
                left.push((name, below.clone()));
            }
            for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{long}")), "{name} --{long}");
            }
        }
    }
}
