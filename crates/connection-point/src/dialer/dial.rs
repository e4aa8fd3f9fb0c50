//! One dial: the addresses of an instance in their order, each through name, TCP and TLS, the name asked for anew.
//! Each way to fail has its sentence.

use std::time::Duration;

use cmg_core::configuration::HostPort;
use cmg_core::dial::{connect_any, resolve};
use cmg_core::limits;
use cmg_core::tls::configs::TUNNEL_ALPN;
use cmg_core::tls::{self, FlushRule, TlsStream};
use tokio::time::timeout;

use super::Place;

/// A connection to a gateway's tunnel listener.
pub struct Dialed {
    pub stream: TlsStream,
    pub address: String,
}

/// Why there is no tunnel at one address.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(
        "{address}: the name does not resolve: {error}; correct it in the site configuration, or the resolver of this host"
    )]
    Resolve { address: HostPort, error: std::io::Error },
    #[error(
        "{address}: no connection: {error}; is the gateway running, and does every firewall let this host reach it?"
    )]
    Connect { address: HostPort, error: std::io::Error },
    #[error("{0}")]
    Tls(String),
    #[error("{address}: the server there does not speak cmg-tunnel/1; is it the gateway's tunnel listener?")]
    NotATunnel { address: HostPort },
    #[error("{address}: no tunnel within {after:?}; does a firewall swallow what is sent there?")]
    TimedOut { address: HostPort, after: Duration },
}

/// The first address that leads to a tunnel; all failures together if none does.
pub async fn dial(place: &Place, addresses: &[HostPort]) -> Result<Dialed, String> {
    let mut failures = Vec::new();
    for address in addresses {
        let after = limits::TUNNEL_ESTABLISH;
        let timed_out = DialError::TimedOut { address: address.clone(), after };
        match timeout(after, dial_one(place, address)).await.unwrap_or(Err(timed_out)) {
            Ok(stream) => return Ok(Dialed { stream, address: address.to_string() }),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    Err(failures.join("; "))
}

async fn dial_one(place: &Place, address: &HostPort) -> Result<TlsStream, DialError> {
    let resolved = resolve(&address.host, address.port).await;
    let resolved = resolved.map_err(|error| DialError::Resolve { address: address.clone(), error })?;
    let tcp = connect_any(&resolved).await.map_err(|error| DialError::Connect { address: address.clone(), error })?;
    let name = place.instance.tunnel_name.clone();
    let stream = tls::connect(tcp, name, place.point.tunnel_tls(), FlushRule::EverySecondTurn).await;
    let stream = stream.map_err(|fault| DialError::Tls(fault.explain(&described(place, &address.to_string()))))?;
    if stream.alpn() != Some(TUNNEL_ALPN) {
        return Err(DialError::NotATunnel { address: address.clone() });
    }
    Ok(stream)
}

pub fn described(place: &Place, address: &str) -> String {
    format!("gateway {} instance {} at {address}", place.instance.gateway, place.instance.name)
}
