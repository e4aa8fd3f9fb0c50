//! SIGHUP and `reload`: the file and everything that it names is read anew; services, certificates and the log
//! level are swapped, and the old ones stay if anything is wrong. What needs a restart is named.

use std::sync::Arc;

use cmg_core::configuration::Overrides;
use cmg_core::logs::Logs;

use crate::expiry;
use crate::instance::Instance;
use crate::program::{Source, client_tls, tunnel_tls};
use crate::settings::{ENVIRONMENT, GatewaySettings};

/// Sections whose values are taken over by a reload; the files that other keys name are read anew all the same.
const TAKEN_OVER: [&str; 5] = ["log.", "services", "tunnel.ca", "tunnel.certificate", "tunnel.key"];

pub struct Reloader {
    pub source: Source,
    pub logs: Arc<Logs>,
    pub instance: Arc<Instance>,
}

impl Reloader {
    /// Says what is in force now, or everything that is wrong.
    pub fn reload(&self) -> Result<String, String> {
        let outcome = self.take_over();
        match &outcome {
            Ok(done) => tracing::info!(done, "reloaded"),
            Err(problems) => tracing::error!(problems, "not reloaded; the old settings stay in force"),
        }
        outcome
    }

    fn take_over(&self) -> Result<String, String> {
        let overrides = Overrides::from_environment(ENVIRONMENT).sets(&self.source.set);
        let next = GatewaySettings::load(&self.source.file, overrides).map_err(|problems| problems.to_string())?;
        let client = client_tls(&next, self.instance.published_cell()).map_err(|fault| fault.to_string())?;
        let tunnel = tunnel_tls(&next).map_err(|fault| fault.to_string())?;
        self.logs.apply(&next.log).map_err(|error| error.to_string())?;
        expiry::report(&next, &self.instance.metrics);
        let needs_restart = self.needs_restart(&next);
        self.instance.take_over(client, tunnel, next);
        Ok(match needs_restart.as_slice() {
            [] => "services, certificates and log level are those of the files now".to_owned(),
            keys => format!("services, certificates and log level are in force; restart to apply {}", keys.join(", ")),
        })
    }

    /// Keys whose value has changed and that only a restart applies.
    fn needs_restart(&self, next: &GatewaySettings) -> Vec<String> {
        let mut changed = next.reading.changed_since(&self.instance.settings.reading);
        changed.retain(|key| !TAKEN_OVER.iter().any(|prefix| key.starts_with(prefix)));
        changed
    }
}
