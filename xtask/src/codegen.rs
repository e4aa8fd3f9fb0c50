//! `cargo xtask codegen`: the wire types from the proto file, checked in so that nobody needs protoc.
//! `--check` changes nothing and fails when the checked-in file is not what the proto file gives.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::root;

const PROTO_FOLDER: &str = "proto";
const PROTO_FILE: &str = "proto/cmg/tunnel/v1/tunnel.proto";
const GENERATED: &str = "crates/core/src/tunnel/generated.rs";

/// What stands above the generated items. Only the two service files and the wire conversion may use them.
const HEADING: &str = "\
//! Wire types and services of proto/cmg/tunnel/v1/tunnel.proto, made by `cargo xtask codegen`. Do not edit.
//! Never used outside the files that convert them to the program's own types.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::too_many_lines)]

";

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing; fail if the checked-in file is out of date
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let root = root::work_tree();
    let wanted = generate(&root)?;
    let path = root.join(GENERATED);
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present == wanted {
        println!("{GENERATED} is up to date");
        return Ok(());
    }
    if arguments.check {
        bail!("{GENERATED} is not what {PROTO_FILE} gives; run `cargo xtask codegen` and commit the result");
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&path, wanted).with_context(|| format!("cannot write {GENERATED}"))?;
    println!("wrote {GENERATED}");
    Ok(())
}

/// Fails if the checked-in file is out of date.
pub fn check() -> Result<()> {
    run(&Arguments { check: true })
}

fn generate(root: &Path) -> Result<String> {
    let descriptors = protox::compile([root.join(PROTO_FILE)], [root.join(PROTO_FOLDER)])
        .map_err(|error| anyhow::anyhow!("{PROTO_FILE} does not compile: {error:?}"))?;
    let out = tempfile::tempdir().context("cannot make a temporary folder")?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .context("the code generator failed")?;
    let generated = fs::read_to_string(out.path().join("cmg.tunnel.v1.rs")).context("the generator wrote no file")?;
    rustfmt(root, &format!("{HEADING}{generated}"))
}

/// Formats with the work tree's own settings, so that `cargo fmt --check` has nothing to say about it.
fn rustfmt(root: &Path, source: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start rustfmt; `rustup component add rustfmt` installs it")?;
    child.stdin.take().context("rustfmt has no input")?.write_all(source.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt failed on the generated code");
    String::from_utf8(output.stdout).context("rustfmt gave something that is not text")
}
