//! The conversation with a connection point on one tunnel: heartbeats, configurations and drains, until one end has
//! enough. Its end is the end of the tunnel.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::jitter::at_random;
use cmg_core::limits;
use cmg_core::tunnel::control::{ConfigurationInForce, Control, ControlEnd, Said, Saying};
use cmg_core::tunnel::liveness::{Liveness, Sign};
use cmg_core::tunnel::message::GoodbyeReason;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{ONE_CERTIFICATE_EACH, leaves, until_idle};
use crate::instance::Instance;
use crate::published::SiteInForce;
use crate::registry::Registration;

/// What a connection point has been told of its site's configuration in force here.
pub struct Told {
    changes: watch::Receiver<()>,
    pub in_force: ConfigurationInForce,
}

impl Told {
    /// What its hello will tell; later changes count.
    pub fn new(instance: &Instance, site: &str) -> Self {
        let changes = instance.keeper.changes();
        Self { changes, in_force: in_force(instance, site) }
    }
}

fn in_force(instance: &Instance, site: &str) -> ConfigurationInForce {
    let published = instance.published();
    let told = |site: &Arc<SiteInForce>| ConfigurationInForce { version: site.version, digest: site.digest.to_vec() };
    published.site(site).map(told).unwrap_or_default()
}

/// Both ends have said hello, and the tunnel may be given work.
pub struct Conversation<'a> {
    pub control: Control,
    pub told: Told,
    pub liveness: Liveness,
    pub registration: &'a Registration,
    pub instance: &'a Instance,
}

impl Conversation<'_> {
    /// How it ends, or what broke it.
    pub async fn run(mut self) -> Result<ControlEnd, ControlEnd> {
        let (mut beat, mut told_drain) = (self.liveness.heartbeats(), false);
        let (tunnel, instance) = (self.registration.tunnel(), self.instance);
        let mut replaced = pin!(ended(&tunnel.replaced, self.registration, instance));
        let mut retired = pin!(ended(&tunnel.retired, self.registration, instance));
        loop {
            tokio::select! {
                said = self.control.next() => match said {
                    Ok(said) => if let Some(end) = self.heard(said).await { return Ok(end) },
                    // It hung up because it had heard nothing for too long.
                    Err(_) if self.liveness.is_doubted() => return Ok(ControlEnd::Unheard),
                    Err(end) => return Err(end),
                },
                _ = beat.tick() => {
                    let quiet = self.liveness.beat().await;
                    self.control.say(Saying::Heartbeat(quiet)).await;
                }
                sign = self.liveness.sign() => match sign {
                    Sign::Stalled => {
                        let (identity, lane) = (&tunnel.identity, tunnel.lane.name());
                        instance.metrics.tunnels.stalled.increment();
                        tracing::info!(%identity, lane, "a tunnel is silent: others are given the work");
                    }
                    Sign::Silent => return Ok(ControlEnd::Silent),
                    Sign::Unheard => return Ok(ControlEnd::Unheard),
                },
                Ok(()) = self.told.changes.changed() => {
                    let now = in_force(instance, &tunnel.identity.site);
                    if now != self.told.in_force {
                        self.told.in_force = now.clone();
                        self.control.say(Saying::InForce(now)).await;
                    }
                }
                () = instance.clients.stopping(), if !told_drain => {
                    told_drain = true;
                    self.control.say(Saying::Drain(instance.settings.drain.deadline)).await;
                }
                () = &mut replaced => {
                    let why = format!("another process of {} has taken over; {ONE_CERTIFICATE_EACH}", tunnel.identity);
                    self.control.say(Saying::Goodbye(GoodbyeReason::Replaced, why, limits::REPLACED_RETRY)).await;
                    return Ok(ControlEnd::Replaced);
                }
                () = &mut retired => {
                    let (identity, lane) = (&tunnel.identity, tunnel.lane.name());
                    tracing::warn!(%identity, lane, "a tunnel takes no requests any more: it has to be dialled anew");
                    let why = "this tunnel takes no requests any more; dial another in its place".to_owned();
                    self.control.say(Saying::Goodbye(GoodbyeReason::Other, why, Duration::ZERO)).await;
                    return Ok(ControlEnd::Retired);
                }
                () = instance.tunnels.stopping() => {
                    let (why, after) = ("this instance is stopping".to_owned(), at_random(redial_spread(instance)));
                    self.control.say(Saying::Goodbye(GoodbyeReason::Stopping, why, after)).await;
                    return Ok(ControlEnd::Stopping);
                }
            }
        }
    }

    async fn heard(&mut self, said: Said) -> Option<ControlEnd> {
        let tunnel = self.registration.tunnel();
        match said {
            Said::Heartbeat(quiet) => self.liveness.heard(quiet),
            Said::Drain => leaves(tunnel),
            Said::Goodbye(why) => return Some(ControlEnd::Goodbye(why)),
            Said::Configuration { version, publication } => {
                let verdict = self.instance.keeper.apply(&tunnel.identity.site, version, publication).await;
                let (version, digest) = (verdict.version_in_force, verdict.digest_in_force.clone());
                self.told.in_force = ConfigurationInForce { version, digest };
                self.control.say(Saying::Verdict(verdict)).await;
            }
        }
        None
    }
}

/// The tunnel is given no more work, and what ran on it has ended or had its time.
async fn ended(work: &CancellationToken, registration: &Registration, instance: &Instance) {
    work.cancelled().await;
    // An error means that something still runs. A frozen process is given no longer than one that answers.
    let _ = timeout(instance.settings.drain.deadline, until_idle(registration)).await;
}

/// As long as the tunnels that this instance has would take to come back, at the pace at which it would let them.
fn redial_spread(instance: &Instance) -> Duration {
    let tunnels = u32::try_from(instance.registry.usable_tunnels()).unwrap_or(u32::MAX);
    Duration::from_secs((1 + tunnels / instance.settings.limits.tunnel_handshakes_per_second).into())
}

#[cfg(test)]
mod tests;
