//! Maps an external target to the internal one (C-01): prefix for prefix, rest and query byte for byte. Pure;
//! the only thing that can name a destination is the site configuration.

use crate::request_target::RequestTarget;
use crate::routes::{Proof, Route, Routes};
use crate::site::{Authentication, Encoding, Endpoint, InternalRole, Rewrite, SiteConfiguration};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// The mappings of one site configuration.
#[derive(Clone, Debug, Default)]
pub struct UrlMapping {
    routes: Routes<Mapping>,
}

#[derive(Clone, Debug)]
struct Mapping {
    role: Arc<InternalRole>,
    endpoint: Arc<Endpoint>,
    rewrite: Rewrite,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Mapped {
    pub role: Arc<InternalRole>,
    pub endpoint: Arc<Endpoint>,
    /// None for a custom prefix.
    pub proof: Option<Proof>,
    /// The internal origin-form.
    pub target: Bytes,
    /// The value of Host.
    pub host: Bytes,
}

/// Why a target is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMapped {
    #[error("this site publishes nothing at this path")]
    Nothing,
    /// The path is legal only where encoding is relaxed.
    #[error("the path has {0}, and this endpoint's encoding is strict")]
    Encoding(&'static str),
}

impl UrlMapping {
    pub fn new(site: &SiteConfiguration) -> Self {
        let mut routes = Routes::default();
        for role in site.roles.iter().filter(|role| role.published) {
            for route in &role.routes {
                let endpoint = Arc::clone(&route.endpoint);
                let mapping = Mapping { role: Arc::clone(&role.internal), endpoint, rewrite: route.rewrite.clone() };
                routes.insert(role.id, &route.endpoint.external_path, mapping);
            }
        }
        Self { routes }
    }

    pub fn map(&self, target: &RequestTarget) -> Result<Mapped, NotMapped> {
        let route = self.routes.find(target).ok_or(NotMapped::Nothing)?;
        let Mapping { role, endpoint, .. } = route.value();
        // Behind the token prefix nobody has shown a certificate.
        if route.proof() == Some(Proof::Token) && endpoint.authentication == Authentication::Certificate {
            return Err(NotMapped::Nothing);
        }
        if let (Encoding::Strict, Some(what)) = (endpoint.encoding, target.needs_relaxed_encoding()) {
            return Err(NotMapped::Encoding(what));
        }
        Ok(Mapped {
            role: Arc::clone(role),
            endpoint: Arc::clone(endpoint),
            proof: route.proof(),
            target: internal_target(target.origin_form(), &route),
            host: role.host.clone(),
        })
    }
}

fn internal_target(origin_form: &Bytes, route: &Route<'_, Mapping>) -> Bytes {
    match &route.value().rewrite {
        Rewrite::Keep => origin_form.slice(route.endpoint_at().min(origin_form.len())..),
        Rewrite::Replace(path) => {
            let rest = origin_form.get(route.rest_at()..).unwrap_or_default();
            // A path has at least its slash: `/bench?q` at the root becomes `/?q`.
            let slash = path.is_empty() && rest.first() != Some(&b'/');
            let mut target = BytesMut::with_capacity(path.len() + usize::from(slash) + rest.len());
            target.put_slice(path);
            if slash {
                target.put_u8(b'/');
            }
            target.put_slice(rest);
            target.freeze()
        }
    }
}

#[cfg(test)]
mod tests;
