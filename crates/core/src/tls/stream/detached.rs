//! A connection on its way to another worker's runtime. Nothing that was read or written is lost.

use std::io;
use std::sync::Arc;

use rustls::Connection;
use tokio::net::TcpStream;

use super::{FlushRule, Promptness, TlsStream};
use crate::tls::flush_gate::FlushGate;
use crate::tls::pulse::Pulse;
use crate::tls::stock::{Gathered, Unread};

/// A [`TlsStream`] that belongs to no runtime.
pub struct DetachedTls {
    tcp: std::net::TcpStream,
    tls: Box<Connection>,
    unread: Unread,
    gathered: Gathered,
    queued: usize,
    rule: FlushRule,
    fault: Option<rustls::Error>,
    socket_ended: bool,
    refused_renegotiation: bool,
    read_buffer_grew: bool,
    promptness: Promptness,
    pulse: Option<Arc<Pulse>>,
}

impl TlsStream {
    /// Takes the connection off this runtime.
    pub fn detach(self) -> io::Result<DetachedTls> {
        let Self {
            tcp,
            tls,
            unread,
            gathered,
            queued,
            rule,
            gate: _,
            fault,
            socket_ended,
            refused_renegotiation,
            read_buffer_grew,
            promptness,
            pulse,
        } = self;
        let tcp = tcp.into_std()?;
        Ok(DetachedTls {
            tcp,
            tls,
            unread,
            gathered,
            queued,
            rule,
            fault,
            socket_ended,
            refused_renegotiation,
            read_buffer_grew,
            promptness,
            pulse,
        })
    }
}

impl DetachedTls {
    /// Puts the connection on the runtime of the calling task.
    pub fn attach(self) -> io::Result<TlsStream> {
        let Self {
            tcp,
            tls,
            unread,
            gathered,
            queued,
            rule,
            fault,
            socket_ended,
            refused_renegotiation,
            read_buffer_grew,
            promptness,
            pulse,
        } = self;
        let tcp = TcpStream::from_std(tcp)?;
        let gate = FlushGate::new(rule);
        Ok(TlsStream {
            tcp,
            tls,
            unread,
            gathered,
            queued,
            rule,
            gate,
            fault,
            socket_ended,
            refused_renegotiation,
            read_buffer_grew,
            promptness,
            pulse,
        })
    }
}
