//! What a start would say of the site configuration, without a start: nothing is put in force and nothing written.

use cmg_core::configuration::Problems;
use reqwest::StatusCode;

use super::judging::{is_news, read};
use super::kept::KeptCopy;
use super::reader::{Found, SourceError, SourceReader};
use crate::metrics::PointMetrics;
use crate::settings::ConnectionPointSettings;
use crate::site::Site;

/// Why a start would not put it in force.
#[derive(Debug, thiserror::Error)]
pub enum TrialFault {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Site(#[from] Problems),
}

/// Reads the source once and judges it, also against the copy of the last good one.
pub async fn trial(settings: &ConnectionPointSettings) -> Result<Site, TrialFault> {
    let name = settings.source.source.to_string();
    let text = match SourceReader::new(&settings.source.source)?.read().await? {
        Found::Text(text) => text,
        // There was no look before that anything could be the same since.
        Found::Same => return Err(SourceError::Status { url: name, status: StatusCode::NOT_MODIFIED }.into()),
    };
    let metrics = PointMetrics::new();
    let mut site = read(settings, &metrics, None, &text, &name)?;
    let kept = KeptCopy::of(&settings.state_directory);
    match kept.read() {
        Ok(None) => {}
        // A copy that cannot be used keeps no start from anything.
        Ok(Some(before)) => {
            if let Ok(before) = read(settings, &metrics, None, &before, &kept.name()) {
                is_news(&site, &before, &name)?;
            }
        }
        Err(error) => site.notes.push(format!("{}: {error}; not compared with it", kept.name())),
    }
    Ok(site)
}
