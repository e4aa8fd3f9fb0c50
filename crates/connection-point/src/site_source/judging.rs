//! Judges the text of a site configuration against the one in force: valid, of this site, and not older or
//! different under the same version.

use std::path::Path;

use cmg_core::site::SiteConfiguration;

use crate::point::ConnectionPoint;
use crate::site::Site;

pub enum Judged {
    New(Box<Site>),
    /// Exactly what is in force.
    InForce,
}

/// All problems together.
pub fn judge(point: &ConnectionPoint, text: &str, base: Option<&Path>, name: &str) -> Result<Judged, Vec<String>> {
    let configuration = SiteConfiguration::parse(text, base, name)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let settings = point.settings();
    let (theirs, ours) = (&configuration.code, &settings.site);
    if theirs != ours {
        return Err(vec![format!(
            "{name}: site.code: this is the configuration of site {theirs}, and this connection point serves {ours}; \
             correct site.source or connection_point.site"
        )]);
    }
    let in_force = point.site();
    let in_force = in_force.as_deref();
    let site = Site::new(configuration, text, &settings.roles_tls, &point.metrics, in_force)
        .map_err(|fault| vec![format!("roles_tls: {fault}")])?;
    let Some(in_force) = in_force else { return Ok(Judged::New(Box::new(site))) };
    let (new, old) = (site.version, in_force.version);
    if new < old {
        return Err(vec![format!(
            "{name}: version: {new} is lower than {old}, which is in force; to go back, publish the old content under \
             version {}",
            old + 1
        )]);
    }
    if new == old && site.digest != in_force.digest {
        return Err(vec![format!(
            "{name}: version: two contents under version {new}: what is published differs from what is in force; write \
             version = {}",
            new + 1
        )]);
    }
    if new == old && site.text_digest == in_force.text_digest {
        return Ok(Judged::InForce);
    }
    Ok(Judged::New(Box::new(site)))
}
