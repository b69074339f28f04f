//! Where lines go.

use std::fs::OpenOptions;
use std::io::{self, Write};

use crate::config::AccessTarget;

/// Where lines go, in whole lines as long as nothing fails.
pub(super) struct Sink {
    name: String,
    out: Box<dyn Write + Send>,
    /// What was written last ended within a line.
    torn: bool,
}

impl Sink {
    /// Opens what `target` names, a file at its end; none if that is nothing.
    pub(super) fn open(target: &AccessTarget) -> Result<Option<Sink>, String> {
        match target {
            AccessTarget::Off => Ok(None),
            AccessTarget::Stdout => Ok(Some(Sink::to("standard output", io::stdout()))),
            AccessTarget::File(path) => {
                let name = path.display().to_string();
                let file = OpenOptions::new().append(true).create(true).open(path);
                let file = file.map_err(|error| {
                    format!("cannot open the access log {name}: {error}; make its folder, let the edge write there, or name another file")
                })?;
                Ok(Some(Sink::to(&name, file)))
            }
        }
    }

    /// To anything that can be written to.
    pub(super) fn to(name: &str, out: impl Write + Send + 'static) -> Sink {
        Sink {
            name: name.to_owned(),
            out: Box::new(out),
            torn: false,
        }
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes whole lines, in one call as a rule. After an error that came within a line, the next one begins on a new line.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.write_all(b"\n")?;
        }
        self.write_all(lines)?;
        self.out.flush()
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = bytes[written - 1] != b'\n';
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
