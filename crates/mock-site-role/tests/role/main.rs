//! The mock role over real sockets and real TLS, asked byte by byte: it must be exactly as wrong as it says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod conversations;
mod faults;
mod files;
mod ledger;
mod odd_answers;
mod site;
mod stack;
