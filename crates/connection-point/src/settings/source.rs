//! `[site]`: where the site configuration comes from, a file or an https URL with a root of its own (S-02).

use cmg_core::configuration::{Fault, Table, Value, credentials};
use cmg_core::limits;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct SiteSettings {
    pub source: SiteSource,
    /// Between looks at the source.
    pub poll: Duration,
}

#[derive(Clone)]
pub enum SiteSource {
    File(PathBuf),
    Url {
        /// An https URL.
        url: String,
        /// The only roots that its server may chain to.
        roots: Vec<CertificateDer<'static>>,
        /// What is shown to a server that asks for a certificate.
        certificate: Option<Arc<CertifiedKey>>,
    },
}

impl SiteSource {
    /// Where relative paths in the configuration begin.
    pub fn base(&self) -> Option<&Path> {
        match self {
            SiteSource::File(path) => path.parent(),
            SiteSource::Url { .. } => None,
        }
    }
}

impl std::fmt::Display for SiteSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SiteSource::File(path) => write!(f, "{}", path.display()),
            SiteSource::Url { url, .. } => f.write_str(url),
        }
    }
}

pub(super) fn read(table: &mut Table<'_>, now: UnixTime) -> Option<SiteSettings> {
    let location: Option<Location> = table.required("source");
    let poll = table.default("poll", limits::SITE_POLL);
    if poll.is_zero() || poll > limits::LONGEST_TIMEOUT {
        let most = limits::LONGEST_TIMEOUT.print();
        table.problem("poll", "a source cannot be watched like this", format!("write \"1s\" to {most}"));
    }
    let root: Option<PathBuf> = table.described("root", "required with a URL");
    let certificate = credentials::optional_certified_key(table, now);
    for name in ["root", "certificate", "key"] {
        if table.has(name) && matches!(location, Some(Location::File(_))) {
            table.problem(name, "has no effect, because the source is a file", "leave it out");
        }
    }
    let source = match location? {
        Location::File(path) => SiteSource::File(path),
        Location::Url(url) => {
            if !table.has("root") {
                let instead = "write root = \"site-root.pem\", the root that its server's certificate chains to";
                table.problem("root", "is missing, but the source is a URL", instead);
            }
            let roots = credentials::load_authorities(table, "root", &root?, now)?;
            SiteSource::Url { url, roots, certificate }
        }
    };
    Some(SiteSettings { source, poll })
}

/// A path or a URL.
#[derive(Clone, Debug)]
enum Location {
    File(PathBuf),
    Url(String),
}

impl Value for Location {
    fn kind() -> String {
        "path or https URL".to_owned()
    }
    fn example() -> String {
        "\"site.toml\" or \"https://site.corp.example/site.toml\"".to_owned()
    }
    fn from_text(text: &str, base: Option<&Path>) -> Result<Self, Fault> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return PathBuf::from_text(text, base).map(Self::File);
        };
        if !scheme.eq_ignore_ascii_case("https") {
            let instead = format!("write \"https://{rest}\", or the path of a file");
            return Err(Fault::new("a site configuration comes over https only", instead));
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Fault::new(
                "holds user or password",
                "use a client certificate: site.certificate and site.key",
            ));
        }
        let valid = text.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        if !valid || text.contains('#') {
            return Err(Fault::new(format!("{text:?} is not a URL"), format!("write for example {}", Self::example())));
        }
        Ok(Self::Url(text.to_owned()))
    }
    fn print(&self) -> String {
        match self {
            Location::File(path) => path.print(),
            Location::Url(url) => format!("{url:?}"),
        }
    }
}
