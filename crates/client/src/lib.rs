//! A device's side of the gateway: mutual TLS, HTTP/1.1 or HTTP/2, answers streamed. Used by xtask and the tests.
//! Every answer passes the allow list of [`fields`]: a field that the gateway should have kept fails the request.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answer;
pub mod body;
pub mod client;
pub mod connection;
pub mod error;
pub mod fields;
pub mod tls;

pub use answer::{Answer, Reply};
pub use body::RequestBody;
pub use client::{Client, Protocol};
pub use connection::{Connection, Request};
pub use error::ClientError;
