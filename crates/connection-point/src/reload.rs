//! SIGHUP and `reload`: the own file and everything that it names is read anew. Certificates, the place of the site
//! configuration and the log level are taken over, or the old ones stay if anything is wrong. What needs a restart
//! is named.

use std::path::PathBuf;
use std::sync::Arc;

use cmg_core::configuration::Overrides;
use cmg_core::logs::Logs;

use crate::point::ConnectionPoint;
use crate::settings::{ConnectionPointSettings, ENVIRONMENT, ProxyVariables};
use crate::site_source::SourceReader;

/// Sections whose values are taken over by a reload.
const TAKEN_OVER: [&str; 7] = ["log.", "site.", "tunnel.", "egress.", "roles_tls.", "role_certificates", "drain."];

/// Where settings come from beside the environment.
pub struct OwnFile {
    pub path: PathBuf,
    /// `--set key=value`.
    pub set: Vec<(String, String)>,
}

pub struct Reloader {
    own_file: OwnFile,
    logs: Arc<Logs>,
    point: Arc<ConnectionPoint>,
    /// As they were at start.
    started_with: Arc<ConnectionPointSettings>,
}

impl Reloader {
    pub fn new(own_file: OwnFile, logs: &Arc<Logs>, point: &Arc<ConnectionPoint>) -> Self {
        let started_with = point.settings();
        Self { own_file, logs: Arc::clone(logs), point: Arc::clone(point), started_with }
    }

    /// What the source is to be looked at with now, or everything that is wrong.
    pub fn reload(&self) -> Result<SourceReader, String> {
        let outcome = self.take_over();
        match &outcome {
            Ok((_, done)) => tracing::info!(done, "reloaded"),
            Err(problems) => tracing::error!(problems, "not reloaded; the old settings stay in force"),
        }
        outcome.map(|(reader, _)| reader)
    }

    fn take_over(&self) -> Result<(SourceReader, String), String> {
        let overrides = Overrides::from_environment(ENVIRONMENT).sets(&self.own_file.set);
        let next = ConnectionPointSettings::load(&self.own_file.path, overrides, &ProxyVariables::of_process());
        let next = next.map_err(|all| all.to_string())?;
        let before = &self.started_with;
        if (&next.site, &next.name) != (&before.site, &before.name) {
            let (site, name) = (&before.site, &before.name);
            return Err(format!(
                "connection_point.site and connection_point.name: this is {name} of site {site}; restart to make it \
                 another one"
            ));
        }
        let reader = SourceReader::new(&next.source.source).map_err(|error| error.to_string())?;
        let mut needs_restart = next.reading.changed_since(&before.reading);
        needs_restart.retain(|key| !TAKEN_OVER.iter().any(|prefix| key.starts_with(prefix)));
        let log = next.log.clone();
        self.point.take_over(next).map_err(|fault| fault.to_string())?;
        self.logs.apply(&log).map_err(|error| error.to_string())?;
        self.point.check_links();
        let done = match needs_restart.as_slice() {
            [] => "certificates, source and log level are those of the file now".to_owned(),
            keys => format!("certificates, source and log level are in force; restart to apply {}", keys.join(", ")),
        };
        Ok((reader, done))
    }
}
