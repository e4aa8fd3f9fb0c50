//! One place for a tunnel: dial, serve, and again, for as long as the site uses the instance (T-04, T-06).
//! It never gives up, and looks before each step whether it is to go on: a retired place opens no socket any more.

mod dial;

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::configuration::HostPort;
use cmg_core::limits;
use cmg_core::tls;
use cmg_core::tls::explain::explain;
use cmg_core::tunnel::{TunnelBroken, serving, serving_control};
use cmg_core::worker::WorkerIndex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::instance::{Instance, OpenPlace, PlaceId, PlaceState};
use crate::link::{Link, LinkEnd};
use crate::point::ConnectionPoint;
use crate::redial::Redial;
use crate::{control, exchange};
use dial::{Dialed, described, dial};

/// Where a tunnel belongs.
#[derive(Clone)]
pub struct Place {
    pub point: Arc<ConnectionPoint>,
    pub instance: Arc<Instance>,
    pub id: PlaceId,
    pub worker: WorkerIndex,
    pub retiring: CancellationToken,
}

/// Keeps a tunnel in this place until it is retired.
pub async fn keep(place: Place, _open: OpenPlace) {
    let wait = Redial::at_start();
    keep_on(&place, Redial::default(), wait, Duration::ZERO).await;
}

/// Tries these addresses once, beside the tunnel of a place that lives on a worse one. Only when the new tunnel has
/// settled is that place retired, and this one kept in its stead; else nothing is left of it.
pub async fn succeed(place: Place, _open: OpenPlace, addresses: Vec<HostPort>, predecessor: CancellationToken) {
    if place.unless_retired(sleep(Redial::at_start())).await.is_none() {
        return;
    }
    let Some(tried) = attempt(&place, &addresses, Some(&predecessor)).await else { return };
    if predecessor.is_cancelled() {
        let mut redial = Redial::default();
        let wait = redial.after(tried.lived, tried.told);
        keep_on(&place, redial, wait, tried.told).await;
    }
}

async fn keep_on(place: &Place, mut redial: Redial, mut wait: Duration, mut told: Duration) {
    loop {
        place.instance.place_waits(place.id, wait, told);
        if place.unless_retired(sleep(wait)).await.is_none() {
            return;
        }
        let Some(tried) = attempt(place, &place.instance.addresses, None).await else { return };
        (wait, told) = (redial.after(tried.lived, tried.told), tried.told);
    }
}

/// What came of a dial, and of the tunnel if there was one.
struct Tried {
    /// Zero if there was none.
    lived: Duration,
    /// What the gateway asked to wait before the next dial.
    told: Duration,
}

/// Dials, and serves the tunnel to its end; nothing once the place is retired.
async fn attempt(place: &Place, addresses: &[HostPort], predecessor: Option<&CancellationToken>) -> Option<Tried> {
    let permit = place.unless_retired(DialPermit::of(place)).await?;
    place.instance.place_is(place.id, PlaceState::Dialing, None);
    place.point.metrics.dials.increment();
    match place.unless_retired(dial(place, addresses)).await? {
        Ok(dialed) => {
            let begun = Instant::now();
            let end = live(place, dialed, permit, predecessor).await;
            place.ended(&end);
            Some(Tried { lived: begun.elapsed(), told: end.retry_after() })
        }
        Err(why) => {
            place.point.metrics.dials_failed.increment();
            place.failed(why, predecessor.is_some());
            Some(Tried { lived: Duration::ZERO, told: Duration::ZERO })
        }
    }
}

/// Held from the dial to the gateway's first word behind its hello, so that those who accept and never answer keep few
/// connections (T-05).
struct DialPermit {
    _of_instance: OwnedSemaphorePermit,
    _of_process: OwnedSemaphorePermit,
}

