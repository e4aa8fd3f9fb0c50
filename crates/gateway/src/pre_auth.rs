//! Who asks: the client's chain + [`Selection`] -> [`PreAuthenticated`]. Judged once per client connection and
//! trust of a site; validity in time at every request. The place where revocation and tokens will be judged.

use std::sync::Arc;

use bytes::Bytes;
use cmg_core::headers::ClientIdentity;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::site::Authentication;
use cmg_core::tunnel::message::ClientProof;
use rustls::pki_types::UnixTime;

use crate::client::{Client, TrustedClient};
use crate::fairness::Account;
use crate::selection::{Selection, not_believed};

/// A selected request whose client has shown what the endpoint asks for.
#[derive(Debug)]
pub struct PreAuthenticated {
    selection: Selection,
    client: Option<Arc<TrustedClient>>,
}

impl PreAuthenticated {
    pub fn judge(selection: Selection, client: &Client) -> Result<Self, Refusal> {
        let client = match selection.route().endpoint.authentication {
            Authentication::Anonymous => None,
            Authentication::Certificate | Authentication::CertificateOrToken => Some(judge_chain(&selection, client)?),
        };
        Ok(Self { selection, client })
    }

    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    pub fn proof(&self) -> ClientProof {
        if self.client.is_some() { ClientProof::Certificate } else { ClientProof::None }
    }

    /// What its client uses of this instance; whoever needs no proof has no account.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.client.as_ref().map(|trusted| &trusted.account)
    }

    /// `X-CMG-Client`.
    pub fn identity_field(&self) -> Bytes {
        match &self.client {
            Some(trusted) => trusted.identity_field.clone(),
            None => ClientIdentity { method: "none", thumbprint: None, subject: None }.field_value(),
        }
    }
}

fn judge_chain(selection: &Selection, client: &Client) -> Result<Arc<TrustedClient>, Refusal> {
    if !client.has_certificate() {
        return Err(Refusal::new(RefusalKind::ClientCertificateRequired, "no client certificate was shown"));
    }
    client.verdict(selection.site(), UnixTime::now()).map_err(|fault| not_believed(&fault))
}

#[cfg(test)]
mod tests;
