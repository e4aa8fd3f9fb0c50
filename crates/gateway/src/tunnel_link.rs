//! An accepted tunnel: TLS and identity on the worker that accepted it, then its life on the worker that has the
//! fewest: hello, registration, heartbeat, site configuration. Any end of it takes it out of the registry.

mod conversation;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::build_info::BUILD;
use cmg_core::limits;
use cmg_core::tls::identity::{IdentityFault, TunnelIdentity};
use cmg_core::tls::{BegunHandshake, DetachedTls, HandshakeFault, Pulse, TlsStream};
use cmg_core::tunnel::calling::{self, Caller, Connection};
use cmg_core::tunnel::control::{ConfigurationInForce, Control, ControlEnd, Saying};
use cmg_core::tunnel::handshake::{ConnectionPointHello, GatewayHello, VERSIONS};
use cmg_core::tunnel::liveness::{Liveness, ping_when_silent};
use cmg_core::tunnel::message::{GoodbyeReason, Lane};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, interval, timeout, timeout_at};

use crate::instance::Instance;
use crate::registry::{Newcomer, Placement, Process, Registration, StaysAway, Tunnel};
use conversation::{Conversation, Told};

/// Judges the peer of a connection that offered to be a tunnel, and hands it to its worker.
pub async fn accept_tunnel(
    begun: Result<BegunHandshake, HandshakeFault>,
    permit: OwnedSemaphorePermit,
    address: SocketAddr,
    deadline: Instant,
    instance: &Arc<Instance>,
) {
    let why = match timeout_at(deadline, async { begun?.finish().await }).await {
        Ok(Ok(stream)) => match identity_of(&stream) {
            Ok(identity) => return hand_over(stream.detach(), permit, identity, address, instance),
            Err(fault) => fault.to_string(),
        },
        Ok(Err(fault)) => fault.explain("the connection point"),
        Err(_) => "the connection point did not finish the TLS handshake in time".to_owned(),
    };
    instance.metrics.handshakes_failed.tunnels.increment();
    tracing::warn!(%address, why, "TLS handshake with a connection point failed");
}

fn identity_of(stream: &TlsStream) -> Result<TunnelIdentity, IdentityFault> {
    let nobody = || IdentityFault::Missing { subject: "(no certificate)".to_owned() };
    let leaf = stream.peer_certificates().and_then(<[_]>::first).ok_or_else(nobody)?;
    TunnelIdentity::of(leaf)
}

fn hand_over(
    stream: std::io::Result<DetachedTls>,
    permit: OwnedSemaphorePermit,
    identity: TunnelIdentity,
    address: SocketAddr,
    instance: &Arc<Instance>,
) {
    let placement = instance.registry.place(identity);
    let worker = placement.worker();
    let tasks = instance.tunnels.clone();
    let instance = Arc::clone(instance);
    let spawner = instance.spawner.clone();
    let life = async move {
        let _permit = permit;
        let identity = Arc::clone(placement.identity());
        let ended = live(stream, placement, address, &instance).await;
        let why = ended.as_ref().map_or("failed", ControlEnd::name);
        instance.metrics.tunnels.ended.with([why]).increment();
        match ended {
            Ok(end) => tracing::info!(%identity, %address, %end, "a tunnel ended"),
            Err(error) => tracing::warn!(%identity, %address, %error, "a tunnel failed"),
        }
    };
    spawner.spawn(worker, &tasks, "tunnel", life).detach();
}

