//! The conversation with a gateway on one tunnel: hello, site configuration, heartbeat, drain (T-05, T-13,
//! T-14, S-04). Its end is the end of the tunnel.

use std::future::pending;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use cmg_core::build_info::BUILD;
use cmg_core::limits;
use cmg_core::tunnel::control::{ConfigurationVerdict, ControlEnd};
use cmg_core::tunnel::handshake::{ConnectionPointHello, GatewayHello, VERSIONS};
use cmg_core::tunnel::liveness::{Liveness, Sign};
use cmg_core::tunnel::message::GoodbyeReason;
use cmg_core::tunnel::publication::Digest;
use cmg_core::tunnel::serving_control::{ControlCall, GatewaySaid, PointSaying, ServedControl};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::instance::{Facts, Instance, PlaceState};
use crate::link::{Accusation, Link, LinkEnd};
use crate::point::TunnelUp;
use crate::publishing::{Ours, Step, next_step};

/// Waits for the gateway's call and talks until one end has enough.
pub async fn converse(link: &Arc<Link>, mut call: ControlCall, violations: mpsc::Receiver<Accusation>) -> LinkEnd {
    let mut control = match timeout(limits::TUNNEL_ESTABLISH, call.made()).await {
        Ok(Ok(control)) => control,
        Ok(Err(end)) => return end.into(),
        Err(_) => return LinkEnd::NoHello,
    };
    let hello = match timeout(limits::TUNNEL_ESTABLISH, control.hello(&own_hello(link))).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(end)) => return end.into(),
        Err(_) => return LinkEnd::NoHello,
    };
    if let Err(incompatible) = VERSIONS.agree(hello.versions) {
        let why = incompatible.explain("the connection point", "the gateway");
        say_goodbye(&mut control, GoodbyeReason::Incompatible, why.clone()).await;
        return LinkEnd::Incompatible(why);
    }
    let liveness = Liveness::new(Arc::clone(&link.pulse));
    let (up, accused, publishing) = (None, None, None);
    Conversation { link, hello, control, liveness, up, violations, accused, publishing }.run().await
}

fn own_hello(link: &Link) -> ConnectionPointHello {
    let point = &link.place.point;
    let started = point.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    ConnectionPointHello {
        versions: VERSIONS,
        program: format!("cmg-connection-point {}", BUILD.version),
        boot_id: point.boot_id,
        started_micros: u64::try_from(started.as_micros()).unwrap_or(u64::MAX),
        lane: link.place.id.lane,
        max_exchanges: u32::try_from(link.place.id.lane.active_exchanges()).unwrap_or(u32::MAX),
    }
}

/// Says the last word and waits until the gateway has read it and hung up, for a moment.
async fn say_goodbye(control: &mut ServedControl, reason: GoodbyeReason, detail: String) {
    control.say(PointSaying::Goodbye(reason, detail)).await;
    let _ = timeout(limits::HANG_UP, control.hung_up()).await;
}

struct Conversation<'a> {
    link: &'a Arc<Link>,
    hello: GatewayHello,
    control: ServedControl,
    liveness: Liveness,
    /// From the gateway's first word on that is no goodbye: who is sent away has had no tunnel.
    up: Option<TunnelUp>,
    violations: mpsc::Receiver<Accusation>,
    /// To be decided then.
    accused: Option<(Instant, Accusation)>,
    publishing: Option<Publishing>,
}

/// A configuration that was published on this tunnel; its verdict is awaited.
struct Publishing {
    instance: Arc<Instance>,
    version: u64,
    digest: Digest,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.instance.end_publishing();
    }
}

