//! Metrics of links, asked for at each scrape of what is there: a link that is gone is not shown, and no count can be
//! left behind (T-05).

use std::sync::{Arc, Weak};

use cmg_core::limits;

use crate::instance::Instance;
use crate::link_health::{LinkHealth, LinkState};
use crate::point::ConnectionPoint;

const LINK: [&str; 2] = ["gateway", "instance"];
const TUNNELS: [&str; 3] = ["gateway", "instance", "lane"];

pub fn register(point: &Arc<ConnectionPoint>) {
    let registry = point.metrics.registry.clone();
    let of = each(point, |instance, health| {
        let state = health.state();
        let states = [LinkState::Healthy, LinkState::Degraded, LinkState::Down];
        states.map(|one| (labels(instance, one.name()), f64::from(u8::from(one == state)))).into()
    });
    let help = "Links by state: 1 for the one that a link is in.";
    registry.gauges_from("cmg_links", help, ["gateway", "instance", "state"], of);
    let of = each(point, |instance, health| {
        health.lanes.map(|lane| (labels(instance, lane.lane.name()), lane.up as f64)).into()
    });
    registry.gauges_from("cmg_link_tunnels", "Tunnels of a link that are up.", TUNNELS, of);
    let of = each(point, |instance, health| {
        health.lanes.map(|lane| (labels(instance, lane.lane.name()), lane.wanted as f64)).into()
    });
    registry.gauges_from("cmg_link_tunnels_wanted", "Tunnels that a link should have.", TUNNELS, of);
    let of = each(point, |instance, _| {
        vec![([instance.gateway.clone(), instance.name.clone()], instance.without_tunnel().as_secs_f64())]
    });
    let help = "How long a link has been without any tunnel; 0 while it has one.";
    registry.gauges_from("cmg_link_without_tunnel_seconds", help, LINK, of);
    let shown = Arc::downgrade(point);
    registry.gauge_from("cmg_tunnel_dials_running", "Dials under way, up to the hello.", move || {
        shown.upgrade().map(|point| (limits::DIALS - point.dials.available_permits()) as f64)
    });
}

/// What every link says, one after the other.
fn each<const N: usize>(
    point: &Arc<ConnectionPoint>,
    one: impl Fn(&Instance, &LinkHealth) -> Vec<([String; N], f64)> + Send + Sync + 'static,
) -> impl Fn() -> Vec<([String; N], f64)> + Send + Sync + 'static {
    let point: Weak<ConnectionPoint> = Arc::downgrade(point);
    move || {
        let Some(point) = point.upgrade() else { return Vec::new() };
        let instances = point.instances();
        instances.iter().flat_map(|instance| one(instance, &instance.health())).collect()
    }
}

fn labels(instance: &Instance, last: &str) -> [String; 3] {
    [instance.gateway.clone(), instance.name.clone(), last.to_owned()]
}

#[cfg(test)]
mod tests {
    use crate::dialer::tests::Stage;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_is_there_is_shown_and_documented_and_what_is_gone_is_not() {
        let stage = Stage::new().await;
        let registry = stage.point.metrics.registry.clone();
        stage.point.set_instances(vec![Arc::clone(&stage.place.instance)]);
        let shown = registry.render();
        let link = "gateway=\"gw\",instance=\"gw-1\"";
        for line in [
            format!("cmg_links{{{link},state=\"down\"}} 1"),
            format!("cmg_links{{{link},state=\"healthy\"}} 0"),
            format!("cmg_link_tunnels{{{link},lane=\"interactive\"}} 0"),
            format!("cmg_link_tunnels_wanted{{{link},lane=\"interactive\"}} 1"),
            format!("cmg_link_without_tunnel_seconds{{{link}}} "),
            "cmg_tunnel_dials_running 0".to_owned(),
        ] {
            assert!(shown.contains(&line), "{line} is not in {shown}");
            let name = line.split(['{', ' ']).next().unwrap();
            let document = include_str!("../../../docs/operations.md");
            assert!(document.contains(&format!("`{name}`")), "docs/operations.md does not explain {name}");
        }
        stage.point.set_instances(Vec::new());
        assert!(!registry.render().contains("instance=\"gw-1\""));
    }
}
