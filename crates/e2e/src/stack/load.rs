//! The installation as the load generator sees it: where to send, whose logs to read, what the programs counted.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cmg_load::{Counts, Identity, Record, Site};

use super::{CUSTOM_PREFIX, DISTRIBUTION_POINT, MANAGEMENT_POINT, SERVICE_NAME, Stack};
use crate::admin::Admin;
use crate::metrics::Metrics;
use crate::program::Program;

impl Stack {
    /// Every gateway and the roles behind them, with the certificates of both devices.
    pub fn load_site(&self) -> Result<Site> {
        let identities = self
            .pki
            .clients
            .iter()
            .map(|client| Identity { certificate: client.certificate.clone(), key: client.key.clone() });
        Ok(Site {
            addresses: (0..self.gateways.len()).map(|at| self.client_address(at)).collect::<Result<_>>()?,
            service_name: SERVICE_NAME.to_owned(),
            service_ca: self.pki.service_ca.certificate.clone(),
            identities: identities.collect(),
            role_admin: self.site_role.address("admin")?,
            management_point: format!("/CCM_Proxy_MutualAuth/{MANAGEMENT_POINT}"),
            distribution_point: format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}"),
            open: CUSTOM_PREFIX.to_owned(),
        })
    }

    /// The logs of all gateways, those that have ended too.
    pub fn gateway_logs(&self) -> Vec<PathBuf> {
        let living = self.gateways.iter().map(|gateway| gateway.log.clone());
        self.ended.logs.iter().cloned().chain(living).collect()
    }

    /// The counts of a run that has ended, of what the role saw from `since` on.
    pub async fn load_counts(&self, record: Record, since: u64) -> Result<Counts> {
        let mut sent_again = self.ended.sent_again;
        for program in self.gateways.iter().chain(&self.connection_points) {
            sent_again += requests_sent_again(program).await?;
        }
        let logs = self.gateway_logs();
        Counts::take(record, &self.load_site()?, since, &logs, sent_again).await.context("cannot take the counts")
    }
}

async fn requests_sent_again(program: &Program) -> Result<u64> {
    Ok(sent_again(&Admin::of(program)?.metrics().await?))
}

/// How often a program sent a request a second time: to another connection point, or to a role.
pub fn sent_again(metrics: &Metrics) -> u64 {
    let counted = |name| metrics.sum(name, &[]);
    (counted("cmg_requests_sent_again_total") + counted("cmg_role_requests_sent_again_total")) as u64
}
