//! A whole installation: site role, gateway instances and connection points as processes, connected and ready.
//! `Stack::builder().gateways(2).connection_points(3).start()`. Ends everything when it is dropped.

mod builder;
mod check;
mod files;
mod load;
mod restarts;
mod starter;
mod waiting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cmg_client::tls::ClientCertificate;
use cmg_client::{Client, Protocol};
use cmg_load::Logs;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::fault_proxy::FaultProxy;
use crate::metrics::Metrics;
use crate::pki::{Identity, Pki};
use crate::program::Program;

pub use builder::Builder;
pub use check::lines_with;
pub use files::{
    CUSTOM, CUSTOM_PREFIX, DISTRIBUTION_POINT, MANAGEMENT_POINT, SERVICE_NAME, SITE, SOFTWARE_UPDATE_POINT,
    TUNNEL_DOMAIN, connection_point,
};
use starter::Starter;

pub struct Stack {
    pub pki: Pki,
    pub site_role: Program,
    pub gateways: Vec<Program>,
    pub connection_points: Vec<Program>,
    /// Between the connection points and each gateway instance, if asked for.
    pub tunnel_proxies: Vec<FaultProxy>,
    /// Between the connection points and the roles, if asked for.
    pub role_proxy: Option<FaultProxy>,
    /// Every configuration file in use.
    pub configuration: Vec<PathBuf>,
    site_version: u64,
    /// Instances that listen for tunnels elsewhere than before, when they are started again.
    moved_tunnels: Vec<(usize, SocketAddr)>,
    /// Logs of programs that have ended.
    ended: Logs,
    starter: Starter,
    /// Removed last, after every program has ended.
    _temporary: Option<TempDir>,
}

impl Stack {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn folder(&self) -> &Path {
        &self.starter.folder
    }

    /// Starts one more gateway instance. Connection points learn of it with the next publication.
    pub async fn start_gateway(&mut self) -> Result<()> {
        let name = format!("gateway-{}", self.gateways.len() + 1);
        let gateway = self.starter.gateway(&self.pki, &name).await?;
        if self.starter.builder.faulty_tunnels {
            self.tunnel_proxies.push(FaultProxy::to(gateway.address("tunnel")?).await?);
        }
        self.configuration.push(self.folder().join(files::file_of(&name)));
        self.gateways.push(gateway);
        Ok(())
    }

    /// Kills a gateway instance, if it has not ended by itself, and starts it again on the same ports.
    pub async fn restart_gateway(&mut self, instance: usize) -> Result<()> {
        let old = self.gateways.get_mut(instance).context("no such instance")?;
        old.kill();
        let moved = self.moved_tunnels.iter().find(|(moved, _)| *moved == instance).map(|(_, address)| *address);
        let tunnel = moved.map_or_else(|| old.address("tunnel"), Ok)?;
        let listen = [("CLIENT", old.address("client")?), ("TUNNEL", tunnel)];
        *old = self.starter.gateway_at(&self.pki, &old.name, &listen).await?;
        Ok(())
    }

    /// When the gateway instance is started again, connection points have to dial it at this address.
    pub fn move_tunnels(&mut self, instance: usize, to: SocketAddr) {
        self.moved_tunnels.push((instance, to));
    }

    /// Starts one more connection point.
    pub async fn start_connection_point(&mut self) -> Result<()> {
        self.start_connection_point_number(self.connection_points.len() + 1).await
    }

    /// Starts the connection point of this number, from 1. One that ran before finds its state again.
    pub async fn start_connection_point_number(&mut self, number: usize) -> Result<()> {
        let (name, id) = connection_point(number);
        let shown = self.pki.connection_point(SITE, &name, &id)?;
        let started = self.connection_point(&name, &shown).await?;
        self.configuration.push(self.folder().join(files::file_of(&name)));
        self.connection_points.push(started);
        Ok(())
    }

    /// A connection point that shows what the test says; not one of the stack's own.
    pub async fn connection_point(&self, name: &str, shown: &Identity) -> Result<Program> {
        let source = match self.starter.builder.site_over_https {
            true => format!("https://localhost:{}/site.toml", self.site_role.listener("site")?.port()),
            false => self.folder().join(files::SITE_FILE).display().to_string(),
        };
        self.connection_point_reading(name, shown, &source).await
    }

    /// Another process with the certificate of the connection point of this number, as on a cloned machine.
    pub async fn copy_of_connection_point(&self, number: usize) -> Result<Program> {
        let (name, id) = connection_point(number);
        let shown = self.pki.connection_point(SITE, &name, &id)?;
        let source = self.folder().join(files::SITE_FILE).display().to_string();
        let copy = format!("{name}-copy");
        self.starter.connection_point_called(&copy, &self.pki, &name, &shown, &source).await
    }

