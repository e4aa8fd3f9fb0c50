//! Where the work tree is, so that every command works from any folder in it.

use std::path::{Path, PathBuf};

/// The root of the work tree: the folder above this crate.
pub fn work_tree() -> PathBuf {
    let this_crate = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    this_crate.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
