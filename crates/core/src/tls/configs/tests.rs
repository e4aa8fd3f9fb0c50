//! The settings of every edge against each other, and what both ends say when they do not fit.

mod roles;
mod tunnel;

use std::sync::Arc;

use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use rustls::client::Resumption;
use rustls::pki_types::{ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::tls::chain::ClientChains;
use crate::tls::client_verifier::Unauthenticated;
use crate::tls::identity::TunnelIdentity;
use crate::tls::service_certificates::{ServiceCertificate, ServiceCertificateFault, ServiceCertificates};
use crate::tls::test_pki::{
    Authority, Leaf, Pki, authority_params, client_params, gateway_name, in_a_minute, server_params, sockets,
};
use crate::tls::{ClientHello, FlushRule, HandshakeFault, TlsStream, accept, connect};

type Outcome = (Result<TlsStream, HandshakeFault>, Result<TlsStream, HandshakeFault>);

/// Our server and our client.
async fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> Outcome {
    let (here, mut there) = sockets().await;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let hello = ClientHello::read(&mut there, in_a_minute()).await.unwrap();
        accept(there, hello, server, FlushRule::AtOnce).await
    };
    // A TLS 1.3 client learns only when it reads that its certificate was refused.
    let call = async {
        let mut stream = connect(here, name, client, FlushRule::AtOnce).await?;
        stream.write_all(b"preface").await?;
        stream.flush().await?;
        match stream.read_u8().await {
            Ok(_) => Ok(stream),
            Err(error) => Err(error.into()),
        }
    };
    let serve = async {
        let mut stream = serve.await?;
        let _ = stream.write_all(b"!").await;
        let _ = stream.flush().await;
        Ok(stream)
    };
    tokio::join!(serve, call)
}

