//! Both ends of a tunnel.

use super::*;

/// A tunnel CA with a gateway and a connection point.
struct Tunnel {
    root: Authority,
    gateway: Arc<CertifiedKey>,
    connection_point: Arc<CertifiedKey>,
}

const IDENTITY: &str = "cmg:PS1/cp1/00112233445566778899aabbccddeeff";

impl Tunnel {
    fn new() -> Self {
        let root = Authority::root("Tunnel CA");
        let gateway = root.leaf(server_params("gateway", &["gw.example"])).certified(&[]);
        let mut params = client_params("cp1");
        params.subject_alt_names.push(SanType::URI(IDENTITY.try_into().unwrap()));
        let connection_point = root.leaf(params).certified(&[]);
        Self { root, gateway, connection_point }
    }

    fn listener(&self) -> Arc<ServerConfig> {
        tunnel_listener(self.gateway.clone(), std::slice::from_ref(&self.root.der)).unwrap()
    }

    fn dialler(&self, own: &Arc<CertifiedKey>) -> Arc<ClientConfig> {
        tunnel_dialler(own.clone(), std::slice::from_ref(&self.root.der)).unwrap()
    }
}

#[tokio::test]
async fn tunnels_are_mutual_and_say_which_certificate_is_wrong_on_both_ends() {
    let tunnel = Tunnel::new();
    let other = Tunnel::new();
    let good = &tunnel.connection_point;

    let (served, called) = meet(tunnel.listener(), tunnel.dialler(good), "gw.example").await;
    let served = served.unwrap();
    assert_eq!(served.alpn(), Some(TUNNEL_ALPN));
    assert_eq!(served.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(served.cipher_suite(), Some(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256));
    let leaf = served.peer_certificates().unwrap().first().unwrap();
    assert_eq!(TunnelIdentity::of(leaf).unwrap().to_string(), IDENTITY);
    called.unwrap();

    let foreign = tunnel.dialler(&other.connection_point);
    say(
        words(tunnel.listener(), foreign, "gw.example").await,
        "a signature is wrong",
        "refused the connection: decrypt_error",
    );
    let stranger = Authority::root("Other CA").leaf(client_params("cp")).certified(&[]);
    say(
        words(tunnel.listener(), tunnel.dialler(&stranger), "gw.example").await,
        "not issued under a root that is trusted here",
        "refused our certificate: unknown_ca",
    );
    let server_only = tunnel.root.leaf(server_params("cp", &["cp.example"])).certified(&[]);
    say(
        words(tunnel.listener(), tunnel.dialler(&server_only), "gw.example").await,
        "allows server authentication, but client authentication is needed",
        "unsupported_certificate",
    );
    let mut expired = client_params("cp");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let expired = tunnel.root.leaf(expired).certified(&[]);
    say(
        words(tunnel.listener(), tunnel.dialler(&expired), "gw.example").await,
        "expired on 2020-01-01",
        "certificate_expired",
    );
    say(
        words(tunnel.listener(), tunnel.dialler(good), "wrong.example").await,
        "bad_certificate",
        "it is not for `wrong.example` but for gw.example",
    );

    let unknown_gateway = tunnel_listener(
        Authority::root("Web CA").leaf(server_params("gw", &["gw.example"])).certified(&[]),
        std::slice::from_ref(&tunnel.root.der),
    )
    .unwrap();
    say(
        words(unknown_gateway, tunnel.dialler(good), "gw.example").await,
        "unknown_ca",
        "not issued under a root that is trusted here",
    );

    // Ordinary clients on the tunnel's port, and tunnels on the clients'.
    let pki = Pki::new();
    let no_certificate = client(&tunnel.root, vec![]);
    say(
        words(tunnel.listener(), no_certificate, "gw.example").await,
        "offered no protocol that is spoken here",
        "no_application_protocol",
    );
    let client_port = tunnel_dialler(pki.client.clone(), std::slice::from_ref(&pki.root.der)).unwrap();
    say(words(pki.server_config(), client_port, "gw.example").await, "offered no protocol", "is this the right port?");
}

/// A dialler of plain rustls that is right in all but one thing.
#[tokio::test]
async fn the_tunnels_listener_takes_neither_an_older_tls_nor_a_dialler_without_a_certificate() {
    let tunnel = Tunnel::new();
    let dialler = |version, own: &[&Arc<CertifiedKey>]| {
        let builder = ClientConfig::builder_with_provider(crate::tls::provider()).with_protocol_versions(&[version]);
        let builder =
            builder.unwrap().with_root_certificates(root_store(std::slice::from_ref(&tunnel.root.der)).unwrap());
        let mut config = match own {
            [own] => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(own)))),
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"cmg-tunnel/1".to_vec()];
        Arc::new(config)
    };
    let own = &tunnel.connection_point;
    let (served, called) = meet(tunnel.listener(), dialler(&TLS13, &[own]), "gw.example").await;
    assert!(served.is_ok() && called.is_ok(), "it is right");
    say(
        words(tunnel.listener(), dialler(&TLS12, &[own]), "gw.example").await,
        "no version of TLS that is allowed here",
        "protocol_version",
    );
    say(
        words(tunnel.listener(), dialler(&TLS13, &[]), "gw.example").await,
        "must prove who it is",
        "certificate_required",
    );
}
