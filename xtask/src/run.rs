//! Running other programs step by step, so that whoever watches sees what is going on and for how long.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

pub struct Steps {
    begin: Instant,
}

impl Steps {
    pub fn begin() -> Self {
        Self { begin: Instant::now() }
    }

    /// Announces what comes next, with the time since the beginning.
    pub fn say(&self, what: &str) {
        let seconds = self.begin.elapsed().as_secs();
        println!("[{:>2}:{:02}] {what}", seconds / 60, seconds % 60);
    }

    /// Runs a command to its end, its output shown.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        let shown = shown(command);
        let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
        ensure!(status.success(), "`{shown}` failed ({status})");
        Ok(())
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Whether a program of this name can be started.
pub fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}