/// Why a tunnel never came to life.
#[derive(Debug, thiserror::Error)]
enum TunnelFault {
    #[error("the connection could not be moved to its worker: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Broken(#[from] cmg_core::tunnel::TunnelBroken),
    #[error("the connection point gave no hello in time")]
    NoHello,
    #[error(transparent)]
    Control(#[from] ControlEnd),
}

async fn live(
    stream: std::io::Result<DetachedTls>,
    placement: Placement,
    address: SocketAddr,
    instance: &Arc<Instance>,
) -> Result<ControlEnd, TunnelFault> {
    let mut stream = stream?.attach()?;
    let pulse = stream.pulse();
    let (caller, mut connection) = calling::open(stream, Arc::clone(&pulse), Lane::Interactive).await?;
    let pinging = ping_when_silent(connection.ping_pong(), Arc::clone(&pulse));
    let (lane, lane_told) = watch::channel(Lane::Interactive);
    let driven = instance.tunnels.spawn("tunnel connection", drive(connection, lane_told));
    let mut serving = pin!(serve(placement, Opened { caller, pulse, address }, lane, instance));
    tokio::select! {
        biased;
        // Whatever ends the connection ends the tunnel; the exchanges on it have been told by h2. The conversation may
        // know more about it.
        _ = driven => match timeout(limits::HANG_UP, serving).await {
            Ok(Ok(end @ (ControlEnd::Unheard | ControlEnd::Goodbye(_) | ControlEnd::Replaced | ControlEnd::Retired))) => Ok(end),
            _ => Ok(ControlEnd::ConnectionLost),
        },
        end = &mut serving => end,
        never = pinging => match never {},
    }
}

/// Moves the connection's bytes until it ends.
async fn drive(mut connection: Connection<TlsStream>, mut lane: watch::Receiver<Lane>) {
    let told = std::pin::pin!(async {
        // An error means that the tunnel is ending anyway.
        let _ = lane.changed().await;
        *lane.borrow()
    });
    let lane = tokio::select! {
        ended = &mut connection => return log_end(ended),
        lane = told => lane,
    };
    if lane == Lane::Bulk && connection.set_initial_window_size(limits::BULK_WINDOW).is_err() {
        tracing::debug!("a bulk tunnel keeps the interactive window");
    }
    log_end(connection.await);
}

fn log_end(ended: Result<(), h2::Error>) {
    if let Err(error) = ended {
        tracing::info!(%error, "a tunnel's connection ended");
    }
}

/// An accepted connection that speaks HTTP/2.
struct Opened {
    caller: Caller,
    pulse: Arc<Pulse>,
    address: SocketAddr,
}

async fn serve(
    placement: Placement,
    opened: Opened,
    lane: watch::Sender<Lane>,
    instance: &Arc<Instance>,
) -> Result<ControlEnd, TunnelFault> {
    let identity = Arc::clone(placement.identity());
    let told = Told::new(instance, &identity.site);
    let own = own_hello(instance, &told.in_force);
    let called = Control::call(&opened.caller, &instance.tunnels, &own);
    let mut control = match timeout(limits::TUNNEL_ESTABLISH, called).await {
        Ok(control) => control?,
        Err(_) => return Err(TunnelFault::NoHello),
    };
    if let Err(Refused { why, retry_after }) = allow(instance, &identity) {
        // Before the goodbye: the connection often ends while it is said, and this with it.
        tracing::warn!(%identity, why, "a connection point may not attach");
        control.say(Saying::Goodbye(GoodbyeReason::NotAllowed, why, retry_after)).await;
        return Ok(ControlEnd::NotAllowed);
    }
    let hello = match timeout(limits::TUNNEL_ESTABLISH, control.hello()).await {
        Ok(hello) => hello?,
        Err(_) => return Err(TunnelFault::NoHello),
    };
    if let Err(incompatible) = VERSIONS.agree(hello.versions) {
        let why = incompatible.explain("the gateway", "the connection point");
        tracing::error!(%identity, why, "a connection point speaks no common version");
        control.say(Saying::Goodbye(GoodbyeReason::Incompatible, why, limits::REFUSED_RETRY)).await;
        return Ok(ControlEnd::Incompatible);
    }
    let _ = lane.send(hello.lane);
    let liveness = Liveness::new(Arc::clone(&opened.pulse));
    let registration = match placement.register(newcomer(opened, &hello)) {
        Ok(registration) => registration,
        Err(StaysAway(retry_after)) => {
            let why = format!("another process of {identity} has just taken over; {ONE_CERTIFICATE_EACH}");
            control.say(Saying::Goodbye(GoodbyeReason::Replaced, why, retry_after)).await;
            return Ok(ControlEnd::Replaced);
        }
    };
    tell_take_over(&registration, instance);
    tracing::info!(%identity, lane = hello.lane.name(), program = hello.program, "a tunnel is up");
    let talk = Conversation { control, told, liveness, registration: &registration, instance };
    let end = talk.run().await?;
    if matches!(end, ControlEnd::Goodbye(_)) {
        // The goodbye may overtake what the connection point still says on running exchanges: they finish first.
        leaves(registration.tunnel());
        let _ = timeout(instance.settings.drain.deadline, until_idle(&registration)).await;
    }
    Ok(end)
}

/// The other end has said that it leaves: no new exchanges, and what is lost from now on had its time.
fn leaves(tunnel: &Tunnel) {
    tunnel.leaving.cancel();
    tunnel.drain();
}

/// What to do about two processes of one connection id.
const ONE_CERTIFICATE_EACH: &str = "give each connection point a certificate of its own, and end the copy if this \
                                    machine was cloned";

/// Once is a restart. Again and again is a mistake that somebody has to mend.
fn tell_take_over(registration: &Registration, instance: &Instance) {
    let Some(conflict) = &registration.took_over else { return };
    let (identity, from, to) = (&conflict.identity, conflict.last.from, conflict.last.to);
    instance.metrics.tunnels.points_replaced.increment();
    if conflict.is_alarming() {
        instance.metrics.tunnels.point_conflicts.increment();
        let (times, advice) = (conflict.times, ONE_CERTIFICATE_EACH);
        tracing::error!(%identity, %from, %to, times, advice, "two processes of one connection point replace each other");
    } else {
        tracing::info!(%identity, %from, %to, "another process of a connection point has taken over");
    }
}

fn newcomer(opened: Opened, hello: &ConnectionPointHello) -> Newcomer {
    let Opened { caller, pulse, address } = opened;
    Newcomer {
        lane: hello.lane,
        caller,
        pulse,
        process: Process { boot_id: hello.boot_id, started_micros: hello.started_micros, address },
        max_active: usize::try_from(hello.max_exchanges).unwrap_or(usize::MAX),
    }
}

async fn until_idle(registration: &Registration) {
    let mut look = interval(limits::IDLE_LOOK);
    while registration.tunnel().load() != (0, 0) {
        look.tick().await;
    }
}

/// Why a connection point is sent away, and for how long.
struct Refused {
    why: String,
    retry_after: Duration,
}

/// The gateway's file says who may attach. As often as it likes nobody may.
fn allow(instance: &Instance, identity: &TunnelIdentity) -> Result<(), Refused> {
    // Nothing changes before somebody has changed the file and started this gateway again.
    let not_listed = |why| Refused { why, retry_after: limits::REFUSED_RETRY };
    let settings = &instance.settings;
    let site = settings.sites.iter().find(|site| site.site.as_str() == identity.site);
    let Some(site) = site else {
        let advice = "add it to [[sites]]";
        return Err(not_listed(format!("site {} is not in this gateway's configuration; {advice}", identity.site)));
    };
    if !site.allows(identity) {
        let advice = "add its name and id to connection_points of its site in the gateway's configuration";
        return Err(not_listed(format!("{identity} may not attach to this gateway; {advice}")));
    }
    let (workers, bulk) = (instance.spawner.count(), instance.settings.tunnel.bulk_connections as usize);
    let most = limits::TUNNEL_GENERATIONS * (workers + bulk);
    if instance.registry.tunnels_of(identity) > most {
        let advice = "end what dials without end; give each connection point a certificate of its own";
        let why = format!("{identity} has {most} tunnels to this instance, more than it can need; {advice}");
        // By then those that are dead have been noticed.
        return Err(Refused { why, retry_after: limits::HEARTBEAT_SILENCE });
    }
    Ok(())
}

fn own_hello(instance: &Instance, in_force: &ConfigurationInForce) -> GatewayHello {
    GatewayHello {
        versions: VERSIONS,
        program: format!("cmg-gateway {}", BUILD.version),
        instance: instance.name().to_owned(),
        boot_id: instance.boot_id,
        workers: u32::try_from(instance.spawner.count()).unwrap_or(1),
        bulk_connections: instance.settings.tunnel.bulk_connections,
        lane: Lane::Interactive,
        configuration_version: in_force.version,
        configuration_digest: in_force.digest.clone(),
    }
}
