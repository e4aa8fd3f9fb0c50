//! Finds what an external path leads to. Prefix, endpoint and custom prefixes are compared as raw bytes,
//! without regard to ASCII case, on whole segments; nothing is decoded and nothing is allocated.

use crate::request_target::RequestTarget;
use crate::site::{Authentication, ExternalPath, RoleId};
use std::collections::HashMap;

/// Which prefix of the gateway a path is under; decides what a client has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofPrefix {
    /// `/CCM_Proxy_MutualAuth/`: a client certificate.
    MutualAuth,
    /// `/CCM_Proxy_ServerAuth/`: a token, or nothing where an endpoint is anonymous.
    ServerAuth,
}

const PREFIXES: [(&[u8], ProofPrefix); 2] =
    [(b"/ccm_proxy_mutualauth/", ProofPrefix::MutualAuth), (b"/ccm_proxy_serverauth/", ProofPrefix::ServerAuth)];

/// The proxy prefix of a path and the offset of what follows its slash.
pub fn proof_prefix(path: &[u8]) -> Option<(ProofPrefix, usize)> {
    let found = PREFIXES.iter().find(|(prefix, _)| starts_with(path, prefix));
    found.map(|(prefix, proof)| (*proof, prefix.len()))
}

/// External paths and what each leads to.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    roles: HashMap<RoleId, Vec<BehindRole<T>>>,
    /// Longest first.
    prefixes: Vec<Prefix<T>>,
}

#[derive(Clone, Debug)]
struct BehindRole<T> {
    endpoint: String,
    mutual_auth: bool,
    server_auth: bool,
    value: T,
}

#[derive(Clone, Debug)]
struct Prefix<T> {
    /// Without the last slash; empty for the root.
    prefix: String,
    value: T,
}

/// What a path leads to.
#[derive(Debug)]
pub struct Route<'r, T> {
    pub value: &'r T,
    /// None for a custom prefix.
    pub proof: Option<ProofPrefix>,
    /// Where the endpoint begins in the origin-form, at its slash; 0 for a custom prefix.
    pub endpoint_at: usize,
    /// Where the unmatched rest begins in the origin-form: at a slash, at the question mark, or at the end.
    pub rest_at: usize,
}

// Derived, it would ask for `T: Clone`.
impl<T> Clone for Route<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Route<'_, T> {}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { roles: HashMap::new(), prefixes: Vec::new() }
    }
}

impl<T> Routes<T> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint. Of two equal paths the first one stays; site configurations with such are refused.
    pub fn add(&mut self, role: RoleId, path: &ExternalPath, authentication: Authentication, value: T) {
        match path {
            ExternalPath::BehindRole(endpoint) => {
                let server_auth = authentication != Authentication::Certificate;
                let row = BehindRole { endpoint: endpoint.clone(), mutual_auth: true, server_auth, value };
                self.roles.entry(role).or_default().push(row);
            }
            ExternalPath::Prefix(prefix) => {
                let prefix = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
                let at = self.prefixes.partition_point(|other| other.prefix.len() >= prefix.len());
                self.prefixes.insert(at, Prefix { prefix, value });
            }
        }
    }

    /// What a target leads to; none means that nothing is published there.
    pub fn find(&self, target: &RequestTarget) -> Option<Route<'_, T>> {
        self.find_path(target.path())
    }

    /// The same for the bytes of a path that was checked.
    pub(crate) fn find_path(&self, path: &[u8]) -> Option<Route<'_, T>> {
        match proof_prefix(path) {
            Some((proof, id_at)) => self.behind_role(path, proof, id_at),
            // Whatever begins like the roles' own paths is never a custom one.
            None if starts_with(path, b"/ccm_proxy_") => None,
            None => self.custom(path),
        }
    }

    fn behind_role(&self, path: &[u8], proof: ProofPrefix, id_at: usize) -> Option<Route<'_, T>> {
        let after_prefix = path.get(id_at..)?;
        let id_length = after_prefix.iter().position(|byte| *byte == b'/')?;
        let role = RoleId::from_digits(after_prefix.get(..id_length)?)?;
        let endpoint_at = id_at + id_length;
        let endpoint = segment(path.get(endpoint_at + 1..)?);
        let row = self.roles.get(&role)?.iter().find(|row| {
            let published = match proof {
                ProofPrefix::MutualAuth => row.mutual_auth,
                ProofPrefix::ServerAuth => row.server_auth,
            };
            published && row.endpoint.as_bytes().eq_ignore_ascii_case(endpoint)
        })?;
        let rest_at = endpoint_at + 1 + endpoint.len();
        Some(Route { value: &row.value, proof: Some(proof), endpoint_at, rest_at })
    }

    fn custom(&self, path: &[u8]) -> Option<Route<'_, T>> {
        let row = self.prefixes.iter().find(|row| {
            let ends_segment = matches!(path.get(row.prefix.len()), None | Some(b'/'));
            ends_segment && starts_with(path, row.prefix.as_bytes())
        })?;
        Some(Route { value: &row.value, proof: None, endpoint_at: 0, rest_at: row.prefix.len() })
    }
}

/// The bytes up to the next slash.
fn segment(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').next().unwrap_or_default()
}

fn starts_with(path: &[u8], prefix: &[u8]) -> bool {
    path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
