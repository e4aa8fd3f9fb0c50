//! Where the work tree is, so that every command works from any folder in it, and where its programs are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the work tree: the folder above this crate. Cargo says where that is; without cargo it is where this
/// program was built.
pub fn work_tree() -> PathBuf {
    let this_crate = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&this_crate).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The command that builds the three programs: for production alone, as they are shipped; for everything else together
/// with the whole workspace, since with other features of the same libraries each of those would be built twice.
pub fn build_programs(release: bool) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(work_tree()).args(["build", "--bins"]);
    if release {
        command.arg("--release");
        for package in ["cmg-gateway", "cmg-connection-point", "cmg-mock-site-role"] {
            command.args(["--package", package]);
        }
    } else {
        command.arg("--workspace");
    }
    command
}

/// The folder that they are built into.
pub fn programs(release: bool) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| work_tree().join("target"), PathBuf::from);
    target.join(if release { "release" } else { "debug" })
}

/// A folder that holds nothing yet.
pub fn empty_folder(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let is_empty = fs::read_dir(folder)?.next().is_none();
    ensure!(is_empty, "{} holds something already; name a new folder with --keep", folder.display());
    folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))
}
