//! Which site and endpoint a request is for: `RequestTarget` + Host -> [`Selection`]. Default deny: what no
//! configuration in force publishes is not there.

use std::sync::Arc;

use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_target::RequestTarget;
use cmg_core::routes::Proof;
use cmg_core::site::{Authentication, Encoding};
use cmg_core::tls::chain::ChainFault;
use rustls::pki_types::UnixTime;

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
        let asks_certificate = Proof::asked_by_path(target.path()) == Some(Proof::Certificate);
        if asks_certificate && !client.has_certificate() {
            return Err(Refusal::new(RefusalKind::ClientCertificateRequired, "no client certificate was shown"));
        }
        let not_published = |why: &str| Refusal::new(RefusalKind::NotPublished, why);
        let Some(found) = published.routes().find(&target) else {
            // A certificate that everybody can make tells as little.
            let stranger = if asks_certificate { no_site_believes(published, client) } else { None };
            return Err(stranger.unwrap_or_else(|| not_published("no route for this path")));
        };
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
            let is_for_anyone = route.endpoint.authentication == Authentication::Anonymous;
            let stranger = if is_for_anyone { None } else { client.verdict(&route.site, UnixTime::now()).err() };
            return Err(match stranger.filter(|_| asks_certificate) {
                Some(stranger) => not_believed(&stranger),
                None => Refusal::new(RefusalKind::BadRequest, fault),
            });
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

/// The refusal of a client that no site in force trusts.
fn no_site_believes(published: &Published, client: &Client) -> Option<Refusal> {
    let now = UnixTime::now();
    let mut faults = Vec::new();
    for site in published.sites() {
        faults.push(client.verdict(site, now).err()?);
    }
    faults.iter().find(|fault| fault.is_expiry()).or(faults.first()).map(not_believed)
}

/// What a chain that is not good for a site is refused with.
pub fn not_believed(fault: &ChainFault) -> Refusal {
    let kind = match fault.is_expiry() {
        true => RefusalKind::ClientCertificateExpired,
        false => RefusalKind::ClientCertificateUntrusted,
    };
    Refusal::new(kind, fault.to_string())
}

#[cfg(test)]
mod tests;
