//! A site and what it publishes. `SiteConfiguration` is the inside's whole truth, read from site.toml;
//! `Publication` is the part of it that a gateway may know, and holds no internal address by its types.

mod endpoint;
mod kinds;
mod names;
mod role;
mod trust;

mod overlap;
mod permissions;
mod publication;
mod read;
mod reasons;

pub use endpoint::{Authentication, Encoding, Endpoint, ExternalPath, Methods};
pub use kinds::{BuiltInEndpoint, RoleKind};
pub use names::{RoleId, SiteCode};
pub use overlap::Claim;
pub use permissions::{AllowedConnectionPoint, ExternalPrefix, RoleRange, SitePermissions, overlaps};
pub use publication::{Publication, PublishedRole};
pub use read::{SiteConfiguration, SiteKind, fuzz_site_configuration};
pub use reasons::Reasons;
pub use role::{
    ClientCertificateForm, Clients, GatewayInstance, InternalRole, Rewrite, SiteGateway, SiteRole, SiteRoute,
};
pub use trust::ClientTrust;

#[cfg(test)]
mod tests;
