//! Judges the text of a site configuration: valid, of this site, of use with this connection point's certificates, and
//! not older than the one in force, or different under the same version.

use cmg_core::configuration::{Place, Problem, ProblemKind, Problems};
use cmg_core::site::SiteConfiguration;

use crate::metrics::PointMetrics;
use crate::settings::ConnectionPointSettings;
use crate::site::Site;

/// Everything that is wrong with a text, or what it makes; `None` when exactly that is in force.
pub fn judge(
    settings: &ConnectionPointSettings,
    metrics: &PointMetrics,
    in_force: Option<&Site>,
    text: &str,
    name: &str,
) -> Result<Option<Site>, Problems> {
    let site = read(settings, metrics, in_force, text, name)?;
    match in_force {
        Some(in_force) if !is_news(&site, in_force, name)? => Ok(None),
        Some(_) | None => Ok(Some(site)),
    }
}

/// The same without asking whether it may follow what is in force; roles that are alike keep their connections.
pub fn read(
    settings: &ConnectionPointSettings,
    metrics: &PointMetrics,
    in_force: Option<&Site>,
    text: &str,
    name: &str,
) -> Result<Site, Problems> {
    let configuration = SiteConfiguration::parse(text, settings.source.source.base(), name)?;
    let (theirs, ours) = (&configuration.code, &settings.site);
    if theirs != ours {
        let message = format!("this is the configuration of site {theirs}, and this connection point serves {ours}");
        return Err(problem(name, "site.code", message, "correct site.source or connection_point.site"));
    }
    Site::new(configuration, text, &settings.roles_tls, metrics, in_force).map_err(|fault| {
        Problems::one(Problem {
            place: Place::Whole { name: "the connection point's file".to_owned() },
            key: "roles_tls".to_owned(),
            message: fault.to_string(),
            instead: String::new(),
            kind: ProblemKind::Certificate,
        })
    })
}

/// Whether a configuration that may follow differs from the one in force.
pub fn is_news(site: &Site, in_force: &Site, name: &str) -> Result<bool, Problems> {
    let (new, old) = (site.version, in_force.version);
    if new < old {
        let message = format!("{new} is lower than {old}, which is in force");
        let instead = format!("to go back, publish the old content under version {}", old + 1);
        return Err(problem(name, "version", message, instead));
    }
    if new == old && site.digest != in_force.digest {
        let message = format!("two contents under version {new}: what is published differs from what is in force");
        return Err(problem(name, "version", message, format!("write version = {}", new + 1)));
    }
    Ok(new != old || site.text_digest != in_force.text_digest)
}

fn problem(name: &str, key: &str, message: String, instead: impl Into<String>) -> Problems {
    let place = Place::Whole { name: name.to_owned() };
    let (key, instead) = (key.to_owned(), instead.into());
    Problems::one(Problem { place, key, message, instead, kind: ProblemKind::Configuration })
}
