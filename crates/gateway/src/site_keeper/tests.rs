//! What is applied, what is refused with which words, and what a restart finds.

use std::fs;
use std::sync::Mutex;

use super::*;
use crate::test_site::{Authority, custom, publication, role};
use cmg_core::configuration::Value;
use cmg_core::site::{ExternalPrefix, RoleRange, SiteCode};
use cmg_core::tunnel::stored::StoredConfiguration;

/// What a gateway's file lets a site publish: roles 1 to 9, or 11 to 19, and prefixes under its own.
fn permissions(code: &str, roles: &str, prefix: &str) -> SitePermissions {
    SitePermissions {
        site: SiteCode::parse(code).unwrap(),
        connection_points: Vec::new(),
        roles: vec![RoleRange::from_text(roles, None).unwrap()],
        prefixes: vec![ExternalPrefix::from_text(prefix, None).unwrap()],
        anonymous: true,
    }
}

fn both_sites() -> Vec<SitePermissions> {
    vec![permissions("PS1", "1-9", "/a/"), permissions("PS2", "1-19", "/a/")]
}

/// A gateway's state directory and a process that runs on it.
struct Gateway {
    state: tempfile::TempDir,
    published: Arc<ArcSwap<Published>>,
    keeper: SiteKeeper,
    authority: Authority,
}

impl Gateway {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let (keeper, published) = start(state.path(), both_sites());
        Self { state, published, keeper, authority: Authority::root("R") }
    }

    /// As after a kill: nothing of the old process is left but its files.
    fn restart(&mut self, permissions: Vec<SitePermissions>) {
        (self.keeper, self.published) = start(self.state.path(), permissions);
    }

    fn bytes(&self, code: &str, roles: &[String]) -> Bytes {
        publication::encode(&publication(code, &self.authority, roles))
    }

    async fn apply(&self, code: &str, version: u64, roles: &[String]) -> ConfigurationVerdict {
        self.keeper.apply(code, version, self.bytes(code, roles)).await
    }

    fn version_in_force(&self, code: &str) -> Option<u64> {
        self.published.load().site(code).map(|site| site.version)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.state.path().join("sites").join(name)
    }
}

fn start(state: &Path, permissions: Vec<SitePermissions>) -> (SiteKeeper, Arc<ArcSwap<Published>>) {
    let published = Arc::new(ArcSwap::from_pointee(Published::default()));
    let keeper = SiteKeeper::start(state, permissions, Arc::clone(&published), |_| {}, |_| {}, &Tasks::new()).unwrap();
    (keeper, published)
}

fn management_point(id: u64) -> [String; 1] {
    [role(id, "management-point", "")]
}

#[tokio::test]
async fn an_applied_version_is_in_force_and_acknowledged_with_its_digest() {
    let gateway = Gateway::new();
    let verdict = gateway.apply("PS1", 7, &management_point(1)).await;
    let digest = publication::digest(&gateway.bytes("PS1", &management_point(1))).to_vec();
    let expected = ConfigurationVerdict {
        version: 7,
        applied: true,
        problems: Vec::new(),
        version_in_force: 7,
        digest_in_force: digest,
    };
    assert_eq!(verdict, expected);
    assert_eq!(gateway.version_in_force("PS1"), Some(7));
    let stored = StoredConfiguration::decode(fs::read(gateway.file("PS1.site")).unwrap().into()).unwrap();
    assert_eq!((stored.version, stored.publication), (7, gateway.bytes("PS1", &management_point(1))));
    // Every connection point of the site pushes the same; each is told the same.
    assert_eq!(gateway.apply("PS1", 7, &management_point(1)).await, expected);
    assert!(gateway.apply("PS1", 8, &management_point(2)).await.applied);
    assert_eq!(gateway.version_in_force("PS1"), Some(8));
}

#[tokio::test]
async fn a_lower_version_is_refused_and_says_how_to_go_back() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    let verdict = gateway.apply("PS1", 6, &management_point(2)).await;
    let words = "version 6 is lower than version 7 in force; publish the content under a higher number, or run \
        `cmg-gateway site forget PS1`";
    assert_eq!((verdict.applied, verdict.problems), (false, vec![words.to_owned()]));
    assert_eq!((verdict.version_in_force, gateway.version_in_force("PS1")), (7, Some(7)));
    assert!(gateway.keeper.forget("PS1").await.is_ok());
    assert_eq!(gateway.version_in_force("PS1"), None);
    assert!(!gateway.file("PS1.site").exists());
    assert!(gateway.apply("PS1", 6, &management_point(2)).await.applied);
    assert_eq!(gateway.keeper.forget("PS2").await.unwrap_err(), "no configuration of site PS2 is kept here");
}

