//! The choice of a connection point for a request: [`AllowedRequest`] -> [`Lease`], at once if it can be, and after a
//! wait of bounded length and number if all are full. Nothing of the body is read meanwhile, and no 100 is sent.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::worker::WorkerIndex;
use tokio::sync::Semaphore;

use crate::edge::Edge;
use crate::filter::AllowedRequest;
use crate::metrics::QueueMetrics;
use crate::registry::{Lease, Registry};
use crate::relay::Stop;

/// Where the exchanges of an instance wait, of all its sites.
pub struct WaitingRoom {
    limits: QueueLimits,
    seats: Semaphore,
    metrics: QueueMetrics,
}

#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// 0: nobody waits.
    pub places: usize,
    pub patience: Duration,
}

impl WaitingRoom {
    pub fn new(limits: QueueLimits, metrics: QueueMetrics) -> Self {
        Self { limits, seats: Semaphore::new(limits.places), metrics }
    }

    /// Exchanges that wait now, and how many may.
    pub fn load(&self) -> (usize, usize) {
        (self.limits.places.saturating_sub(self.seats.available_permits()), self.limits.places)
    }

    /// A lease as soon as there is one, in the order of coming.
    pub async fn lease<E: Edge>(
        &self,
        registry: &Registry,
        request: &AllowedRequest,
        worker: WorkerIndex,
        edge: &mut E,
    ) -> Result<Lease, Stop> {
        match registry.lease(request, worker) {
            Err(full) if full.kind == RefusalKind::Overloaded => {}
            decided => return Ok(decided?),
        }
        let Self { limits: QueueLimits { places, patience }, metrics, .. } = self;
        let Ok(_seat) = self.seats.try_acquire() else {
            metrics.full.increment();
            return Err(overloaded(format!("{places} exchanges wait for a connection point already")));
        };
        let (_waits, since) = (metrics.waiting.hold(), Instant::now());
        metrics.joined.increment();
        let mut turn = registry.line_up(request, worker)?;
        edge.deadline().set(*patience);
        let ended = poll_fn(|cx| {
            if let Poll::Ready(given) = turn.poll(cx) {
                return Poll::Ready(given.map_err(Stop::from));
            }
            if edge.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Stop::ClientGone));
            }
            edge.deadline().poll_passed(cx).map(|()| {
                metrics.expired.increment();
                let site = request.site();
                Err(overloaded(format!("no connection point of site {site} had room within {patience:?}")))
            })
        })
        .await;
        metrics.waited.observe(since.elapsed());
        ended
    }
}

fn overloaded(detail: String) -> Stop {
    Refusal::new(RefusalKind::Overloaded, detail).into()
}

#[cfg(test)]
mod tests;
