//! The fields that we set on a request, after everything that a client could have set in their place is gone
//! (G-14). What is the same for all requests of a connection is made once and shared.

use bytes::{BufMut, Bytes, BytesMut};

use super::CertificateFields;
use crate::fields::{Field, Fields};
use crate::request_id::RequestId;

/// Who a client is, for `X-CMG-Client`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientIdentity<'a> {
    /// `certificate`, `token` or `none`.
    pub method: &'a str,
    /// SHA-256 of the leaf in hex.
    pub thumbprint: Option<&'a str>,
    /// The leaf's subject.
    pub subject: Option<&'a str>,
}

impl ClientIdentity<'_> {
    /// `method=certificate; thumbprint=...; subject="..."`. In the subject a quote and a backslash have a
    /// backslash before them; percent signs, control bytes and whatever is not ASCII are percent-encoded.
    pub fn field_value(&self) -> Bytes {
        let mut value = BytesMut::with_capacity(160);
        value.put_slice(b"method=");
        put_word(&mut value, self.method);
        if let Some(thumbprint) = self.thumbprint {
            value.put_slice(b"; thumbprint=");
            put_word(&mut value, thumbprint);
        }
        if let Some(subject) = self.subject {
            value.put_slice(b"; subject=\"");
            put_quoted(&mut value, subject);
            value.put_u8(b'"');
        }
        value.freeze()
    }
}

fn put_word(out: &mut BytesMut, word: &str) {
    out.extend(word.bytes().filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'));
}

fn put_quoted(out: &mut BytesMut, text: &str) {
    let hex = |value: u8| char::from_digit(u32::from(value), 16).map_or(b'0', |digit| digit.to_ascii_uppercase() as u8);
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            b'%' | 0..b' ' | 0x7f.. => out.put_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]),
            _ => out.put_u8(byte),
        }
    }
}

/// What is set on one request.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// [`ClientIdentity::field_value`], made once per connection.
    pub client: Bytes,
    pub request_id: RequestId,
    /// The client's IP address as text, for `X-Forwarded-For`.
    pub address: Bytes,
    /// The host that the client asked for, for `X-Forwarded-Host`.
    pub host: Bytes,
    /// `None`: the role takes no certificate, or the client showed none.
    pub certificate: Option<CertificateFields>,
}

/// What had to be left out because the head would have become too large for the role; worth a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LeftOut {
    Nothing,
    CertificateChain,
    Certificate,
}

/// Sets our fields on a cleaned request. `start_bytes` are those of the head that are not in `fields`: request
/// line, `Host` and framing. The certificate is left out, chain first, when the head would exceed `max_head`.
pub fn add_request_fields(fields: &mut Fields, set: &Forwarded, start_bytes: usize, max_head: usize) -> LeftOut {
    fields.push(Field::new("X-CMG-Client", set.client.clone()));
    fields.push(Field::new("X-CMG-Request-Id", Bytes::copy_from_slice(&set.request_id.hex())));
    fields.push(Field::new("X-Forwarded-For", set.address.clone()));
    fields.push(Field::new("X-Forwarded-Proto", "https"));
    fields.push(Field::new("X-Forwarded-Host", set.host.clone()));
    let Some(certificate) = &set.certificate else { return LeftOut::Nothing };
    let left = max_head.saturating_sub(start_bytes + fields.wire_length());
    let leaf = Field::new("Client-Cert", certificate.leaf.clone());
    let chain = certificate.chain.clone().map(|chain| Field::new("Client-Cert-Chain", chain));
    let bytes = |field: &Field| field.name.len() + field.value.len() + b": \r\n".len();
    if bytes(&leaf) > left {
        return LeftOut::Certificate;
    }
    let left = left - bytes(&leaf);
    fields.push(leaf);
    match chain {
        None => LeftOut::Nothing,
        Some(chain) if bytes(&chain) > left => LeftOut::CertificateChain,
        Some(chain) => {
            fields.push(chain);
            LeftOut::Nothing
        }
    }
}

#[cfg(test)]
mod tests;
