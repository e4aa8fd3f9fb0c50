//! Keeps tunnels to all instances of all gateways that the site names (T-04): to each one interactive
//! tunnel per worker of it and its bulk tunnels. What the site no longer names is drained.

use std::sync::Arc;

use cmg_core::site::{GatewayInstance, SiteGateway};
use cmg_core::tunnel::message::Lane;
use cmg_core::worker::WorkerIndex;
use tokio_util::sync::CancellationToken;

use crate::dialer::{self, Place};
use crate::instance::{Instance, PlaceId};
use crate::point::ConnectionPoint;

/// Follows the site configuration until the process stops.
pub async fn follow(point: Arc<ConnectionPoint>) {
    let mut changes = point.site_changes();
    let stopping = point.tasks.stopping();
    let mut stopping = std::pin::pin!(stopping);
    loop {
        adjust(&point);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = &mut stopping => return,
        }
    }
}

/// Starts what is new and retires what is gone.
fn adjust(point: &Arc<ConnectionPoint>) {
    let site = point.site();
    let wanted: Vec<(&SiteGateway, &GatewayInstance)> = site
        .iter()
        .flat_map(|site| site.gateways.iter())
        .flat_map(|gateway| gateway.instances.iter().map(move |instance| (gateway, instance)))
        .collect();
    let (mut kept, mut after) = (point.instances().to_vec(), Vec::new());
    for (gateway, wanted) in wanted {
        match kept.iter().position(|known| known.is(gateway, wanted)) {
            Some(at) => after.push(kept.swap_remove(at)),
            None => after.push(start(point, gateway, wanted)),
        }
    }
    for gone in kept {
        tracing::info!(gateway = gone.gateway, instance = gone.name, "the site no longer uses this instance");
        gone.retiring.cancel();
    }
    point.set_instances(after);
}

fn start(point: &Arc<ConnectionPoint>, gateway: &SiteGateway, wanted: &GatewayInstance) -> Arc<Instance> {
    let instance = Arc::new(Instance::new(gateway, wanted, point.tasks.child_token()));
    let keep = keep(Arc::clone(point), Arc::clone(&instance));
    point.background.spawn("gateway instance", keep).detach();
    instance
}

/// The places of one lane, each with what retires it alone.
struct LanePlaces {
    lane: Lane,
    /// Where its first place runs among the workers.
    offset: usize,
    retirements: Vec<CancellationToken>,
}

/// Keeps as many places as the instance says. Until it has said so, one interactive.
async fn keep(point: Arc<ConnectionPoint>, instance: Arc<Instance>) {
    let mut facts = instance.facts();
    let mut interactive = LanePlaces { lane: Lane::Interactive, offset: 0, retirements: Vec::new() };
    let mut bulk = LanePlaces { lane: Lane::Bulk, offset: 0, retirements: Vec::new() };
    loop {
        let (workers, bulks) = match &facts.borrow_and_update().hello {
            Some(hello) => (hello.workers as usize, hello.bulk_connections as usize),
            None => (1, 0),
        };
        interactive.set_count(workers, &point, &instance);
        bulk.offset = workers;
        bulk.set_count(bulks, &point, &instance);
        tokio::select! {
            changed = facts.changed() => if changed.is_err() { return },
            () = instance.retiring.cancelled() => return,
        }
    }
}

impl LanePlaces {
    fn set_count(&mut self, count: usize, point: &Arc<ConnectionPoint>, instance: &Arc<Instance>) {
        while self.retirements.len() > count {
            if let Some(retiring) = self.retirements.pop() {
                retiring.cancel();
            }
        }
        while self.retirements.len() < count {
            let number = self.retirements.len();
            let retiring = instance.retiring.child_token();
            self.retirements.push(retiring.clone());
            let worker = WorkerIndex(self.offset + number);
            let (point, instance) = (Arc::clone(point), Arc::clone(instance));
            let (spawner, tasks) = (point.spawner.clone(), point.tasks.clone());
            let place = Place { point, instance, id: PlaceId { lane: self.lane, number }, worker, retiring };
            spawner.spawn(worker, &tasks, "tunnel", dialer::keep(place)).detach();
        }
    }
}
