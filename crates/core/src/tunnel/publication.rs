//! The form of a `Publication` on the wire and on disk. Writing is deterministic: equal publications have
//! equal bytes. Reading believes nothing: every rule is checked again and every fault is reported.

use super::generated as wire;
use crate::limits;
use crate::site::{
    Authentication, ClientCertificateForm, ClientTrust, Encoding, Endpoint, ExternalPath, Methods, Publication,
    PublishedRole, Reasons, RoleId, RoleKind, SiteCode,
};
use bytes::Bytes;
use prost::Message;
use rustls::pki_types::CertificateDer;
use std::time::Duration;

/// SHA-256 of a publication's bytes.
pub type Digest = [u8; 32];

/// The first 48 bits of a digest as a number, for metrics: equal wherever the same is in force, and exact there.
pub fn digest_number(digest: &Digest) -> i64 {
    digest.iter().take(6).fold(0, |number, byte| number << 8 | i64::from(*byte))
}

pub fn digest(bytes: &[u8]) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

pub fn encode(publication: &Publication) -> Bytes {
    let der = |list: &[CertificateDer<'_>]| list.iter().map(|one| Bytes::copy_from_slice(one)).collect();
    let message = wire::Publication {
        site: publication.site.to_string(),
        roles: publication.roles.iter().map(role_out).collect(),
        client_trust: Some(wire::ClientTrust {
            roots: der(publication.client_trust.roots()),
            intermediates: der(publication.client_trust.intermediates()),
        }),
    };
    Bytes::from(message.encode_to_vec())
}

fn role_out(role: &PublishedRole) -> wire::PublishedRole {
    let form = match role.client_certificate {
        ClientCertificateForm::None => wire::ClientCertificateForm::None,
        ClientCertificateForm::Leaf => wire::ClientCertificateForm::Leaf,
        ClientCertificateForm::Chain => wire::ClientCertificateForm::Chain,
    };
    wire::PublishedRole {
        id: role.id.0,
        kind: role.kind.name().to_owned(),
        endpoints: role.endpoints.iter().map(endpoint_out).collect(),
        max_head: u32::try_from(role.max_head).unwrap_or(u32::MAX),
        client_certificate: form.into(),
    }
}

fn endpoint_out(endpoint: &Endpoint) -> wire::PublishedEndpoint {
    let authentication = match endpoint.authentication {
        Authentication::Certificate => wire::Authentication::Certificate,
        Authentication::CertificateOrToken => wire::Authentication::CertificateOrToken,
        Authentication::Anonymous => wire::Authentication::Anonymous,
    };
    let milliseconds = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    wire::PublishedEndpoint {
        name: endpoint.name.clone(),
        external_path: endpoint.external_path.as_str().to_owned(),
        methods: endpoint.methods.iter().map(str::to_owned).collect(),
        authentication: authentication.into(),
        max_request_body: endpoint.max_request_body,
        waits: endpoint.waits,
        answer_timeout_ms: milliseconds(endpoint.answer_timeout),
        idle_timeout_ms: milliseconds(endpoint.idle_timeout),
        relaxed_encoding: endpoint.encoding == Encoding::Relaxed,
        bulk: endpoint.bulk,
    }
}

/// Reads what came from the other end of a tunnel, or from disk.
pub fn decode(bytes: &[u8]) -> Result<Publication, Vec<String>> {
    if bytes.len() > limits::PUBLICATION {
        return Err(vec![format!("the publication has {} bytes, more than {}", bytes.len(), limits::PUBLICATION)]);
    }
    let message =
        wire::Publication::decode(bytes).map_err(|error| vec![format!("the publication cannot be read: {error}")])?;
    let mut faults = Reasons::default();
    let site = SiteCode::parse(&message.site);
    if site.is_none() {
        faults.add(|| format!("{} is not a site code", shown(&message.site)));
    }
    let roles: Vec<PublishedRole> = message.roles.into_iter().filter_map(|role| role_in(role, &mut faults)).collect();
    let trust = trust_in(message.client_trust.unwrap_or_default(), &mut faults);
    if let (Some(site), Some(client_trust), true) = (site, trust, faults.is_empty()) {
        let publication = Publication { site, roles, client_trust };
        faults = publication.faults();
        if faults.is_empty() {
            return Ok(publication);
        }
    }
    Err(faults.into_words())
}

/// A text of the other end, short enough for a message back to it.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(limits::ENDPOINT_NAME).collect::<String>())
}

