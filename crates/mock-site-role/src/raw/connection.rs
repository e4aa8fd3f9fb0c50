//! A socket that belongs to one behaviour: reads the request's body, writes bytes as they are given, and
//! ends in any of the ways in which a connection can end.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use super::After;
use crate::connection::Socket;
use crate::ledger::Seen;
use crate::limits;
use crate::wire::Framing;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// TCP's FIN without TLS's close_notify.
    Close,
    /// As TLS wants it: close_notify, then FIN.
    Clean,
    /// TCP's RST.
    Reset,
}

pub const ENDS: [(&str, End); 3] = [("close", End::Close), ("clean", End::Clean), ("reset", End::Reset)];

pub struct RawConnection {
    stream: Socket,
    unread: BytesMut,
    framing: Framing,
    seen: Seen,
}

impl RawConnection {
    pub fn new(stream: Socket, unread: BytesMut, framing: Framing, seen: Seen) -> Self {
        Self { stream, unread, framing, seen }
    }

    pub fn into_parts(self) -> (Socket, BytesMut) {
        (self.stream, self.unread)
    }

    /// Reads the request's body to its end.
    pub async fn read_body(&mut self) -> io::Result<()> {
        while !self.framing.is_done() {
            if self.unread.is_empty() && self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = self.framing.step(&self.unread);
            let bytes = self.unread.split_to(step.consumed);
            if step.is_data {
                self.seen.body_data(&bytes);
            }
            if let Some(trailer) = &step.trailer {
                self.seen.trailer(trailer);
            }
            if self.framing.is_done() {
                self.seen.body_done();
            }
        }
        Ok(())
    }

    /// The status that the ledger shows.
    pub fn answering(&self, status: u16) {
        self.seen.answering(status);
    }

    /// Writes bytes as they are, at once.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The same for bytes of an answer's body.
    pub async fn write_body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).await?;
        self.seen.answer_data(bytes.len() as u64);
        Ok(())
    }

    /// A whole answer with Content-Length, in one write.
    pub async fn answer(&mut self, status: &str, fields: &[(Vec<u8>, Vec<u8>)], body: &[u8]) -> io::Result<After> {
        self.answering(status_of(status));
        let mut bytes = head(status.as_bytes(), fields);
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        self.write_at_once(bytes, body).await?;
        Ok(self.answered())
    }

    /// A head and its body in one write.
    pub async fn write_at_once(&mut self, head: Vec<u8>, body: &[u8]) -> io::Result<()> {
        self.write(&[head.as_slice(), body].concat()).await?;
        self.seen.answer_data(body.len() as u64);
        Ok(())
    }

    /// The answer is complete and the connection goes on.
    pub fn answered(&self) -> After {
        self.seen.answered();
        After::GoesOn
    }

    pub async fn end(&mut self, end: End) -> io::Result<After> {
        match end {
            End::Close => {}
            End::Clean => self.stream.shutdown().await?,
            End::Reset => self.stream.get_ref().0.set_zero_linger()?,
        }
        Ok(After::Ends)
    }

    /// Reads and throws away until the other end has gone.
    pub async fn until_gone(&mut self) -> After {
        loop {
            self.unread.clear();
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) | Err(_) => return After::Ends,
                Ok(_) => {}
            }
        }
    }

    /// Reads nothing any more until the other end has gone. The kernel tells that it has gone only with
    /// data before it, so it is asked from time to time.
    pub async fn until_gone_unread(&self) -> io::Result<After> {
        loop {
            let ready = self.stream.get_ref().0.ready(Interest::READABLE).await?;
            if ready.is_read_closed() {
                return Ok(After::Ends);
            }
            tokio::time::sleep(limits::GONE_POLL).await;
        }
    }
}

/// A head with these fields, the empty line at its end included.
pub fn head(status: &[u8], fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = [b"HTTP/1.1 ", status, b"\r\n"].concat();
    for (name, value) in fields {
        out.extend_from_slice(&[name, &b": "[..], value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A field in the form that heads are made of.
pub fn field(name: &str, value: impl ToString) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.to_string().into_bytes())
}

fn status_of(status: &str) -> u16 {
    status.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0)
}
