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
            self.retire(gone);
        }
        self.point.set_instances(self.kept.iter().map(|link| Arc::clone(&link.instance)).collect());
    }

    /// Drains the link to an instance that the site names no longer: at once, or, if the site names it otherwise now,
    /// when it is reached as it is named now. Replacement first.
    fn retire(&self, gone: Link) {
        let Link { instance: gone, keeper } = gone;
        let (gateway, instance) = (&gone.gateway, &gone.name);
        let is_the_same = |link: &&Link| (&link.instance.gateway, &link.instance.name) == (gateway, instance);
        match self.kept.iter().find(is_the_same) {
            Some(link) => {
                tracing::info!(gateway, instance, "the site has changed how this instance is reached");
                let retire = retire_after(gone, Arc::clone(&link.instance));
                self.point.background.spawn("replaced instance", retire).detach();
            }
            None => {
                tracing::info!(gateway, instance, "the site no longer uses this instance");
                gone.retiring.cancel();
            }
        }
        keeper.detach();
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

/// A successor that is retired itself has had its own successor, or the site uses the instance no longer.
async fn retire_after(gone: Arc<Instance>, successor: Arc<Instance>) {
    tokio::select! {
        () = successor.until_settled() => {}
        () = successor.retiring.cancelled() => {}
    }
    gone.retiring.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialer::tests::{Stage, hello};
    use cmg_core::tunnel::control::Said;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    fn site(stage: &Stage, version: u64, listener: &TcpListener) {
        let address = listener.local_addr().unwrap();
        stage.site_of(&format!(
            "version = {version}\n[site]\ncode = \"PS1\"\n[client_trust]\nroots = [\"ca.pem\"]\n[[gateways]]\n\
             name = \"gw\"\nservice_names = [\"gw.test\"]\ntunnel_name = \"gw.test\"\n\
             instances = [{{ name = \"gw-1\", addresses = [\"{address}\"] }}]\n"
        ));
    }

    #[tokio::test]
    async fn a_link_to_new_addresses_is_there_before_the_old_one_goes() {
        let stage = Stage::new().await;
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut links = Links { point: Arc::clone(&stage.point), kept: Vec::new() };
        site(&stage, 1, &stage.listener);
        links.adjust();
        let mut before = stage.connected(&hello()).await;
        before.apply(1).await;
        let old = Arc::clone(&links.kept[0].instance);
        site(&stage, 2, &other);
        links.adjust();
        let new = Arc::clone(&links.kept[0].instance);
        before.apply(2).await;
        assert!(!old.retiring.is_cancelled(), "nobody can be reached now");
        let after = stage.connected_at(&other, &hello()).await;
        assert!(matches!(before.said().await, Ok(Said::Drain)));
        assert!(new.without_tunnel().is_zero() && old.retiring.is_cancelled());
        drop((before, after));
    }
}
