//! One place for a tunnel against a gateway that the test plays message by message, with a role behind it.

mod caps;
mod deadline;
mod login;
mod retiring;
mod succession;
mod turned_away;
mod violations;

use super::*;
use std::cell::Cell;
use std::future::poll_fn;
use std::net::Ipv4Addr;

use bytes::Bytes;
use cmg_core::configuration::{HostName, Overrides};
use cmg_core::fields::Fields;
use cmg_core::request_id::RequestId;
use cmg_core::shutdown::{TaskHandle, Tasks};
use cmg_core::site::{GatewayInstance, SiteConfiguration, SiteGateway};
use cmg_core::tls::client_hello::ClientHello;
use cmg_core::tls::load::certified_key;
use cmg_core::tls::{FlushRule, TlsStream, configs};
use cmg_core::tunnel::calling::{self, Caller, Opening};
use cmg_core::tunnel::control::{ConfigurationInForce, ConfigurationVerdict, Control, ControlEnd, Said, Saying};
use cmg_core::tunnel::frame::Event;
use cmg_core::tunnel::handshake::{GatewayHello, VERSIONS, Versions, new_boot_id};
use cmg_core::tunnel::message::{ClientProof, GoodbyeReason, Lane, Refused, RefusedReason, RequestHead};
use cmg_core::worker::Workers;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::settings::{ConnectionPointSettings, ProxyVariables};
use crate::site::Site;

/// A gateway's listener, and a connection point that is to dial it.
pub struct Stage {
    folder: tempfile::TempDir,
    pub listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    pub point: Arc<ConnectionPoint>,
    pub place: Place,
    open: Cell<Option<OpenPlace>>,
    _workers: Workers,
}

/// The gateway's end of a tunnel.
pub struct GatewayEnd {
    caller: Caller,
    control: Control,
    /// While it is frozen it reads and writes nothing, and stays open.
    frozen: watch::Sender<bool>,
    _connection: TaskHandle<()>,
}