#[tokio::test]
async fn two_contents_under_one_version_are_an_error() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    let verdict = gateway.apply("PS1", 7, &management_point(2)).await;
    let words = "version 7 is in force with another content; two connection points have different files, or one was \
        changed without a higher version number";
    assert_eq!((verdict.applied, verdict.problems), (false, vec![words.to_owned()]));
    assert_eq!(verdict.digest_in_force, publication::digest(&gateway.bytes("PS1", &management_point(1))));
}

#[tokio::test]
async fn what_was_acknowledged_is_in_force_after_a_restart() {
    let mut gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    gateway.apply("PS2", 3, &management_point(11)).await;
    gateway.restart(both_sites());
    assert_eq!((gateway.version_in_force("PS1"), gateway.version_in_force("PS2")), (Some(7), Some(3)));
    let digest = gateway.published.load().site("PS1").unwrap().digest;
    assert_eq!(digest, publication::digest(&gateway.bytes("PS1", &management_point(1))));
    assert!(!gateway.apply("PS1", 6, &management_point(2)).await.applied, "a restart forgets no version");
    gateway.keeper.forget("PS2").await.unwrap();
    gateway.restart(both_sites());
    assert_eq!(gateway.version_in_force("PS2"), None, "what was forgotten stays so");
}

#[tokio::test]
async fn a_kill_before_the_rename_leaves_the_old_version() {
    let mut gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    let publication = gateway.bytes("PS1", &management_point(2));
    let next = StoredConfiguration { site: "PS1".to_owned(), version: 8, publication }.encode();
    for written in [0, 1, next.len() / 2, next.len()] {
        fs::write(gateway.file("PS1.new"), &next[..written]).unwrap();
        gateway.restart(both_sites());
        assert_eq!(gateway.version_in_force("PS1"), Some(7), "{written} bytes were written");
    }
    assert!(gateway.apply("PS1", 8, &management_point(2)).await.applied, "what was left behind is in nobody's way");
    gateway.restart(both_sites());
    assert_eq!(gateway.version_in_force("PS1"), Some(8));
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_applied() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    fs::create_dir(gateway.file("PS1.new")).unwrap();
    let verdict = gateway.apply("PS1", 8, &management_point(2)).await;
    assert!(!verdict.applied && verdict.problems[0].starts_with("the gateway could not keep it: "), "{verdict:?}");
    assert_eq!(gateway.version_in_force("PS1"), Some(7));
}

#[tokio::test]
async fn a_stored_site_that_is_no_longer_allowed_is_named_and_not_in_force() {
    let mut gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    gateway.apply("PS2", 3, &management_point(11)).await;
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        gateway.restart(vec![permissions("PS1", "2-9", "/a/"), permissions("PS2", "11-19", "/a/")]);
    });
    assert_eq!((gateway.version_in_force("PS1"), gateway.version_in_force("PS2")), (None, Some(3)));
    let lines = log.0.lock().unwrap().join("\n");
    for words in ["PS1", "no longer allowed and not in force", "role id 1 is not among those"] {
        assert!(lines.contains(words), "{words:?} in {lines}");
    }
    gateway.restart(both_sites());
    assert_eq!(gateway.version_in_force("PS1"), Some(7), "the mistake is mended and nothing was lost");
}

#[tokio::test]
async fn a_publication_outside_of_its_permissions_is_refused_whole() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    let roles = [role(2, "management-point", ""), role(10, "management-point", ""), custom(3, "/elsewhere/", "")];
    let verdict = gateway.apply("PS1", 8, &roles).await;
    let reasons = [
        "role id 10 is not among those that the gateway allows site PS1; add it to sites[].roles of the gateway's file, or take it out of site.toml",
        "the path /elsewhere/ is not among those that the gateway allows site PS1; add it to sites[].prefixes of the gateway's file, or take it out of site.toml",
    ];
    assert_eq!((verdict.applied, verdict.problems), (false, reasons.map(str::to_owned).to_vec()));
    assert_eq!(verdict.version_in_force, 7);
    let site = gateway.published.load().site("PS1").cloned().unwrap();
    assert_eq!(
        site.publication.roles.iter().map(|role| role.id.0).collect::<Vec<_>>(),
        [1],
        "nothing of it is in force"
    );
    let unknown = gateway.keeper.apply("PS3", 1, gateway.bytes("PS3", &management_point(1))).await;
    assert_eq!(unknown.problems, ["site PS3 is not in this gateway's configuration; add it to [[sites]]"]);
    let foreign = gateway.keeper.apply("PS1", 9, gateway.bytes("PS2", &management_point(1))).await;
    assert!(foreign.problems[0].contains("a connection point of site PS1 published for site PS2"), "{foreign:?}");
}

