//! The role's count: every request that reached it, from the export of its ledger. And the pages of its admin listener
//! that a run needs.

use std::net::SocketAddr;

use bytes::BytesMut;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::http1::{Sink, read_answer};
use crate::error::LoadError;
use crate::expected::Head;
use crate::limits;

/// One request as the role saw it.
#[derive(Clone, Debug, Deserialize)]
pub struct AtRole {
    pub sequence: u64,
    /// `X-CMG-Request-Id`.
    pub id: Option<Box<str>>,
    /// What the sender called it.
    pub test: Option<Box<str>>,
    pub method: Box<str>,
    pub target: Box<str>,
    pub body_length: u64,
    pub body_sha256: Box<str>,
    pub body_complete: bool,
    pub status: Option<u16>,
    /// none, begun, complete or cut.
    pub answer: Box<str>,
    pub answer_bytes: u64,
}

/// What the role saw since a moment.
#[derive(Clone, Debug, Default)]
pub struct RoleCount {
    pub seen: Vec<AtRole>,
}

/// The last line of the export.
#[derive(Deserialize)]
struct End {
    end: Totals,
}

#[derive(Deserialize)]
struct Totals {
    requests: u64,
    open_requests: u64,
    forgotten: u64,
}

/// How many requests the role has seen by now: a count from here on leaves them out.
pub async fn role_position(admin: SocketAddr) -> Result<u64, LoadError> {
    totals(admin).await.map(|totals| totals.requests)
}

/// How many requests run at the role now.
pub(crate) async fn open_requests(admin: SocketAddr) -> Result<u64, LoadError> {
    totals(admin).await.map(|totals| totals.open_requests)
}

async fn totals(admin: SocketAddr) -> Result<Totals, LoadError> {
    let page = "/_ledger/totals";
    let text = ask(admin, "GET", page).await?;
    serde_json::from_slice(&text).map_err(|error| LoadError::Admin {
        address: admin,
        page: page.to_owned(),
        why: error.to_string(),
    })
}

/// Everything that the role saw from this position on, once nothing runs there any more or patience has ended.
pub async fn ask_role(admin: SocketAddr, since: u64) -> Result<RoleCount, LoadError> {
    let settled = async {
        let mut look = tokio::time::interval(limits::LOOK);
        while open_requests(admin).await? > 0 {
            look.tick().await;
        }
        Ok::<_, LoadError>(())
    };
    // What still runs is exported as it is.
    if let Ok(settled) = timeout(limits::SETTLE, settled).await {
        settled?;
    }
    let text = ask(admin, "GET", &format!("/_ledger/export?since={since}")).await?;
    let wrong = |why: String| LoadError::Export { address: admin, why };
    let mut seen = Vec::new();
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_none() {
            let End { end } = serde_json::from_slice(line).map_err(|error| wrong(format!("its end: {error}")))?;
            return match end.forgotten > since {
                true => Err(wrong(format!("{} requests are forgotten", end.forgotten - since))),
                false => Ok(RoleCount { seen }),
            };
        }
        seen.push(serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?);
    }
    Err(wrong("it is empty".to_owned()))
}

/// Lets so many through a gate of the role.
pub(crate) async fn release(admin: SocketAddr, gate: &str, count: usize) -> Result<(), LoadError> {
    ask(admin, "POST", &format!("/_release?key={gate}&count={count}")).await.map(drop)
}

/// Lets so many of those through that wait now.
pub(crate) async fn release_waiting(admin: SocketAddr, gate: &str, count: usize) -> Result<(), LoadError> {
    ask(admin, "POST", &format!("/_release?key={gate}&count={count}&only=waiting")).await.map(drop)
}

/// Completes when so many wait at a gate.
pub(crate) async fn wait_at_gate(admin: SocketAddr, gate: &str, count: usize) -> Result<(), LoadError> {
    let within = limits::GATHER.as_millis();
    ask(admin, "GET", &format!("/_gates/wait?key={gate}&waiting={count}&within={within}")).await.map(drop)
}

async fn ask(address: SocketAddr, method: &str, page: &str) -> Result<Vec<u8>, LoadError> {
    let failed = |why: String| LoadError::Admin { address, page: page.to_owned(), why };
    match timeout(limits::ADMIN, exchange(address, method, page)).await {
        Ok(Ok(Page { status: 200, body })) => Ok(body),
        Ok(Ok(Page { status, .. })) => Err(failed(format!("status {status}"))),
        Ok(Err(why)) => Err(failed(why)),
        Err(_) => Err(failed(format!("nothing within {} s", limits::ADMIN.as_secs()))),
    }
}

async fn exchange(address: SocketAddr, method: &str, page: &str) -> Result<Page, String> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let head = format!("{method} {page} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut page = Page::default();
    let answer = read_answer(&mut stream, &mut BytesMut::new(), false, &mut page).await;
    answer.map(|_| page).map_err(|broken| broken.to_string())
}

#[derive(Default)]
struct Page {
    status: u16,
    body: Vec<u8>,
}

impl Sink for Page {
    fn head(&mut self, head: Head) {
        self.status = head.status;
    }

    fn data(&mut self, data: &[u8]) {
        self.body.extend_from_slice(data);
    }
}
