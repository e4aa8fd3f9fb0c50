//! The kept corpus: `fuzz/corpus/<target>/`. Files with a name of words were written by hand and stay; those with a hash
//! were found by running, and are replaced by fewer when a run reaches the same with less.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::build::{self, Fuzzer};
use crate::root;

/// Inputs that a target keeps: enough for what is hard to reach again, few enough to read.
const MOST: usize = 60;
/// Length of the names that libFuzzer gives: SHA-1 in hexadecimal digits.
const HASH: usize = 40;

pub fn kept(target: &str) -> PathBuf {
    root::work_tree().join("fuzz").join("corpus").join(target)
}

/// The targets, all or those that are asked for.
pub fn targets(only: &[String]) -> Result<Vec<String>> {
    let folder = kept("");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let folders = entries.filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()));
    let mut all: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        bail!("{unknown} is no fuzz target; there are {}", all.join(", "));
    }
    all.retain(|name| only.is_empty() || only.contains(name));
    ensure!(!all.is_empty(), "{} holds no target", folder.display());
    Ok(all)
}

/// Replaces what was found before by the fewest inputs that, with those written by hand, reach every edge reached.
pub fn keep(fuzzer: &Fuzzer, target: &str) -> Result<usize> {
    let kept = kept(target);
    let merged = tempfile::tempdir().context("cannot make a folder to merge into")?;
    let earlier = tempfile::tempdir().context("cannot make a folder for what was kept")?;
    for (name, path) in files(&kept)? {
        let into = if is_hash(&name) { &earlier } else { &merged };
        fs::copy(&path, into.path().join(name))?;
    }
    let mut merge = fuzzer.command(target)?;
    merge.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]);
    merge.args([merged.path(), earlier.path(), &build::found(target)]);
    let output = merge.output().context("cannot start the fuzz targets")?;
    ensure!(output.status.success(), "merging failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut by_length = Vec::new();
    for (name, path) in files(merged.path())? {
        by_length.push((!is_hash(&name), fs::metadata(&path)?.len(), name, path));
    }
    // What was written by hand first, then the long ones: they go deepest.
    by_length.sort_by(|a, b| b.cmp(a));
    by_length.truncate(MOST);
    for (name, path) in files(&kept)? {
        if is_hash(&name) {
            fs::remove_file(path)?;
        }
    }
    for (_, _, name, path) in &by_length {
        fs::copy(path, kept.join(name))?;
    }
    Ok(by_length.len())
}

fn is_hash(name: &str) -> bool {
    name.len() == HASH && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a file with a name that is not text")?;
        files.push((name, entry.path()));
    }
    Ok(files)
}
