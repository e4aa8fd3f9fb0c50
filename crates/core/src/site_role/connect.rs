//! A new connection to a role: name, TCP, TLS, each with its own explanation when it fails. Every resolved
//! address is tried, a late one beside the next, so that a dead address costs a quarter of a second.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::connection::RoleConnection;
use super::{Role, RoleCounters, RoleError};
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
    let name = role.to_string();
    let addresses = resolve(role).await?;
    let tried = || addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    let after = limits::ROLE_CONNECT;
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

async fn resolve(role: &Role) -> Result<Vec<SocketAddr>, RoleError> {
    let failed = |source| RoleError::Resolve { role: role.to_string(), source };
    let after = limits::ROLE_CONNECT;
    let found = match timeout(after, lookup_host((role.host.as_str(), role.port))).await {
        Ok(found) => found.map_err(failed)?,
        Err(_) => return Err(failed(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {after:?}")))),
    };
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// The first address that takes the connection.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        let next = waiting.next();
        attempts.extend(next.map(|address| TcpStream::connect(*address)));
        if attempts.is_empty() {
            return Err(last);
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(tcp) => return Ok(tcp),
                Err(failure) => last = failure,
            },
            () = sleep(limits::ROLE_NEXT_ADDRESS), if waiting.len() > 0 => {}
        }
    }
}
