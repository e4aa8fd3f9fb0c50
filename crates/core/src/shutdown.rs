//! Every task belongs to someone, and stopping is a designed path: [`Tasks`] spawns and knows what runs,
//! [`Signals`] says when to stop or reload, [`Drain`] stops in order (O-07), [`ExitCode`] says how it
//! went. Nothing else in the programs spawns.

mod drain;
mod exit_code;
mod signals;
mod tasks;

pub use drain::{Drain, DrainEnd};
pub use exit_code::ExitCode;
pub use signals::{Signal, Signals};
pub use tasks::{Coming, PANICS, TaskEnd, TaskHandle, Tasks};

/// Starts a thread that serves the process for its whole life, such as the one that writes the log. What
/// ends earlier is a task.
pub fn start_thread(name: &'static str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