fn role_in(role: wire::PublishedRole, faults: &mut Reasons) -> Option<PublishedRole> {
    let id = RoleId(role.id);
    let client_certificate = match role.client_certificate() {
        wire::ClientCertificateForm::Unspecified | wire::ClientCertificateForm::None => ClientCertificateForm::None,
        wire::ClientCertificateForm::Leaf => ClientCertificateForm::Leaf,
        wire::ClientCertificateForm::Chain => ClientCertificateForm::Chain,
    };
    let kind = RoleKind::parse(&role.kind);
    if kind.is_none() {
        let update = "which this gateway does not know: update the gateway";
        faults.add(|| format!("role {id} is a {}, {update}", shown(&role.kind)));
    }
    let max_head = usize::try_from(role.max_head).ok().filter(|size| *size <= limits::ROLE_MAX_HEAD_CAP);
    if max_head.is_none() {
        faults.add(|| format!("role {id} takes heads of {} bytes, more than a gateway sends", role.max_head));
    }
    let mut endpoints = Vec::with_capacity(role.endpoints.len().min(limits::ROLE_ENDPOINTS));
    for endpoint in role.endpoints {
        let name = shown(&endpoint.name);
        let mut fault = |words: String| faults.add(|| format!("endpoint {name} of role {id}: {words}"));
        endpoints.extend(endpoint_in(endpoint, &mut fault));
    }
    Some(PublishedRole { id, kind: kind?, endpoints, max_head: max_head?, client_certificate })
}

fn endpoint_in(endpoint: wire::PublishedEndpoint, fault: &mut dyn FnMut(String)) -> Option<Endpoint> {
    let authentication = match endpoint.authentication() {
        wire::Authentication::Certificate => Some(Authentication::Certificate),
        wire::Authentication::CertificateOrToken => Some(Authentication::CertificateOrToken),
        wire::Authentication::Anonymous => Some(Authentication::Anonymous),
        wire::Authentication::Unspecified => {
            fault("does not say what a client has to show".to_owned());
            None
        }
    };
    let external_path = ExternalPath::parse(&endpoint.external_path);
    let external_path =
        external_path.map_err(|words| fault(format!("the path {} {words}", shown(&endpoint.external_path))));
    let methods = Methods::new(endpoint.methods).map_err(&mut *fault);
    let name_fits = !endpoint.name.is_empty()
        && endpoint.name.len() <= limits::ENDPOINT_NAME
        && matches!(ExternalPath::parse(&endpoint.name), Ok(ExternalPath::BehindRole(_)));
    if !name_fits {
        fault("is not a name for an endpoint".to_owned());
    }
    let mut timeout = |name: &str, milliseconds: u32| {
        let duration = Duration::from_millis(milliseconds.into());
        let fits = !duration.is_zero() && duration <= limits::LONGEST_TIMEOUT;
        if !fits {
            fault(format!("{name} of {milliseconds} ms"));
        }
        fits.then_some(duration)
    };
    let answer_timeout = timeout("answer_timeout", endpoint.answer_timeout_ms);
    let idle_timeout = timeout("idle_timeout", endpoint.idle_timeout_ms);
    Some(Endpoint {
        name: Some(endpoint.name).filter(|_| name_fits)?,
        external_path: external_path.ok()?,
        methods: methods.ok()?,
        authentication: authentication?,
        max_request_body: endpoint.max_request_body,
        waits: endpoint.waits,
        answer_timeout: answer_timeout?,
        idle_timeout: idle_timeout?,
        encoding: if endpoint.relaxed_encoding { Encoding::Relaxed } else { Encoding::Strict },
        bulk: endpoint.bulk,
    })
}

fn trust_in(trust: wire::ClientTrust, faults: &mut Reasons) -> Option<ClientTrust> {
    let der = |list: Vec<Bytes>| list.into_iter().map(|one| CertificateDer::from(one.to_vec())).collect();
    match ClientTrust::new(der(trust.roots), der(trust.intermediates)) {
        Ok(trust) => Some(trust),
        Err(found) => {
            for fault in found {
                faults.add(|| format!("client_trust.{}[{}]: {}", fault.list.key(), fault.index + 1, fault.message));
            }
            None
        }
    }
}

/// Body of a fuzz target: no bytes may panic, and what is read is written again as the same publication.
pub fn fuzz_publication(data: &[u8]) {
    if let Ok(publication) = decode(data) {
        assert_eq!(decode(&encode(&publication)).as_ref(), Ok(&publication), "reading undoes writing");
    }
}
