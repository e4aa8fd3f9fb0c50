//! Keeps links to all instances of all gateways that the site names (T-04). What the site no longer names is drained;
//! a keeper that has ended before its time is started anew within a minute.

use std::sync::Arc;

use cmg_core::limits;
use cmg_core::shutdown::TaskHandle;
use cmg_core::site::{GatewayInstance, SiteGateway};
use tokio::time::interval;

use crate::instance::Instance;
use crate::link_keeper;
use crate::point::ConnectionPoint;

/// Follows the site configuration until the process stops.
pub async fn follow(point: Arc<ConnectionPoint>) {
    let mut changes = point.site_changes();
    let mut checks = interval(limits::LINK_CHECK);
    let mut links = Links { point: Arc::clone(&point), kept: Vec::new() };
    let stopping = point.tasks.stopping();
    let mut stopping = std::pin::pin!(stopping);
    loop {
        links.adjust();
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            _ = checks.tick() => links.revive(),
            () = &mut stopping => break,
        }
    }
    links.kept.into_iter().for_each(|link| link.keeper.detach());
}

struct Links {
    point: Arc<ConnectionPoint>,
    kept: Vec<Link>,
}

/// A link and the task that keeps it.
struct Link {
    instance: Arc<Instance>,
    keeper: TaskHandle<()>,
}

impl Links {
    /// Starts what is new and retires what is gone.
    fn adjust(&mut self) {
        let site = self.point.site();
        let wanted: Vec<(&SiteGateway, &GatewayInstance)> = site
            .iter()
            .flat_map(|site| site.gateways.iter())
            .flat_map(|gateway| gateway.instances.iter().map(move |instance| (gateway, instance)))
            .collect();
        let mut before = std::mem::take(&mut self.kept);
        for (gateway, wanted) in wanted {
            let link = match before.iter().position(|known| known.instance.is(gateway, wanted)) {
                Some(at) => before.swap_remove(at),
                None => self.start(Instance::new(gateway, wanted, self.point.tasks.child_token()).into()),
            };
            self.kept.push(link);
        }
        for gone in before {
            let (gateway, instance) = (&gone.instance.gateway, &gone.instance.name);
            tracing::info!(gateway, instance, "the site no longer uses this instance");
            gone.instance.retiring.cancel();
            gone.keeper.detach();
        }
        self.point.set_instances(self.kept.iter().map(|link| Arc::clone(&link.instance)).collect());
    }

    /// Only a panic ends a keeper; its tunnels ended with it.
    fn revive(&mut self) {
        for at in 0..self.kept.len() {
            let Some(link) = self.kept.get(at).filter(|link| link.keeper.is_finished()) else { continue };
            let (gateway, instance) = (&link.instance.gateway, &link.instance.name);
            tracing::error!(gateway, instance, "the keeper of a link was lost; it is started anew");
            let revived = self.start(Arc::clone(&link.instance));
            if let Some(link) = self.kept.get_mut(at) {
                *link = revived;
            }
        }
    }

    fn start(&self, instance: Arc<Instance>) -> Link {
        let keep = link_keeper::keep(Arc::clone(&self.point), Arc::clone(&instance));
        Link { instance, keeper: self.point.background.spawn("gateway instance", keep) }
    }
}
