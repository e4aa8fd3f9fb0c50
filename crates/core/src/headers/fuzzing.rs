//! Body of the fuzz target for header rules. The list of G-14 stands here a second time, as text and read
//! in the simplest way. The property tests run it too.

use bytes::Bytes;

use super::{clean_answer, clean_request, clean_trailers};
use crate::fields::{Field, Fields};

/// Names that never reach a role; those ending in `*` are beginnings.
const REMOVED: &str = "connection keep-alive te transfer-encoding upgrade content-length host expect forwarded \
    x-forwarded-* x-real-ip x-client-cert* x-arr-* x-ssl-* x-original-url x-rewrite-url x-http-method* proxy* \
    client-cert* x-cmg-*";

fn is_on_the_list(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-");
    REMOVED.split_whitespace().any(|known| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == known,
    })
}

/// Fields from lines of `name:value`: nothing on the list survives, and nothing else is lost or moved.
pub fn fuzz_headers(data: &[u8]) {
    let fields: Fields = data
        .split(|byte| *byte == b'\n')
        .take(100)
        .map(|line| {
            let mut parts = line.splitn(2, |byte| *byte == b':').map(Bytes::copy_from_slice);
            Field { name: parts.next().unwrap_or_default(), value: parts.next().unwrap_or_default() }
        })
        .collect();
    check_request(&fields);
    let mut answer = fields.clone();
    clean_answer(&mut answer);
    for name in ["connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"] {
        assert_eq!(answer.first(name), None);
    }
    let is_ours = |field: &Field| field.name.to_ascii_lowercase().starts_with(b"x-cmg-");
    assert!(!answer.iter().any(is_ours));
    let mut trailers = fields.clone();
    let dropped = clean_trailers(&mut trailers);
    assert_eq!(dropped + trailers.len(), fields.len());
    assert!(!trailers.iter().any(|trailer| is_on_the_list(&trailer.name)));
}

fn check_request(fields: &Fields) {
    let mut cleaned = fields.clone();
    clean_request(&mut cleaned);
    let mut left = cleaned.iter().peekable();
    for field in fields {
        if left.next_if(|kept| *kept == field).is_none() {
            assert!(is_on_the_list(&field.name) || is_named(fields, field), "{field:?} was lost");
        }
    }
    let added: Vec<_> = left.collect();
    assert!(added.is_empty() || added == [&Field::new("TE", "trailers")], "{added:?}");
    for field in &cleaned {
        assert!(!is_on_the_list(&field.name) || *field == Field::new("TE", "trailers"), "{field:?} survived");
    }
}

fn is_named(fields: &Fields, field: &Field) -> bool {
    let plain = |name: &[u8]| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase().replace('_', "-");
    fields
        .all("connection")
        .any(|value| value.split(|byte| *byte == b',').any(|name| plain(name) == plain(&field.name)))
}
