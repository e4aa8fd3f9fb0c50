//! The reason phrase of an answer that comes from a role, as administrators of such gateways know it
//! (G-19). Changes words for the eye only; status, fields and body stay the role's.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits;

/// For 4xx and 5xx `CMGConnector_` and the role's phrase without its spaces, or the standard phrase if it sent
/// none; for every other status the role's phrase as it is.
pub fn connector_reason(status: u16, reason: &Bytes) -> Bytes {
    if !(400..600).contains(&status) {
        return reason.clone();
    }
    let visible = |byte: &u8| byte.is_ascii_graphic();
    let standard = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let phrase: &[u8] = match standard {
        _ if reason.iter().any(visible) => reason,
        Some(phrase) => phrase.as_bytes(),
        None if status < 500 => b"Client Error",
        None => b"Server Error",
    };
    let mut out = BytesMut::with_capacity(limits::REASON_PHRASE);
    out.put_slice(b"CMGConnector_");
    out.extend(phrase.iter().copied().filter(visible).take(limits::REASON_PHRASE - out.len()));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases() {
        let long = "x".repeat(1000);
        let cases: [(u16, &[u8], &[u8]); 13] = [
            (403, b"Client certificate required", b"CMGConnector_Clientcertificaterequired"),
            (404, b"Not Found", b"CMGConnector_NotFound"),
            (500, b"", b"CMGConnector_InternalServerError"),
            (401, b" \t ", b"CMGConnector_Unauthorized"),
            (403, b"Forbidden ( The server denied the URL. )", b"CMGConnector_Forbidden(TheserverdeniedtheURL.)"),
            (499, b"", b"CMGConnector_ClientError"),
            (599, b"", b"CMGConnector_ServerError"),
            (400, b"a\xe4\xf6b", b"CMGConnector_ab"),
            (400, b"\xe4", b"CMGConnector_BadRequest"),
            (200, b"All is well", b"All is well"),
            (304, b"", b""),
            (302, b"Object moved", b"Object moved"),
            (418, b"I'm a teapot", b"CMGConnector_I'mateapot"),
        ];
        for (status, reason, expected) in cases {
            assert_eq!(connector_reason(status, &Bytes::from_static(reason)), expected, "{status}");
        }
        assert_eq!(connector_reason(500, &Bytes::from(long)).len(), limits::REASON_PHRASE);
    }
}
