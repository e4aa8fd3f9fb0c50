//! HTTP/1.1 with clients: the connection, one exchange after another on it, and the way it ends. Its syntax is
//! `cmg_core::http1`; this is the part that waits.

mod connection;
mod exchange;

pub use connection::{HeadEnd, Http1Connection};
pub use exchange::Http1Exchange;
