//! A site configuration in force: what is published, how external URLs become internal ones, and how to reach
//! each role. Immutable; a new configuration is a new value, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cmg_core::site::{Endpoint, InternalRole, RoleId, SiteConfiguration, SiteGateway};
use cmg_core::site_role::Role;
use cmg_core::tls::configs::{self, ConfigFault};
use cmg_core::tls::role_certificates::RoleCertificates;
use cmg_core::tunnel::publication::{self, Digest};
use cmg_core::url_mapping::{Mapped, UrlMapping};

use crate::metrics::{EndpointCounters, PointMetrics};
use crate::settings::RolesTlsSettings;

pub struct Site {
    pub version: u64,
    /// Of the publication's bytes.
    pub digest: Digest,
    pub publication: Bytes,
    /// Of the text that it was read from: with the publication's it says whether anything has changed.
    pub text_digest: Digest,
    pub mapping: Arc<UrlMapping>,
    pub gateways: Vec<SiteGateway>,
    pub notes: Vec<String>,
    roles: HashMap<RoleId, LiveRole>,
}

/// What an exchange needs of its role.
pub struct RoleOf<'a> {
    pub role: &'a Arc<Role>,
    pub counters: &'a Arc<EndpointCounters>,
}

/// A role that may be asked, and what is counted of its endpoints.
struct LiveRole {
    role: Arc<Role>,
    internal: Arc<InternalRole>,
    endpoints: Vec<(Arc<Endpoint>, Arc<EndpointCounters>)>,
}

impl Site {
    /// Makes a configuration live. Connections to roles that are as they were in `before` may be kept.
    pub fn new(
        configuration: SiteConfiguration,
        text: &str,
        tls: &RolesTlsSettings,
        metrics: &PointMetrics,
        before: Option<&Site>,
    ) -> Result<Self, ConfigFault> {
        let mut roles = HashMap::new();
        for role in configuration.roles.iter().filter(|role| role.published) {
            let kept = before.and_then(|site| site.roles.get(&role.id)).filter(|kept| *kept.internal == *role.internal);
            let live = match kept {
                Some(kept) => Arc::clone(&kept.role),
                None => Arc::new(live_role(&role.internal, tls)?),
            };
            let counted = |endpoint: &Arc<Endpoint>| Arc::new(metrics.endpoint(role.id, &endpoint.name));
            let endpoints = role.routes.iter().map(|route| (Arc::clone(&route.endpoint), counted(&route.endpoint)));
            let endpoints = endpoints.collect();
            roles.insert(role.id, LiveRole { role: live, internal: Arc::clone(&role.internal), endpoints });
        }
        let mapping = Arc::new(UrlMapping::new(&configuration));
        let published = publication::encode(&configuration.publication);
        let digest = publication::digest(&published);
        let SiteConfiguration { version, gateways, notes, .. } = configuration;
        let text_digest = publication::digest(text.as_bytes());
        Ok(Self { version, digest, publication: published, text_digest, mapping, gateways, notes, roles })
    }

    /// The same with other certificates towards roles: no connection that is open to one is used again.
    pub fn with_roles_tls(&self, tls: &RolesTlsSettings) -> Result<Self, ConfigFault> {
        let live = |(id, live): (&RoleId, &LiveRole)| {
            let role = Arc::new(live_role(&live.internal, tls)?);
            let LiveRole { internal, endpoints, .. } = live;
            Ok::<_, ConfigFault>((*id, LiveRole { role, internal: Arc::clone(internal), endpoints: endpoints.clone() }))
        };
        Ok(Self {
            version: self.version,
            digest: self.digest,
            publication: self.publication.clone(),
            text_digest: self.text_digest,
            mapping: Arc::clone(&self.mapping),
            gateways: self.gateways.clone(),
            notes: self.notes.clone(),
            roles: self.roles.iter().map(live).collect::<Result<_, _>>()?,
        })
    }

    /// The role of a mapped request.
    pub fn role(&self, mapped: &Mapped) -> Option<RoleOf<'_>> {
        let live = self.roles.get(&mapped.role.id)?;
        let (_, counters) = live.endpoints.iter().find(|(known, _)| Arc::ptr_eq(known, &mapped.endpoint))?;
        Some(RoleOf { role: &live.role, counters })
    }

    /// How many roles are published.
    pub fn roles(&self) -> usize {
        self.roles.len()
    }
}

fn live_role(internal: &InternalRole, tls: &RolesTlsSettings) -> Result<Role, ConfigFault> {
    let host = internal.server.as_str();
    let certificates = RoleCertificates::new(format!("role {} at {host}", internal.id), tls.certificates.clone());
    Ok(Role {
        id: internal.id.0,
        host: host.to_owned(),
        port: internal.port,
        server_name: internal.server.server_name(),
        tls: configs::role_client(tls.minimum, &tls.roots, certificates)?,
    })
}