/// What both ends say, the server's first.
async fn words(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> (String, String) {
    let say = |outcome: Result<TlsStream, HandshakeFault>, which| {
        outcome.map_or_else(|fault: HandshakeFault| fault.explain(which), |_| "fine".to_owned())
    };
    let (served, called) = meet(server, client, name).await;
    (say(served, "the client"), say(called, "the server"))
}

#[track_caller]
fn say((served, called): (String, String), server: &str, client: &str) {
    assert!(served.contains(server), "the server says: {served}");
    assert!(called.contains(client), "the client says: {called}");
}

fn service(
    key: &Arc<CertifiedKey>,
    name: &str,
    allow_wildcard: bool,
) -> Result<ServiceCertificate, ServiceCertificateFault> {
    ServiceCertificate::new(key.clone(), name, allow_wildcard)
}

fn listener(certificates: &[ServiceCertificate]) -> Arc<ServerConfig> {
    client_listener(TlsFloor::Tls12, ServiceCertificates::new(certificates), Unauthenticated::Explain).unwrap()
}

/// A client of ours with these roots and candidates.
fn client(root: &Authority, candidates: Vec<Arc<CertifiedKey>>) -> Arc<ClientConfig> {
    role_client(TlsFloor::Tls12, std::slice::from_ref(&root.der), RoleCertificates::new("test", candidates)).unwrap()
}

fn leaf_of(stream: &TlsStream) -> &[u8] {
    stream.peer_certificates().and_then(|chain| chain.first()).map(AsRef::as_ref).unwrap_or_default()
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let root = Authority::root("Root");
    let [a, b, wild] = [("a", "a.example"), ("b", "b.example"), ("wild", "*.wild.example")]
        .map(|(subject, name)| root.leaf(server_params(subject, &[name])).certified(&[]));
    let certificates = [
        service(&a, "A.example", false).unwrap(),
        service(&b, "b.example", false).unwrap(),
        service(&wild, "gw.wild.example", true).unwrap(),
    ];
    let server = listener(&certificates);
    for (name, key) in [("a.example", &a), ("B.EXAMPLE", &b), ("gw.wild.example", &wild)] {
        let (served, called) = meet(server.clone(), client(&root, vec![]), name).await;
        assert_eq!(leaf_of(&called.unwrap()), key.cert[0].as_ref(), "{name}");
        assert_eq!(served.unwrap().server_name(), Some(name.to_ascii_lowercase().as_str()));
    }
    for unknown in ["c.example", "other.wild.example"] {
        say(words(server.clone(), client(&root, vec![]), unknown).await, "none of our service names", "access_denied");
    }

    // No name: the first certificate, which this client then refuses for its own reasons.
    say(
        words(server, client(&root, vec![]), "192.0.2.1").await,
        "bad_certificate",
        "it is not for `192.0.2.1` but for a.example",
    );
}

#[test]
fn a_service_certificate_must_fit_its_names() {
    let root = Authority::root("Root");
    let certified = |edit: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = server_params("gw", &["gw.example", "*.wild.example"]);
        edit(&mut params);
        root.leaf(params).certified(&[])
    };
    let fault = |key: &Arc<CertifiedKey>, name: &str, allow: bool| service(key, name, allow).unwrap_err().to_string();
    let good = certified(&|_| {});
    assert!(service(&good, "GW.Example", false).is_ok());
    assert!(service(&good, "x.wild.example", true).is_ok());
    assert!(fault(&good, "x.wild.example", false).contains("set allow_wildcard = true"));
    assert!(
        fault(&good, "x.y.wild.example", true)
            .contains("is not for `x.y.wild.example`; it is for gw.example, *.wild.example")
    );
    assert!(fault(&good, "other.example", true).contains("is not for `other.example`"));
    assert!(
        fault(&certified(&|params| params.subject_alt_names.clear()), "gw.example", false)
            .contains("has no subject alternative name")
    );
    let client_only = certified(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(fault(&client_only, "gw.example", false).contains("lacks server authentication"));
}

#[tokio::test]
async fn several_kinds_of_key_serve_one_name() {
    let root = Authority::root("Root");
    let ecdsa = root.leaf(server_params("ecdsa", &["gw.example"])).certified(&[]);
    let rsa_key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let rsa = root.leaf_with(server_params("rsa", &["gw.example"]), rsa_key).certified(&[]);
    let server =
        listener(&[service(&rsa, "gw.example", false).unwrap(), service(&ecdsa, "gw.example", false).unwrap()]);
    let (_, called) = meet(server, client(&root, vec![]), "gw.example").await;
    assert_eq!(leaf_of(&called.unwrap()), rsa.cert[0].as_ref(), "the first that the client knows");
}

#[tokio::test]
async fn protocols_and_floor_are_negotiated() {
    let pki = Pki::new();
    let offer = |alpn: &[&str]| {
        let mut config = (*pki.client_config()).clone();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    };
    for (offered, agreed) in [(&["http/1.1", "h2"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let (served, _) = meet(pki.server_config(), offer(offered), "gw.example").await;
        assert_eq!(served.unwrap().alpn(), agreed.map(str::as_bytes));
    }
    say(
        words(pki.server_config(), offer(&["smtp"]), "gw.example").await,
        "offered no protocol that is spoken here",
        "no_application_protocol",
    );

    let certificate = service(&pki.server, "gw.example", false).unwrap();
    let modern =
        client_listener(TlsFloor::Tls13, ServiceCertificates::new(&[certificate]), Unauthenticated::Explain).unwrap();
    let (served, _) = meet(pki.server_config(), pki.client_config_of(&[&TLS12]), "gw.example").await;
    assert_eq!(served.unwrap().protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    say(
        words(modern, pki.client_config_of(&[&TLS12]), "gw.example").await,
        "no version of TLS that is allowed here",
        "protocol_version",
    );
}

#[tokio::test]
async fn sessions_are_resumed_with_their_certificate_until_the_configuration_changes() {
    for version in [&TLS13, &TLS12] {
        let pki = Pki::new();
        let mut client = (*pki.client_config_of(&[version])).clone();
        client.resumption = Resumption::in_memory_sessions(4);
        let client = Arc::new(client);
        let server = pki.server_config();
        let mut resumed = Vec::new();
        for config in [&server, &server, &pki.server_config()] {
            let (served, _) = meet(config.clone(), client.clone(), "gw.example").await;
            let served = served.unwrap();
            assert_eq!(leaf_of(&served), pki.client.cert[0].as_ref(), "{version:?}");
            resumed.push(served.is_resumed());
        }
        assert_eq!(resumed, [false, true, false], "{version:?}");
    }
}

#[tokio::test]
async fn explain_mode_lets_any_certificate_pass_that_is_owned() {
    let pki = Pki::new();
    let stranger = Leaf::self_signed(client_params("stranger")).certified(&[]);
    let expired = {
        let mut params = client_params("expired");
        params.not_after = date_time_ymd(2020, 1, 1);
        Leaf::self_signed(params)
    };
    let mut critical = client_params("policies");
    let mut policies = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 0x00]);
    policies.set_criticality(true);
    critical.custom_extensions.push(policies);
    let unreadable = Leaf::self_signed(critical).certified(&[]);
    let thief = Arc::new(CertifiedKey::new(pki.client.cert.clone(), stranger.key.clone()));

    for version in [&TLS13, &TLS12] {
        let with = |key: Option<&Arc<CertifiedKey>>| {
            let mut config = (*pki.client_config_of(&[version])).clone();
            if let Some(key) = key {
                config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key.clone()));
            } else {
                config.client_auth_cert_resolver = Arc::new(RoleCertificates::new("none", vec![]));
            }
            Arc::new(config)
        };
        for key in [&pki.client, &stranger, &expired.certified(&[]), &unreadable] {
            let (served, _) = meet(pki.server_config(), with(Some(key)), "gw.example").await;
            assert_eq!(leaf_of(&served.unwrap()), key.cert[0].as_ref());
        }
        let (served, _) = meet(pki.server_config(), with(None), "gw.example").await;
        assert!(served.unwrap().peer_certificates().is_none());

        say(
            words(pki.server_config(), with(Some(&thief)), "gw.example").await,
            "a signature is wrong",
            "decrypt_error",
        );
        let forged = Arc::new(CertifiedKey::new(unreadable.cert.clone(), stranger.key.clone()));
        say(
            words(pki.server_config(), with(Some(&forged)), "gw.example").await,
            "a signature is wrong",
            "decrypt_error",
        );

        let many: Vec<_> = std::iter::repeat_n(pki.client.cert[0].clone(), 40).collect();
        let many = Arc::new(CertifiedKey::new(many, pki.client.key.clone()));
        say(
            words(pki.server_config(), with(Some(&many)), "gw.example").await,
            "the client sent 40 certificates; at most 8",
            "certificate_unknown",
        );
    }
}

