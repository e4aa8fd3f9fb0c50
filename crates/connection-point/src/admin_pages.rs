//! The admin pages of a connection point, on loopback and on a Unix socket: the only things it listens on.

use std::sync::Arc;

use cmg_core::admin::{Admin, AdminError, AdminListener, ReloadRequests, reload_channel};
use cmg_core::logs::Logs;

use crate::point::ConnectionPoint;
use crate::status::status;

/// Opens them, and gives what asks for reloads.
pub async fn open(
    point: &Arc<ConnectionPoint>,
    logs: &Arc<Logs>,
) -> Result<(Vec<AdminListener>, ReloadRequests), AdminError> {
    let shown = Arc::clone(point);
    let admin = Admin::new(point.readiness.clone(), point.metrics.registry.clone(), move || status(&shown));
    let settings = point.settings().admin.clone();
    let (reload, requests) = reload_channel();
    let listeners = vec![
        admin.listen(settings.listen).await?,
        admin.listen_unix(&settings.socket, reload, Some(Arc::clone(logs)))?,
    ];
    Ok((listeners, requests))
}
