//! One place for a tunnel: dial, serve, and again, for as long as the site uses the instance (T-04, T-06).
//! It never gives up, asks anew for the name each time, and stops between any two steps when it is told to.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::configuration::HostPort;
use cmg_core::dial::{connect_any, resolve};
use cmg_core::limits;
use cmg_core::tls::configs::TUNNEL_ALPN;
use cmg_core::tls::explain::explain;
use cmg_core::tls::{self, FlushRule, TlsStream};
use cmg_core::tunnel::{TunnelBroken, serving, serving_control};
use cmg_core::worker::WorkerIndex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::instance::{Instance, PlaceId, PlaceState};
use crate::link::{Link, LinkEnd};
use crate::point::ConnectionPoint;
use crate::redial::Redial;
use crate::{control, exchange};

/// Where a tunnel belongs.
#[derive(Clone)]
pub struct Place {
    pub point: Arc<ConnectionPoint>,
    pub instance: Arc<Instance>,
    pub id: PlaceId,
    pub worker: WorkerIndex,
    pub retiring: CancellationToken,
}

/// Why there is no tunnel at one address.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(
        "{address}: the name does not resolve: {error}; correct it in the site configuration, or the resolver of this host"
    )]
    Resolve { address: HostPort, error: std::io::Error },
    #[error(
        "{address}: no connection: {error}; is the gateway running, and does every firewall let this host reach it?"
    )]
    Connect { address: HostPort, error: std::io::Error },
    #[error("{0}")]
    Tls(String),
    #[error("{address}: the server there does not speak cmg-tunnel/1; is it the gateway's tunnel listener?")]
    NotATunnel { address: HostPort },
    #[error("{address}: no tunnel within {after:?}; does a firewall swallow what is sent there?")]
    TimedOut { address: HostPort, after: Duration },
}

/// Keeps a tunnel in this place until it is retired.
pub async fn keep(place: Place) {
    let mut redial = Redial::default();
    let mut wait = redial.first();
    loop {
        place.is(PlaceState::Waiting, None);
        tokio::select! {
            () = sleep(wait) => {}
            () = place.retiring.cancelled() => break,
        }
        place.is(PlaceState::Dialing, None);
        place.point.metrics.dials.increment();
        let dialed = tokio::select! {
            dialed = dial(&place) => dialed,
            () = place.retiring.cancelled() => break,
        };
        let (lived, told) = match dialed {
            Ok((stream, address)) => {
                let begun = Instant::now();
                let end = live(&place, stream, address).await;
                place.ended(&end);
                (begun.elapsed(), end.retry_after())
            }
            Err(why) => {
                place.point.metrics.dials_failed.increment();
                place.failed(why);
                (Duration::ZERO, Duration::ZERO)
            }
        };
        if place.retiring.is_cancelled() {
            break;
        }
        wait = redial.after(lived, told);
    }
    place.instance.place_is_gone(place.id);
}

impl Place {
    fn is(&self, state: PlaceState, address: Option<String>) {
        self.instance.place_is(self.id, state, address);
    }

    /// Logs why a dial failed: loud when it is news, quiet when it is the same again.
    fn failed(&self, why: String) {
        let (gateway, instance, lane) = (&self.instance.gateway, &self.instance.name, self.id.lane.name());
        if self.instance.place_failed(self.id, why.clone()) {
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

/// The first address that leads to a tunnel; all failures together if none does.
async fn dial(place: &Place) -> Result<(TlsStream, String), String> {
    let mut failures = Vec::new();
    for address in &place.instance.addresses {
        let after = limits::TUNNEL_ESTABLISH;
        let timed_out = DialError::TimedOut { address: address.clone(), after };
        match timeout(after, dial_one(place, address)).await.unwrap_or(Err(timed_out)) {
            Ok(stream) => return Ok((stream, address.to_string())),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    Err(failures.join("; "))
}

async fn dial_one(place: &Place, address: &HostPort) -> Result<TlsStream, DialError> {
    let resolved = resolve(&address.host, address.port).await;
    let resolved = resolved.map_err(|error| DialError::Resolve { address: address.clone(), error })?;
    let tcp = connect_any(&resolved).await.map_err(|error| DialError::Connect { address: address.clone(), error })?;
    let name = place.instance.tunnel_name.clone();
    let stream = tls::connect(tcp, name, place.point.tunnel_tls(), FlushRule::EverySecondTurn).await;
    let stream = stream.map_err(|fault| DialError::Tls(fault.explain(&described(place, &address.to_string()))))?;
    if stream.alpn() != Some(TUNNEL_ALPN) {
        return Err(DialError::NotATunnel { address: address.clone() });
    }
    Ok(stream)
}

fn described(place: &Place, address: &str) -> String {
    format!("gateway {} instance {} at {address}", place.instance.gateway, place.instance.name)
}

/// Serves the tunnel to its end.
async fn live(place: &Place, stream: TlsStream, address: String) -> LinkEnd {
    let (link, violations) = Link::new(place.clone(), address);
    let (server, call) = serving_control::server();
    let exchanges = Arc::clone(&link);
    let handle = move |served| exchange::serve(Arc::clone(&exchanges), served);
    let closing = close_when_told(Arc::clone(&link));
    let serving = serving::serve(stream, place.id.lane, &place.point.tasks, server, handle, closing);
    let mut talking = pin!(control::converse(&link, call, violations));
    let served = tokio::select! {
        end = &mut talking => return end,
        served = serving => served,
    };
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
async fn close_when_told(link: Arc<Link>) {
    link.place.retiring.cancelled().await;
    sleep(limits::DRAIN_NOTICE).await;
    link.closed.cancel();
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
mod tests;
