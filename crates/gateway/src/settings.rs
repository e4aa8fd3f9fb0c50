//! The gateway's own file, as live values: certificates are loaded and judged, addresses parsed, sites
//! checked against each other. Nothing here can be wrong later; nothing of a site's own configuration is here.

pub mod fuzzing;
mod services;
mod sites;

pub use services::ServiceSettings;

use cmg_core::configuration::sections::{self, AdminSettings, LogSettings};
use cmg_core::configuration::{ByteSize, Document, Overrides, Problems, Reading, Table, credentials};
use cmg_core::shutdown::Drain;
use cmg_core::site::SitePermissions;
use cmg_core::tls::configs::TlsFloor;
use cmg_core::{limits, named_setting};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::fairness::{AddressLimits, IdentityLimits};
use crate::waiting_room::QueueLimits;

/// Variables that begin so override keys of the file: `CMG_GATEWAY__LISTEN__CLIENT`.
pub const ENVIRONMENT: &str = "CMG_GATEWAY__";

/// Where the admin pages are unless the file says otherwise.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8440);

#[derive(Debug)]
pub struct GatewaySettings {
    pub instance: InstanceSettings,
    pub listen: ListenSettings,
    pub admin: AdminSettings,
    /// /healthz and /readyz for probes from elsewhere.
    pub health: Option<SocketAddr>,
    /// At least one; the first is for clients without SNI.
    pub services: Vec<ServiceSettings>,
    pub tunnel: TunnelSettings,
    pub sites: Vec<SitePermissions>,
    pub limits: LimitSettings,
    /// The lowest version for clients; tunnels always speak 1.3.
    pub tls_minimum: TlsFloor,
    pub unauthenticated: Unauthenticated,
    pub drain: Drain,
    pub log: LogSettings,
    /// Every key and where its value came from.
    pub reading: Reading,
}

/// What becomes of a client without a certificate that a site trusts (G-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// The handshake passes; the request is refused with its code.
    Explain,
    /// The handshake fails.
    Abort,
}

named_setting!(Unauthenticated, [("explain", Unauthenticated::Explain), ("abort", Unauthenticated::Abort)]);

/// `[instance]`: this process.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    pub name: String,
    pub state_directory: PathBuf,
    pub workers: usize,
}

/// `[listen]`.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    pub client: Vec<SocketAddr>,
    /// Empty: tunnels come to the client listener and are told apart by ALPN.
    pub tunnel: Vec<SocketAddr>,
    /// How long clients are not let in for want of a connection point, after a start.
    pub wait_for_tunnel: Duration,
}

/// `[tunnel]`: this instance towards connection points.
#[derive(Clone)]
pub struct TunnelSettings {
    /// The tunnel CA.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What this instance shows.
    pub certificate: Arc<CertifiedKey>,
    /// Bulk connections that each connection point is asked for.
    pub bulk_connections: u32,
}

impl std::fmt::Debug for TunnelSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TunnelSettings").field("bulk_connections", &self.bulk_connections).finish_non_exhaustive()
    }
}

/// `[limits]`: caps that no site can exceed.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    pub connections: usize,
    pub handshakes: usize,
    pub tunnel_handshakes_per_second: u32,
    /// Bytes of a request body, whatever the endpoint allows.
    pub request_body_cap: u64,
    pub identity: IdentityLimits,
    pub address: AddressLimits,
    pub queue: QueueLimits,
    /// Identities with an open connection that the instance is meant for; more are warned of, never refused.
    pub rated_clients: usize,
}

impl GatewaySettings {
    /// Reads the file with its overrides and loads every certificate that it names.
    pub fn load(path: &Path, overrides: Overrides) -> Result<Self, Problems> {
        Self::read(Document::load(path, overrides)?, UnixTime::now())
    }

    /// The same for a document that is here already, at a given time.
    pub fn read(document: Document, now: UnixTime) -> Result<Self, Problems> {
        let (mut settings, reading) = document.read(|root| root_table(root, now))?;
        settings.reading = reading;
        Ok(settings)
    }
}

fn root_table(root: &mut Table<'_>, now: UnixTime) -> Option<GatewaySettings> {
    let instance = root.table("instance", instance);
    let listen = root.table("listen", listen);
    let state_directory = instance.as_ref().map(|instance| instance.state_directory.as_path());
    let admin = sections::admin(root, ADMIN, state_directory);
    let health = sections::health(root);
    let services = services::read(root, now);
    let tunnel = root.table("tunnel", |table| tunnel(table, now));
    let unauthenticated = root.default("unauthenticated", Unauthenticated::Explain);
    let sites = sites::read(root, unauthenticated);
    let limits = root.table("limits", limits);
    let tls_minimum = root.table("tls", sections::tls_minimum);
    let drain = sections::drain(root);
    let log = sections::log(root);
    Some(GatewaySettings {
        instance: instance?,
        listen: listen?,
        admin,
        health,
        services,
        tunnel: tunnel?,
        sites,
        limits: limits?,
        tls_minimum,
        unauthenticated,
        drain,
        log,
        reading: Reading::default(),
    })
}

