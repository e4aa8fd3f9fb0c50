//! The container engine of this machine, asked through its own commands.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// `docker` with these arguments.
pub fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}

/// What a command prints on standard output. When it fails, the error holds everything that it printed.
pub fn said(command: &mut Command) -> Result<String> {
    let shown = format!("`{} {}`", command.get_program().to_string_lossy(), words(command));
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {shown}"))?;
    let (told, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{shown} failed ({}): {}{}", output.status, told, warned.trim_end());
    Ok(told.trim_end().to_owned())
}

fn words(command: &Command) -> String {
    command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Finds the engine; the error says what is missing and how to get it.
pub fn engine() -> Result<String> {
    let install = "install and start it with: sudo apt-get install docker.io && sudo systemctl start docker";
    let format = ["version", "--format", "{{.Server.Version}}"];
    said(&mut docker(&format)).with_context(|| format!("no Docker engine answers; {install}"))
}

/// Finds Compose; the same.
pub fn compose() -> Result<String> {
    let install = "install it with: sudo apt-get install docker-compose";
    said(Command::new("docker-compose").args(["version", "--short"]))
        .with_context(|| format!("docker-compose is missing; {install}"))
}
