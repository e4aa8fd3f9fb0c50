//! What `demo.json` tells of a demo that runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cmg_e2e::stack::{CUSTOM_PREFIX, DISTRIBUTION_POINT, MANAGEMENT_POINT};
use cmg_load::{Identity, Logs, Site};
use serde::Deserialize;

/// The part of the file that a load needs.
#[derive(Deserialize)]
struct File {
    service_name: String,
    client_addresses: Vec<SocketAddr>,
    service_ca: PathBuf,
    client_cert: PathBuf,
    client_key: PathBuf,
    other_client_cert: PathBuf,
    other_client_key: PathBuf,
    admin: AdminAddresses,
}

#[derive(Deserialize)]
struct AdminAddresses {
    gateway: Vec<SocketAddr>,
    connection_point: Vec<SocketAddr>,
    site_role: Vec<SocketAddr>,
}

pub struct Demo {
    pub site: Site,
    pub logs: Logs,
}

pub fn read(path: &Path) -> Result<Demo> {
    let text = fs::read(path).with_context(|| format!("cannot read {}; is the demo ready?", path.display()))?;
    let file: File = serde_json::from_slice(&text).with_context(|| format!("{} is not of a demo", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let logs = |program: &str, count| (1..=count).map(|at| folder.join(format!("{program}{at}.log"))).collect();
    let logs = Logs {
        gateways: logs("gateway-", file.admin.gateway.len()),
        connection_points: logs("cp", file.admin.connection_point.len()),
    };
    let site = Site {
        addresses: file.client_addresses,
        service_name: file.service_name,
        service_ca: file.service_ca,
        identities: vec![
            Identity { certificate: file.client_cert, key: file.client_key },
            Identity { certificate: file.other_client_cert, key: file.other_client_key },
        ],
        role_admin: *file.admin.site_role.first().context("a demo without a role")?,
        management_point: format!("/CCM_Proxy_MutualAuth/{MANAGEMENT_POINT}"),
        distribution_point: format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}"),
        open: CUSTOM_PREFIX.to_owned(),
    };
    Ok(Demo { site, logs })
}
