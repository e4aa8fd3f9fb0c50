//! What a source brings, good or bad, and what stays in force.

use super::*;
use crate::settings::{ConnectionPointSettings, ProxyVariables};
use cmg_core::configuration::Overrides;
use cmg_core::worker::Workers;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, SanType};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A folder with everything that a connection point needs, and its threads.
struct Inside {
    folder: tempfile::TempDir,
    workers: Workers,
    root: String,
}

impl Inside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = "cmg:PS1/cp-1/0123456789abcdef0123456789abcdef";
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        put("tunnel.pem", &params.self_signed(&key).unwrap().pem());
        put("tunnel.key", &key.serialize_pem());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().pem();
        put("root.pem", &root);
        put(
            "connection-point.toml",
            r#"
[connection_point]
site = "PS1"
name = "cp-1"
state_directory = "state"
[site]
source = "site.toml"
[tunnel]
ca = "root.pem"
certificate = "tunnel.pem"
key = "tunnel.key"
[roles_tls]
roots = ["root.pem"]
"#,
        );
        Self { folder, workers: Workers::start(1, "test").unwrap(), root }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self) -> ConnectionPointSettings {
        let settings = ConnectionPointSettings::load(
            &self.path("connection-point.toml"),
            Overrides::none(),
            &ProxyVariables::none(),
        );
        settings.unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A process that has just started.
    fn keeper(&self) -> SiteKeeper {
        SiteKeeper::new(ConnectionPoint::new(self.settings(), self.workers.spawner()).unwrap()).unwrap()
    }

    fn site(&self, version: u64, code: &str, more: &str) {
        let root = &self.root;
        let text = format!(
            "version = {version}\n[site]\ncode = \"{code}\"\n[client_trust]\nroots = ['''{root}''']\n\
             [[roles]]\nid = 7\nkind = \"management-point\"\ninternal_url = \"https://mp1.corp.example\"\n{more}\n"
        );
        fs::write(self.path("site.toml"), text).unwrap();
    }
}

/// The version in force, and for each role the connection that it has.
fn version(keeper: &SiteKeeper) -> u64 {
    keeper.point.site().as_ref().map_or(0, |site| site.version)
}

const SECOND: &str =
    "[[roles]]\nid = 8\nkind = \"software-update-point\"\ninternal_url = \"https://sup1.corp.example\"";

#[tokio::test]
async fn a_new_configuration_comes_into_force_at_the_next_look() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    let missing = keeper.look(false).await.unwrap_err();
    assert!(missing.contains("site.toml"), "{missing}");
    assert!(keeper.point.readiness.reasons().contains_key("configuration"));
    inside.site(1, "PS1", "");
    assert_eq!(keeper.look(false).await.unwrap(), "site configuration version 1 is in force");
    assert!(!keeper.point.readiness.reasons().contains_key("configuration"));
    inside.site(2, "PS1", SECOND);
    keeper.look(false).await.unwrap();
    assert_eq!((version(&keeper), keeper.point.site().as_ref().unwrap().roles()), (2, 2));
}

#[tokio::test]
async fn a_bad_one_leaves_the_old_one_and_says_everything() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    inside.site(5, "PS1", "");
    keeper.look(false).await.unwrap();
    inside.site(6, "PS1", "[[roles]]\nid = 7\nkind = \"management-pint\"\nport = 1\n");
    let problems = keeper.look(false).await.unwrap_err();
    assert!(problems.contains("management-pint") && problems.contains("port"), "{problems}");
    for (version, code, more, wanted) in [
        (4, "PS1", "", "lower than 5, which is in force; to go back, publish the old content under version 6"),
        (5, "PS1", SECOND, "two contents under version 5"),
        (6, "PS2", "", "configuration of site PS2, and this connection point serves PS1"),
    ] {
        inside.site(version, code, more);
        let problems = keeper.look(false).await.unwrap_err();
        assert!(problems.contains(wanted), "{problems}");
        assert_eq!(keeper.look(false).await.unwrap_err(), problems, "it is still so at the next look");
    }
    assert_eq!(version(&keeper), 5);
    inside.site(5, "PS1", "# only a remark");
    keeper.look(false).await.unwrap();
    assert!(keeper.point.source.borrow().problems.is_empty());
}

#[tokio::test]
async fn a_restart_without_the_source_goes_on_with_the_last_good_one() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    inside.site(3, "PS1", SECOND);
    keeper.look(false).await.unwrap();
    inside.site(9, "PS1", "nonsense");
    keeper.look(false).await.unwrap_err();
    fs::remove_file(inside.path("site.toml")).unwrap();
    drop(keeper);
    let mut keeper = inside.keeper();
    assert_eq!(version(&keeper), 3);
    keeper.look(false).await.unwrap_err();
    assert_eq!(version(&keeper), 3);
    assert!(keeper.point.source.borrow().out_of_reach_since.is_some());
    inside.site(2, "PS1", "");
    assert!(keeper.look(false).await.unwrap_err().contains("lower than 3"), "also after a restart");
}

