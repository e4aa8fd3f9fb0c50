//! A new connection to a role: name, TCP, TLS, each with its own explanation when it fails.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::connection::RoleConnection;
use super::{Role, RoleCounters, RoleError};
use crate::dial::{connect_any, resolve};
use crate::limits;
use crate::tls::{self, FlushRule};

/// Connects to a role.
pub(super) async fn connect(role: Arc<Role>, counters: Arc<RoleCounters>) -> Result<Box<RoleConnection>, RoleError> {
    let connection = establish(&role, &counters).await;
    match &connection {
        Ok(_) => counters.connected.increment(),
        Err(_) => counters.connect_failed.increment(),
    }
    connection
}

async fn establish(role: &Role, counters: &RoleCounters) -> Result<Box<RoleConnection>, RoleError> {
    let (name, after) = (role.to_string(), limits::ROLE_CONNECT);
    let addresses = match resolve(&role.host, role.port).await {
        Ok(addresses) => addresses,
        Err(source) => return Err(RoleError::Resolve { role: name, source }),
    };
    let tried = || addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    let tcp = match timeout(after, connect_any(&addresses)).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(source)) => return Err(RoleError::Connect { role: name, tried: tried(), source }),
        Err(_) => return Err(RoleError::ConnectTimeout { role: name, tried: tried(), after }),
    };
    let handshake = tls::connect(tcp, role.server_name.clone(), role.tls.clone(), FlushRule::AtOnce);
    match timeout(after, handshake).await {
        Ok(Ok(stream)) => Ok(RoleConnection::new(stream, counters.open.hold())),
        Ok(Err(failure)) => Err(RoleError::TlsHandshake { why: failure.explain(&name) }),
        Err(_) => Err(RoleError::TlsTimeout { role: name, after }),
    }
}
