//! Keeps one link (T-04, T-05): as many places for tunnels as the instance says, each of which keeps its own tunnel.
//! Every minute it compares what should be there with what is, rebuilds what is missing, and has tunnels return to
//! the addresses that the site prefers.

mod lane;

use std::future::pending;
use std::sync::Arc;
use std::time::SystemTime;

use cmg_core::jitter::at_random;
use cmg_core::limits;
use cmg_core::logs::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::instance::{Instance, LinkCheck, PlaceId};
use crate::link_health::wanted;
use crate::point::ConnectionPoint;
use lane::{LanePlaces, Opener};

/// Keeps the link until its instance is retired.
pub async fn keep(point: Arc<ConnectionPoint>, instance: Arc<Instance>) {
    let (mut facts, mut asked) = (instance.facts(), point.link_checks());
    // Spread over the minute, for all connection points look at the same gateways.
    let first = Instant::now() + at_random(limits::LINK_CHECK);
    let mut checks = interval_at(first, limits::LINK_CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keeper = LinkKeeper::new(point, Arc::clone(&instance));
    loop {
        facts.borrow_and_update();
        keeper.follow_hello();
        tokio::select! {
            biased;
            () = instance.retiring.cancelled() => break,
            // Both senders live as long as we do.
            _ = facts.changed() => {}
            _ = checks.tick() => keeper.check(),
            _ = asked.changed() => keeper.check(),
            worked = decided(&instance, keeper.trial) => keeper.end_trial(worked),
        }
    }
    keeper.let_go();
}

/// Completes when a tunnel that was tried is up, or has failed; without one never.
async fn decided(instance: &Instance, trial: Option<PlaceId>) -> bool {
    match trial {
        Some(id) => instance.up_or_closed(id).await,
        None => pending().await,
    }
}

struct LinkKeeper {
    instance: Arc<Instance>,
    opener: Opener,
    lanes: [LanePlaces; 2],
    /// The tunnel that tries whether a better address works again, for all.
    trial: Option<PlaceId>,
}

impl LinkKeeper {
    fn new(point: Arc<ConnectionPoint>, instance: Arc<Instance>) -> Self {
        let lanes = wanted(&instance.facts().borrow()).map(|(lane, _)| LanePlaces::new(lane));
        Self { opener: Opener { point, instance: Arc::clone(&instance) }, instance, lanes, trial: None }
    }

    /// Keeps as many places as the instance says.
    fn follow_hello(&mut self) {
        let wanted = wanted(&self.instance.facts().borrow());
        let mut before = 0;
        for (places, (_, count)) in self.lanes.iter_mut().zip(wanted) {
            places.set_count(count, before, &self.opener);
            before += count;
        }
    }

    fn check(&mut self) {
        for places in &mut self.lanes {
            places.rebuild(&self.opener);
        }
        self.report();
        if self.trial.is_none() && !self.instance.facts().borrow().is_draining {
            // One tries for all: an address that swallows what is sent there keeps one dial busy, not all.
            self.trial = self.lanes.iter_mut().find_map(|places| places.return_one(&self.opener));
        }
    }

    fn end_trial(&mut self, worked: bool) {
        self.trial = None;
        if worked {
            while self.lanes.iter_mut().any(|places| places.return_one(&self.opener).is_some()) {}
        }
    }

    /// Says once that something is missing, and once that nothing is any more.
    fn report(&self) {
        let (gateway, instance) = (&self.instance.gateway, &self.instance.name);
        let health = self.instance.health();
        let missing = health.missing().map(|what| (what, health.missing_since()));
        let check = LinkCheck { at: SystemTime::now(), missing: missing.clone() };
        let was_missing = self.instance.was_checked(check).and_then(|before| before.missing);
        match (was_missing, missing) {
            (None, Some((missing, since))) => {
                let (state, since) = (health.state().name(), Timestamp::new(since).to_string());
                tracing::warn!(gateway, instance, state, missing, since, "the link is not whole");
            }
            (Some(_), None) => tracing::info!(gateway, instance, "the link is whole again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// The places drain by themselves.
    fn let_go(self) {
        self.lanes.into_iter().for_each(LanePlaces::let_go);
    }
}

#[cfg(test)]
mod tests;
