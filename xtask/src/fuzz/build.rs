//! Builds `fuzz/` with coverage instrumentation, in a target folder of its own. The flags are those that cargo-fuzz
//! uses, less the sanitizers: those need another compiler, and our code has nothing that they could find.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::root;
use crate::run::Steps;

/// What makes the compiler count every edge and show comparisons to libFuzzer.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";
/// Tells the program which target it is.
const TARGET: &str = "CMG_FUZZ_TARGET";

/// The program with all targets.
pub struct Fuzzer {
    program: PathBuf,
}

impl Fuzzer {
    pub fn build() -> Result<Self> {
        let host = host()?;
        let folder = folder();
        let mut cargo = Command::new("cargo");
        // With a target named, build scripts and macros are built without the instrumentation.
        cargo.args(["build", "--release", "--target", &host, "--target-dir"]).arg(&folder);
        cargo.current_dir(root::work_tree().join("fuzz")).env("RUSTFLAGS", INSTRUMENTATION);
        Steps::begin().run(&mut cargo).context("the fuzz targets do not build (they need a C++ compiler, g++)")?;
        Ok(Self { program: folder.join(host).join("release").join("cmg-fuzz") })
    }

    /// libFuzzer for one target; its arguments are still to come.
    pub fn command(&self, target: &str) -> Result<Command> {
        let found = found(target);
        std::fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let mut command = Command::new(&self.program);
        command.env(TARGET, target).env("RUST_BACKTRACE", "1").current_dir(root::work_tree());
        Ok(command)
    }

    /// A target without kept corpus would start from nothing, and a corpus without target would never be run.
    pub fn knows_exactly(&self, kept: &[String]) -> Result<()> {
        let output =
            Command::new(&self.program).env(TARGET, "list").output().context("cannot start the fuzz targets")?;
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let (known, kept): (BTreeSet<_>, BTreeSet<_>) =
            (output.lines().collect(), kept.iter().map(String::as_str).collect());
        let differ: Vec<_> = known.symmetric_difference(&kept).copied().collect();
        ensure!(
            differ.is_empty(),
            "fuzz/src/main.rs and fuzz/corpus do not have the same targets: {}",
            differ.join(", ")
        );
        Ok(())
    }
}

/// Everything that fuzzing makes but the kept corpus.
pub fn folder() -> PathBuf {
    root::work_tree().join("target").join("fuzz")
}

/// Inputs of a target that were found on this machine.
pub fn found(target: &str) -> PathBuf {
    folder().join("found").join(target)
}

/// The beginning of the paths to which inputs are written that end a run.
pub fn failures(target: &str) -> PathBuf {
    Path::new("target").join("fuzz").join(format!("{target}-"))
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