/// What may not come into force is not lost: neither a connection point that is behind replaces it, nor is it beyond
/// the reach of an administrator.
#[tokio::test]
async fn what_is_kept_and_not_in_force_still_counts() {
    let mut gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    gateway.restart(vec![permissions("PS1", "2-9", "/a/")]);
    assert_eq!(gateway.version_in_force("PS1"), None);
    let behind = gateway.apply("PS1", 6, &management_point(2)).await;
    assert!(behind.problems[0].starts_with("version 6 is lower than version 7 kept here"), "{behind:?}");
    let other = gateway.apply("PS1", 7, &management_point(2)).await;
    assert!(other.problems[0].contains("with another content"), "{other:?}");
    assert!(!gateway.apply("PS1", 7, &management_point(1)).await.applied, "it is judged again");
    assert!(gateway.keeper.forget("PS1").await.is_ok());
    assert!(!gateway.file("PS1.site").exists());
    assert!(gateway.apply("PS1", 6, &management_point(2)).await.applied);
}

#[tokio::test]
async fn of_two_stored_sites_that_overlap_now_the_first_by_name_is_in_force() {
    let mut gateway = Gateway::new();
    gateway.restart(vec![permissions("PS1", "1-9", "/a/"), permissions("PS2", "11-19", "/a/")]);
    for (code, id) in [("PS2", 11), ("PS1", 1)] {
        gateway.apply(code, 1, &management_point(id)).await;
    }
    // As files of two gateways that were copied together.
    let same = publication::encode(&publication("PS2", &gateway.authority, &management_point(1)));
    let stored = StoredConfiguration { site: "PS2".to_owned(), version: 2, publication: same };
    fs::write(gateway.file("PS2.site"), stored.encode()).unwrap();
    gateway.restart(both_sites());
    assert_eq!((gateway.version_in_force("PS1"), gateway.version_in_force("PS2")), (Some(1), None));
}

/// The verdict has to fit into one message, and its line into the log.
#[tokio::test]
async fn reasons_without_number_are_counted_and_not_named() {
    let gateway = Gateway::new();
    let roles: Vec<String> = (100..5100).map(|id| custom(id, &format!("/elsewhere/{id}/"), "")).collect();
    let verdict = gateway.apply("PS1", 7, &roles).await;
    assert_eq!((verdict.applied, verdict.problems.len()), (false, limits::VERDICT_PROBLEMS + 1));
    assert_eq!(verdict.problems.last().unwrap(), "and 9900 more problems");
}

#[tokio::test]
async fn what_another_site_publishes_cannot_be_claimed() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &[role(1, "management-point", ""), custom(2, "/a/b/", "")]).await;
    let verdict = gateway.apply("PS2", 1, &[role(1, "management-point", ""), custom(12, "/a/", "")]).await;
    let reasons = [
        "role id 1 is already published by site PS1; an id is one role's in the whole hierarchy",
        "the path /a/ overlaps /a/b/, which site PS1 publishes already; change one of them",
    ];
    assert_eq!((verdict.applied, verdict.problems), (false, reasons.map(str::to_owned).to_vec()));
    assert_eq!(gateway.version_in_force("PS2"), None);
    assert!(gateway.apply("PS2", 1, &[role(11, "management-point", ""), custom(12, "/a/c/", "")]).await.applied);
    gateway.keeper.forget("PS1").await.unwrap();
    assert!(gateway.apply("PS2", 2, &[role(1, "management-point", ""), custom(12, "/a/", "")]).await.applied);
}

#[tokio::test]
async fn bytes_that_are_no_publication_change_nothing() {
    let gateway = Gateway::new();
    gateway.apply("PS1", 7, &management_point(1)).await;
    for bytes in [&b"\xff"[..], b"", b"\x0a\x03ps1"] {
        let verdict = gateway.keeper.apply("PS1", 8, Bytes::from_static(bytes)).await;
        assert!(!verdict.applied && !verdict.problems.is_empty(), "{bytes:?}: {verdict:?}");
        assert_eq!(gateway.version_in_force("PS1"), Some(7));
    }
}

/// Collects what is logged, one line an event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!("{field}={value:?} "));
        });
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
