//! The site's own server: hands out the site configuration with an ETag, and keeps what is posted to it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use crate::limits;
use crate::normal::{Ask, empty, not_allowed, told, whole};
use crate::wire::{hex, latin1};

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Clones are the same site.
#[derive(Clone, Default)]
pub struct Site(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Read anew for every request, so that whoever changes the file changes the site.
    configuration: Option<PathBuf>,
    reports: Mutex<VecDeque<Report>>,
}

struct Report {
    path: String,
    content_type: Option<String>,
    certificate: Option<String>,
    body: Bytes,
}

impl Site {
    pub fn new(configuration: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { configuration, reports: Mutex::default() }))
    }

    /// GET and HEAD give the configuration, POST leaves a report; each at any path.
    pub async fn answer(&self, ask: &mut Ask) -> io::Result<Answer> {
        match *ask.request.method() {
            Method::GET | Method::HEAD => Ok(self.configuration(ask)),
            Method::POST => self.keep(ask).await,
            _ => Ok(not_allowed("GET, HEAD, POST")),
        }
    }

    fn configuration(&self, ask: &Ask) -> Answer {
        let Some(path) = &self.0.configuration else {
            return problem(StatusCode::NOT_FOUND, "this site has no configuration: set site.configuration".to_owned());
        };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) => {
                return problem(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read {}: {error}", path.display()));
            }
        };
        let tag = format!("\"{}\"", hex(digest(&SHA256, &text).as_ref()));
        let is_known = ask.request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut answer = if is_known { empty(StatusCode::NOT_MODIFIED) } else { whole(text.into()) };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.headers_mut().insert(ETAG, tag);
        }
        answer
    }

    async fn keep(&self, ask: &mut Ask) -> io::Result<Answer> {
        let body = match Limited::new(ask.request.body_mut(), limits::REPORT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                return Ok(empty(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let content_type = ask.request.headers().get(CONTENT_TYPE).map(|value| latin1(value.as_bytes()));
        let (path, certificate) = (latin1(&ask.asked.head.target), ask.link.peer.certificate.clone());
        let mut reports = self.0.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push_back(Report { path, content_type, certificate, body });
        if reports.len() > limits::REPORTS {
            reports.pop_front();
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// What was posted, oldest first.
    pub fn reports(&self) -> Value {
        let reports = self.0.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let to_json = |report: &Report| {
            json!({
                "path": report.path, "content_type": report.content_type, "body": latin1(&report.body),
                "client_certificate_sha256": report.certificate,
            })
        };
        json!({ "reports": reports.iter().map(to_json).collect::<Vec<_>>() })
    }
}

fn problem(status: StatusCode, words: String) -> Answer {
    told(status, &json!({ "problem": words }))
}
