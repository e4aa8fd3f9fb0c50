//! The installation as the load generator sees it: where to send, whose logs to read.

use anyhow::{Context, Result};
use cmg_load::{Counts, Identity, Logs, Record, Site};

use super::{CUSTOM_PREFIX, DISTRIBUTION_POINT, MANAGEMENT_POINT, SERVICE_NAME, Stack};

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

    /// The logs of all gateways and connection points, those that have ended too.
    pub fn logs(&self) -> Logs {
        let mut logs = self.ended.clone();
        logs.gateways.extend(self.gateways.iter().map(|gateway| gateway.log.clone()));
        logs.connection_points.extend(self.connection_points.iter().map(|point| point.log.clone()));
        logs
    }

    /// The counts of a run that has ended, of what the role saw from `since` on.
    pub async fn load_counts(&self, record: Record, since: u64) -> Result<Counts> {
        Counts::take(record, &self.load_site()?, since, &self.logs()).await.context("cannot take the counts")
    }
}
