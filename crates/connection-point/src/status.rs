//! What the status page tells of a connection point: the site configuration, its source, and every link with its
//! tunnels, since when and with what went wrong last. It is read inside, on loopback.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::egress::Egress;
use crate::instance::{Facts, Instance, LinkCheck, PlaceStatus};
use crate::link_health::coverage;
use crate::point::ConnectionPoint;
use crate::publishing::{Ours, Step, next_step};
use crate::site::Site;

pub fn status(point: &ConnectionPoint) -> Value {
    let site = point.site();
    let site = site.as_deref();
    let settings = point.settings();
    let identity = &settings.tunnel.identity;
    let instances = point.instances();
    let health: Vec<_> = instances.iter().map(|instance| instance.health()).collect();
    json!({
        "program": crate::PROGRAM,
        "site": settings.site.as_str(),
        "connection_point": settings.name,
        "connection_id": identity.connection_id.to_string(),
        "configuration": site.map(configuration),
        "source": source(point),
        "egress": egress(&settings.egress),
        "coverage": coverage(&health),
        "gateways": instances.iter().map(|instance| link(instance, site)).collect::<Vec<_>>(),
        "exchanges_running": point.metrics.exchanges_running.get(),
        "role_connections": {
            "open": point.metrics.roles.open.get(),
            "idle": point.idle_role_connections(),
        },
    })
}

fn configuration(site: &Site) -> Value {
    json!({
        "version": site.version,
        "digest": hex(&site.digest),
        "published_roles": site.roles(),
        "notes": site.notes,
    })
}

fn source(point: &ConnectionPoint) -> Value {
    let facts = point.source.borrow().clone();
    json!({
        "from": point.settings().source.source.to_string(),
        "last_reached": facts.last_reached.map(seconds),
        "out_of_reach_since": facts.out_of_reach_since.map(seconds),
        "problems": facts.all_problems(),
    })
}

/// Without the login's own words.
fn egress(egress: &Egress) -> Value {
    json!({
        "proxy": egress.proxy.as_ref().map(ToString::to_string),
        "named_by": egress.proxy.as_ref().map(|proxy| &proxy.named_by),
        "login": egress.proxy.as_ref().is_some_and(|proxy| proxy.login.is_some()),
    })
}

/// A link: all tunnels to one instance.
fn link(instance: &Instance, site: Option<&Site>) -> Value {
    let (facts, places) = (instance.facts().borrow().clone(), instance.places());
    let (hello, health) = (facts.hello.as_ref(), instance.health());
    json!({
        "gateway": instance.gateway,
        "instance": instance.name,
        "addresses": instance.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "state": health.state().name(),
        "missing": health.missing(),
        "seconds_without_tunnel": instance.without_tunnel().as_secs(),
        "last_check": instance.last_check().as_ref().map(last_check),
        "program": hello.map(|hello| &hello.program),
        "calls_itself": hello.map(|hello| &hello.instance),
        "draining": facts.is_draining,
        "configuration": {
            "version_in_force": facts.in_force.version,
            "digest_in_force": hex(&facts.in_force.digest),
            "state": site.map(|site| agreement(site, &facts)),
            "refused_because": facts.refused.as_ref().map(|refused| &refused.problems),
        },
        "tunnels": places.iter().map(tunnel).collect::<Vec<_>>(),
    })
}

fn tunnel(place: &PlaceStatus) -> Value {
    json!({
        "lane": place.id.lane.name(),
        "number": place.id.number,
        "state": place.state.name(),
        "since": seconds(place.since),
        "address": place.address,
        "last_error": place.last_error,
        "next_dial": place.next_dial.map(|next| seconds(next.at)),
        "gateway_asked_to_wait_seconds": place.next_dial.map(|next| next.told.as_secs()).filter(|told| *told > 0),
    })
}

fn last_check(check: &LinkCheck) -> Value {
    json!({
        "at": seconds(check.at),
        "missing": check.missing.as_ref().map(|(what, _)| what),
        "missing_since": check.missing.as_ref().map(|(_, since)| seconds(*since)),
    })
}

fn agreement(site: &Site, facts: &Facts) -> &'static str {
    match next_step(Ours::from(site), facts) {
        _ if facts.hello.is_none() => "unknown",
        Step::TheirsIsHigher { .. } => "the gateway has a higher version than this connection point",
        Step::Publish => "to be published",
        Step::Nothing if facts.in_force.digest == site.digest => "in force",
        Step::Nothing => "refused",
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
