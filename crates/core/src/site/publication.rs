//! What a gateway may know of a site: external paths, verbs, limits, authentication, trust. Its types have no
//! room for an internal address. The form on the wire is made in tunnel/publication.rs.

use super::endpoint::{Authentication, Endpoint};
use super::kinds::RoleKind;
use super::names::{RoleId, SiteCode};
use super::overlap::{Claim, clashes, twice};
use super::reasons::Reasons;
use super::role::{ClientCertificateForm, SiteRole};
use super::trust::ClientTrust;
use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub site: SiteCode,
    /// In the order of their ids.
    pub roles: Vec<PublishedRole>,
    pub client_trust: ClientTrust,
}

/// A role as the outside sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRole {
    pub id: RoleId,
    pub kind: RoleKind,
    pub endpoints: Vec<Endpoint>,
    /// Bytes of the largest request head that the role takes.
    pub max_head: usize,
    pub client_certificate: ClientCertificateForm,
}

impl Publication {
    /// Leaves behind everything that is of the inside.
    pub fn of(site: SiteCode, roles: &[SiteRole], client_trust: ClientTrust) -> Self {
        let published = roles.iter().filter(|role| role.published).map(|role| PublishedRole {
            id: role.id,
            kind: role.kind,
            endpoints: role.routes.iter().map(|route| Endpoint::clone(&route.endpoint)).collect(),
            max_head: role.max_head,
            client_certificate: role.client_certificate,
        });
        let mut roles: Vec<PublishedRole> = published.collect();
        roles.sort_by_key(|role| role.id);
        Self { site, roles, client_trust }
    }

    /// Every endpoint with its role.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        self.roles.iter().flat_map(|role| role.endpoints.iter().map(move |endpoint| Claim { role: role.id, endpoint }))
    }

    /// What is wrong with it as a whole; nothing when it may come into force.
    pub fn faults(&self) -> Reasons {
        let mut faults = Reasons::default();
        let ids = self.roles.iter().map(|role| role.id);
        twice(ids).into_iter().for_each(|id| faults.add(|| format!("role id {id} is used twice")));
        for role in &self.roles {
            if role.endpoints.len() > limits::ROLE_ENDPOINTS {
                faults.add(|| format!("role {} has more than {} endpoints", role.id, limits::ROLE_ENDPOINTS));
            }
        }
        let by_certificate = self.claims().any(|claim| claim.endpoint.authentication != Authentication::Anonymous);
        if by_certificate && self.client_trust.roots().is_empty() {
            faults.add(|| "endpoints ask for client certificates, but no root certificate is given".to_owned());
        }
        let claims: Vec<Claim<'_>> = self.claims().collect();
        let clashes = clashes(&claims);
        clashes.named.into_iter().for_each(|clash| faults.add(|| clash.message));
        faults.add_more(clashes.more);
        faults
    }
}
