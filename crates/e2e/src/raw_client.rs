//! A client that writes the bytes that a test says and judges the bytes that come back by itself: it shares no
//! HTTP code with the gateway, and says what a strict reader of the wire would say.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Client, fields};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A test that waits longer than this for bytes has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const READ: usize = 64 * 1024;

pub struct RawConnection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub reason: String,
    /// Names as sent.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl RawAnswer {
    /// The first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl RawConnection {
    pub async fn open(client: &Client) -> Result<Self> {
        Ok(Self { stream: client.connect_tls().await?, buffer: Vec::new() })
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Writes a request and reads its answer.
    pub async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Result<RawAnswer> {
        self.write(request).await?;
        self.answer("GET").await
    }

    /// Reads the next answer, to a request of this method. Interim answers are skipped.
    pub async fn answer(&mut self, method: &str) -> Result<RawAnswer> {
        loop {
            let mut answer = self.head().await?;
            if answer.status >= 200 {
                self.body(method, &mut answer).await?;
                return Ok(answer);
            }
        }
    }

    /// Reads the next head, final or interim, without its body.
    pub async fn head(&mut self) -> Result<RawAnswer> {
        let end = self.until(b"\r\n\r\n").await?;
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8(head).context("a head that is not text")?;
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let (status, reason) = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_once(' '))
            .with_context(|| format!("{status_line:?} is no status line"))?;
        let status = status.parse().with_context(|| format!("{status_line:?} has no status"))?;
        let fields = lines.map(field).collect::<Result<Vec<_>>>()?;
        for (name, _) in &fields {
            ensure!(fields::is_allowed(name), "the gateway let the field {name:?} out");
        }
        Ok(RawAnswer { status, reason: reason.to_owned(), fields, body: Vec::new(), trailers: Vec::new() })
    }

    async fn body(&mut self, method: &str, answer: &mut RawAnswer) -> Result<()> {
        let length = answer.field("content-length").map(str::to_owned);
        let is_chunked = answer.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        ensure!(!(is_chunked && length.is_some()), "Content-Length beside Transfer-Encoding");
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return Ok(());
        }
        if is_chunked {
            while self.chunk(answer).await? {}
            return Ok(());
        }
        let length: usize = length.context("an answer without any framing")?.parse().context("Content-Length")?;
        answer.body = self.take(length).await?;
        Ok(())
    }

    /// Reads one chunk; `false` after the last one and the trailers.
    async fn chunk(&mut self, answer: &mut RawAnswer) -> Result<bool> {
        let line = self.line().await?;
        let size = usize::from_str_radix(&line, 16).with_context(|| format!("{line:?} is no chunk size"))?;
        if size == 0 {
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    return Ok(false);
                }
                answer.trailers.push(field(&line)?);
            }
        }
        let data = self.take(size).await?;
        answer.body.extend_from_slice(&data);
        ensure!(self.line().await?.is_empty(), "a chunk is longer than it says");
        Ok(true)
    }

    async fn line(&mut self) -> Result<String> {
        let end = self.until(b"\r\n").await?;
        let line: Vec<u8> = self.buffer.drain(..end).collect();
        Ok(String::from_utf8_lossy(&line[..end - 2]).into_owned())
    }

    /// Exactly this many bytes.
    pub async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            ensure!(self.read().await? > 0, "cut after {} of {length} bytes", self.buffer.len());
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads until this separator has arrived; where it ends.
    async fn until(&mut self, separator: &[u8]) -> Result<usize> {
        loop {
            if let Some(at) = self.buffer.windows(separator.len()).position(|window| window == separator) {
                return Ok(at + separator.len());
            }
            ensure!(self.read().await? > 0, "closed after {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// Whatever arrives next, after what is already here.
    pub async fn some(&mut self) -> Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.read().await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Waits for the end of the connection. Any byte before it is an error: a refused connection gives no second answer.
    pub async fn expect_end(&mut self) -> Result<()> {
        match self.read().await {
            Ok(0) if self.buffer.is_empty() => Ok(()),
            Err(error) if self.buffer.is_empty() && is_cut(&error) => Ok(()),
            Ok(_) => bail!("more came: {:?}", String::from_utf8_lossy(&self.buffer)),
            Err(error) => Err(error.into()),
        }
    }

    /// Half-closes: nothing more will be written.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn read(&mut self) -> io::Result<usize> {
        let mut piece = vec![0; READ];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let count = read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the gateway says nothing"))??;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

/// Whether this is a connection that was ended, with or without ceremony.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn field(line: &str) -> Result<(String, String)> {
    let (name, value) = line.split_once(':').with_context(|| format!("{line:?} is no field"))?;
    Ok((name.to_owned(), value.trim().to_owned()))
}