impl DialPermit {
    async fn of(place: &Place) -> Self {
        const OPEN: &str = "nobody closes the semaphores of dials";
        // The instance's own first: whoever waits for a slow instance takes nothing from the others.
        let of_instance = Arc::clone(&place.instance.dials).acquire_owned().await.expect(OPEN);
        let of_process = Arc::clone(&place.point.dials).acquire_owned().await.expect(OPEN);
        Self { _of_instance: of_instance, _of_process: of_process }
    }
}

impl Place {
    /// What comes of a step; nothing if the place is retired first. That is asked before the step goes on, each time.
    async fn unless_retired<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.retiring.cancelled() => None,
            done = step => Some(done),
        }
    }

    /// Logs why a dial failed: loud when it is news, quiet when it is the same again or only an attempt to go back.
    fn failed(&self, why: String, is_quiet: bool) {
        let (gateway, instance, lane) = (&self.instance.gateway, &self.instance.name, self.id.lane.name());
        if self.instance.place_failed(self.id, why.clone()) && !is_quiet {
            tracing::warn!(gateway, instance, lane, why, "no tunnel; dialing goes on");
        } else {
            tracing::debug!(gateway, instance, lane, why, "no tunnel; dialing goes on");
        }
    }

    fn ended(&self, end: &LinkEnd) {
        let (gateway, instance, lane) = (&self.instance.gateway, &self.instance.name, self.id.lane.name());
        self.instance.place_failed(self.id, end.to_string());
        if *end == LinkEnd::Drained || self.instance.facts().borrow().is_draining {
            tracing::info!(gateway, instance, lane, why = %end, "a tunnel ended as planned");
        } else {
            tracing::warn!(gateway, instance, lane, why = %end, "a tunnel ended");
        }
    }
}

/// Serves the tunnel to its end. When both ends have taken it on it is no dial any more; when it has settled then,
/// its predecessor goes.
async fn live(place: &Place, dialed: Dialed, permit: DialPermit, predecessor: Option<&CancellationToken>) -> LinkEnd {
    let coming_up = async {
        place.instance.until_up(place.id).await;
        drop(permit);
        if let Some(predecessor) = predecessor {
            sleep(limits::REPLACEMENT_SETTLES).await;
            predecessor.cancel();
        }
        pending().await
    };
    tokio::select! {
        end = serve(place, dialed) => end,
        end = coming_up => end,
    }
}

async fn serve(place: &Place, Dialed { mut stream, address }: Dialed) -> LinkEnd {
    let (link, violations) = Link::new(place.clone(), address, stream.pulse());
    let (server, call) = serving_control::server();
    let exchanges = Arc::clone(&link);
    let handle = move |served| exchange::serve(Arc::clone(&exchanges), served);
    let serving = serving::serve(stream, place.id.lane, &place.point.tasks, server, handle);
    let mut talking = pin!(control::converse(&link, call, violations));
    let served = tokio::select! {
        end = &mut talking => return end,
        served = serving => served,
        never = close_when_told(&link) => match never {},
    };
    if link.left.is_cancelled() {
        return LinkEnd::Drained;
    }
    // Both end when the connection does, and last words say more than its end.
    match timeout(limits::HANG_UP, talking).await {
        Ok(end) if end.was_said() => end,
        _ => match served {
            Ok(()) if place.retiring.is_cancelled() => LinkEnd::Drained,
            Ok(()) => LinkEnd::Closed,
            Err(broken) => LinkEnd::Broken(explain_broken(&broken, &described(place, &link.address))),
        },
    }
}

/// A drain has been told to the gateway before new exchanges are refused.
async fn close_when_told(link: &Link) -> Infallible {
    link.place.retiring.cancelled().await;
    sleep(limits::DRAIN_NOTICE).await;
    link.closed.cancel();
    pending().await
}

/// A gateway that refuses our certificate in TLS 1.3 says so only after the handshake.
fn explain_broken(broken: &TunnelBroken, which: &str) -> String {
    if let TunnelBroken::Stream(error) = broken
        && let Some(fault) = error.get_io().and_then(tls::tls_fault)
    {
        return explain(fault, which);
    }
    broken.to_string()
}

#[cfg(test)]
pub(crate) mod tests;
