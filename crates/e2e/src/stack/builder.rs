//! Says what a stack should be made of, and starts it: site role first, then gateways, then (their tunnel
//! addresses are known now) the site configuration and the connection points.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use cmg_load::Logs;

use super::Stack;
use super::files::{self, InternalServer};
use super::starter::Starter;
use crate::cable::{Cable, NEAR, Namespace};
use crate::fault_proxy::FaultProxy;
use crate::pki::Pki;

#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) gateways: usize,
    pub(super) connection_points: usize,
    pub(super) workers: usize,
    pub(super) faulty_tunnels: bool,
    pub(super) faulty_roles: bool,
    /// Where site role and connection points run, if it is not here.
    pub(super) far: Option<Arc<Namespace>>,
    /// What stands before the command of a gateway.
    pub(super) before_gateways: Vec<String>,
    /// The same of a connection point.
    pub(super) before_connection_points: Vec<String>,
    /// Whether tunnels are dialled by name: `gateway-1.tunnels.example` and so on.
    pub(super) tunnels_by_name: bool,
    pub(super) binaries: Option<PathBuf>,
    /// Extra text for site.toml: more roles.
    pub(super) site: String,
    pub(super) site_over_https: bool,
    pub(super) internal: Option<InternalServer>,
    pub(super) gateway_environment: Vec<(String, String)>,
    pub(super) connection_point_environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            gateways: 1,
            connection_points: 1,
            workers: 2,
            faulty_tunnels: false,
            faulty_roles: false,
            far: None,
            before_gateways: Vec::new(),
            before_connection_points: Vec::new(),
            tunnels_by_name: false,
            binaries: None,
            site: String::new(),
            site_over_https: false,
            internal: None,
            gateway_environment: Vec::new(),
            connection_point_environment: Vec::new(),
            folder: None,
        }
    }
}

impl Builder {
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    pub fn connection_points(mut self, count: usize) -> Self {
        self.connection_points = count;
        self
    }

    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Puts a fault proxy between the connection points and each instance.
    pub fn faulty_tunnels(mut self) -> Self {
        self.faulty_tunnels = true;
        self
    }

    /// Puts a fault proxy between the connection points and the roles.
    pub fn faulty_roles(mut self) -> Self {
        self.faulty_roles = true;
        self
    }

    /// Tunnels go through this cable: gateways at its near end, where the caller has to be, everything else at its far
    /// end.
    pub fn through(mut self, cable: &Cable) -> Self {
        self.far = Some(cable.far.clone());
        self.gateway_setting("LISTEN__TUNNEL", &format!("{NEAR}:0"))
    }

    /// Starts the gateways by this command, which gets theirs as its last words.
    pub fn gateways_started_by(mut self, command: &[&str]) -> Self {
        self.before_gateways = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts the connection points by this command, which gets theirs as its last words.
    pub fn connection_points_started_by(mut self, command: &[&str]) -> Self {
        self.before_connection_points = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The connection points are told names instead of addresses, which they have to find by themselves: that of an
    /// instance is its own and `TUNNEL_DOMAIN`.
    pub fn tunnels_by_name(mut self) -> Self {
        self.tunnels_by_name = true;
        self
    }

    /// Where everything is written; a temporary folder unless it is said.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Where the programs are; beside the running one unless it is said.
    pub fn binaries(mut self, folder: &Path) -> Self {
        self.binaries = Some(folder.to_owned());
        self
    }

    /// More text for site.toml, such as another role. Its external prefixes begin with `/extra/`.
    pub fn site(mut self, text: &str) -> Self {
        self.site.push_str(text);
        self
    }

    /// The connection points read the site configuration from the site role instead of from a file.
    pub fn site_over_https(mut self) -> Self {
        self.site_over_https = true;
        self
    }

    /// Publishes an existing HTTPS server under `/bench/`.
    pub fn internal(mut self, url: &str, authority: Option<&Path>) -> Self {
        self.internal = Some(InternalServer { url: url.to_owned(), authority: authority.map(Path::to_owned) });
        self
    }

    /// Overrides a key of every gateway's file, such as `LIMITS__CONNECTIONS`.
    pub fn gateway_setting(mut self, key: &str, value: &str) -> Self {
        self.gateway_environment.push((format!("CMG_GATEWAY__{key}"), value.to_owned()));
        self
    }

    /// Overrides a key of every connection point's file.
    pub fn connection_point_setting(mut self, key: &str, value: &str) -> Self {
        self.connection_point_environment.push((format!("CMG_CONNECTION_POINT__{key}"), value.to_owned()));
        self
    }

    /// Sets a variable that every connection point sees.
    pub fn connection_point_variable(mut self, name: &str, value: &str) -> Self {
        self.connection_point_environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Tunnels that each connection point has to each instance: one for each worker, and those for bulk.
    pub(super) fn tunnels_of_a_link(&self) -> usize {
        let setting = self.gateway_environment.iter().find(|(key, _)| key == "CMG_GATEWAY__TUNNEL__BULK_CONNECTIONS");
        let bulk = setting.map_or(Ok(files::BULK_CONNECTIONS), |(_, value)| value.parse());
        self.workers + bulk.unwrap_or(files::BULK_CONNECTIONS)
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> Result<Stack> {
        let stack = self.start_unready().await?;
        stack.wait_ready().await?;
        Ok(stack)
    }

    /// Starts everything without waiting for the tunnels.
    pub async fn start_unready(self) -> Result<Stack> {
        let temporary = self.folder.is_none().then(tempfile::tempdir).transpose()?;
        let folder = match (&self.folder, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // The programs are told paths that hold from anywhere.
        let folder = folder.canonicalize()?;
        let pki = Pki::make(&folder.join("pki"), files::SERVICE_NAME)?;
        let starter = Starter { builder: self, folder };
        let site_role = starter.site_role(&pki).await?;
        let role_proxy = match starter.builder.faulty_roles {
            true => Some(FaultProxy::to(site_role.listener("roles")?).await?),
            false => None,
        };
        let mut stack = Stack {
            pki,
            site_role,
            gateways: Vec::new(),
            connection_points: Vec::new(),
            tunnel_proxies: Vec::new(),
            role_proxy,
            configuration: vec![starter.folder.join(files::SITE_ROLE_FILE), starter.folder.join(files::SITE_FILE)],
            site_version: 1,
            moved_tunnels: Vec::new(),
            ended: Logs::default(),
            starter,
            _temporary: temporary,
        };
        for _ in 0..stack.starter.builder.gateways {
            stack.start_gateway().await?;
        }
        stack.publish("").await?;
        for _ in 0..stack.starter.builder.connection_points {
            stack.start_connection_point().await?;
        }
        Ok(stack)
    }
}

/// Where the connection points dial: host and port of each instance.
pub(super) type TunnelAddresses = Vec<(String, String)>;