impl Stage {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let issue = |name: &str, names: Vec<SanType>| {
            let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
            params.subject_alt_names = names;
            put(&folder, &format!("{name}.pem"), &params.signed_by(&key, &authority).unwrap().pem());
            put(&folder, &format!("{name}.key"), &key.serialize_pem());
        };
        put(&folder, "ca.pem", &authority.pem());
        issue("gateway", vec![SanType::DnsName("gw.test".try_into().unwrap())]);
        issue("role", vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())]);
        issue("tunnel", vec![SanType::URI("cmg:PS1/cp-1/0123456789abcdef0123456789abcdef".try_into().unwrap())]);
        put(
            &folder,
            "connection-point.toml",
            "[connection_point]\nsite = \"PS1\"\nname = \"cp-1\"\nstate_directory = \"state\"\n[site]\nsource = \"x\"\n\
             [tunnel]\nca = \"ca.pem\"\ncertificate = \"tunnel.pem\"\nkey = \"tunnel.key\"\n\
             [roles_tls]\nroots = [\"ca.pem\"]\n",
        );
        let file = folder.path().join("connection-point.toml");
        let settings = ConnectionPointSettings::load(&file, Overrides::none(), &ProxyVariables::none());
        let workers = Workers::start(1, "test").unwrap();
        let point = ConnectionPoint::new(settings.unwrap(), workers.spawner()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tls = configs::tunnel_listener(key(&folder, "gateway"), &[CertificateDer::from(authority.der().to_vec())]);
        let (place, open) = place(&point, &[listener.local_addr().unwrap().port()]);
        Self { folder, listener, tls: tls.unwrap(), point, place, open: Cell::new(Some(open)), _workers: workers }
    }

    /// Listens here from now on, and has the connection point dial this name for it.
    fn listen(&mut self, listener: TcpListener, host: &str) {
        let port = listener.local_addr().unwrap().port();
        self.listener = listener;
        let (place, open) = place_at(&self.point, vec![HostPort { host: host.into(), port }]);
        (self.place, self.open) = (place, Cell::new(Some(open)));
    }

    /// Has the connection point dial through this proxy.
    fn through(&self, proxy: &str) {
        let folder = self.folder.path().join("connection-point.toml");
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| proxy.to_string());
        let settings = ConnectionPointSettings::load(&folder, Overrides::none(), &ProxyVariables::of(variable));
        self.point.take_over(settings.unwrap_or_else(|problems| panic!("{problems}"))).unwrap();
    }

    /// Puts a site in force that publishes one endpoint for GET, of a role that is not there.
    fn site(&self, version: u64) {
        self.site_with(version, "127.0.0.1:1", "methods = [\"GET\"]");
    }

    /// The same for a role that may be there, with these further lines about its endpoint.
    fn site_with(&self, version: u64, role: &str, endpoint: &str) {
        let text = format!(
            "version = {version}\n[site]\ncode = \"PS1\"\n[client_trust]\nroots = [\"ca.pem\"]\n[[roles]]\nid = 8\n\
             kind = \"custom\"\ninternal_url = \"https://{role}\"\n[[roles.custom]]\nname = \"open\"\n\
             external_prefix = \"/open/\"\n{endpoint}\n"
        );
        self.site_of(&text);
    }

    /// Puts this site in force.
    pub fn site_of(&self, text: &str) {
        let site = SiteConfiguration::parse(text, Some(self.folder.path()), "site.toml");
        let site = site.unwrap_or_else(|problems| panic!("{problems}"));
        let tls = &self.point.settings().roles_tls;
        self.point.apply(Site::new(site, text, tls, &self.point.metrics, None).unwrap());
    }

    /// Lets the connection point dial, and accepts its tunnel up to both hellos.
    pub async fn connected(&self, hello: &GatewayHello) -> GatewayEnd {
        self.connected_at(&self.listener, hello).await
    }

    /// The same on another listener of the gateway.
    pub async fn connected_at(&self, listener: &TcpListener, hello: &GatewayHello) -> GatewayEnd {
        let mut gateway = self.greeted_at(listener, hello).await;
        gateway.control.say(Saying::Heartbeat(Duration::ZERO)).await;
        gateway
    }

    /// The same, without another word.
    async fn greeted_at(&self, listener: &TcpListener, hello: &GatewayHello) -> GatewayEnd {
        let accepted = timeout(limits::REDIAL_LONGEST * 2, listener.accept()).await.expect("nobody dials");
        let (mut tcp, _) = accepted.unwrap();
        let first = ClientHello::read(&mut tcp, Instant::now() + limits::TUNNEL_ESTABLISH).await.unwrap();
        let stream = tls::accept(tcp, first, Arc::clone(&self.tls), FlushRule::AtOnce).await.unwrap();
        let (caller, connection) = calling::open(stream, Arc::default(), Lane::Interactive).await.unwrap();
        let (frozen, mut is_frozen) = watch::channel(false);
        let driven = async move {
            let mut connection = pin!(connection);
            while is_frozen.wait_for(|frozen| !frozen).await.is_ok() {
                tokio::select! {
                    _ = &mut connection => return,
                    _ = is_frozen.wait_for(|frozen| *frozen) => {}
                }
            }
        };
        let driven = self.point.background.spawn("gateway's connection", driven);
        let mut control = Control::call(&caller, &Tasks::new(), hello).await.unwrap();
        let theirs = control.hello().await.unwrap();
        assert_eq!(theirs.boot_id, self.point.boot_id);
        GatewayEnd { caller, control, frozen, _connection: driven }
    }

    /// Keeps the place until it is retired.
    async fn keep(&self) {
        keep(self.place.clone(), self.open.take().expect("a place is kept once")).await;
    }

    /// Keeps the place while the test plays the gateway.
    async fn while_kept<T>(&self, play: impl Future<Output = T>) -> T {
        tokio::select! {
            played = play => played,
            () = self.keep() => panic!("the place was given up"),
        }
    }
}

