//! What is removed from the fields of requests, answers and trailers, and what is set in its place (G-14,
//! G-24). Everything that is not on a list here passes: value byte for byte, order kept. Names are compared
//! without regard to case, and an underscore counts as a hyphen, because some servers read it so.
#![deny(clippy::indexing_slicing)]

mod client_certificate;
mod forwarded;
pub mod fuzzing;

use bytes::Bytes;

use crate::fields::{Field, Fields};
use crate::http1::list_elements;
use crate::limits;

pub use client_certificate::CertificateFields;
pub use forwarded::{ClientIdentity, Forwarded, LeftOut, add_request_fields};

/// Removes from a client's request: hop-by-hop fields and those named in Connection, framing (length and coding
/// are carried beside the fields), `Host` (likewise), and every field by which a client could pass for somebody
/// else. `TE` stays if it asks for trailers, as exactly that.
pub fn clean_request(fields: &mut Fields) {
    let named = Named::of(fields);
    let mut trailers_asked = false;
    fields.retain(|field| {
        if name_is(&field.name, b"te") {
            trailers_asked |= asks_for_trailers(&field.value);
            return false;
        }
        !is_kept_from_roles(&field.name) && !named.contains(&field.name)
    });
    if trailers_asked {
        fields.push(Field::new("TE", "trailers"));
    }
}

/// Removes from a role's answer: hop-by-hop fields and those named in Connection, framing, and `X-CMG-*`.
pub fn clean_answer(fields: &mut Fields) {
    let named = Named::of(fields);
    fields.retain(|field| !is_kept_from_clients(&field.name) && !named.contains(&field.name));
}

/// Removes from trailers what must not come behind a body (RFC 9110 section 6.5.1): framing, routing, content
/// description, credentials, and all that is removed from requests and answers. Gives the number of removed ones.
pub fn clean_trailers(trailers: &mut Fields) -> usize {
    let before = trailers.len();
    trailers.retain(|field| !is_no_trailer(&field.name));
    before - trailers.len()
}

/// Keeps the trailers that the head had named in `Trailer`. Gives the number of removed ones.
pub fn keep_announced_trailers(head: &Fields, trailers: &mut Fields) -> usize {
    let before = trailers.len();
    trailers.retain(|trailer| {
        head.all("trailer").any(|names| list_elements(names).any(|name| trailer.name.eq_ignore_ascii_case(name)))
    });
    before - trailers.len()
}

/// Whether a request's fields, clean or not, ask for trailers.
pub fn wants_trailers(fields: &Fields) -> bool {
    fields.all("te").any(|value| asks_for_trailers(value))
}

fn asks_for_trailers(te: &[u8]) -> bool {
    list_elements(te).any(|element| {
        let coding = element.split(|byte| *byte == b';').next().unwrap_or_default();
        coding.trim_ascii().eq_ignore_ascii_case(b"trailers")
    })
}

/// The fields that the Connection fields of a head name, beyond those that are removed anyway.
struct Named(Vec<Bytes>);

impl Named {
    fn of(fields: &Fields) -> Self {
        let mut names = Vec::new();
        for value in fields.all("connection") {
            for option in list_elements(value).take(limits::CONNECTION_OPTIONS) {
                if !is_usual_option(option) && names.len() < limits::CONNECTION_OPTIONS {
                    names.push(value.slice_ref(option));
                }
            }
        }
        Self(names)
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.0.iter().any(|option| name_is(name, option))
    }
}

fn is_usual_option(option: &[u8]) -> bool {
    matches!(option.len(), 2 | 5 | 7 | 10)
        && [&b"close"[..], b"keep-alive", b"upgrade", b"te"].iter().any(|usual| option.eq_ignore_ascii_case(usual))
}

/// Fields of a request that no role may see as the client sent them.
fn is_kept_from_roles(name: &[u8]) -> bool {
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c') => {
            name_is(name, b"connection") || name_is(name, b"content-length") || name_begins(name, b"client-cert")
        }
        Some(b'e') => name_is(name, b"expect"),
        Some(b'f') => name_is(name, b"forwarded"),
        Some(b'h') => name_is(name, b"host"),
        Some(b'k') => name_is(name, b"keep-alive"),
        Some(b'p') => name_begins(name, b"proxy"),
        Some(b't') => name_is(name, b"te") || name_is(name, b"transfer-encoding"),
        Some(b'u') => name_is(name, b"upgrade"),
        Some(b'x') => is_forgeable(name),
        _ => false,
    }
}

/// Fields that begin with X and say who or what somebody is.
fn is_forgeable(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 6] = [b"x-arr-", b"x-client-cert", b"x-cmg-", b"x-forwarded-", b"x-http-method", b"x-ssl-"];
    const NAMES: [&[u8]; 3] = [b"x-original-url", b"x-real-ip", b"x-rewrite-url"];
    matches!(name.get(2).map(u8::to_ascii_lowercase), Some(b'a' | b'c' | b'f' | b'h' | b'o' | b'r' | b's'))
        && (PREFIXES.iter().any(|prefix| name_begins(name, prefix)) || NAMES.iter().any(|known| name_is(name, known)))
}

/// Fields of an answer that end here.
fn is_kept_from_clients(name: &[u8]) -> bool {
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c') => name_is(name, b"connection") || name_is(name, b"content-length"),
        Some(b'k') => name_is(name, b"keep-alive"),
        Some(b'p') => name_is(name, b"proxy-connection") || name_is(name, b"proxy-authenticate"),
        Some(b't') => name_is(name, b"te") || name_is(name, b"transfer-encoding"),
        Some(b'u') => name_is(name, b"upgrade"),
        Some(b'x') => name_begins(name, b"x-cmg-"),
        _ => false,
    }
}

fn is_no_trailer(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 14] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"cookie",
        b"date",
        b"expires",
        b"location",
        b"max-forwards",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"trailer",
        b"vary",
        b"www-authenticate",
    ];
    is_kept_from_roles(name)
        || is_kept_from_clients(name)
        || name_begins(name, b"content-")
        || name_begins(name, b"if-")
        || NAMES.iter().any(|known| name_is(name, known))
}

/// Whether a name is the given one, case and the difference between `_` and `-` aside.
fn name_is(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && name_begins(name, known)
}

fn name_begins(name: &[u8], known: &[u8]) -> bool {
    name.len() >= known.len() && name.iter().zip(known).all(|(byte, known)| fold(*byte) == fold(*known))
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        _ => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
