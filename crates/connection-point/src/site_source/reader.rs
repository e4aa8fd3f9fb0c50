//! Reads the source: a file, or an https URL with a root of its own, an ETag and a bound on its length. Follows no
//! redirect and uses no proxy, because the address is the administrator's.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use cmg_core::limits;
use cmg_core::shutdown::ExitCode;
use cmg_core::tls::configs::{self, ConfigFault, TlsFloor};
use cmg_core::tls::role_certificates::RoleCertificates;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, StatusCode, redirect};

use crate::settings::SiteSource;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{path}: {error}; check path and permissions", path = path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{path}: {error}; give the state directory to the user that runs the connection point", path = path.display())]
    StateDirectory { path: PathBuf, error: io::Error },
    #[error("{name}: is larger than {most} bytes; is it the right one?", most = limits::SITE_CONFIGURATION)]
    TooLarge { name: String },
    #[error("{name}: is not UTF-8; save it as UTF-8")]
    NotText { name: String },
    #[error("{url}: {why}")]
    Fetch { url: String, why: String },
    #[error("{url}: the server answered {status}; 200 with the configuration is expected")]
    Status { url: String, status: StatusCode },
    #[error("site.root or site.certificate: {0}")]
    Tls(#[from] ConfigFault),
}

impl SourceError {
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            SourceError::Tls(_) => ExitCode::Certificate,
            SourceError::StateDirectory { .. } => ExitCode::RunTimeFailure,
            SourceError::File { .. }
            | SourceError::TooLarge { .. }
            | SourceError::NotText { .. }
            | SourceError::Fetch { .. }
            | SourceError::Status { .. } => ExitCode::NetworkOrPeer,
        }
    }
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The server says that nothing has changed since the last look.
    Same,
    Text(String),
}

pub enum SourceReader {
    File(PathBuf),
    Url { url: String, client: Client, etag: Option<HeaderValue> },
}

impl SourceReader {
    pub fn new(source: &SiteSource) -> Result<Self, SourceError> {
        match source {
            SiteSource::File(path) => Ok(Self::File(path.clone())),
            SiteSource::Url { url, roots, certificate } => {
                let certificates = RoleCertificates::new(url.clone(), certificate.iter().cloned().collect());
                let tls = configs::role_client(TlsFloor::Tls12, roots, certificates)?;
                let client = Client::builder()
                    .tls_backend_preconfigured((*tls).clone())
                    .https_only(true)
                    .no_proxy()
                    .redirect(redirect::Policy::none())
                    .timeout(limits::SITE_FETCH)
                    .build();
                let client = client.map_err(|error| SourceError::Fetch { url: url.clone(), why: chain(&error) })?;
                Ok(Self::Url { url: url.clone(), client, etag: None })
            }
        }
    }

    pub async fn read(&mut self) -> Result<Found, SourceError> {
        let (name, bytes) = match self {
            Self::File(path) => (path.display().to_string(), read_file(path)?),
            Self::Url { url, client, etag } => match fetch(url, client, etag).await? {
                Some(bytes) => (url.clone(), bytes),
                None => return Ok(Found::Same),
            },
        };
        if bytes.len() > limits::SITE_CONFIGURATION {
            return Err(SourceError::TooLarge { name });
        }
        String::from_utf8(bytes).map(Found::Text).map_err(|_| SourceError::NotText { name })
    }
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(TOO_LARGE).read_to_end(&mut bytes));
    read.map_err(|error| SourceError::File { path: path.clone(), error })?;
    Ok(bytes)
}

/// One byte more than is taken.
const TOO_LARGE: u64 = limits::SITE_CONFIGURATION as u64 + 1;

async fn fetch(url: &str, client: &Client, etag: &mut Option<HeaderValue>) -> Result<Option<Vec<u8>>, SourceError> {
    let failed = |error: reqwest::Error| SourceError::Fetch { url: url.to_owned(), why: chain(&error) };
    let mut request = client.get(url);
    if let Some(etag) = &*etag {
        request = request.header(IF_NONE_MATCH, etag.clone());
    }
    let mut answer = request.send().await.map_err(failed)?;
    match answer.status() {
        StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(None),
        StatusCode::OK => {}
        status => return Err(SourceError::Status { url: url.to_owned(), status }),
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limits::SITE_CONFIGURATION {
            return Err(SourceError::TooLarge { name: url.to_owned() });
        }
    }
    // Only what was read whole need not be read again.
    *etag = answer.headers().get(ETAG).cloned();
    Ok(Some(bytes))
}

/// An error with what caused it: reqwest's own text alone never says why.
fn chain(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    words
}

#[cfg(test)]
mod tests;