fn instance(table: &mut Table<'_>) -> Option<InstanceSettings> {
    let name = table.required("name");
    let state_directory = table.required("state_directory");
    let workers = sections::workers(table);
    Some(InstanceSettings { name: name?, state_directory: state_directory?, workers })
}

fn listen(table: &mut Table<'_>) -> Option<ListenSettings> {
    let client: Option<Vec<SocketAddr>> = table.required("client");
    let tunnel: Vec<SocketAddr> = table.default("tunnel", Vec::new());
    let wait_for_tunnel = table.default("wait_for_tunnel", limits::FIRST_TUNNEL);
    let client = client?;
    if client.is_empty() {
        table.problem("client", "is empty", "write for example client = [\"0.0.0.0:443\", \"[::]:443\"]");
    }
    let fixed = |address: &&SocketAddr| address.port() != 0;
    if let Some(twice) = tunnel.iter().filter(fixed).find(|address| client.contains(address)) {
        let instead = "leave it out of tunnel: the client listener takes tunnels too";
        table.problem("tunnel", format!("{twice} is the client listener's address"), instead);
    }
    Some(ListenSettings { client, tunnel, wait_for_tunnel })
}

fn tunnel(table: &mut Table<'_>, now: UnixTime) -> Option<TunnelSettings> {
    const MOST: u32 = limits::BULK_CONNECTIONS_MOST;
    let authorities = credentials::authorities(table, "ca", now);
    let certificate = credentials::certified_key(table, now);
    let bulk_connections = table.default("bulk_connections", limits::BULK_CONNECTIONS);
    if bulk_connections > MOST {
        table.problem("bulk_connections", "more than a link can use", format!("write 0 to {MOST}"));
    }
    Some(TunnelSettings { authorities: authorities?, certificate: certificate?, bulk_connections })
}

fn limits(table: &mut Table<'_>) -> Option<LimitSettings> {
    let connections = positive(table, "connections", limits::CONNECTIONS);
    let handshakes = positive(table, "handshakes", limits::HANDSHAKES);
    let paced = positive(table, "tunnel_handshakes_per_second", limits::TUNNEL_HANDSHAKES as usize);
    let tunnel_handshakes_per_second = u32::try_from(paced).unwrap_or(u32::MAX);
    let request_body_cap = table.default("request_body_cap", ByteSize(limits::REQUEST_BODY_CAP)).0;
    let identity = IdentityLimits {
        exchanges: positive(table, "identity_exchanges", limits::IDENTITY_EXCHANGES),
        requests_per_second: positive(table, "identity_requests_per_second", limits::IDENTITY_REQUESTS),
        burst: positive(table, "identity_burst", limits::IDENTITY_BURST),
    };
    let address = AddressLimits {
        handshakes_per_second: positive(table, "address_handshakes_per_second", limits::ADDRESS_HANDSHAKES),
        handshake_burst: positive(table, "address_handshake_burst", limits::ADDRESS_HANDSHAKE_BURST),
        refusals_per_second: positive(table, "address_refusals_per_second", limits::ADDRESS_REFUSALS),
        refusal_burst: positive(table, "address_refusal_burst", limits::ADDRESS_REFUSAL_BURST),
        tunnel_handshakes_per_second: (paced / limits::ADDRESS_TUNNELS_PART as usize).max(1),
        tunnel_handshake_burst: paced.saturating_mul(limits::ADDRESS_TUNNELS_BURST as usize),
    };
    let queue = QueueLimits {
        places: table.default("queue", limits::QUEUE),
        patience: table.default("queue_timeout", limits::QUEUE_TIMEOUT),
    };
    let rated_clients = positive(table, "rated_clients", limits::RATED_CLIENTS);
    Some(LimitSettings {
        connections,
        handshakes,
        tunnel_handshakes_per_second,
        request_body_cap,
        identity,
        address,
        queue,
        rated_clients,
    })
}

fn positive(table: &mut Table<'_>, name: &'static str, default: usize) -> usize {
    let number = table.default(name, default);
    if number == 0 {
        table.problem(name, "0 would let nobody in", format!("write 1 or more; the default is {default}"));
    }
    number
}

#[cfg(test)]
mod tests;
