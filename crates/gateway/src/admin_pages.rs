//! The admin pages of a gateway: health, metrics, status, and the one thing that changes something.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use cmg_core::admin::{Admin, AdminError, AdminListener, Readiness, ReloadTrigger};
use cmg_core::build_info::BUILD;
use cmg_core::logs::Logs;
use serde_json::{Value, json};

use crate::instance::Instance;
use crate::registry::{Conflict, Process};

/// Opens the admin listener, the health listener if there is one, and the Unix socket.
pub async fn open(
    instance: &Arc<Instance>,
    readiness: &Readiness,
    reload: ReloadTrigger,
    logs: &Arc<Logs>,
) -> Result<Vec<AdminListener>, AdminError> {
    let shown = Arc::clone(instance);
    let admin = Admin::new(readiness.clone(), instance.metrics.registry.clone(), move || status(&shown));
    let settings = &instance.settings;
    let mut listeners = vec![admin.listen(settings.admin.listen).await?];
    if let Some(address) = settings.health {
        listeners.push(admin.listen_health(address).await?);
    }
    let changes = Router::new().route("/sites/{code}/forget", post(forget)).with_state(Arc::clone(instance));
    listeners.push(admin.with_changes(changes).listen_unix(&settings.admin.socket, reload, Some(Arc::clone(logs)))?);
    Ok(listeners)
}

async fn forget(State(instance): State<Arc<Instance>>, Path(code): Path<String>) -> (StatusCode, String) {
    match instance.keeper.forget(&code).await {
        Ok(()) => (StatusCode::OK, format!("the configuration of site {code} was forgotten\n")),
        Err(why) => (StatusCode::NOT_FOUND, format!("{why}\n")),
    }
}

fn status(instance: &Instance) -> Value {
    let published = instance.published();
    let sites: Vec<Value> = published
        .sites()
        .map(|site| {
            json!({
                "site": site.code,
                "version": site.version,
                "digest": hex(&site.digest),
                "roles": site.publication.roles.len(),
                "connection_points": instance.registry.usable(&site.code),
            })
        })
        .collect();
    let tunnels: Vec<Value> = instance
        .registry
        .tunnels()
        .iter()
        .map(|tunnel| {
            let ((active, waiting), most) = (tunnel.load(), tunnel.most());
            json!({
                "connection_point": tunnel.identity.to_string(),
                "lane": tunnel.lane.name(),
                "worker": tunnel.worker.0,
                "seconds": tunnel.since.elapsed().as_secs(),
                "active": active,
                "active_most": most.0,
                "waiting": waiting,
                "waiting_most": most.1,
                "draining": tunnel.is_draining(),
                "stalled": tunnel.health.is_stalled(),
                "replaced": tunnel.replaced.is_cancelled(),
                "process": process(&tunnel.process),
            })
        })
        .collect();
    let conflicts: Vec<Value> = instance.registry.conflicts().iter().map(conflict).collect();
    json!({
        "program": crate::PROGRAM,
        "build": BUILD,
        "instance": instance.name(),
        "sites": sites,
        "tunnels": tunnels,
        "conflicts": conflicts,
        "clients": instance.identities.connected(),
        "rated_clients": instance.settings.limits.rated_clients,
        "queued": instance.waiting_room.load().0,
        "client_connections": instance.metrics.client_connections.get(),
        "exchanges_running": instance.metrics.exchanges_running.get(),
    })
}

/// Two processes that show one certificate.
fn conflict(conflict: &Conflict) -> Value {
    json!({
        "connection_point": conflict.identity.to_string(),
        "times_in_a_minute": conflict.times,
        "processes": [process(&conflict.last.from), process(&conflict.last.to)],
    })
}

fn process(process: &Process) -> Value {
    json!({
        "boot_id": hex(&process.boot_id),
        "started": process.started_micros / 1_000_000,
        "address": process.address,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
