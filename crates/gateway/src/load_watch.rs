//! Says once when something comes near its limit, and once when it is well away from it again: clients, connections, the
//! queue, the exchanges of each tunnel. Looks now and then at live objects; the path of a request knows nothing of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use cmg_core::limits;
use tokio::time::interval;

use crate::instance::Instance;

/// What has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Limit {
    Clients,
    Connections,
    Queue,
    ActiveExchanges,
    WaitingExchanges,
}

impl Limit {
    const ALL: [Self; 5] =
        [Self::Clients, Self::Connections, Self::Queue, Self::ActiveExchanges, Self::WaitingExchanges];

    fn name(self) -> &'static str {
        match self {
            Limit::Clients => "clients",
            Limit::Connections => "connections",
            Limit::Queue => "queue",
            Limit::ActiveExchanges => "active exchanges",
            Limit::WaitingExchanges => "waiting exchanges",
        }
    }
}

/// How much of a limit is in use.
struct Level {
    limit: Limit,
    /// Of which tunnel, if it is a tunnel's.
    tunnel: Option<(usize, String)>,
    now: usize,
    most: usize,
}

impl Level {
    fn key(&self) -> Key {
        (self.limit, self.tunnel.as_ref().map(|(number, _)| *number))
    }

    fn is_at_least(&self, percent: usize) -> bool {
        self.most > 0 && self.now.saturating_mul(100) >= self.most.saturating_mul(percent)
    }
}

type Key = (Limit, Option<usize>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Near,
    Away,
}

/// What was near its limit when it was last looked at.
#[derive(Default)]
struct NearLimits {
    near: HashSet<Key>,
}

impl NearLimits {
    /// What has to be said. Between the two marks nothing changes.
    fn judge<'a>(&mut self, levels: &'a [Level]) -> Vec<(&'a Level, Change)> {
        let there: HashSet<Key> = levels.iter().map(Level::key).collect();
        self.near.retain(|key| there.contains(key));
        let mut changes = Vec::new();
        for level in levels {
            if level.is_at_least(limits::NEAR_LIMIT) && self.near.insert(level.key()) {
                changes.push((level, Change::Near));
            } else if !level.is_at_least(limits::AWAY_FROM_LIMIT) && self.near.remove(&level.key()) {
                changes.push((level, Change::Away));
            }
        }
        changes
    }

    fn count(&self, limit: Limit) -> usize {
        self.near.iter().filter(|(near, _)| *near == limit).count()
    }
}

/// Never ends by itself.
pub async fn watch(instance: Arc<Instance>) {
    let mut near = NearLimits::default();
    let mut tick = interval(limits::LOAD_LOOK);
    loop {
        tick.tick().await;
        instance.identities.sweep(Instant::now());
        // A tunnel that recovers calls nobody.
        instance.registry.serve_lines();
        for (level, change) in near.judge(&levels(&instance)) {
            say(level, change);
        }
        for limit in Limit::ALL {
            let count = i64::try_from(near.count(limit)).unwrap_or(i64::MAX);
            instance.metrics.near_limit.with([limit.name()]).set(count);
        }
    }
}

fn levels(instance: &Instance) -> Vec<Level> {
    let (queued, places) = instance.waiting_room.load();
    let (connections, most) = instance.places.load();
    let rated = instance.settings.limits.rated_clients;
    let mut levels = vec![
        Level { limit: Limit::Clients, tunnel: None, now: instance.identities.connected(), most: rated },
        Level { limit: Limit::Connections, tunnel: None, now: connections, most },
        Level { limit: Limit::Queue, tunnel: None, now: queued, most: places },
    ];
    for tunnel in instance.registry.tunnels() {
        let ((active, waiting), (most_active, most_waiting)) = (tunnel.load(), tunnel.most());
        let who = || Some((tunnel.number(), tunnel.identity.to_string()));
        levels.push(Level { limit: Limit::ActiveExchanges, tunnel: who(), now: active, most: most_active });
        levels.push(Level { limit: Limit::WaitingExchanges, tunnel: who(), now: waiting, most: most_waiting });
    }
    levels
}

fn say(level: &Level, change: Change) {
    let Level { limit, tunnel, now, most } = level;
    let (limit, tunnel) = (limit.name(), tunnel.as_ref().map(|(_, identity)| identity.as_str()));
    match change {
        Change::Near => tracing::warn!(limit, tunnel, now, most, "a limit is near"),
        Change::Away => tracing::info!(limit, tunnel, now, most, "a limit is no longer near"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use cmg_core::http1::BodyLength;
    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;
    use crate::filter::AllowedRequest;
    use crate::test_instance::TestInstance;
    use crate::test_site::authenticated;

    /// Nobody gives a place back, and nobody comes: one that was silent is heard again.
    #[tokio::test(start_paused = true)]
    async fn a_tunnel_that_recovers_serves_who_waits() {
        let gateway = TestInstance::with_points(2).await;
        let (instance, here) = (&gateway.worker.instance, gateway.worker.index);
        let path = "/CCM_Proxy_MutualAuth/5/CCM_System";
        let request = authenticated(&instance.published(), path, &gateway.client);
        let request = AllowedRequest::filter(request, b"GET", BodyLength::None, 0, Instant::now()).unwrap();
        let silent = &gateway.points[1].pulse;
        silent.stall();
        let mut held = Vec::new();
        while let Ok(lease) = instance.registry.lease(&request, here) {
            held.push(lease);
        }
        let mut turn = instance.registry.line_up(&request, here).unwrap();
        silent.beat();
        assert!(poll_fn(|cx| turn.poll(cx)).now_or_never().is_none(), "who told it?");
        let served = timeout(limits::QUEUE_TIMEOUT, poll_fn(|cx| turn.poll(cx)));
        let lease = tokio::select! {
            () = watch(Arc::clone(instance)) => unreachable!(),
            served = served => served.expect("it waits on").unwrap(),
        };
        assert_eq!(lease.tunnel().number(), gateway.points[1].tunnel.tunnel().number());
    }

    fn clients(now: usize) -> [Level; 1] {
        [Level { limit: Limit::Clients, tunnel: None, now, most: 6000 }]
    }

    #[test]
    fn a_limit_is_said_to_be_near_once_until_it_is_well_away() {
        let mut near = NearLimits::default();
        let said: Vec<_> = [4799, 4800, 4799, 4800, 6001, 4200, 4199, 4700, 4800]
            .map(|now| near.judge(&clients(now)).into_iter().map(|(_, change)| change).next())
            .into();
        let (near, away) = (Some(Change::Near), Some(Change::Away));
        assert_eq!(said, [None, near, None, None, None, None, away, None, near]);
    }

    #[test]
    fn each_tunnel_has_its_own_and_takes_it_along() {
        let tunnel = |number: usize, now| Level {
            limit: Limit::ActiveExchanges,
            tunnel: Some((number, "cmg:PS1/cp1/1".to_owned())),
            now,
            most: 10,
        };
        let mut near = NearLimits::default();
        assert_eq!(near.judge(&[tunnel(1, 9), tunnel(2, 1)]).len(), 1);
        assert_eq!(near.judge(&[tunnel(1, 9), tunnel(2, 9)]).len(), 1);
        assert_eq!(near.count(Limit::ActiveExchanges), 2);
        assert!(near.judge(&[tunnel(2, 9)]).is_empty());
        assert_eq!(near.count(Limit::ActiveExchanges), 1, "a tunnel that has gone is near nothing");
        assert!(near.judge(&[Level { most: 0, ..tunnel(3, 0) }, tunnel(2, 9)]).is_empty(), "no limit, no warning");
    }
}
