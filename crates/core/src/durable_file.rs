//! Files that a kill or a power cut leaves old or new, never half: written beside, synced, renamed; then the folder is
//! synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts these bytes in the place of the file, or makes it. Only its owner may read it. It survives a kill from now on, a
/// power cut once [`sync_folder`] has succeeded.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Lets what was made, replaced or removed in a folder survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_new_takes_the_place_of_the_old_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.toml");
        // What a kill left behind before its rename does not matter.
        fs::write(path.with_extension("new"), "half of something longer").unwrap();
        for text in ["one", "another"] {
            replace(&path, text.as_bytes()).unwrap();
            sync_folder(folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        replace(&folder.path().join("made.toml"), b"made").unwrap();
        let path = folder.path().join("made.toml");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
