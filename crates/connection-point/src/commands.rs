//! The commands that are not the service. What they print is for people; how they end is for scripts.

use std::path::Path;

use cmg_core::command_line::{failed, no_problem, report};
use cmg_core::shutdown::ExitCode;

use crate::PROGRAM;
use crate::point::tunnel_tls;
use crate::program::StartError;
use crate::settings::ConnectionPointSettings;
use crate::site_source::{TrialFault, trial};

/// The file has been read without a problem; judges what a start would make of it and of the site configuration.
pub async fn check(file: &Path, settings: ConnectionPointSettings, print: bool) -> ExitCode {
    if let Err(fault) = tunnel_tls(&settings).map_err(StartError::from) {
        return failed(PROGRAM, &fault, fault.exit_code());
    }
    no_problem(file, &settings.reading, print);
    let source = &settings.source.source;
    match trial(&settings).await {
        Ok(site) => {
            site.notes.iter().for_each(|note| println!("{source}: note: {note}"));
            println!("{source}: no problem found; version {} of site {}", site.version, settings.site);
            ExitCode::Fine
        }
        Err(TrialFault::Site(problems)) => report(&problems),
        Err(TrialFault::Source(fault)) => failed(PROGRAM, &fault, fault.exit_code()),
    }
}
