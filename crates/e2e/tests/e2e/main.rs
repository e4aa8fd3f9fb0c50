//! End-to-end tests: real processes, real sockets, certificates made for each test. One binary.
#![allow(clippy::unwrap_used)]

mod expect;

mod answers;
mod refusals;
mod requests;

mod balance;
mod handshakes;
mod load;
mod operations;
mod queue;
mod reloads;
mod roles;
mod site;
mod streams;
mod third_party;
mod tunnels;
