//! The kept corpus: `fuzz/corpus/<target>/`. Files with a name of words were written by hand and stay; those with a hash
//! were found by running, and are replaced by fewer when a run reaches the same with less.

use std::collections::HashSet;
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

/// An input and the edges that it reaches.
struct Input {
    path: PathBuf,
    name: String,
    edges: HashSet<u64>,
}

/// Replaces what was found before by the inputs that, with those written by hand, reach the most edges.
pub fn keep(fuzzer: &Fuzzer, target: &str) -> Result<usize> {
    let kept = kept(target);
    let (by_hand, mut found): (Vec<_>, Vec<_>) =
        judged(fuzzer, target, &kept)?.into_iter().partition(|input| !is_hash(&input.name));
    let mut reached: HashSet<u64> = by_hand.iter().flat_map(|input| input.edges.iter().copied()).collect();
    let mut chosen: Vec<(String, Vec<u8>)> = Vec::new();
    while by_hand.len() + chosen.len() < MOST {
        found.iter_mut().for_each(|input| input.edges.retain(|edge| !reached.contains(edge)));
        found.retain(|input| !input.edges.is_empty());
        let Some(at) = (0..found.len()).max_by_key(|at| found[*at].edges.len()) else { break };
        let input = found.swap_remove(at);
        chosen.push((input.name, fs::read(&input.path)?));
        reached = input.edges;
    }
    for entry in fs::read_dir(&kept)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_hash) {
            fs::remove_file(path)?;
        }
    }
    for (name, bytes) in &chosen {
        fs::write(kept.join(name), bytes)?;
    }
    Ok(by_hand.len() + chosen.len())
}

/// Has libFuzzer run every input once: its control file tells which edges each reaches.
fn judged(fuzzer: &Fuzzer, target: &str, kept: &Path) -> Result<Vec<Input>> {
    let folder = tempfile::tempdir().context("cannot make a folder to merge into")?;
    let (control, merged) = (folder.path().join("control"), folder.path().join("merged"));
    fs::create_dir(&merged)?;
    let mut merge = fuzzer.command(target)?;
    merge.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]);
    merge.arg(format!("-merge_control_file={}", control.display()));
    merge.args([&merged, kept, &build::found(target)]);
    let output = merge.output().context("cannot start the fuzz targets")?;
    ensure!(output.status.success(), "merging failed: {}", String::from_utf8_lossy(&output.stderr));
    let control = fs::read_to_string(&control).context("libFuzzer wrote no control file")?;
    inputs(&control).context("libFuzzer's control file is not what this command expects")
}

/// Number of files, number of old ones, the files; then for each file lines such as `FT 7 140 141` with its edges.
fn inputs(control: &str) -> Option<Vec<Input>> {
    let mut lines = control.lines();
    let count: usize = lines.next()?.parse().ok()?;
    let mut inputs = Vec::with_capacity(count);
    for line in lines.by_ref().skip(1).take(count) {
        let path = PathBuf::from(line);
        let name = path.file_name()?.to_str()?.to_owned();
        inputs.push(Input { path, name, edges: HashSet::new() });
    }
    for line in lines {
        let Some(numbers) = line.strip_prefix("FT ") else { continue };
        let mut numbers = numbers.split(' ').map(str::parse::<u64>);
        let input = inputs.get_mut(usize::try_from(numbers.next()?.ok()?).ok()?)?;
        input.edges = numbers.collect::<Result<_, _>>().ok()?;
    }
    (inputs.len() == count).then_some(inputs)
}

fn is_hash(name: &str) -> bool {
    name.len() == HASH && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_says_what_each_input_reaches() {
        let control = "2\n1\nkept/by-hand\nfound/0123\nSTARTED 0 5\nFT 0 1 2\nCOV 0 1\nSTARTED 1 6\nFT 1 2 3\n";
        let inputs = inputs(control).unwrap();
        let reached: Vec<_> = inputs.iter().map(|input| (input.name.as_str(), input.edges.len())).collect();
        assert_eq!(reached, [("by-hand", 2), ("0123", 2)]);
        assert!(super::inputs("3\n0\na\n").is_none(), "cut short");
        assert!(super::inputs("1\n0\na\nFT 1 5\n").is_none(), "an input that is not listed");
    }
}
