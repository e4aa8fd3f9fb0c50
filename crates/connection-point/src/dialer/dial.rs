//! One dial: the addresses of an instance in their order, each straight through name and TCP or through the proxy,
//! then TLS; every name is asked for anew. Each way to fail has its sentence.

use std::time::Duration;

use cmg_core::configuration::HostPort;
use cmg_core::dial::{connect_any, resolve};
use cmg_core::limits;
use cmg_core::tls::configs::TUNNEL_ALPN;
use cmg_core::tls::{self, FlushRule, TlsStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Place;
use crate::egress::{self, Proxy, ProxyFault};

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
    #[error(transparent)]
    Proxy(#[from] ProxyFault),
    #[error("{0}")]
    Tls(String),
    #[error("{address}: the server there does not speak cmg-tunnel/1; is it the gateway's tunnel listener?")]
    NotATunnel { address: HostPort },
    #[error("{address}: no tunnel within {after:?}; {waiting}")]
    TimedOut { address: HostPort, after: Duration, waiting: String },
}

/// The first address that leads to a tunnel; all failures together if none does.
pub async fn dial(place: &Place, addresses: &[HostPort]) -> Result<Dialed, String> {
    let egress = place.point.settings().egress.clone();
    let mut failures = Vec::new();
    for address in addresses {
        let way = Way { place, address, proxy: egress.way_to(address) };
        match way.dial().await {
            Ok(stream) => return Ok(Dialed { stream, address: address.to_string() }),
            // It is the same login for every address.
            Err(DialError::Proxy(fault)) if fault.refused_login().is_some() => return Err(fault.to_string()),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    Err(failures.join("; "))
}

/// The way to one address.
struct Way<'a> {
    place: &'a Place,
    address: &'a HostPort,
    proxy: Option<&'a Proxy>,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Step {
    Connection,
    ProxyAnswer,
    Tls,
}

impl Way<'_> {
    async fn dial(&self) -> Result<TlsStream, DialError> {
        let (after, mut step) = (limits::TUNNEL_ESTABLISH, Step::Connection);
        match timeout(after, self.open(&mut step)).await {
            Ok(opened) => opened,
            Err(_) => {
                let (address, waiting) = (self.address.clone(), self.waiting_for(step));
                Err(DialError::TimedOut { address, after, waiting })
            }
        }
    }

    async fn open(&self, step: &mut Step) -> Result<TlsStream, DialError> {
        let tcp = match self.proxy {
            Some(proxy) => {
                let ask = async {
                    let tcp = egress::reach(proxy, self.address).await?;
                    *step = Step::ProxyAnswer;
                    egress::ask(proxy, self.address, tcp).await
                };
                self.place.point.proxy_login.guard(proxy, self.address, ask).await?
            }
            None => self.straight().await?,
        };
        *step = Step::Tls;
        let (name, config) = (self.place.instance.tunnel_name.clone(), self.place.point.tunnel_tls());
        let stream = tls::connect(tcp, name, config, FlushRule::EverySecondTurn).await;
        let stream = stream.map_err(|fault| DialError::Tls(fault.explain(&self.described())))?;
        if stream.alpn() != Some(TUNNEL_ALPN) {
            return Err(DialError::NotATunnel { address: self.address.clone() });
        }
        Ok(stream)
    }

    async fn straight(&self) -> Result<TcpStream, DialError> {
        let address = || self.address.clone();
        let resolved = resolve(&self.address.host, self.address.port).await;
        let resolved = resolved.map_err(|error| DialError::Resolve { address: address(), error })?;
        connect_any(&resolved).await.map_err(|error| DialError::Connect { address: address(), error })
    }

    fn described(&self) -> String {
        let described = described(self.place, &self.address.to_string());
        self.proxy.map_or_else(|| described.clone(), |proxy| format!("{described} through the proxy {proxy}"))
    }

    /// Who kept us waiting, and what to look at.
    fn waiting_for(&self, step: Step) -> String {
        let swallowed = "does a firewall swallow what is sent there?";
        match (self.proxy, step) {
            (Some(proxy), Step::Connection) => format!("the proxy {proxy} takes no connection; {swallowed}"),
            (Some(proxy), Step::ProxyAnswer) => {
                format!(
                    "the proxy {proxy} does not answer CONNECT; is the gateway running, and may the proxy reach it?"
                )
            }
            (Some(proxy), Step::Tls) => {
                format!("nothing comes back through the proxy {proxy}; is it the gateway's port?")
            }
            (None, _) => swallowed.to_owned(),
        }
    }
}

pub fn described(place: &Place, address: &str) -> String {
    format!("gateway {} instance {} at {address}", place.instance.gateway, place.instance.name)
}
