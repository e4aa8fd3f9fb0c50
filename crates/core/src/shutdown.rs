//! Every task belongs to someone, and stopping is a designed path: [`Tasks`] spawns and knows what runs,
//! [`Signals`] says when to stop or reload, [`Drain`] stops in order (SPEC O-07), [`ExitCode`] says how it
//! went. Nothing else in the programs spawns.

mod drain;
mod exit_code;
mod signals;
mod tasks;

pub use drain::{Drain, DrainEnd};
pub use exit_code::ExitCode;
pub use signals::{Signal, Signals};
pub use tasks::{PANICS, TaskEnd, TaskHandle, Tasks};
