//! What the gateway should have refused (C-07): every request is judged again by this site's own mappings,
//! verbs, limits and proofs. What fails here is not the client's fault but the gateway's. Pure.

use cmg_core::routes::Proof;
use cmg_core::site::Authentication;
use cmg_core::tunnel::message::{ClientProof, RequestHead};
use cmg_core::url_mapping::Mapped;

/// The gateway asked for what the site does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("the target breaks the rules of targets: {0}")]
    Target(String),
    #[error("the path belongs to role {ours}, the gateway selected {theirs}")]
    Role { ours: u64, theirs: u64 },
    #[error("endpoint {endpoint} does not take this verb")]
    Verb { endpoint: String },
    #[error("a body of {length} bytes is more than the {most} that endpoint {endpoint} takes")]
    Length { endpoint: String, length: u64, most: u64 },
    #[error("endpoint {endpoint} needs another proof of the client than: {proof}")]
    Proof { endpoint: String, proof: &'static str },
}

/// Judges a mapped request.
pub fn admit(head: &RequestHead, mapped: &Mapped) -> Result<(), Violation> {
    let endpoint = &mapped.endpoint;
    let name = || endpoint.name.clone();
    if mapped.role.id.0 != head.role_id {
        return Err(Violation::Role { ours: mapped.role.id.0, theirs: head.role_id });
    }
    if !endpoint.methods.allows(&head.method) {
        return Err(Violation::Verb { endpoint: name() });
    }
    if let Some(length) = head.content_length {
        within(length, mapped)?;
    }
    let is_proved = match (endpoint.authentication, mapped.proof) {
        (Authentication::Anonymous, _) => true,
        (Authentication::CertificateOrToken, Some(Proof::Token)) => head.proof == ClientProof::Token,
        (Authentication::Certificate | Authentication::CertificateOrToken, _) => head.proof == ClientProof::Certificate,
    };
    if !is_proved {
        return Err(Violation::Proof { endpoint: name(), proof: head.proof.name() });
    }
    Ok(())
}

/// Judges a length, announced or counted.
pub fn within(length: u64, mapped: &Mapped) -> Result<(), Violation> {
    let (endpoint, most) = (&mapped.endpoint, mapped.endpoint.max_request_body);
    if length > most {
        return Err(Violation::Length { endpoint: endpoint.name.clone(), length, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cmg_core::fields::Fields;
    use cmg_core::limits;
    use cmg_core::request_id::RequestId;
    use cmg_core::request_target::RequestTarget;
    use cmg_core::site::SiteConfiguration;
    use cmg_core::tunnel::message::Lane;
    use cmg_core::url_mapping::UrlMapping;

    fn mapped(target: &'static str) -> Mapped {
        let mut root = rcgen::CertificateParams::default();
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let text = format!(
            r#"
version = 1
[site]
code = "PS1"
[client_trust]
roots = ["""
{}"""]
[[roles]]
id = 7
kind = "management-point"
internal_url = "https://mp1.corp.example"
"#,
            root.pem()
        );
        let site = SiteConfiguration::parse(&text, None, "site.toml").unwrap_or_else(|problems| panic!("{problems}"));
        UrlMapping::new(&site).map(&RequestTarget::parse(Bytes::from_static(target.as_bytes())).unwrap()).unwrap()
    }

    fn head() -> RequestHead {
        RequestHead {
            method: "CCM_POST".into(),
            target: "/CCM_Proxy_MutualAuth/7/ccm_system/request".into(),
            fields: Fields::new(),
            request_id: RequestId::random(),
            role_id: 7,
            deadline: None,
            lane: Lane::Interactive,
            content_length: Some(10),
            client_connection: 1,
            proof: ClientProof::Certificate,
            client_chain: Vec::new(),
        }
    }

    #[test]
    fn only_what_the_site_allows_is_admitted() {
        let mapped = mapped("/CCM_Proxy_MutualAuth/7/ccm_system/request");
        assert_eq!(admit(&head(), &mapped), Ok(()));
        let most = mapped.endpoint.max_request_body;
        assert_eq!(admit(&RequestHead { content_length: Some(most), ..head() }, &mapped), Ok(()));
        let refused = |head: RequestHead| admit(&head, &mapped).unwrap_err();
        assert_eq!(refused(RequestHead { role_id: 8, ..head() }), Violation::Role { ours: 7, theirs: 8 });
        for method in ["PUT", "ccm_post", "CONNECT", ""] {
            assert!(matches!(refused(RequestHead { method: method.into(), ..head() }), Violation::Verb { .. }));
        }
        let too_long = RequestHead { content_length: Some(most + 1), ..head() };
        assert!(matches!(refused(too_long), Violation::Length { .. }));
        for proof in [ClientProof::None, ClientProof::Token] {
            assert!(matches!(refused(RequestHead { proof, ..head() }), Violation::Proof { .. }));
        }
        assert!(within(limits::REQUEST_BODY_CAP, &mapped).is_err());
    }
}
