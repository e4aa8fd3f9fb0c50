//! The commands that are not the service. What they print is for people; how they end is for scripts.

use std::path::Path;
use std::process::ExitCode as ProcessExit;

use cmg_core::configuration::Problems;
use cmg_core::shutdown::ExitCode;
use cmg_core::site::SiteConfiguration;

use crate::program::StartError;
use crate::settings::{ConnectionPointSettings, SiteSource};
use crate::site_source::{Found, SourceReader};

/// Prints everything that is wrong with a file.
pub fn report(problems: &Problems) -> ProcessExit {
    eprintln!("{problems}");
    let code = if problems.certificates_only() { ExitCode::Certificate } else { ExitCode::Configuration };
    code.into()
}

/// Prints why the program failed.
pub fn failed(why: &StartError) -> ProcessExit {
    tracing::error!(error = %why, "the connection point could not start");
    eprintln!("cmg-connection-point: {why}");
    let code = match why {
        StartError::Tls(_) => ExitCode::Certificate,
        StartError::Workers(_) | StartError::Process(_) | StartError::Source(_) | StartError::Admin(_) => {
            ExitCode::RunTimeFailure
        }
    };
    code.into()
}

/// The file has been read without a problem; reads the site configuration as well.
pub async fn check(path: &Path, settings: ConnectionPointSettings, print: bool) -> ProcessExit {
    if print {
        for setting in settings.reading.settings() {
            println!("{setting}");
        }
    }
    println!("{}: no problem found", path.display());
    let source = settings.source.source.to_string();
    let found = match SourceReader::new(&settings.source.source) {
        Ok(mut reader) => reader.read().await,
        Err(error) => Err(error),
    };
    let text = match found {
        Ok(Found::Text(text)) => text,
        // A first look has nothing to compare with.
        Ok(Found::Same) => String::new(),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::NetworkOrPeer.into();
        }
    };
    let base = match &settings.source.source {
        SiteSource::File(path) => path.parent(),
        SiteSource::Url { .. } => None,
    };
    match SiteConfiguration::parse(&text, base, &source) {
        Err(problems) => report(&problems),
        Ok(site) if site.code != settings.site => {
            let (theirs, ours) = (&site.code, &settings.site);
            eprintln!(
                "{source}: site.code: this is the configuration of site {theirs}, the connection point's file says {ours}"
            );
            ExitCode::Configuration.into()
        }
        Ok(site) => {
            site.notes.iter().for_each(|note| println!("{source}: note: {note}"));
            println!("{source}: no problem found; version {} of site {}", site.version, site.code);
            ExitCode::Fine.into()
        }
    }
}
