//! A Unix socket that nobody but its owner may use, not even for a moment: it is bound inside a folder that
//! is closed to others, restricted, and then moved to its place.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub struct UnixSocket {
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds at `path` with mode 0600, in the place of what a killed predecessor left.
pub fn bind(path: &Path) -> io::Result<(UnixListener, UnixSocket)> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let folder = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    DirBuilder::new().mode(0o700).create(&folder)?;
    let bound = bind_inside(&folder.join("s"), path);
    fs::remove_dir_all(&folder)?;
    bound
}

fn bind_inside(inside: &Path, path: &Path) -> io::Result<(UnixListener, UnixSocket)> {
    let listener = UnixListener::bind(inside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(inside, Permissions::from_mode(0o600))?;
    fs::rename(inside, path)?;
    Ok((listener, UnixSocket { path: path.to_owned() }))
}