#[tokio::test]
async fn a_source_that_is_back_unchanged_is_as_it_was_before() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    let (file, away) = (inside.path("site.toml"), inside.path("away.toml"));
    let problems = |keeper: &SiteKeeper| keeper.point.source.borrow().all_problems();
    inside.site(5, "PS1", "");
    keeper.look(false).await.unwrap();
    fs::rename(&file, &away).unwrap();
    let unreadable = keeper.look(false).await.unwrap_err();
    assert_eq!(problems(&keeper), [unreadable]);
    fs::rename(&away, &file).unwrap();
    keeper.look(false).await.unwrap();
    assert_eq!(problems(&keeper), Vec::<String>::new());
    // What was wrong with it is still wrong.
    inside.site(4, "PS1", "");
    let wrong = keeper.look(false).await.unwrap_err();
    fs::rename(&file, &away).unwrap();
    assert_eq!(keeper.look(false).await.unwrap_err().lines().count(), 1, "the news");
    assert_eq!(problems(&keeper).len(), 2);
    fs::rename(&away, &file).unwrap();
    assert_eq!(keeper.look(false).await.unwrap_err(), wrong);
}

#[tokio::test]
async fn a_reload_looks_at_the_files_that_the_same_text_names() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    inside.site(1, "PS1", "");
    let text = fs::read_to_string(inside.path("site.toml")).unwrap();
    let by_name = text.replace(&format!("'''{}'''", inside.root), "\"clients.pem\"");
    fs::write(inside.path("site.toml"), by_name).unwrap();
    assert!(keeper.look(false).await.unwrap_err().contains("clients.pem"));
    fs::write(inside.path("clients.pem"), &inside.root).unwrap();
    keeper.look(true).await.unwrap();
    assert_eq!(version(&keeper), 1);
}

#[tokio::test]
async fn roles_that_stay_as_they_are_keep_their_connections() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    inside.site(1, "PS1", SECOND);
    keeper.look(false).await.unwrap();
    let roles = |keeper: &SiteKeeper| {
        let site = keeper.point.site();
        let site = site.as_ref().unwrap();
        ["/CCM_Proxy_MutualAuth/7/SMS_MP/x", "/CCM_Proxy_MutualAuth/8/SelfUpdate/x"].map(|target| {
            let target = cmg_core::request_target::RequestTarget::parse(target.into()).unwrap();
            Arc::clone(site.role(&site.mapping.map(&target).unwrap()).unwrap().role)
        })
    };
    let before = roles(&keeper);
    inside.site(2, "PS1", &SECOND.replace("sup1", "sup2"));
    keeper.look(false).await.unwrap();
    let after = roles(&keeper);
    assert!(Arc::ptr_eq(&before[0], &after[0]) && !Arc::ptr_eq(&before[1], &after[1]));
    assert_eq!(after[1].host, "sup2.corp.example");
}

#[tokio::test]
async fn a_trial_finds_what_a_start_would_and_leaves_nothing_behind() {
    let inside = Inside::new();
    let refused = async || trial(&inside.settings()).await.err().unwrap();
    assert!(matches!(refused().await, TrialFault::Source(_)), "nothing is there yet");
    inside.site(5, "PS1", "");
    assert_eq!(trial(&inside.settings()).await.unwrap().version, 5);
    assert!(!inside.path("state").exists());
    inside.site(6, "PS2", "");
    assert!(refused().await.to_string().contains("serves PS1; correct site.source"));
    inside.site(5, "PS1", "");
    inside.keeper().look(false).await.unwrap();
    assert_eq!(trial(&inside.settings()).await.unwrap().version, 5);
    inside.site(4, "PS1", "");
    assert!(refused().await.to_string().contains("4 is lower than 5"), "against the copy of the last good one");
    inside.site(6, "PS1", "");
    let mut root = CertificateParams::default();
    // A fault that reading lets pass, and rustls does not.
    let twice = CustomExtension::from_oid_content(&[2, 5, 29, 37], vec![48, 0]);
    root.custom_extensions = vec![twice.clone(), twice];
    let root = root.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    fs::write(inside.path("roles.pem"), root).unwrap();
    let file = inside.path("connection-point.toml");
    let text = fs::read_to_string(&file).unwrap().replace("roots = [\"root.pem\"]", "roots = [\"roles.pem\"]");
    fs::write(&file, text).unwrap();
    let TrialFault::Site(problems) = refused().await else { panic!("of the site") };
    assert!(problems.certificates_only() && problems.to_string().contains("roles_tls: root 1"), "{problems}");
}

#[tokio::test]
async fn what_the_disk_did_not_take_is_kept_at_a_later_look() {
    let inside = Inside::new();
    let mut keeper = inside.keeper();
    // Stands in the way of every file, whoever writes it.
    let in_the_way = inside.path("state/site-in-force.new");
    fs::create_dir(&in_the_way).unwrap();
    inside.site(3, "PS1", "");
    keeper.look(false).await.unwrap();
    assert_eq!((version(&keeper), keeper.kept.read().unwrap()), (3, None));
    fs::write(inside.path("site.toml"), "not even TOML").unwrap();
    fs::remove_dir(in_the_way).unwrap();
    keeper.look(false).await.unwrap_err();
    assert_eq!(version(&inside.keeper()), 3, "after a restart");
}

#[test]
fn the_folder_of_the_state_is_made_or_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = KeptCopy::new(&file.path().join("state")).err().unwrap();
    assert!(error.to_string().contains("give the state directory"), "{error}");
    assert!(KeptCopy::new(Path::new(file.path().parent().unwrap())).is_ok());
}
