//! What the walk prints: two lines a step, within 100 columns, in colour only on a terminal.

use std::io::{IsTerminal, Write};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The walk's output.
pub(super) struct Report {
    coloured: bool,
}

impl Report {
    /// To standard output; `NO_COLOR` is honoured.
    pub(super) fn new() -> Self {
        Report {
            coloured: std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Prints a line. Nobody may be reading any more, and the walk's outcome is the exit status all the same.
    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// Prints a step: what it shows, what was asked and answered, and what was expected instead.
    pub(super) fn step(&mut self, title: &str, asked: &str, status: &str, said: &str, wrong: &[String]) {
        let mark = match wrong.is_empty() {
            true => self.in_colour(GREEN, "✓"),
            false => self.in_colour(RED, "✗"),
        };
        let said = self.in_colour(DIM, said);
        self.line("");
        self.line(&format!("{mark} {title}"));
        self.line(&format!("  {asked:<27} {status:>3}  {said}"));
        for wrong in wrong {
            let wrong = self.in_colour(RED, &format!("expected {wrong}"));
            self.line(&format!("  {wrong}"));
        }
    }

    fn in_colour(&self, colour: &str, text: &str) -> String {
        match self.coloured {
            true => format!("{colour}{text}{PLAIN}"),
            false => text.to_owned(),
        }
    }
}
