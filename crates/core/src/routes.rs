//! Finds what an external path leads to. Prefix, endpoint and custom prefixes are compared as raw bytes,
//! without regard to ASCII case, on whole segments; nothing is decoded and nothing is allocated.

use crate::request_target::RequestTarget;
use crate::site::{ExternalPath, RoleId};
use std::collections::HashMap;

/// What the prefix of a path asks a client to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `/CCM_Proxy_MutualAuth/`: a client certificate.
    Certificate,
    /// `/CCM_Proxy_ServerAuth/`: a token, or nothing where an endpoint is anonymous.
    Token,
}

const PREFIXES: [(&[u8], Proof); 2] =
    [(b"/ccm_proxy_mutualauth/", Proof::Certificate), (b"/ccm_proxy_serverauth/", Proof::Token)];

impl Proof {
    /// What a path asks for, whether or not anything is published there.
    pub fn asked_by_path(path: &[u8]) -> Option<Self> {
        prefix_of(path).map(|(proof, _)| proof)
    }
}

/// The proxy prefix of a path and the offset of what follows its slash.
fn prefix_of(path: &[u8]) -> Option<(Proof, usize)> {
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
    value: T,
}

#[derive(Clone, Debug)]
struct Prefix<T> {
    /// Without the last slash; empty for the root.
    prefix: String,
    value: T,
}

/// What a path leads to. Whether its proof is enough there is for the caller to judge.
#[derive(Debug)]
pub struct Route<'r, T> {
    value: &'r T,
    proof: Option<Proof>,
    endpoint_at: usize,
    rest_at: usize,
}

impl<'r, T> Route<'r, T> {
    pub fn value(&self) -> &'r T {
        self.value
    }

    /// None for a custom prefix.
    pub fn proof(&self) -> Option<Proof> {
        self.proof
    }

    /// Where the endpoint begins in the origin-form, at its slash; 0 for a custom prefix.
    pub fn endpoint_at(&self) -> usize {
        self.endpoint_at
    }

    /// Where the unmatched rest begins in the origin-form: at a slash, at the question mark, or at the end.
    pub fn rest_at(&self) -> usize {
        self.rest_at
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { roles: HashMap::new(), prefixes: Vec::new() }
    }
}

impl<T> Routes<T> {
    /// Adds what an external path leads to. Of two equal paths the first one stays; site configurations with such are refused.
    pub fn insert(&mut self, role: RoleId, path: &ExternalPath, value: T) {
        match path {
            ExternalPath::BehindRole(endpoint) => {
                let row = BehindRole { endpoint: endpoint.clone(), value };
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
        match prefix_of(path) {
            Some((proof, id_at)) => self.behind_role(path, proof, id_at),
            // Whatever begins like the roles' own paths is never a custom one.
            None if starts_with(path, b"/ccm_proxy_") => None,
            None => self.custom(path),
        }
    }

    fn behind_role(&self, path: &[u8], proof: Proof, id_at: usize) -> Option<Route<'_, T>> {
        let after_prefix = path.get(id_at..)?;
        let id_length = after_prefix.iter().position(|byte| *byte == b'/')?;
        let role = RoleId::from_digits(after_prefix.get(..id_length)?)?;
        let endpoint_at = id_at + id_length;
        let endpoint = segment(path.get(endpoint_at + 1..)?);
        let mut rows = self.roles.get(&role)?.iter();
        let row = rows.find(|row| row.endpoint.as_bytes().eq_ignore_ascii_case(endpoint))?;
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

#[cfg(test)]
mod tests;