    /// The same with a source of its own: a path or a URL.
    pub async fn connection_point_reading(&self, name: &str, shown: &Identity, source: &str) -> Result<Program> {
        self.starter.connection_point(&self.pki, name, shown, source).await
    }

    /// Writes the site's configuration with more roles than before, in a higher version.
    pub async fn publish(&mut self, more: &str) -> Result<()> {
        let version = self.site_version;
        self.site_version += 1;
        self.publish_as(version, more)
    }

    /// Writes the site's configuration in this version.
    pub fn publish_as(&self, version: u64, more: &str) -> Result<()> {
        let proxied = self.tunnel_proxies.iter().map(|proxy| Ok(proxy.address));
        let direct = self.gateways.iter().map(|gateway| gateway.address("tunnel"));
        let addresses: Vec<SocketAddr> = match self.tunnel_proxies.is_empty() {
            true => direct.collect::<Result<_>>()?,
            false => proxied.collect::<Result<_>>()?,
        };
        let names = self.gateways.iter().map(|gateway| gateway.name.clone());
        let host = |name: &str, address: SocketAddr| match self.starter.builder.tunnels_by_name {
            true => format!("{name}.{TUNNEL_DOMAIN}:{}", address.port()),
            false => address.to_string(),
        };
        let tunnels = names.zip(addresses).map(|(name, address)| (name.clone(), host(&name, address))).collect();
        let roles = match &self.role_proxy {
            Some(proxy) => proxy.address,
            None => self.site_role.listener("roles")?,
        };
        let text = files::site(&self.starter.builder, &self.pki, &self.site_role, (roles, &tunnels), version, more)?;
        self.starter.write(files::SITE_FILE, &text).map(drop)
    }

    /// Connection points that start from now on reach the first instance on its clients' port. Returns that address.
    pub fn share_the_clients_port(&self) -> Result<String> {
        let own = format!("addresses = [\"{}\"]", self.gateways.first().context("no gateway")?.address("tunnel")?);
        let shared = self.client_address(0)?.to_string();
        let text = std::fs::read_to_string(self.folder().join(files::SITE_FILE))?;
        anyhow::ensure!(text.contains(&own), "the tunnel port is not in {text}");
        self.starter.write(files::SITE_FILE, &text.replace(&own, &format!("addresses = [\"{shared}\"]")))?;
        Ok(shared)
    }

    /// A client of the first instance that shows the first device's certificate.
    pub fn client(&self) -> Result<Client> {
        self.client_of(0, Some(&self.pki.clients[0]))
    }

    pub fn client_without_certificate(&self) -> Result<Client> {
        self.client_of(0, None)
    }

    pub fn http2_client(&self) -> Result<Client> {
        Ok(self.client()?.speaking(Protocol::Http2))
    }

    pub fn client_of(&self, instance: usize, shown: Option<&Identity>) -> Result<Client> {
        let shown = shown.map(|identity| ClientCertificate { chain: &identity.certificate, key: &identity.key });
        let address = self.client_address(instance)?;
        Ok(Client::new(address, SERVICE_NAME, &self.pki.service_ca.certificate, shown)?)
    }

    pub fn client_address(&self, instance: usize) -> Result<SocketAddr> {
        self.gateways.get(instance).context("no such instance")?.address("client")
    }

    pub fn gateway_admin(&self) -> Result<Admin> {
        Admin::of(self.gateways.first().context("no gateway")?)
    }

    pub fn connection_point_admin(&self) -> Result<Admin> {
        Admin::of(self.connection_points.first().context("no connection point")?)
    }

    pub fn role_admin(&self) -> Result<Admin> {
        Admin::of(&self.site_role)
    }

    /// Every program, in the order in which requests pass them.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.gateways.iter().chain(&self.connection_points).chain([&self.site_role])
    }

    /// Waits until every program says that it is ready and every tunnel is up, in both lanes.
    pub async fn wait_ready(&self) -> Result<()> {
        for program in self.gateways.iter().chain(&self.connection_points) {
            Admin::of(program)?.wait_ready().await.with_context(|| self.last_words())?;
        }
        let wanted = self.connection_points.len() * self.starter.builder.tunnels_of_a_link();
        for gateway in &self.gateways {
            let all = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) >= wanted as f64;
            let waited = Admin::of(gateway)?.wait_for_metrics("that every tunnel is up", all).await;
            waited.with_context(|| self.last_words())?;
        }
        Ok(())
    }

    /// The ends of all logs, for a message.
    pub fn last_words(&self) -> String {
        self.programs().map(Program::last_words).collect()
    }
}

/// The external path of something at the management point, such as `SMS_MP/_/echo`.
pub fn mp(rest: &str) -> String {
    format!("/CCM_Proxy_MutualAuth/{MANAGEMENT_POINT}/{rest}")
}
