//! Asks a program's admin pages: is it ready, what do its metrics say. Waits for what is to become true, with a
//! deadline far beyond any honest duration.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::metrics::Metrics;
use crate::program::Program;

/// Whatever a test waits for comes long before.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// The admin pages of one program.
#[derive(Clone, Debug)]
pub struct Admin {
    pub name: String,
    pub address: SocketAddr,
}

impl Admin {
    pub fn of(program: &Program) -> Result<Self> {
        Ok(Self { name: program.name.clone(), address: program.address("admin")? })
    }

    /// Status and body of a page.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        self.ask("GET", path).await
    }

    pub async fn ask(&self, method: &str, path: &str) -> Result<(u16, String)> {
        let asked = tokio::time::timeout(PATIENCE, exchange(self.address, method, path)).await;
        asked
            .with_context(|| format!("{} does not answer {path}", self.name))?
            .with_context(|| format!("{}: {method} {path} at {}", self.name, self.address))
    }

    pub async fn json(&self, path: &str) -> Result<Value> {
        let (status, body) = self.get(path).await?;
        if status != 200 {
            bail!("{}: {path} answered {status}: {body}", self.name);
        }
        serde_json::from_str(&body).with_context(|| format!("{}: {path} is no JSON: {body}", self.name))
    }

    pub async fn metrics(&self) -> Result<Metrics> {
        let (status, body) = self.get("/metrics").await?;
        if status != 200 {
            bail!("{}: /metrics answered {status}", self.name);
        }
        Ok(Metrics::parse(&body))
    }

    /// Waits until /readyz says yes.
    pub async fn wait_ready(&self) -> Result<()> {
        let mut last = String::new();
        let ready = until(async || {
            let (status, body) = self.get("/readyz").await?;
            last = body;
            Ok(status == 200)
        });
        ready.await.with_context(|| format!("{} did not become ready: {last}", self.name))
    }

    /// Waits until the metrics are as wanted; `what` says what that is.
    pub async fn wait_for_metrics(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let mut last = Metrics::default();
        let waited = until(async || {
            last = self.metrics().await?;
            Ok(wanted(&last))
        });
        waited.await.with_context(|| format!("{}: {what} did not come true", self.name))?;
        Ok(last)
    }
}

/// Looks again and again until something is true. For what nobody announces; the looking is the waiting.
pub async fn until(mut is_true: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let mut look = tokio::time::interval(LOOK);
    let looking = async {
        loop {
            look.tick().await;
            if is_true().await? {
                return Ok(());
            }
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("nothing happened within {} s", PATIENCE.as_secs()),
    }
}

async fn exchange(address: SocketAddr, method: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without end of head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without status")?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if is_chunked { unchunked(body) } else { body.to_owned() }))
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0).min(rest.len());
        whole.push_str(&rest[..size]);
        if size == 0 {
            break;
        }
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
