//! Starts the three programs as real processes on real sockets, with certificates made on the spot, and
//! watches them: for the end-to-end tests and for `cargo xtask demo`. Sees no code of the programs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod pki;
pub mod program;
pub mod stack;

pub mod admin;
pub mod cable;
pub mod connect_proxy;
pub mod fault_proxy;
pub mod full_queue;
pub mod metrics;
pub mod raw_client;

pub use admin::{PATIENCE, until};
pub use stack::{Stack, mp};
