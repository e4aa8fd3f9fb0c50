//! How one loop sends: on a connection of its own that it keeps, or as one of several on a connection of HTTP/2. Dials
//! the next address when one does not answer, and takes a new connection when a request wants one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cmg_client::Protocol;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{Dialler, Ended, Http1, Http2};
use crate::error::LoadError;
use crate::expected::Judge;
use crate::limits;
use crate::outcome::Outcome;
use crate::record::Sent;
use crate::site::Site;
use crate::wording::Worded;

pub enum Line {
    Own { dialler: Dialler, kept: Option<Box<Http1>>, at: usize },
    Shared(Arc<Shared>),
}

/// One connection of HTTP/2 for several loops.
pub struct Shared {
    dialler: Dialler,
    /// Held for a look only.
    kept: Mutex<Option<Http2>>,
    at: AtomicUsize,
}

impl Shared {
    pub fn new(site: &Site, device: usize) -> Result<Arc<Self>, LoadError> {
        let dialler = Dialler::new(site, device, Protocol::Http2)?;
        Ok(Arc::new(Self { dialler, kept: Mutex::new(None), at: AtomicUsize::new(device) }))
    }

    async fn connection(&self, fresh: bool) -> Option<Http2> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| !fresh && kept.is_open()) {
            return Some(kept);
        }
        let made = self.dialler.http2(self.at.fetch_add(1, Relaxed)).await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        Some(made)
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
    pub async fn send(&mut self, worded: &Worded, patience: Duration, not_connected: &AtomicU64) -> Sent {
        let given_up = Instant::now() + limits::CONNECT_PATIENCE;
        let mut tries = 0;
        loop {
            let mut judge = Judge::of(worded);
            let fresh = worded.fresh && tries == 0;
            let ended = match timeout(patience, self.exchange(worded, &mut judge, fresh)).await {
                Ok(ended) => ended,
                Err(_) => return self.sent(worded, &judge, (Outcome::TimedOut, Some("nothing in time".to_owned()))),
            };
            let is_unsent = matches!(ended, Ended::Unsent(_));
            if is_unsent {
                not_connected.fetch_add(1, Relaxed);
            }
            if !is_unsent || Instant::now() > given_up {
                let judged = ended.judged(&mut judge);
                return self.sent(worded, &judge, judged);
            }
            tries += 1;
            if tries % self.addresses() == 0 {
                sleep(limits::CONNECT_PAUSE).await;
            }
        }
    }

    async fn exchange(&mut self, worded: &Worded, judge: &mut Judge<'_>, fresh: bool) -> Ended {
        let unreachable = || Ended::Unsent("no connection".to_owned());
        match self {
            Line::Own { dialler, kept, at } => {
                let mut usable = kept.take().filter(|_| !fresh);
                if let Some(connection) = &mut usable
                    && !connection.is_open().await
                {
                    usable = None;
                }
                if usable.is_none() {
                    *at += 1;
                    usable = dialler.http1(*at).await.map(Box::new);
                }
                let Some(mut connection) = usable else { return unreachable() };
                let ended = connection.exchange(worded, judge).await;
                // One that may not be used again is found closed the next time.
                *kept = Some(connection);
                ended
            }
            Line::Shared(shared) => match shared.connection(fresh).await {
                Some(mut connection) => connection.exchange(worded, judge).await,
                None => unreachable(),
            },
        }
    }

    fn addresses(&self) -> usize {
        match self {
            Line::Own { dialler, .. } => dialler.addresses(),
            Line::Shared(shared) => shared.dialler.addresses(),
        }
    }

    fn sent(&self, worded: &Worded, judge: &Judge<'_>, (outcome, detail): (Outcome, Option<String>)) -> Sent {
        let body = worded.body.as_ref();
        Sent {
            number: worded.number,
            kind: worded.kind,
            http: if matches!(self, Line::Own { .. }) { 1 } else { 2 },
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