fn put(folder: &tempfile::TempDir, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn key(folder: &tempfile::TempDir, name: &str) -> Arc<CertifiedKey> {
    let path = |ending| folder.path().join(format!("{name}.{ending}"));
    certified_key(&path("pem"), &path("key")).unwrap()
}

pub fn place(point: &Arc<ConnectionPoint>, ports: &[u16]) -> (Place, OpenPlace) {
    place_at(point, ports.iter().map(|port| HostPort { host: "127.0.0.1".into(), port: *port }).collect())
}

fn place_at(point: &Arc<ConnectionPoint>, addresses: Vec<HostPort>) -> (Place, OpenPlace) {
    let instance = GatewayInstance { name: "gw-1".into(), addresses };
    let gateway = SiteGateway {
        name: "gw".into(),
        service_names: Vec::new(),
        tunnel_name: HostName::parse("gw.test").unwrap(),
        instances: vec![instance.clone()],
    };
    let retiring = point.tasks.child_token();
    let instance = Arc::new(Instance::new(&gateway, &instance, retiring.clone()));
    let open = instance.open_place(Lane::Interactive);
    (Place { point: Arc::clone(point), instance, id: open.id, worker: WorkerIndex(0), retiring }, open)
}

pub fn hello() -> GatewayHello {
    GatewayHello {
        versions: VERSIONS,
        program: "cmg-gateway 0.1.0".into(),
        instance: "gw-1".into(),
        boot_id: new_boot_id(),
        workers: 1,
        bulk_connections: 0,
        lane: Lane::Interactive,
        configuration_version: 0,
        configuration_digest: Vec::new(),
    }
}

fn request(method: &str, target: &str) -> RequestHead {
    RequestHead {
        method: Bytes::copy_from_slice(method.as_bytes()),
        target: Bytes::copy_from_slice(target.as_bytes()),
        fields: Fields::new(),
        request_id: RequestId::random(),
        role_id: 8,
        deadline: None,
        lane: Lane::Interactive,
        content_length: None,
        client_connection: 1,
        proof: ClientProof::Certificate,
        client_chain: Vec::new(),
    }
}

impl GatewayEnd {
    /// The next thing said that is no heartbeat.
    pub async fn said(&mut self) -> Result<Said, ControlEnd> {
        loop {
            match self.control.next().await? {
                Said::Heartbeat(_) => {}
                said => return Ok(said),
            }
        }
    }

    /// Takes the configuration that is published and puts it in force.
    pub async fn apply(&mut self, wanted: u64) {
        let Said::Configuration { version, publication } = self.said().await.unwrap() else {
            panic!("no configuration")
        };
        assert_eq!(version, wanted);
        let digest = cmg_core::tunnel::publication::digest(&publication).to_vec();
        let verdict = ConfigurationVerdict {
            version,
            applied: true,
            problems: Vec::new(),
            version_in_force: version,
            digest_in_force: digest,
        };
        self.control.say(Saying::Verdict(verdict)).await;
    }

    async fn refused(&self, head: RequestHead) -> Refused {
        let mut calling = self.caller.start(Opening::new(head, Bytes::new(), Some(Fields::new()))).unwrap();
        match poll_fn(|cx| calling.poll_event(cx)).await.unwrap() {
            Event::Refused(refused) => refused,
            other => panic!("not refused but {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_the_gateway_lacks_is_published_and_changes_follow() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        stage.site(4);
        gateway.apply(4).await;
        let mut facts = stage.place.instance.facts();
        facts.wait_for(|facts| facts.in_force.version == 4 && !facts.is_publishing).await.unwrap();
        assert!(stage.point.readiness.is_ready());
    };
    stage.while_kept(play).await;
}

#[tokio::test]
async fn a_drain_is_told_first_and_ends_with_a_goodbye() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        stage.point.tasks.stop();
        assert!(matches!(gateway.said().await, Ok(Said::Drain)));
        // What was under way when the word arrived is served all the same.
        assert_eq!(gateway.refused(request("GET", "/open/x")).await.reason, RefusedReason::RoleUnreachable);
        assert!(matches!(gateway.said().await, Ok(Said::Goodbye(_))));
    };
    tokio::join!(play, stage.keep());
    assert!(stage.place.instance.places().is_empty());
    assert!(!stage.point.readiness.is_ready());
}

/// A gateway that does not listen goes on sending: what the tunnel may end under is not begun.
#[tokio::test]
async fn what_comes_after_the_drain_was_told_is_not_started() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        stage.point.tasks.stop();
        assert!(matches!(gateway.said().await, Ok(Said::Drain)));
        tokio::time::pause();
        let mut late =
            gateway.caller.start(Opening::new(request("GET", "/open/x"), Bytes::new(), Some(Fields::new()))).unwrap();
        tokio::time::advance(limits::DRAIN_NOTICE * 2).await;
        tokio::time::resume();
        let event = poll_fn(|cx| late.poll_event(cx)).await.unwrap();
        let Event::Refused(refused) = event else { panic!("{event:?}") };
        assert_eq!((refused.reason, refused.not_started), (RefusedReason::Draining, true));
        assert!(matches!(gateway.said().await, Ok(Said::Goodbye(_))));
    };
    tokio::join!(play, stage.keep());
}

#[tokio::test]
async fn a_gateway_that_falls_silent_is_left() {
    let stage = Stage::new().await;
    let play = async {
        let gateway = stage.connected(&hello()).await;
        gateway.frozen.send_replace(true);
        tokio::time::pause();
        tokio::time::advance(limits::STALLED).await;
        tokio::time::advance(limits::HEARTBEAT_SILENCE).await;
        tokio::time::resume();
        let again = stage.connected(&hello()).await;
        let places = stage.place.instance.places();
        assert_eq!(places[0].last_error.as_deref(), Some("nothing was heard from the gateway for too long"));
        drop((gateway, again));
    };
    stage.while_kept(play).await;
}

#[tokio::test]
async fn a_server_that_is_no_gateway_is_explained() {
    let stage = Stage::new().await;
    let play = async {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        drop(tcp);
        let mut tried = stage.place.instance.places();
        while tried.first().is_none_or(|place| place.last_error.is_none()) {
            tokio::task::yield_now().await;
            tried = stage.place.instance.places();
        }
        let why = tried[0].last_error.clone().unwrap();
        assert!(why.contains("gateway gw instance gw-1 at 127.0.0.1"), "{why}");
    };
    stage.while_kept(play).await;
}