impl Conversation<'_> {
    async fn run(mut self) -> LinkEnd {
        let place = &self.link.place;
        let (point, instance, retiring) = (place.point.clone(), place.instance.clone(), place.retiring.clone());
        let (mut changes, mut facts) = (point.site_changes(), instance.facts());
        // What a retired tunnel may still take; the process's own deadline may come first.
        let (mut beat, mut deadline) = (self.liveness.heartbeats(), None);
        let (link, ending) = (Arc::clone(self.link), point.tasks.ending());
        let (mut drained, mut ending) = (std::pin::pin!(link.drained()), std::pin::pin!(ending));
        loop {
            self.publish_if_needed().await;
            tokio::select! {
                said = self.control.next() => match said {
                    Ok(said) => if let Some(end) = self.heard(said) { return end },
                    // It hung up because it had heard nothing for too long.
                    Err(_) if self.liveness.is_doubted() => return self.dead(LinkEnd::Unheard),
                    Err(end) => return end.into(),
                },
                _ = beat.tick() => {
                    let quiet = self.liveness.beat().await;
                    self.control.say(PointSaying::Heartbeat(quiet)).await;
                }
                sign = self.liveness.sign() => match sign {
                    Sign::Stalled => {}
                    Sign::Silent => return self.dead(LinkEnd::Silent),
                    Sign::Unheard => return self.dead(LinkEnd::Unheard),
                },
                // Both senders live as long as the process.
                _ = changes.changed() => {}
                _ = facts.changed() => {}
                Some(accusation) = self.violations.recv(), if self.accused.is_none() => {
                    self.accused = Some((Instant::now() + limits::VIOLATION_DOUBT, accusation));
                }
                () = at(self.accused.as_ref().map(|(at, _)| *at)) => {
                    if let Some(end) = self.judge().await { return end }
                }
                () = retiring.cancelled(), if deadline.is_none() => {
                    let left = point.settings().drain.deadline;
                    deadline = Some(Instant::now() + limits::DRAIN_NOTICE + left);
                    instance.place_is(place.id, PlaceState::Draining, Some(self.link.address.clone()));
                    self.control.say(PointSaying::Drain(left)).await;
                }
                () = &mut drained, if deadline.is_some() => {
                    let too_late = async { tokio::select! { () = at(deadline) => {}, () = &mut ending => {} } };
                    return self.leave(too_late).await;
                }
                () = at(deadline) => return self.stop().await,
                () = &mut ending => return self.stop().await,
            }
        }
    }

    /// The end of the tunnel, if the gateway has not said meanwhile that it had another configuration in force.
    async fn judge(&mut self) -> Option<LinkEnd> {
        let (_, Accusation { what, came, judged_by }) = self.accused.take()?;
        let instance = &self.link.place.instance;
        if !instance.agreed_on(&judged_by, came) {
            return None;
        }
        let (gateway, name) = (&instance.gateway, &instance.name);
        tracing::error!(gateway, instance = name, violation = what, "the gateway broke the rules: the tunnel ends");
        say_goodbye(&mut self.control, GoodbyeReason::Violation, what.clone()).await;
        Some(LinkEnd::Violation(what))
    }

    fn dead(&self, end: LinkEnd) -> LinkEnd {
        self.link.place.point.metrics.tunnels_silent.increment();
        end
    }

    /// Nothing runs any more, but what was answered may need long to cross the link, and the goodbye may overtake it:
    /// the gateway ends the connection when it has everything, which whoever serves it sees.
    async fn leave(&mut self, too_late: impl Future<Output = ()>) -> LinkEnd {
        self.link.left.cancel();
        self.control.say(stopping()).await;
        let dead = async { while self.liveness.sign().await == Sign::Stalled {} };
        tokio::select! { () = too_late => {}, () = dead => {} }
        LinkEnd::Drained
    }

    /// Its time is over, whatever is still on its way.
    async fn stop(&mut self) -> LinkEnd {
        self.control.say(stopping()).await;
        let _ = timeout(limits::HANG_UP, self.control.hung_up()).await;
        LinkEnd::Drained
    }

    /// Both ends have taken the tunnel on.
    fn is_up(&mut self) {
        let place = &self.link.place;
        let (instance, address) = (&place.instance, &self.link.address);
        instance.heard_hello(&self.hello);
        if !place.retiring.is_cancelled() {
            instance.place_is(place.id, PlaceState::Up, Some(address.clone()));
        }
        self.up = Some(place.point.tunnel_is_up());
        tracing::info!(
            gateway = instance.gateway,
            instance = instance.name,
            lane = place.id.lane.name(),
            address,
            program = self.hello.program,
            "a tunnel is up"
        );
        self.warn_if_theirs_is_higher();
    }

    fn heard(&mut self, said: GatewaySaid) -> Option<LinkEnd> {
        if self.up.is_none() && !matches!(said, GatewaySaid::Goodbye { .. }) {
            self.is_up();
        }
        let instance = &self.link.place.instance;
        match said {
            GatewaySaid::Heartbeat(quiet) => self.liveness.heard(quiet),
            GatewaySaid::Drain => {
                tracing::info!(gateway = instance.gateway, instance = instance.name, "gateway said: it is stopping");
                instance.heard_drain(&self.hello);
            }
            GatewaySaid::Goodbye { is_replaced, detail, retry_after } => {
                if is_replaced {
                    let (gateway, name) = (&instance.gateway, &instance.name);
                    tracing::error!(
                        gateway,
                        instance = name,
                        why = detail,
                        ?retry_after,
                        "another process took our place"
                    );
                }
                return Some(LinkEnd::Goodbye { detail, retry_after });
            }
            GatewaySaid::Verdict(verdict) => {
                let published = self.publishing.take_if(|published| published.version == verdict.version);
                if published.is_some() {
                    log_verdict(instance, &verdict);
                }
                instance.heard_verdict(&verdict, published.as_ref().map(|published| published.digest));
            }
            GatewaySaid::InForce(in_force) => {
                if instance.heard_in_force(&in_force) {
                    log_in_force(instance, in_force.version);
                }
            }
        }
        None
    }

    /// Another connection point of the site has read a higher version; ours reads it when its source has it.
    fn warn_if_theirs_is_higher(&self) {
        let (point, instance) = (&self.link.place.point, &self.link.place.instance);
        let site = point.site();
        let Some(site) = site.as_deref() else { return };
        if let Step::TheirsIsHigher { theirs } = next_step(Ours::from(site), &instance.facts().borrow()) {
            let (gateway, name, ours) = (&instance.gateway, &instance.name, site.version);
            let advice = "have all connection points of the site read one source; to go back, raise the version";
            tracing::warn!(gateway, instance = name, ours, theirs, advice, "the gateway has a higher version in force");
        }
    }

    /// Publishes what is in force here, if the instance has to be given it and no other tunnel does so.
    async fn publish_if_needed(&mut self) {
        let place = &self.link.place;
        let site = place.point.site();
        let Some(site) = site.as_ref().filter(|_| self.up.is_some() && self.publishing.is_none()) else { return };
        let wants = |facts: &Facts| next_step(Ours::from(&**site), facts) == Step::Publish;
        if !place.instance.begin_publishing(wants) {
            return;
        }
        let instance = Arc::clone(&place.instance);
        self.publishing = Some(Publishing { instance, version: site.version, digest: site.digest });
        let (version, publication) = (site.version, site.publication.clone());
        tracing::info!(
            gateway = place.instance.gateway,
            instance = place.instance.name,
            version,
            bytes = publication.len(),
            "publishing the site configuration"
        );
        self.control.say(PointSaying::Configuration { version, publication }).await;
    }
}

