//! What the sites in force publish, as one immutable table that every worker reads. Built anew when a site's
//! configuration changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use cmg_core::routes::Routes;
use cmg_core::site::{Endpoint, Publication, PublishedRole};
use cmg_core::tls::chain::ClientChains;

/// A site whose configuration has been applied.
pub struct SiteInForce {
    pub code: String,
    pub version: u64,
    pub digest: [u8; 32],
    pub publication: Publication,
    /// Whom the site believes.
    pub trust: ClientChains,
}

impl std::fmt::Debug for SiteInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteInForce").field("code", &self.code).field("version", &self.version).finish()
    }
}

/// An endpoint with the role and site that it belongs to.
#[derive(Debug)]
pub struct PublishedRoute {
    pub site: Arc<SiteInForce>,
    pub role: Arc<PublishedRole>,
    pub endpoint: Endpoint,
}

/// The table.
#[derive(Default)]
pub struct Published {
    sites: BTreeMap<String, Arc<SiteInForce>>,
    routes: Routes<Arc<PublishedRoute>>,
}

impl Published {
    /// The sites have been judged: no two of them claim the same path or role.
    pub fn new(sites: impl IntoIterator<Item = Arc<SiteInForce>>) -> Self {
        let sites: BTreeMap<_, _> = sites.into_iter().map(|site| (site.code.clone(), site)).collect();
        let mut routes = Routes::default();
        for site in sites.values() {
            for role in &site.publication.roles {
                let role = Arc::new(role.clone());
                for endpoint in &role.endpoints {
                    let (site, role, endpoint) = (Arc::clone(site), Arc::clone(&role), endpoint.clone());
                    let path = endpoint.external_path.clone();
                    routes.insert(role.id, &path, Arc::new(PublishedRoute { site, role, endpoint }));
                }
            }
        }
        Self { sites, routes }
    }

    pub fn routes(&self) -> &Routes<Arc<PublishedRoute>> {
        &self.routes
    }

    pub fn site(&self, code: &str) -> Option<&Arc<SiteInForce>> {
        self.sites.get(code)
    }

    pub fn sites(&self) -> impl Iterator<Item = &Arc<SiteInForce>> {
        self.sites.values()
    }
}

#[cfg(test)]
mod tests;
