//! Whom a site believes, and what an endpoint asks for.

use cmg_core::refusal::RefusalKind::{ClientCertificateExpired, ClientCertificateRequired, ClientCertificateUntrusted};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::pki_types::CertificateDer;

use super::*;
use crate::published::Published;
use crate::test_site::{
    self, Authority, authenticated, client, custom, in_force, publication, publication_with, role, selected,
};

const PATH: &str = "/custom/a";

fn judge(
    published: &Published,
    path: &str,
    chain: &[CertificateDer<'static>],
) -> Result<PreAuthenticated, RefusalKind> {
    let client = client(chain.to_vec());
    PreAuthenticated::judge(selected(published, path, &client), &client).map_err(|refusal| refusal.kind)
}

#[test]
fn a_client_of_the_site_is_known_by_thumbprint_and_subject() {
    let root = Authority::root("R");
    let published = test_site::published(&root, &[custom(1, "/custom/", "")]);
    let leaf = root.leaf("device 17");
    let known = judge(&published, PATH, std::slice::from_ref(&leaf)).unwrap();
    assert_eq!(known.proof(), ClientProof::Certificate);
    let thumbprint = cmg_core::tls::certificate::Thumbprint::of(&leaf).to_string();
    let field = String::from_utf8(known.identity_field().to_vec()).unwrap();
    assert!(field.starts_with(&format!("method=certificate; thumbprint={thumbprint}; subject=")), "{field}");
    assert!(field.contains("device 17"), "{field}");
}

#[test]
fn an_endpoint_without_the_prefix_of_certificates_asks_for_one_too() {
    let published = test_site::published(&Authority::root("R"), &[custom(1, "/custom/", "")]);
    assert_eq!(judge(&published, PATH, &[]).unwrap_err(), ClientCertificateRequired);
}

#[test]
fn whom_the_site_does_not_believe_is_refused() {
    let (root, other) = (Authority::root("R"), Authority::root("R"));
    let issuing = root.issuing("I");
    let published = test_site::published(&root, &[custom(1, "/custom/", "")]);
    let expired = root.leaf_with("late", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let future = root.leaf_with("early", |params| params.not_before = date_time_ymd(2999, 1, 1));
    let server =
        root.leaf_with("server", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for (what, leaf, refused) in [
        ("another authority of the same name", other.leaf("a"), ClientCertificateUntrusted),
        ("an intermediate that was not uploaded", issuing.leaf("a"), ClientCertificateUntrusted),
        ("not for clients", server, ClientCertificateUntrusted),
        ("not a certificate", vec![0x30, 0].into(), ClientCertificateUntrusted),
        ("expired", expired, ClientCertificateExpired),
        ("not valid yet", future, ClientCertificateExpired),
    ] {
        assert_eq!(judge(&published, PATH, &[leaf]).unwrap_err(), refused, "{what}");
    }
}

#[test]
fn uploaded_intermediates_complete_a_chain_and_anchor_none() {
    let root = Authority::root("R");
    let issuing = root.issuing("I");
    let leaf = issuing.leaf("a");
    let roles = [custom(1, "/custom/", "")];
    let helped = Published::new([in_force(publication_with("PS1", &root.pem, &issuing.pem, &roles))]);
    assert!(judge(&helped, PATH, &[leaf]).is_ok(), "a client may send its leaf alone");
    let other = Authority::root("Other");
    let unrelated = Published::new([in_force(publication("PS1", &other, &roles))]);
    assert_eq!(judge(&unrelated, PATH, &[issuing.leaf("b")]).unwrap_err(), ClientCertificateUntrusted);
}

#[test]
fn each_site_believes_its_own_clients_only() {
    let (one, two) = (Authority::root("1"), Authority::root("2"));
    let published = Published::new([
        in_force(publication("PS1", &one, &[custom(1, "/one/", "")])),
        in_force(publication("PS2", &two, &[custom(2, "/two/", "")])),
    ]);
    let chain = [one.leaf("a")];
    assert!(judge(&published, "/one/", &chain).is_ok());
    assert_eq!(judge(&published, "/two/", &chain).unwrap_err(), ClientCertificateUntrusted);
    // On one connection too: a verdict is of the site that gave it.
    let client = client(chain);
    for _ in 0..2 {
        assert!(PreAuthenticated::judge(selected(&published, "/one/", &client), &client).is_ok());
        assert!(PreAuthenticated::judge(selected(&published, "/two/", &client), &client).is_err());
    }
}

#[test]
fn another_configuration_in_force_judges_an_open_connection_anew() {
    let (before, after) = (Authority::root("before"), Authority::root("after"));
    let roles = [custom(1, "/custom/", "")];
    let client = client([before.leaf("a")]);
    let first = test_site::published(&before, &roles);
    assert_eq!(authenticated(&first, PATH, &client).proof(), ClientProof::Certificate);
    let second = test_site::published(&after, &roles);
    let refusal = PreAuthenticated::judge(selected(&second, PATH, &client), &client).unwrap_err();
    assert_eq!(refusal.kind, ClientCertificateUntrusted);
}

#[test]
fn an_anonymous_endpoint_judges_no_certificate() {
    let roles = [role(5, "fallback-status-point", "enabled = true")];
    let published = test_site::published(&Authority::root("R"), &roles);
    for chain in [vec![], vec![Authority::root("other").leaf("a")]] {
        let known = judge(&published, "/CCM_Proxy_ServerAuth/5/SMS_FSP", &chain).unwrap();
        assert_eq!((known.proof(), &known.identity_field()[..]), (ClientProof::None, &b"method=none"[..]));
    }
}
