//! A role as the inside knows it: the server behind it, and for each endpoint how the external path becomes
//! the internal one. Also the gateways that a site uses. Never leaves the connection point.

use super::endpoint::Endpoint;
use super::kinds::RoleKind;
use super::names::RoleId;
use crate::configuration::{HostName, HostPort};
use crate::named_setting;
use bytes::Bytes;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct SiteRole {
    pub id: RoleId,
    pub kind: RoleKind,
    pub clients: Clients,
    /// Enabled, and for clients on the internet. Otherwise it is listed and nothing more.
    pub published: bool,
    pub internal: Arc<InternalRole>,
    /// Bytes of the largest request head that the role takes.
    pub max_head: usize,
    pub client_certificate: ClientCertificateForm,
    /// What is published of it.
    pub routes: Vec<SiteRoute>,
}

/// An endpoint and where it leads to.
#[derive(Clone, Debug)]
pub struct SiteRoute {
    pub endpoint: Arc<Endpoint>,
    pub rewrite: Rewrite,
}

/// How an external path becomes an internal one. What follows the matched part is never touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// `/CCM_Proxy_MutualAuth/<role id>` is removed; the endpoint stays spelled as the client spelled it.
    /// A prefix of its own stays as it is.
    Keep,
    /// The matched part is replaced by this path, which begins with a slash and does not end with one;
    /// empty for the root.
    Replace(Bytes),
}

/// The server behind a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InternalRole {
    pub id: RoleId,
    pub kind: RoleKind,
    /// Where to connect, and the name that its certificate must have.
    pub server: HostName,
    pub port: u16,
    /// The value of Host.
    pub host: Bytes,
}

/// Which clients a role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    Intranet,
    Internet,
    Both,
}

named_setting!(Clients, [("intranet", Clients::Intranet), ("internet", Clients::Internet), ("both", Clients::Both)]);

/// How a client's certificate is handed to a role (RFC 9440).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificateForm {
    None,
    /// As Client-Cert.
    Leaf,
    /// As Client-Cert and Client-Cert-Chain.
    Chain,
}

named_setting!(
    ClientCertificateForm,
    [
        ("none", ClientCertificateForm::None),
        ("leaf", ClientCertificateForm::Leaf),
        ("chain", ClientCertificateForm::Chain)
    ]
);

/// A gateway that the site's connection points connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteGateway {
    pub name: String,
    /// The names that clients use.
    pub service_names: Vec<HostName>,
    /// The name in the instances' tunnel certificates.
    pub tunnel_name: HostName,
    pub instances: Vec<GatewayInstance>,
}

/// One process of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayInstance {
    pub name: String,
    /// In the order of preference.
    pub addresses: Vec<HostPort>,
}
