//! Where the load goes: addresses, names, certificates, and what is published there. The paths lead to the site role of
//! this project, which answers as each request wants.

use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Site {
    /// Gateways, as a name service would tell them.
    pub addresses: Vec<SocketAddr>,
    pub service_name: String,
    /// The root of the gateways' certificates.
    pub service_ca: PathBuf,
    /// The clients' certificates; each client uses one of them.
    pub identities: Vec<Identity>,
    /// The admin listener of the role that all paths lead to.
    pub role_admin: SocketAddr,
    /// External path of the management point, without a slash at its end.
    pub management_point: String,
    pub distribution_point: String,
    /// Of a custom endpoint that takes every verb.
    pub open: String,
}

#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}
