//! The tunnel: gRPC over an HTTP/2 connection whose roles are flipped. The connection point dials and
//! serves, the gateway calls on the connection that it accepted (docs/protocol.md).

pub mod message;

pub mod calling;
pub mod control;
pub mod serving;
pub mod serving_control;

pub mod liveness;

pub mod exchange;
pub mod frame;
pub mod piece;

mod grpc;
pub mod handshake;
pub mod publication;
mod receiving;
mod sending;
mod settings;
pub mod stored;

#[allow(clippy::all, clippy::unwrap_used, missing_docs)]
pub mod generated;

#[cfg(test)]
mod tests;

/// Why an exchange, or the connection under it, cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TunnelBroken {
    /// The connection is gone or the stream was reset.
    #[error("the tunnel's stream ended: {0}")]
    Stream(#[from] h2::Error),
    /// The other end sent what it must not.
    #[error("the other end of the tunnel sent {0}")]
    Frame(#[from] frame::FrameError),
    /// The other end answered the call with a gRPC status.
    #[error("the other end of the tunnel answered gRPC status {code} {message}")]
    Status { code: String, message: String },
    /// The stream was closed while there was still something to send.
    #[error("the other end of the tunnel stopped reading")]
    Closed,
}
