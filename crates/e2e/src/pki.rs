//! The keys and certificates of a whole installation, made when they are needed and written as PEM files:
//! service, clients, tunnel and inside, each under an authority of its own.

mod authority;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use authority::{Authority, Identity, Leaf};

/// Names that the inside servers answer to.
pub const INTERNAL_NAMES: &[&str] = &["mp1.corp.example", "sup1.corp.example", "site.corp.example", "localhost"];
/// The name of every gateway instance towards the connection points.
pub const TUNNEL_NAME: &str = "gateway.tunnel.example";

pub struct Pki {
    pub folder: PathBuf,
    pub service_ca: Authority,
    pub service: Identity,
    pub client_ca: Authority,
    pub client_intermediate: Authority,
    /// Two devices directly under the client authority.
    pub clients: [Identity; 2],
    pub tunnel_ca: Authority,
    pub gateway_tunnel: Identity,
    pub internal_ca: Authority,
    /// What every role of the mock shows.
    pub role: Identity,
    /// A server of the right name under an authority that nobody here believes.
    pub stranger: Identity,
}

impl Pki {
    pub fn make(folder: &Path, service_name: &str) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let service_ca = Authority::root(folder, "service-ca")?;
        let client_ca = Authority::root(folder, "client-ca")?;
        let tunnel_ca = Authority::root(folder, "tunnel-ca")?;
        let internal_ca = Authority::root(folder, "internal-ca")?;
        Ok(Self {
            folder: folder.to_owned(),
            service: service_ca.issue(Leaf::server("service", &[service_name]))?,
            client_intermediate: client_ca.intermediate("client-intermediate")?,
            clients: [client_ca.issue(Leaf::client("client-1"))?, client_ca.issue(Leaf::client("client-2"))?],
            gateway_tunnel: tunnel_ca.issue(Leaf::server("gateway-tunnel", &[TUNNEL_NAME]))?,
            role: internal_ca.issue(Leaf::server("role", INTERNAL_NAMES))?,
            stranger: Authority::root(folder, "strange-ca")?.issue(Leaf::server("stranger", INTERNAL_NAMES))?,
            service_ca,
            client_ca,
            tunnel_ca,
            internal_ca,
        })
    }

    /// The tunnel certificate of a connection point: its identity is the URI in it.
    pub fn connection_point(&self, site: &str, name: &str, connection_id: &str) -> Result<Identity> {
        let uri = format!("cmg:{site}/{name}/{connection_id}");
        self.tunnel_ca.issue(Leaf::connection_point(name, &uri))
    }
}
