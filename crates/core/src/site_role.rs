//! The client towards site roles: HTTP/1.1 on our own TLS stream, polled by the exchange that uses it. One
//! [`RolePool`] per worker; nothing here spawns, follows a redirect, looks into a body or asks twice for
//! anything that may have had an effect.

mod answer;
mod connect;
mod connection;
mod error;
mod exchange;
mod failure;
mod pool;
mod replay;
#[cfg(test)]
mod tests;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub use error::{RoleError, RoleFault};
pub use exchange::{RoleExchange, RolePiece};
pub use pool::{RoleCounters, RolePool};
pub use upload::BodyMismatch;

use crate::fields::Fields;
use crate::http1::{self, BodyLength};

/// Where a role is and how it proves itself. A new configuration makes new ones, and connections of an old
/// one are never used for a new one.
#[derive(Debug)]
pub struct Role {
    pub id: u64,
    /// Name or address to connect to.
    pub host: String,
    pub port: u16,
    /// The name that the role's certificate must have.
    pub server_name: ServerName<'static>,
    pub tls: Arc<ClientConfig>,
}

/// A request as it goes to a role: `fields` hold `Host` and no framing.
#[derive(Clone, Debug)]
pub struct RoleRequest {
    pub method: Bytes,
    /// Origin-form, written as it is.
    pub target: Bytes,
    pub fields: Fields,
    pub body: BodyLength,
}

impl RoleRequest {
    /// Sending it a second time has no other effect than sending it once.
    fn is_repeatable(&self) -> bool {
        http1::is_repeatable(&self.method)
    }
}

/// How patient an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the end of the request to the head of the answer, less the time that it took to connect, but at least half.
    pub answer: Duration,
    /// Without a byte of either body.
    pub idle: Duration,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "role {} at {}:{}", self.id, self.host, self.port)
    }
}
