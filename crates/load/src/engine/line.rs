//! How one loop sends: on a connection of its own that it keeps, or as one of several on a connection of HTTP/2. Dials
//! the next address when one does not answer, and takes a new connection when a request wants one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cmg_client::Protocol;
use tokio::time::{Instant, sleep, timeout};

use super::Teller;
use crate::connection::{Dialler, Ended, Http1, Http2, State};
use crate::error::LoadError;
use crate::expected::Judge;
use crate::limits;
use crate::record::{Sent, Unsent};
use crate::site::Site;
use crate::wording::Worded;

pub enum Line {
    Own { dialler: Dialler, kept: Option<Kept>, at: usize },
    Shared(Arc<Shared>),
}

/// A connection after its last request.
pub struct Kept {
    connection: Box<Http1>,
    gateway: usize,
    last: Option<u64>,
}

/// One connection of HTTP/2 for several loops.
pub struct Shared {
    dialler: Dialler,
    /// Held for a look only.
    kept: Mutex<Option<(Http2, usize)>>,
    at: AtomicUsize,
}

/// One try to send a request.
struct Tried {
    gateway: usize,
    began: Duration,
    ended: Ended,
    /// Whether there was a connection to try it on.
    is_connected: bool,
}

impl Shared {
    pub fn new(site: &Site, device: usize) -> Result<Arc<Self>, LoadError> {
        let dialler = Dialler::new(site, device, Protocol::Http2)?;
        Ok(Arc::new(Self { dialler, kept: Mutex::new(None), at: AtomicUsize::new(device) }))
    }

    /// A connection with its gateway, or the gateway that took none.
    async fn connection(&self, fresh: bool) -> Result<(Http2, usize), usize> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|(kept, _)| !fresh && kept.is_open()) {
            return Ok(kept);
        }
        let gateway = self.at.fetch_add(1, Relaxed) % self.dialler.addresses();
        let made = self.dialler.http2(gateway).await.ok_or(gateway)?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((made.clone(), gateway));
        Ok((made, gateway))
    }
}

impl Line {
    /// A connection of HTTP/1.1 for one loop.
    pub fn own(site: &Site, device: usize) -> Result<Self, LoadError> {
        Ok(Self::Own { dialler: Dialler::new(site, device, Protocol::Http1)?, kept: None, at: device })
    }

    pub fn shared(shared: &Arc<Shared>) -> Self {
        Self::Shared(shared.clone())
    }

    /// Sends a request once. What could not be sent was no request, so that another connection may be tried.
    pub async fn send(&mut self, worded: &Worded, patience: Duration, teller: &Teller) -> Sent {
        let given_up = Instant::now() + limits::CONNECT_PATIENCE;
        let mut absent = BTreeSet::new();
        let mut tries = 0;
        loop {
            let mut judge = Judge::of(worded);
            let fresh = worded.fresh && tries == 0;
            let tried = self.try_once(worded, &mut judge, fresh, patience, teller).await;
            let is_unsent = matches!(tried.ended, Ended::Unsent(_));
            if is_unsent {
                let Tried { gateway, began, .. } = tried;
                teller.unsent(Unsent { gateway, began, ended: teller.now() }).await;
            }
            if !is_unsent || Instant::now() > given_up {
                return self.sent(worded, judge, tried, teller.now());
            }
            if !tried.is_connected {
                absent.insert(tried.gateway);
            }
            if absent.len() == self.addresses() {
                teller.found_nobody().await;
                absent.clear();
            }
            tries += 1;
            if tries % self.addresses() == 0 {
                sleep(limits::CONNECT_PAUSE).await;
            }
        }
    }

    /// Goes back to where this device began, without a connection.
    pub async fn begin_anew(&mut self, device: usize, teller: &Teller) {
        self.usable(true, teller).await;
        if let Line::Own { at, .. } = self {
            *at = device;
        }
    }

    /// Looks a last time at a connection that is kept.
    pub async fn close(mut self, teller: &Teller) {
        self.usable(true, teller).await;
    }

    async fn try_once(
        &mut self,
        worded: &Worded,
        judge: &mut Judge<'_>,
        fresh: bool,
        patience: Duration,
        teller: &Teller,
    ) -> Tried {
        let dialled = teller.now();
        let unreachable = |gateway| {
            let ended = Ended::Unsent("no connection".to_owned());
            Tried { gateway, began: dialled, ended, is_connected: false }
        };
        let in_time = |ended: Result<Ended, _>| ended.unwrap_or_else(|_| Ended::TimedOut("nothing in time".to_owned()));
        let usable = self.usable(fresh, teller).await;
        match self {
            Line::Own { dialler, kept, at } => {
                let (mut connection, gateway) = match usable {
                    Some(Kept { connection, gateway, .. }) => (connection, gateway),
                    None => {
                        *at += 1;
                        let gateway = *at % dialler.addresses();
                        match dialler.http1(gateway).await {
                            Some(connection) => (Box::new(connection), gateway),
                            None => return unreachable(gateway),
                        }
                    }
                };
                let began = teller.now();
                let ended = in_time(timeout(patience, connection.exchange(worded, judge)).await);
                // One that may not be used again is found closed the next time.
                *kept = Some(Kept { connection, gateway, last: Some(worded.number) });
                Tried { gateway, began, ended, is_connected: true }
            }
            Line::Shared(shared) => match shared.connection(fresh).await {
                Ok((mut connection, gateway)) => {
                    let began = teller.now();
                    let ended = in_time(timeout(patience, connection.exchange(worded, judge)).await);
                    Tried { gateway, began, ended, is_connected: true }
                }
                Err(gateway) => unreachable(gateway),
            },
        }
    }

    /// The kept connection if it may be used again. Bytes on it that nobody asked for are the last request's.
    async fn usable(&mut self, fresh: bool, teller: &Teller) -> Option<Kept> {
        let Line::Own { kept, .. } = self else { return None };
        let mut kept = kept.take()?;
        match kept.connection.state().await {
            State::Open => (!fresh).then_some(kept),
            State::Closed => None,
            State::Carries => {
                if let Some(last) = kept.last {
                    teller.with_strays(last).await;
                }
                None
            }
        }
    }

    fn addresses(&self) -> usize {
        match self {
            Line::Own { dialler, .. } => dialler.addresses(),
            Line::Shared(shared) => shared.dialler.addresses(),
        }
    }

    fn sent(&self, worded: &Worded, mut judge: Judge<'_>, tried: Tried, ended: Duration) -> Sent {
        let (outcome, detail) = tried.ended.judged(&mut judge);
        let body = worded.body.as_ref();
        Sent {
            number: worded.number,
            kind: worded.kind,
            http: if matches!(self, Line::Own { .. }) { 1 } else { 2 },
            gateway: tried.gateway,
            began: tried.began,
            ended,
            outcome,
            status: judge.head.status,
            code: judge.head.code.as_deref().map(Box::from),
            request_id: judge.head.request_id.as_deref().map(Box::from),
            body_length: body.map_or(0, |body| body.length),
            body_sha256: body.map(|body| body.sha256()),
            answer_bytes: judge.bytes,
            detail: detail.map(Box::from),
        }
    }
}
