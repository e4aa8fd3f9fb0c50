//! The stage that admits a request target (G-09): judged once, on its raw bytes and on what they decode
//! to, and kept as it came. What was checked is what is sent; nothing is ever decoded, merged or re-encoded.
#![deny(clippy::indexing_slicing)]

mod encoding;
pub mod fuzzing;
mod path;

use bytes::Bytes;
use memchr::{memchr, memchr3};

use self::path::Relaxable;
use crate::http1::valid_host;
use crate::limits;

/// A request target that is safe to match and to hand on. The only way to one is [`RequestTarget::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTarget {
    origin_form: Bytes,
    authority: Option<Bytes>,
    path_length: usize,
    relaxable: Option<Relaxable>,
}

/// Why a target was refused. The sentences are safe to show: they speak of what the client wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TargetFault {
    #[error("the request target is empty; write a path that begins with a slash")]
    Empty,
    #[error("the request target is longer than {} bytes; send a shorter one", limits::REQUEST_TARGET)]
    TooLong,
    #[error("the request target is an asterisk, which only OPTIONS to a whole server has; write a path")]
    AsteriskForm,
    #[error("the request target is neither a path nor an https URL; write a path that begins with a slash")]
    AuthorityForm,
    #[error("the request target is a URL of another scheme than https; write a path or an https URL")]
    Scheme,
    #[error("the URL in the request target holds a user name; remove it and the @")]
    Userinfo,
    #[error("the URL in the request target has no valid host; write https, the service name and a path")]
    Authority,
    #[error("the URL in the request target has no path; write a slash behind the host")]
    NoPath,
    #[error("the request target holds a fragment; remove the # and what follows, or write it as %23")]
    Fragment,
    #[error("the request target holds a space or a control byte; write a space as %20 and remove the rest")]
    SpaceOrControl,
    #[error("the path holds an encoded control byte such as %00; remove it")]
    EncodedControl,
    #[error("the path holds a backslash, plain or as %5C; write slashes")]
    Backslash,
    #[error("the path holds a dot segment (. or ..), plain, encoded or with parameters; write the path without it")]
    DotSegment,
    #[error("a segment of the path ends in a dot or a space, plain or encoded; name the resource without it")]
    TrailingDotOrSpace,
    #[error("the path holds ::$, which names a stream of a file; name the file only")]
    FileStream,
    #[error("a percent sign in the path is not followed by two hexadecimal digits; write a percent sign as %25")]
    BrokenEncoding,
    #[error("the path is percent-encoded more than twice; encode it once")]
    RepeatedEncoding,
    #[error("the path is not UTF-8, plain or percent-encoded (or is an overlong form of it); use UTF-8")]
    NotUtf8,
    #[error("the path holds a character that passes for a dot, slash, backslash or percent sign; write the ASCII one")]
    LookAlike,
    #[error("two slashes follow each other where the path is matched; write one")]
    DoubleSlash,
}

impl RequestTarget {
    /// Judges a target: origin-form, or absolute-form with https (or http) and a host.
    pub fn parse(raw: Bytes) -> Result<Self, TargetFault> {
        if raw.len() > limits::REQUEST_TARGET {
            return Err(TargetFault::TooLong);
        }
        let (authority, origin_form) = split_authority(raw)?;
        let path_length = memchr(b'?', &origin_form).unwrap_or(origin_form.len());
        let (path, query) = origin_form.split_at_checked(path_length).unwrap_or_default();
        path::judge_query(query)?;
        let relaxable = path::judge_path(path)?;
        Ok(Self { origin_form, authority, path_length, relaxable })
    }

    /// Path and query as the client wrote them; for an absolute-form what follows the authority.
    pub fn origin_form(&self) -> &Bytes {
        &self.origin_form
    }

    /// The path, beginning with a slash.
    pub fn path(&self) -> &[u8] {
        self.origin_form.get(..self.path_length).unwrap_or_default()
    }

    /// What follows the question mark, if there is one.
    pub fn query(&self) -> Option<&[u8]> {
        self.origin_form.get(self.path_length + 1..)
    }

    /// Host and port of an absolute-form.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref()
    }

    /// What in the path is legal only where an endpoint has `encoded = "relaxed"`.
    pub fn needs_relaxed_encoding(&self) -> Option<&'static str> {
        self.relaxable.map(Relaxable::describe)
    }

    /// The raw segments of the path, the empty ones between or behind slashes included.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.path().split(|byte| *byte == b'/').skip(1)
    }
}

/// Splits an absolute-form into authority and the rest.
fn split_authority(raw: Bytes) -> Result<(Option<Bytes>, Bytes), TargetFault> {
    match raw.as_ref() {
        [] => return Err(TargetFault::Empty),
        [b'/', ..] => return Ok((None, raw)),
        b"*" => return Err(TargetFault::AsteriskForm),
        _ => {}
    }
    let Some(scheme_length) = raw.windows(3).position(|window| window == b"://") else {
        return Err(TargetFault::AuthorityForm);
    };
    let scheme = raw.get(..scheme_length).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"https") && !scheme.eq_ignore_ascii_case(b"http") {
        return Err(TargetFault::Scheme);
    }
    let rest = raw.slice(scheme_length + 3..);
    let length = memchr3(b'/', b'?', b'#', &rest).unwrap_or(rest.len());
    let authority = rest.slice(..length);
    if memchr(b'@', &authority).is_some() {
        return Err(TargetFault::Userinfo);
    }
    if !valid_host(&authority) {
        return Err(TargetFault::Authority);
    }
    match rest.get(length) {
        Some(b'/') => Ok((Some(authority), rest.slice(length..))),
        Some(b'#') => Err(TargetFault::Fragment),
        _ => Err(TargetFault::NoPath),
    }
}

#[cfg(test)]
mod tests;
