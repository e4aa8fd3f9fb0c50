//! Which site and endpoint a request is for: `RequestTarget` + Host -> [`Selection`]. Default deny: what no
//! configuration in force publishes is not there.

use std::sync::Arc;

use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_target::RequestTarget;
use cmg_core::routes::Proof;
use cmg_core::site::{Authentication, Encoding};

use crate::client::Client;
use crate::published::{Published, PublishedRoute, SiteInForce};
use crate::service_names::ServiceNames;

/// A request whose endpoint is known and published. Only [`Selection::choose`] makes one.
#[derive(Debug)]
pub struct Selection {
    target: RequestTarget,
    route: Arc<PublishedRoute>,
}

impl Selection {
    pub fn choose(
        published: &Published,
        names: &ServiceNames,
        target: RequestTarget,
        host: Option<&[u8]>,
        client: &Client,
    ) -> Result<Self, Refusal> {
        let is_ours = |host: Option<&[u8]>| host.is_some_and(|host| names.include(host));
        if !is_ours(host) || !target.authority().is_none_or(|authority| is_ours(Some(authority))) {
            return Err(Refusal::new(RefusalKind::MisdirectedRequest, "Host is not a name of this gateway"));
        }
        // Before anything is looked up, so that nobody without a certificate can probe what is published.
        if Proof::asked_by_path(target.path()) == Some(Proof::Certificate) && !client.has_certificate() {
            return Err(Refusal::new(RefusalKind::ClientCertificateRequired, "no client certificate was shown"));
        }
        let not_published = |why: &str| Refusal::new(RefusalKind::NotPublished, why);
        let found = published.routes().find(&target).ok_or_else(|| not_published("no route for this path"))?;
        let route = Arc::clone(found.value());
        match (route.endpoint.authentication, found.proof()) {
            (Authentication::Anonymous, _) | (_, Some(Proof::Certificate)) => {}
            (Authentication::Certificate, None) => {}
            (Authentication::Certificate | Authentication::CertificateOrToken, Some(Proof::Token))
            | (Authentication::CertificateOrToken, None) => {
                return Err(not_published("the endpoint takes no tokens"));
            }
        }
        if let (Encoding::Strict, Some(fault)) = (route.endpoint.encoding, target.needs_relaxed_encoding()) {
            return Err(Refusal::new(RefusalKind::BadRequest, fault));
        }
        Ok(Self { target, route })
    }

    pub fn target(&self) -> &RequestTarget {
        &self.target
    }

    pub fn route(&self) -> &Arc<PublishedRoute> {
        &self.route
    }

    pub fn site(&self) -> &Arc<SiteInForce> {
        &self.route.site
    }
}

#[cfg(test)]
mod tests;