#[tokio::test]
async fn abort_mode_ends_the_handshake_with_one_alert_for_all() {
    let pki = Pki::new();
    let chains = ClientChains::new(std::slice::from_ref(&pki.root.der), vec![]).unwrap();
    let judge = Arc::new(move |chain: &[CertificateDer<'_>], now| chains.judge(chain, now).map(|_| ()));
    let certificate = service(&pki.server, "gw.example", false).unwrap();
    let server =
        client_listener(TlsFloor::Tls12, ServiceCertificates::new(&[certificate]), Unauthenticated::Abort(judge))
            .unwrap();
    let root = &pki.root;

    let (served, called) = meet(server.clone(), pki.client_config(), "gw.example").await;
    assert!(served.is_ok() && called.is_ok());
    let mut expired = client_params("expired");
    expired.not_after = date_time_ymd(2020, 1, 1);
    for (leaf, why) in [
        (Leaf::self_signed(client_params("stranger")), "`CN=stranger`: it is self-signed and not a root of the site"),
        (
            root.leaf(server_params("web", &["web.example"])),
            "`CN=web`: its extended key usage lacks client authentication",
        ),
        (root.leaf(expired), "`CN=expired`: it expired on 2020-01-01"),
    ] {
        let mut config = (*pki.client_config()).clone();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(leaf.certified(&[])));
        say(words(server.clone(), Arc::new(config), "gw.example").await, why, "certificate_unknown");
    }
    say(words(server, client(root, vec![]), "gw.example").await, "must prove who it is", "certificate_required");
}
