//! Where the work tree is, so that every command works from any folder in it.

use std::path::{Path, PathBuf};

/// The root of the work tree: the folder above this crate. Cargo says where that is; without cargo it is where this
/// program was built.
pub fn work_tree() -> PathBuf {
    let this_crate = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&this_crate).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
