//! An accepted tunnel: TLS and identity on the worker that accepted it, then its life on the worker that has the
//! fewest: hello, registration, heartbeat, site configuration. Any end of it takes it out of the registry.

use std::net::SocketAddr;
use std::sync::Arc;

use cmg_core::build_info::BUILD;
use cmg_core::limits;
use cmg_core::tls::identity::{IdentityFault, TunnelIdentity};
use cmg_core::tls::{BegunHandshake, DetachedTls, HandshakeFault, TlsStream};
use cmg_core::tunnel::calling::{self, Caller, Connection};
use cmg_core::tunnel::control::{ConfigurationInForce, Control, ControlEnd, Said, Saying};
use cmg_core::tunnel::handshake::{ConnectionPointHello, GatewayHello, VERSIONS};
use cmg_core::tunnel::message::{GoodbyeReason, Lane};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, interval, timeout, timeout_at};

use crate::instance::Instance;
use crate::published::SiteInForce;
use crate::registry::{Placement, Registration};

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
        match live(stream, placement, &instance).await {
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
    instance: &Arc<Instance>,
) -> Result<ControlEnd, TunnelFault> {
    let (caller, connection) = calling::open(stream?.attach()?, Lane::Interactive).await?;
    let (lane, lane_told) = watch::channel(Lane::Interactive);
    let driven = instance.tunnels.spawn("tunnel connection", drive(connection, lane_told));
    let serving = serve(placement, caller, lane, instance);
    tokio::select! {
        end = serving => end,
        // Whatever ends the connection ends the tunnel; the exchanges on it have been told by h2.
        _ = driven => Ok(ControlEnd::ConnectionLost),
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

async fn serve(
    placement: Placement,
    caller: Caller,
    lane: watch::Sender<Lane>,
    instance: &Arc<Instance>,
) -> Result<ControlEnd, TunnelFault> {
    let identity = Arc::clone(placement.identity());
    let mut told = Told::new(instance, &identity.site);
    let own = own_hello(instance, &told.in_force);
    let called = Control::call(&caller, &instance.tunnels, &own);
    let mut control = match timeout(limits::TUNNEL_ESTABLISH, called).await {
        Ok(control) => control?,
        Err(_) => return Err(TunnelFault::NoHello),
    };
    if let Err(why) = allow(instance, &identity) {
        // Before the goodbye: the connection often ends while it is said, and this with it.
        tracing::warn!(%identity, why, "a connection point may not attach");
        control.say(Saying::Goodbye(GoodbyeReason::NotAllowed, why)).await;
        return Ok(ControlEnd::NotAllowed);
    }
    let hello = match timeout(limits::TUNNEL_ESTABLISH, control.hello()).await {
        Ok(hello) => hello?,
        Err(_) => return Err(TunnelFault::NoHello),
    };
    if let Err(incompatible) = VERSIONS.agree(hello.versions) {
        let why = incompatible.explain("the gateway", "the connection point");
        tracing::error!(%identity, why, "a connection point speaks no common version");
        control.say(Saying::Goodbye(GoodbyeReason::Incompatible, why)).await;
        return Ok(ControlEnd::Incompatible);
    }
    let _ = lane.send(hello.lane);
    let registration = register(placement, caller, &hello);
    let _usable = instance.metrics.tunnels.hold();
    tracing::info!(%identity, lane = hello.lane.name(), program = hello.program, "a tunnel is up");
    let end = converse(&mut control, &mut told, &registration, instance).await;
    if matches!(end, Ok(ControlEnd::Goodbye(_))) {
        // The goodbye may overtake what the connection point still says on running exchanges: they finish first.
        registration.tunnel().drain();
        let _ = timeout(instance.settings.drain.deadline, until_idle(&registration)).await;
    }
    end
}

async fn until_idle(registration: &Registration) {
    let mut look = interval(limits::IDLE_LOOK);
    while registration.tunnel().load() != (0, 0) {
        look.tick().await;
    }
}

fn register(placement: Placement, caller: Caller, hello: &ConnectionPointHello) -> Registration {
    let max_active = usize::try_from(hello.max_exchanges).unwrap_or(usize::MAX);
    placement.register(hello.lane, caller, max_active)
}

/// The gateway's file says who may attach. As often as it likes nobody may.
fn allow(instance: &Instance, identity: &TunnelIdentity) -> Result<(), String> {
    let settings = &instance.settings;
    let site = settings.sites.iter().find(|site| site.site.as_str() == identity.site);
    let Some(site) = site else {
        return Err(format!("site {} is not in this gateway's configuration; add it to [[sites]]", identity.site));
    };
    if !site.allows(identity) {
        let advice = "add its name and id to connection_points of its site in the gateway's configuration";
        return Err(format!("{identity} may not attach to this gateway; {advice}"));
    }
    let (workers, bulk) = (instance.spawner.count(), instance.settings.tunnel.bulk_connections as usize);
    let most = limits::TUNNEL_GENERATIONS * (workers + bulk);
    if instance.registry.tunnels_of(identity) > most {
        let advice = "end what dials without end; give each connection point a certificate of its own";
        return Err(format!("{identity} has {most} tunnels to this instance, more than it can need; {advice}"));
    }
    Ok(())
}

/// What a connection point has been told of its site's configuration in force here.
struct Told {
    changes: watch::Receiver<()>,
    in_force: ConfigurationInForce,
}

impl Told {
    /// What its hello will tell; later changes count.
    fn new(instance: &Instance, site: &str) -> Self {
        let changes = instance.keeper.changes();
        Self { changes, in_force: in_force(instance, site) }
    }
}

fn in_force(instance: &Instance, site: &str) -> ConfigurationInForce {
    let published = instance.published();
    let told = |site: &Arc<SiteInForce>| ConfigurationInForce { version: site.version, digest: site.digest.to_vec() };
    published.site(site).map(told).unwrap_or_default()
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

/// Heartbeats, configurations and drains, until one end has enough.
async fn converse(
    control: &mut Control,
    told: &mut Told,
    registration: &Registration,
    instance: &Arc<Instance>,
) -> Result<ControlEnd, TunnelFault> {
    let site = &registration.tunnel().identity.site;
    let mut beat = interval(limits::HEARTBEAT);
    let mut last_heard = Instant::now();
    let mut told_drain = false;
    loop {
        tokio::select! {
            said = control.next() => {
                last_heard = Instant::now();
                match said? {
                    Said::Heartbeat => {}
                    Said::Drain => registration.tunnel().drain(),
                    Said::Goodbye(why) => return Ok(ControlEnd::Goodbye(why)),
                    Said::Configuration { version, publication } => {
                        let verdict = instance.keeper.apply(site, version, publication).await;
                        let (version, digest) = (verdict.version_in_force, verdict.digest_in_force.clone());
                        told.in_force = ConfigurationInForce { version, digest };
                        control.say(Saying::Verdict(verdict)).await;
                    }
                }
            }
            _ = beat.tick() => {
                if last_heard.elapsed() > limits::HEARTBEAT_SILENCE {
                    return Ok(ControlEnd::Silent);
                }
                control.say(Saying::Heartbeat).await;
            }
            Ok(()) = told.changes.changed() => {
                let now = in_force(instance, site);
                if now != told.in_force {
                    told.in_force = now.clone();
                    control.say(Saying::InForce(now)).await;
                }
            }
            () = instance.clients.stopping(), if !told_drain => {
                told_drain = true;
                control.say(Saying::Drain(instance.settings.drain.deadline)).await;
            }
            () = instance.tunnels.stopping() => {
                control.say(Saying::Goodbye(GoodbyeReason::Stopping, "this instance is stopping".to_owned())).await;
                return Ok(ControlEnd::Stopping);
            }
        }
    }
}
