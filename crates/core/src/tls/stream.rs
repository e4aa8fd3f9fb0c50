//! The TLS stream of every connection: rustls' state machine on a TCP socket of tokio. Reads go through large
//! buffers lent by the worker, small writes are gathered, all queued records leave in one system call, and an
//! idle connection holds no buffer. It never takes a cut connection for a finished one.

mod detached;
mod promptness;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use tokio::net::TcpStream;

use super::flush_gate::FlushGate;
pub use super::flush_gate::FlushRule;
use super::pulse::Pulse;
use super::stock::{Gathered, Unread};
pub use detached::DetachedTls;
use promptness::Promptness;

/// An established connection. `AsyncRead` ends cleanly only after the peer's close_notify; a connection that
/// was cut reads as [`io::ErrorKind::UnexpectedEof`] (G-21).
pub struct TlsStream {
    tcp: TcpStream,
    tls: Box<Connection>,
    /// From the socket, not yet given to rustls.
    unread: Unread,
    /// Small writes that will share a record.
    gathered: Gathered,
    /// TLS bytes that rustls holds for the socket; an estimate, exact when zero.
    queued: usize,
    rule: FlushRule,
    gate: FlushGate,
    /// What ended the connection: every later read says so again.
    fault: Option<rustls::Error>,
    /// The peer's FIN came.
    socket_ended: bool,
    /// The peer asked for another handshake on a connection of TLS 1.2 and was told that there is none.
    refused_renegotiation: bool,
    /// rustls' own read buffer may have grown since it was last made small.
    read_buffer_grew: bool,
    promptness: Promptness,
    /// Of a connection that somebody watches.
    pulse: Option<Arc<Pulse>>,
}

impl TlsStream {
    pub(super) fn new(tcp: TcpStream, tls: Connection, rule: FlushRule) -> Self {
        let mut tls = Box::new(tls);
        // The bound is ours, in `poll_write`: rustls' own would split what we want to leave in one piece.
        tls.set_buffer_limit(None);
        let promptness = match rule {
            FlushRule::AtOnce => Promptness::default(),
            FlushRule::EverySecondTurn => Promptness::of(&tcp),
        };
        Self {
            tcp,
            tls,
            unread: Unread::default(),
            gathered: Gathered::default(),
            queued: 0,
            rule,
            gate: FlushGate::new(rule),
            fault: None,
            socket_ended: false,
            refused_renegotiation: false,
            read_buffer_grew: false,
            promptness,
            pulse: None,
        }
    }

    /// Runs the handshake. After an error the alert that explains it to the peer has been sent, if the socket took it.
    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_handshake(cx)).await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write_queued(cx))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.unread.is_empty() && ready!(self.unread.refill(&mut self.tcp, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.digest(cx)?;
        }
    }

    /// Gives rustls bytes that were read before the stream existed.
    pub(super) fn replay(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.tls.read_tls(&mut bytes)? == 0 {
                break;
            }
            if let Err(fault) = self.tls.process_new_packets() {
                return Err(self.broken(fault));
            }
        }
        Ok(())
    }

    /// Sends what is queued: the alert of a handshake that failed before it began.
    pub(super) async fn write_alert(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_queued(cx)).await
    }

    /// Remembers what ended the connection, and words it as an I/O error.
    fn broken(&mut self, fault: rustls::Error) -> io::Error {
        self.unread.clear();
        self.fault = Some(fault.clone());
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }

    /// What its socket tells from now on.
    pub fn pulse(&mut self) -> Arc<Pulse> {
        Arc::clone(self.pulse.get_or_insert_default())
    }

    /// The chain that the peer proved to own the leaf of, leaf first.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.tls.peer_certificates()
    }

    /// The protocol both agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The name that the client asked for, in lower case; nothing on a connection that we opened.
    #[cfg(test)]
    pub fn server_name(&self) -> Option<&str> {
        match &*self.tls {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// Whether the peer wanted another handshake, as TLS 1.2 has it and rustls does not.
    pub fn refused_renegotiation(&self) -> bool {
        self.refused_renegotiation
    }

    #[cfg(test)]
    pub fn cipher_suite(&self) -> Option<rustls::CipherSuite> {
        self.tls.negotiated_cipher_suite().map(|suite| suite.suite())
    }

    /// Whether an earlier session was resumed, so that no certificate was asked for again.
    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The connection will end with a reset: what was not sent yet is given up, and the peer learns of it at once.
    pub fn reset_when_dropped(&self) {
        // An error means that it has ended already.
        let _ = self.tcp.set_zero_linger();
    }

    pub(super) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }
}
