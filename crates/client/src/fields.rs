//! Which fields may reach a client. Closed on purpose: what the gateway or the tunnel uses inside must not
//! come out, so an unknown name is an error and not a curiosity.

use http::HeaderMap;

use crate::error::ClientError;

/// Fields of roles' answers and of the gateway's own.
const ALLOWED: &[&str] = &[
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "dav",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "ms-author-via",
    "permissions-policy",
    "referrer-policy",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "vary",
    "www-authenticate",
    "x-aspnet-version",
    "x-cmg-error",
    "x-cmg-request-id",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
];

/// Families of the products' roles, and names that the mock role makes up. A field of the same kind that it
/// marks as hop-by-hop (`X-Hop`) must not come through.
const ALLOWED_PREFIXES: &[&str] = &[
    "bits-",
    "ccm",
    "x-empty",
    "x-latin1",
    "x-long",
    "x-many-",
    "x-mixed-case",
    "x-repeated",
    "x-role-",
    "x-spaces",
    "x-utf8",
];

pub fn is_allowed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ALLOWED.contains(&name.as_str()) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Refuses an answer whose fields show something of the inside.
pub fn judge(fields: &HeaderMap) -> Result<(), ClientError> {
    match fields.keys().find(|name| !is_allowed(name.as_str())) {
        Some(name) => Err(ClientError::LeakedField { name: name.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_inside_are_leaks() {
        for inside in ["X-CMG-Client", "grpc-status", "X-Forwarded-For", "Client-Cert", "te", "keep-alive", "X-Hop"] {
            assert!(!is_allowed(inside), "{inside}");
        }
        for outside in ["Content-Type", "X-CMG-Request-Id", "X-Role-Seen", "BITS-Packet-Type"] {
            assert!(is_allowed(outside), "{outside}");
        }
    }
}
