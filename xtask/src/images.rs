//! `cargo xtask images`: the three programs as static binaries, each in an image FROM scratch. What is not static never
//! becomes an image. Fetches no base image, so that it works without a registry.

mod elf;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::docker::{self, docker, said};
use crate::root;
use crate::run::Steps;

/// Named even where it is the machine's own: only then procedural macros, which are loaded by the compiler, stay
/// dynamic while the programs become static.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// Every image is named like its program and made by the Dockerfile's target of that name without `cmg-`.
pub const PROGRAMS: [&str; 3] = ["cmg-gateway", "cmg-connection-point", "cmg-mock-site-role"];

#[derive(clap::Args)]
pub struct Arguments {
    /// What the images are tagged with
    #[arg(long, default_value = "local")]
    tag: String,
    /// Build with the release profile instead of `images`: whole-program optimisation, takes much longer
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Optimised, without optimisation across crates.
    Images,
    Release,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Profile::Images => "images",
            Profile::Release => "release",
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.release { Profile::Release } else { Profile::Images };
    docker::engine()?;
    build(&Steps::begin(), &arguments.tag, profile)?;
    println!("start them with `cargo xtask containers --keep`, or see deploy/README.md");
    Ok(())
}

/// Builds the programs and an image of each with this tag.
pub fn build(steps: &Steps, tag: &str, profile: Profile) -> Result<()> {
    steps.say("building the static programs; the first time takes some minutes");
    steps.run(&mut compilation(profile))?;
    let context = build_context(profile)?;
    for program in PROGRAMS {
        let target = program.trim_start_matches("cmg-");
        let (image, dockerfile) = (image(program, tag), root::work_tree().join("deploy/Dockerfile"));
        let mut command = docker(&["build", "--target", target, "--tag", &image, "--file"]);
        said(command.arg(dockerfile).arg(&context))?;
        let size = said(&mut docker(&["image", "inspect", "--format", "{{.Size}}", &image]))?;
        let size = size.parse::<u64>().context("docker told a size that is no number")?;
        steps.say(&format!("image {image}: {:.1} MB", size as f64 / 1e6));
    }
    Ok(())
}

pub fn image(program: &str, tag: &str) -> String {
    format!("{program}:{tag}")
}

/// Where the static builds and what is made of them are kept: apart, because nothing of it can be shared.
pub fn folder() -> PathBuf {
    root::work_tree().join("target/static")
}

fn compilation(profile: Profile) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root::work_tree()).args(["build", "--locked", "--bins", "--target", TARGET]);
    command.args(["--profile", profile.name(), "--target-dir"]).arg(folder());
    for program in PROGRAMS {
        command.args(["--package", program]);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", STATIC);
    command
}

/// `rustc` alone, for a program of one file that uses nothing but the standard library.
pub fn compile_file(source: &Path, program: &Path) -> Result<()> {
    let mut command = Command::new("rustc");
    command.current_dir(root::work_tree()).args(["--edition", "2024", "--target", TARGET, STATIC, "-Copt-level=2"]);
    command.args(["-Cstrip=symbols", "--allow", "dead_code", "-o"]).arg(program).arg(source);
    said(&mut command)?;
    checked(program)
}

/// A folder with what the Dockerfile copies, and nothing else.
fn build_context(profile: Profile) -> Result<PathBuf> {
    let context = folder().join("context");
    let state = context.join("state");
    fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
    for program in PROGRAMS {
        let built = folder().join(TARGET).join(profile.name()).join(program);
        checked(&built)?;
        let copy = context.join(program);
        fs::copy(&built, &copy).with_context(|| format!("cannot copy {} to {}", built.display(), copy.display()))?;
        // Whatever the umask was: the user in the container is not the one who builds.
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    }
    Ok(context)
}

fn checked(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    match elf::is_static(&bytes) {
        Ok(()) => Ok(()),
        Err(fault) => bail!("{} would not start in an empty image: {}", program.display(), fault.why()),
    }
}