fn stopping() -> PointSaying {
    let detail = "this connection point is stopping, its site uses this gateway no longer, or another of its tunnels \
                  has taken this one's place";
    PointSaying::Goodbye(GoodbyeReason::Stopping, detail.to_owned())
}

/// Completes at that time; without one never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn log_in_force(instance: &Instance, version: u64) {
    let (gateway, name) = (&instance.gateway, &instance.name);
    match version {
        0 => tracing::warn!(gateway, instance = name, "gateway said: it has no configuration of the site in force"),
        version => tracing::info!(gateway, instance = name, version, "gateway said: another configuration is in force"),
    }
}

fn log_verdict(instance: &Instance, verdict: &ConfigurationVerdict) {
    let (gateway, name, version) = (&instance.gateway, &instance.name, verdict.version);
    if verdict.applied {
        tracing::info!(gateway, instance = name, version, "gateway said: the site configuration is in force");
        return;
    }
    let in_force = verdict.version_in_force;
    for problem in &verdict.problems {
        tracing::error!(gateway, instance = name, version, in_force, problem, "gateway said: refused");
    }
}

impl From<ControlEnd> for LinkEnd {
    fn from(end: ControlEnd) -> Self {
        match end {
            ControlEnd::ConnectionLost => LinkEnd::Closed,
            end @ ControlEnd::Hello(_) => LinkEnd::Violation(end.to_string()),
            end => LinkEnd::Broken(end.to_string()),
        }
    }
}
