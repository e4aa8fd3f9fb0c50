//! What comes back: a [`Reply`] whose body is still arriving, or an [`Answer`] that is whole.

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use crate::error::ClientError;
use crate::fields;

/// Longest body that [`Reply::whole`] collects.
const WHOLE: usize = 64 * 1024 * 1024;

/// The head of an answer, and its body as it arrives.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// As sent; empty on HTTP/2, which has none, and where it is the standard one.
    pub reason: String,
    pub fields: HeaderMap,
    body: Incoming,
    trailers: Option<HeaderMap>,
}

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub fields: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) fn new(parts: Parts, body: Incoming) -> Result<Self, ClientError> {
        fields::judge(&parts.headers)?;
        let own = parts.extensions.get::<ReasonPhrase>();
        let standard = parts.status.canonical_reason().unwrap_or_default();
        let is_http1 = parts.version < http::Version::HTTP_2;
        let reason = match own {
            Some(own) => String::from_utf8_lossy(own.as_bytes()).into_owned(),
            None if is_http1 => standard.to_owned(),
            None => String::new(),
        };
        Ok(Self { status: parts.status.as_u16(), reason, fields: parts.headers, body, trailers: None })
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            match frame?.into_data() {
                // The end of an HTTP/2 stream may stand in a frame without data.
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(other) => self.trailers = other.into_trailers().ok(),
            }
        }
        Ok(None)
    }

    /// Reads the rest of the body without keeping it; how many bytes it was.
    pub async fn count(&mut self) -> Result<u64, ClientError> {
        let mut count = 0;
        while let Some(data) = self.next().await? {
            count += data.len() as u64;
        }
        Ok(count)
    }

    pub async fn whole(mut self) -> Result<Answer, ClientError> {
        let mut body = Vec::new();
        while let Some(data) = self.next().await? {
            body.extend_from_slice(&data);
            if body.len() > WHOLE {
                return Err(ClientError::BodyTooLong { limit: WHOLE });
            }
        }
        let Reply { status, reason, fields, trailers, .. } = self;
        Ok(Answer { status, reason, fields, body: body.into(), trailers })
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of the first field of this name as text.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }
}
