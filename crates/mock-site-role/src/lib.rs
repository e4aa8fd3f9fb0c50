//! A site role for tests and demonstrations: it answers as it is told per request, well or badly, and keeps
//! a ledger of what it really saw. An independent witness: of the core it uses configuration, admin pages,
//! logs, shutdown and certificate files, never the code that it is to judge.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod limits;
pub mod program;
pub mod settings;

mod behaviour;
mod connection;
mod listener;
mod normal;
mod raw;
mod site;
mod tap;
mod wire;

mod admin;
pub mod content;
mod gates;
mod ledger;
mod role;
