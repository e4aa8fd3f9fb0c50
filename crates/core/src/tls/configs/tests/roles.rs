//! The connection point towards a role.

use super::*;

#[tokio::test]
async fn a_role_certificate_is_chosen_and_the_choice_explained() {
    let pki = Pki::new();
    let root = &pki.root;
    let mut expired = client_params("old");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let expired = root.leaf(expired).certified(&[]);
    let web = root.leaf(server_params("web", &["web.example"])).certified(&[]);
    let foreign = Authority::root("Foreign").leaf(client_params("foreign")).certified(&[]);
    let first = root.leaf(client_params("first")).certified(&[]);
    let second = root.leaf(client_params("second")).certified(&[]);

    // A role that hints at its own root: a server of plain rustls.
    let mut roots = RootCertStore::empty();
    roots.add(root.der.clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crate::tls::provider()).build().unwrap();
    let role = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pki.server.clone())));
    let role = Arc::new(role);
    let all = vec![expired.clone(), web.clone(), foreign.clone(), first.clone(), second];
    let (served, called) = meet(role.clone(), client(root, all.clone()), "gw.example").await;
    assert_eq!(leaf_of(&served.unwrap()), first.cert[0].as_ref());
    called.unwrap();

    let schemes = crate::tls::provider().signature_verification_algorithms.supported_schemes();
    let hint = certificate::read(&root.der).unwrap().subject().as_raw().to_vec();
    let choose = |candidates, hints: &[&[u8]]| {
        RoleCertificates::new("mp", candidates).choose(hints, &schemes, UnixTime::now()).1
    };
    let explained = choose(all, &[&hint]);
    for part in [
        "1. `CN=old` issued by `CN=Test Root`",
        "dropped: it expired on 2020-01-01",
        "dropped: its extended key usage lacks client authentication",
        "dropped: the role asks for another issuer (`CN=Test Root`)",
        "`CN=first` issued by `CN=Test Root`, valid until 4096-01-01 00:00:00 UTC: chosen",
        "not needed: an earlier one fits",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    assert!(choose(vec![foreign.clone()], &[]).ends_with("chosen"), "no hints: any issuer will do");
    assert_eq!(choose(vec![], &[]), "none is configured");
    let mute = RoleCertificates::new("mp", vec![first]);
    assert!(mute.choose(&[], &[], UnixTime::now()).1.contains("does not accept signatures of its kind of key"));
    say(words(role, client(root, vec![foreign]), "gw.example").await, "must prove who it is", "certificate_required");
}

/// A role names the roots that it trusts, and the certificates come from authorities below them.
#[tokio::test]
async fn a_role_certificate_fits_by_any_issuer_of_its_chain() {
    let pki = Pki::new();
    let middle = pki.root.authority("Middle");
    let below = |name: &str, above: &[&Authority]| middle.leaf(client_params(name)).certified(above);
    let mut roots = RootCertStore::empty();
    roots.add(pki.root.der.clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crate::tls::provider()).build().unwrap();
    let role = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pki.server.clone())));
    let (bare, chained) = (below("bare", &[]), below("chained", &[&middle]));
    let (served, called) = meet(Arc::new(role), client(&pki.root, vec![bare, chained.clone()]), "gw.example").await;
    assert_eq!(leaf_of(&served.unwrap()), chained.cert[0].as_ref(), "without its chain nobody can tell");
    called.unwrap();
}

#[tokio::test]
async fn a_role_with_an_older_tls_than_the_least_is_refused() {
    let pki = Pki::new();
    let role = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pki.server.clone())));
    let role = Arc::new(role);
    let least = |floor| {
        let none = RoleCertificates::new("test", vec![]);
        role_client(floor, std::slice::from_ref(&pki.root.der), none).unwrap()
    };
    let (_, called) = meet(role.clone(), least(TlsFloor::Tls12), "gw.example").await;
    assert_eq!(called.unwrap().protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    say(
        words(role, least(TlsFloor::Tls13), "gw.example").await,
        "no version of TLS that is allowed here",
        "protocol_version",
    );
}

type Edit<'a> = &'a dyn Fn(&mut rcgen::CertificateParams);

#[tokio::test]
async fn a_role_with_a_wrong_certificate_is_explained() {
    let root = Authority::root("Root");
    let cases: [(Edit<'_>, &str); 5] = [
        (&|params| params.subject_alt_names.clear(), "certificate has no subject alternative name"),
        (&|params| params.not_after = date_time_ymd(2020, 1, 1), "expired on 2020-01-01"),
        (&|params| params.not_before = date_time_ymd(2090, 1, 1), "valid only from 2090-01-01"),
        (
            &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "server authentication is needed",
        ),
        (&|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), "it is a CA certificate"),
    ];
    for (edit, why) in cases {
        let mut params = server_params("mp1", &["mp1.corp"]);
        params.distinguished_name.push(DnType::OrganizationName, "Corp");
        edit(&mut params);
        let key = root.leaf(params).certified(&[]);
        let role = ServerConfig::builder_with_provider(crate::tls::provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        let (_, called) = words(Arc::new(role), client(&root, vec![]), "mp1.corp").await;
        assert!(called.contains(why), "{why}: {called}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    let (here, mut there) = sockets().await;
    let root = Authority::root("Root");
    let answer = there.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (called, _) = tokio::join!(connect(here, gateway_name(), client(&root, vec![]), FlushRule::AtOnce), answer);
    let words = called.err().unwrap().explain("the role https://mp1.corp/");
    assert!(words.contains("the role https://mp1.corp/ sent something that is not TLS"), "{words}");

    let (here, there) = sockets().await;
    drop(there);
    let fault = connect(here, gateway_name(), client(&root, vec![]), FlushRule::AtOnce).await.err().unwrap();
    assert!(matches!(fault, HandshakeFault::Closed | HandshakeFault::Io(_)), "{fault}");
}

#[test]
fn roots_that_cannot_be_used_are_named() {
    let root = Authority::root_of(authority_params("Root"), KeyPair::generate().unwrap());
    let fault = root_store(&[root.der.clone(), CertificateDer::from(b"junk".to_vec())]).unwrap_err().to_string();
    assert!(fault.starts_with("root 2 `(unreadable certificate)` cannot be used"), "{fault}");
    assert!(matches!(root_store(&[]), Err(ConfigFault::NoRoot)));
}
