//! The contents of all files, read together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::{ClientCertificates, Settings, TlsError};

/// No file of certificates or keys comes near it; a device that never ends does.
const MAX_FILE: u64 = 16 << 20;

/// What tells contents apart: SHA-256.
pub(super) type Digest = [u8; 32];

/// Every file that the settings name, as it was at one time.
pub(super) struct Files(BTreeMap<PathBuf, Result<Vec<u8>, String>>);

impl Files {
    /// Reads each file once, so that all that is made of one is made of the same bytes.
    pub(super) fn read(settings: &Settings, listeners: &[ClientCertificates]) -> Files {
        let certificates = settings.certificates.iter();
        let certificates = certificates.flat_map(|files| [Some(&files.cert), Some(&files.key), files.ocsp.as_ref()]);
        let hosts = settings.hosts.iter().filter_map(|(_, asked)| asked.as_ref());
        let authorities = listeners.iter().chain(hosts).map(ClientCertificates::file);
        let paths = certificates.chain(authorities).flatten().chain(&settings.ticket_keys);
        Files(paths.map(|path| (path.clone(), read(path))).collect())
    }

    /// The contents of a file.
    pub(super) fn get(&self, path: &Path) -> Result<&[u8], TlsError> {
        match self.0.get(path) {
            Some(Ok(contents)) => Ok(contents),
            Some(Err(what)) => Err(TlsError::new(path, what)),
            None => Err(TlsError::new(path, "it was not read")),
        }
    }

    /// Differs if any file does.
    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        // Lengths go before what they measure, so that no two sets of files are the same bytes.
        let mut add = |bytes: &[u8]| {
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        };
        for (path, contents) in &self.0 {
            add(path.as_os_str().as_encoded_bytes());
            add(&[contents.is_ok().into()]);
            add(contents.as_ref().map_or_else(String::as_bytes, Vec::as_slice));
        }
        finish(context)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("it cannot be read ({error}); mend the path, or who may read it");
    // Opening a pipe would wait for somebody to write to it.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("it is not a file; write the path of one".to_owned());
    }
    let mut contents = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(MAX_FILE + 1).read_to_end(&mut contents).map_err(cannot)?;
    match contents.len() as u64 > MAX_FILE {
        true => Err("it is larger than 16 MiB; is it the right file?".to_owned()),
        false => Ok(contents),
    }
}

/// SHA-256 of some parts, each of a length that is fixed or that an earlier one tells.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    finish(context)
}

fn finish(context: Context) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_decide() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let settings = Settings {
            ticket_keys: vec![path.clone()],
            ..Settings::default()
        };
        let digest = || Files::read(&settings, &[]).digest();
        let absent = digest();
        std::fs::write(&path, "a").unwrap();
        let a = digest();
        assert_ne!(absent, a);
        assert_eq!(a, digest());
        std::fs::write(&path, "b").unwrap();
        assert_ne!(a, digest());
        std::fs::write(&path, "a").unwrap();
        assert_eq!(a, digest());
    }

    #[test]
    fn only_files_are_read() {
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("not a file"));
        assert!(read(Path::new("/")).unwrap_err().contains("not a file"));
        assert!(read(Path::new("/none")).unwrap_err().contains("cannot be read"));
    }
}
