//! An endpoint as both ends of the tunnel know it: where it answers outside, which verbs, how much, how long,
//! and what a client has to show. Nothing in it says where it leads to inside.

use crate::limits;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// In logs and metrics.
    pub name: String,
    pub external_path: ExternalPath,
    pub methods: Methods,
    pub authentication: Authentication,
    /// Bytes.
    pub max_request_body: u64,
    /// Exchanges wait for the role's head for minutes, and that is normal.
    pub waits: bool,
    /// From the request to the head of the role's answer.
    pub answer_timeout: Duration,
    /// No byte of a body for this long ends the exchange.
    pub idle_timeout: Duration,
    pub encoding: Encoding,
    /// Long transfers: the bulk lane is preferred.
    pub bulk: bool,
}

/// What a client has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// A certificate that chains to a root of the site.
    Certificate,
    /// A certificate or a token, by the external prefix. No configuration can ask for it yet.
    CertificateOrToken,
    /// Nothing.
    Anonymous,
}

/// How strictly percent-encoding of the path is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Strict,
    /// Double encoding and encoded slashes pass, for file names.
    Relaxed,
}

/// Where an endpoint answers. Compared without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalPath {
    /// One segment behind `/CCM_Proxy_MutualAuth/<role id>/`.
    BehindRole(String),
    /// A prefix of its own, beginning and ending with a slash.
    Prefix(String),
}

impl ExternalPath {
    /// Reads the form that travels on the wire; words say what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > limits::EXTERNAL_PATH {
            return Err("is longer than 512 bytes");
        }
        if !text.starts_with('/') {
            segment(text)?;
            return Ok(Self::BehindRole(text.to_owned()));
        }
        if text.len() > 1 {
            let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            inner.ok_or("must end with a slash")?.split('/').try_for_each(segment)?;
        }
        let reserved = b"/ccm_proxy_";
        if text.as_bytes().get(..reserved.len()).is_some_and(|start| start.eq_ignore_ascii_case(reserved)) {
            return Err("begins with /CCM_Proxy_, which belongs to the roles' own paths");
        }
        Ok(Self::Prefix(text.to_owned()))
    }

    /// The form that travels on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::BehindRole(text) | Self::Prefix(text) => text,
        }
    }
}

/// A segment that a checked request target can contain as it is: targets are compared as raw bytes.
fn segment(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("has an empty segment");
    }
    if text.ends_with('.') {
        return Err("has a segment that ends in a dot, which no request may");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~$!()+,=@{}".contains(&byte)) {
        return Err("may hold letters, digits and -._~$!()+,=@{} only");
    }
    Ok(())
}

/// The verbs that an endpoint takes. Compared with case, as HTTP does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Vec<String>);

impl Methods {
    pub fn new<T: Into<String>>(methods: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let methods: Vec<String> = methods.into_iter().map(Into::into).collect();
        if methods.is_empty() {
            return Err("no verb is named".to_owned());
        }
        if methods.len() > limits::VERBS {
            return Err(format!("more than {} verbs are named", limits::VERBS));
        }
        for (index, method) in methods.iter().enumerate() {
            if method.is_empty() || method.len() > limits::METHOD || !method.bytes().all(is_token) {
                let shown: String = method.chars().take(limits::METHOD).collect();
                return Err(format!("{shown:?} is not a verb"));
            }
            if ["CONNECT", "TRACE"].iter().any(|never| method.eq_ignore_ascii_case(never)) {
                return Err(format!("{method} is never let through"));
            }
            if methods.iter().take(index).any(|earlier| earlier == method) {
                return Err(format!("{method} is named twice"));
            }
        }
        Ok(Self(methods))
    }

    pub fn allows(&self, method: &[u8]) -> bool {
        self.0.iter().any(|allowed| allowed.as_bytes() == method)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The value of `Allow`.
    pub fn allow(&self) -> String {
        self.0.join(", ")
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_paths_are_what_a_checked_target_can_contain() {
        for text in ["SMS_MP", "SMS_DP_SMSPKG$", "CCM_Client"] {
            assert_eq!(ExternalPath::parse(text), Ok(ExternalPath::BehindRole(text.to_owned())));
        }
        for text in ["/", "/bench/", "/a/b.c/", "/CCM_Proxies/"] {
            assert_eq!(ExternalPath::parse(text), Ok(ExternalPath::Prefix(text.to_owned())));
        }
        for (text, fault) in [
            ("", "has an empty segment"),
            ("a/b", "may hold letters, digits and -._~$!()+,=@{} only"),
            ("/bench", "must end with a slash"),
            ("//", "has an empty segment"),
            ("/a//b/", "has an empty segment"),
            ("/../", "has a segment that ends in a dot, which no request may"),
            ("/a%20b/", "may hold letters, digits and -._~$!()+,=@{} only"),
            ("/ü/", "may hold letters, digits and -._~$!()+,=@{} only"),
            ("/ccm_PROXY_MutualAuth/", "begins with /CCM_Proxy_, which belongs to the roles' own paths"),
        ] {
            assert_eq!(ExternalPath::parse(text), Err(fault), "{text}");
        }
        let too_long = ExternalPath::parse(&format!("/{}/", "a".repeat(600)));
        assert!(too_long.is_err_and(|fault| fault.contains(&limits::EXTERNAL_PATH.to_string())));
    }

    #[test]
    fn verbs_are_judged() {
        let methods = Methods::new(["GET", "CCM_POST"]).unwrap();
        assert!(methods.allows(b"CCM_POST") && !methods.allows(b"get") && !methods.allows(b"POST"));
        assert_eq!(methods.allow(), "GET, CCM_POST");
        for wrong in [&[][..], &["TRACE"], &["connect"], &["GET", "GET"], &["G T"], &[""]] {
            assert!(Methods::new(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
    }
}
