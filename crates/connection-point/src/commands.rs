//! The commands that are not the service. What they print is for people; how they end is for scripts.

use std::path::Path;

use cmg_core::command_line::{no_problem, report};
use cmg_core::shutdown::ExitCode;
use cmg_core::site::SiteConfiguration;

use crate::settings::{ConnectionPointSettings, SiteSource};
use crate::site_source::{Found, SourceReader};

/// The file has been read without a problem; reads the site configuration as well.
pub async fn check(file: &Path, settings: ConnectionPointSettings, print: bool) -> ExitCode {
    no_problem(file, &settings.reading, print);
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
            return ExitCode::NetworkOrPeer;
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
            ExitCode::Configuration
        }
        Ok(site) => {
            site.notes.iter().for_each(|note| println!("{source}: note: {note}"));
            println!("{source}: no problem found; version {} of site {}", site.version, site.code);
            ExitCode::Fine
        }
    }
}
