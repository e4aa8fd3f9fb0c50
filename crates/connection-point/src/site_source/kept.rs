//! The copy of the last good site configuration. A kill at any moment leaves the old copy or the new one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cmg_core::{durable_file, limits};

use super::SourceError;

const FILE: &str = "site-in-force.toml";

pub struct KeptCopy {
    folder: PathBuf,
}

impl KeptCopy {
    pub fn new(state_directory: &Path) -> Result<Self, SourceError> {
        fs::create_dir_all(state_directory)
            .map_err(|error| SourceError::StateDirectory { path: state_directory.to_owned(), error })?;
        Ok(Self::of(state_directory))
    }

    /// To read it where it may be; makes nothing.
    pub fn of(state_directory: &Path) -> Self {
        Self { folder: state_directory.to_owned() }
    }

    pub fn name(&self) -> String {
        self.path().display().to_string()
    }

    pub fn read(&self) -> io::Result<Option<String>> {
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(limits::SITE_CONFIGURATION as u64 + 1).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// It names internal servers: only its owner may read it.
    pub fn write(&self, text: &str) -> io::Result<()> {
        durable_file::replace(&self.path(), text.as_bytes())?;
        durable_file::sync_folder(&self.folder)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let copy = KeptCopy::new(&folder.path().join("made")).unwrap();
        assert_eq!(copy.read().unwrap(), None);
        copy.write("version = 1\n").unwrap();
        copy.write("version = 2\n").unwrap();
        assert_eq!(copy.read().unwrap().as_deref(), Some("version = 2\n"));
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(copy.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
