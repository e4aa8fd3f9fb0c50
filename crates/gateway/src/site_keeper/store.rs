//! Site configurations on disk: one file a site. A file that is not whole is an error with its name, never a guess.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cmg_core::tunnel::stored::StoredConfiguration;
use cmg_core::{durable_file, limits};

const FOLDER: &str = "sites";
const ENDING: &str = "site";

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {error}; give the state directory to the user that runs the gateway", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: {why}; restore the file from a backup, or delete it and let the site publish again", path = path.display())]
    Broken { path: PathBuf, why: String },
}

pub struct Store {
    folder: PathBuf,
}

impl Store {
    pub fn open(state_directory: &Path) -> Result<Self, StoreError> {
        let folder = state_directory.join(FOLDER);
        let io = |path: &Path, error| StoreError::Io { path: path.to_owned(), error };
        fs::create_dir_all(&folder).map_err(|error| io(&folder, error))?;
        // Else a power cut may take the folder, and with it what was acknowledged.
        durable_file::sync_folder(state_directory).map_err(|error| io(state_directory, error))?;
        Ok(Self { folder })
    }

    pub fn read_all(&self) -> Result<Vec<StoredConfiguration>, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        let mut all: Vec<StoredConfiguration> = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io(&self.folder))? {
            let path = entry.map_err(io(&self.folder))?.path();
            // What a kill left behind before its rename was never acknowledged.
            if path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            let length = fs::metadata(&path).map_err(io(&path))?.len();
            if length > limits::SITE_CONFIGURATION as u64 * 2 {
                return Err(StoreError::Broken { path, why: format!("{length} bytes are too many") });
            }
            let bytes = fs::read(&path).map_err(io(&path))?;
            let stored = StoredConfiguration::decode(bytes.into());
            all.push(stored.map_err(|why| StoreError::Broken { path, why })?);
        }
        // Which of two sites that claim the same is in force must not depend on the file system.
        all.sort_by(|one, other| one.site.cmp(&other.site));
        Ok(all)
    }

    /// Keeps a configuration; after this it survives a kill, and a power cut.
    pub fn write(&self, site: &str, version: u64, publication: Bytes) -> io::Result<()> {
        let bytes = StoredConfiguration { site: site.to_owned(), version, publication }.encode();
        durable_file::replace(&self.path(site), &bytes)?;
        // It is the one that a restart reads: whoever is told that it was refused would be told wrongly.
        if let Err(error) = durable_file::sync_folder(&self.folder) {
            tracing::error!(%error, site, version, "a site configuration is kept, but a power cut may lose it; look at the disk");
        }
        Ok(())
    }

    pub fn remove(&self, site: &str) -> io::Result<()> {
        fs::remove_file(self.path(site))?;
        durable_file::sync_folder(&self.folder)
    }

    fn path(&self, site: &str) -> PathBuf {
        self.folder.join(site).with_extension(ENDING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_half_files_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.write("PS1", 7, Bytes::from_static(b"seven")).unwrap();
        store.write("PS1", 8, Bytes::from_static(b"eight")).unwrap();
        fs::write(directory.path().join("sites/PS2.new"), b"half").unwrap();
        let all = Store::open(directory.path()).unwrap().read_all().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].site.as_str(), all[0].version, &all[0].publication[..]), ("PS1", 8, &b"eight"[..]));
        store.remove("PS1").unwrap();
        assert!(store.read_all().unwrap().is_empty());
    }

    #[test]
    fn a_broken_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.write("PS1", 7, Bytes::from_static(b"seven")).unwrap();
        let path = directory.path().join("sites/PS1.site");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = store.read_all().unwrap_err().to_string();
        assert!(error.contains("PS1.site") && error.contains("restore the file"), "{error}");
    }
}
