//! HTTP/1.1 as a client writes and reads it. Thin, so that it costs little and so that it sees what a library hides:
//! whether anything was written, and whether the end came in good order.

mod answer;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Ended, State};
use crate::expected::{Head, Judge, REQUEST_FIELD};
use crate::wording::Worded;

pub use answer::{Broken, Sink, read_answer};

pub struct Http1<S = TlsStream<TcpStream>> {
    stream: S,
    service_name: String,
    /// Read and not used yet.
    unread: BytesMut,
    is_usable: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    pub fn new(stream: S, service_name: &str) -> Self {
        Self { stream, service_name: service_name.to_owned(), unread: BytesMut::new(), is_usable: true }
    }

    /// Whether another request may be sent. What has arrived since the last one is seen, and an end too.
    pub async fn state(&mut self) -> State {
        std::future::poll_fn(|cx| {
            let mut spare = [0; 1];
            let mut spare = ReadBuf::new(&mut spare);
            Poll::Ready(match Pin::new(&mut self.stream).poll_read(cx, &mut spare) {
                Poll::Ready(Ok(())) if !spare.filled().is_empty() => State::Carries,
                Poll::Pending if self.is_usable => State::Open,
                Poll::Ready(_) | Poll::Pending => State::Closed,
            })
        })
        .await
    }

    /// Sends one request and reads its answer. The body is written while the answer is read, and a body that nobody
    /// takes does not hide the answer.
    pub async fn exchange(&mut self, worded: &Worded, judge: &mut Judge<'_>) -> Ended {
        self.is_usable = false;
        let head = head_of(worded, &self.service_name);
        if let Err(error) = write_whole(&mut self.stream, &head).await {
            return Ended::Unsent(error.to_string());
        }
        let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
        let mut upload = pin!(write_body(&mut writing, worded));
        let mut uploaded = None;
        let is_head = worded.kind.method() == "HEAD";
        let answer = {
            let mut answer = pin!(read_answer(&mut reading, &mut self.unread, is_head, judge));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer,
                    done = &mut upload, if uploaded.is_none() => uploaded = Some(done),
                }
            }
        };
        match answer {
            Ok(_) if !self.unread.is_empty() => {
                Ended::Garbled(format!("{} bytes came behind the answer's end", self.unread.len()))
            }
            Ok(keeps_alive) => {
                self.is_usable = keeps_alive && matches!(uploaded, Some(Ok(())));
                Ended::Whole
            }
            Err(Broken::Closed) => Ended::Lost("closed in good order before an answer".to_owned()),
            Err(broken @ Broken::Garbled(_)) => Ended::Garbled(broken.to_string()),
            Err(broken) => Ended::Cut(broken.to_string()),
        }
    }
}

impl Sink for Judge<'_> {
    fn head(&mut self, head: Head) {
        Judge::head(self, head);
    }

    fn data(&mut self, data: &[u8]) {
        Judge::data(self, data);
    }
}

fn head_of(worded: &Worded, service_name: &str) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {service_name}\r\n{REQUEST_FIELD}: {}\r\n",
        worded.kind.method(),
        worded.target,
        worded.id
    );
    if let Some((name, value)) = &worded.field {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match worded.body {
        Some(body) if worded.tells_length => head.push_str(&format!("content-length: {}\r\n", body.length)),
        Some(_) => head.push_str("transfer-encoding: chunked\r\n"),
        None => {}
    }
    head.push_str("\r\n");
    head.into_bytes()
}

async fn write_body(writing: &mut (impl AsyncWrite + Unpin), worded: &Worded) -> io::Result<()> {
    let Some(body) = worded.body else { return Ok(()) };
    let mut offset = 0;
    while let Some(piece) = body.piece(offset) {
        offset += piece.len() as u64;
        if worded.tells_length {
            writing.write_all(&piece).await?;
        } else {
            writing.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            writing.write_all(&piece).await?;
            writing.write_all(b"\r\n").await?;
        }
    }
    if !worded.tells_length {
        writing.write_all(b"0\r\n\r\n").await?;
    }
    writing.flush().await
}

async fn write_whole(writing: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    writing.write_all(bytes).await?;
    writing.flush().await
}
