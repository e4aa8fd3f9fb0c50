//! Decides whether a gateway instance is to be given the site configuration (S-04): when it has a lower
//! version, or another content under the same one, which it will refuse and both ends will name. Pure.

use cmg_core::tunnel::publication::Digest;

use crate::instance::Facts;
use crate::site::Site;

/// What there is to do for one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    Publish,
    /// It has a higher version than ours, from another connection point of the site.
    TheirsIsHigher {
        theirs: u64,
    },
}

/// A version with the digest of what it publishes.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    pub version: u64,
    pub digest: &'a Digest,
}

impl<'a> From<&'a Site> for Ours<'a> {
    fn from(site: &'a Site) -> Self {
        Self { version: site.version, digest: &site.digest }
    }
}

pub fn next_step(ours: Ours<'_>, facts: &Facts) -> Step {
    let Some(hello) = &facts.hello else { return Step::Nothing };
    let theirs = &facts.in_force;
    let was_refused = facts.refused.as_ref().is_some_and(|refused| {
        (refused.version, &refused.digest, refused.boot_id) == (ours.version, ours.digest, hello.boot_id)
    });
    if theirs.version > ours.version {
        return Step::TheirsIsHigher { theirs: theirs.version };
    }
    let has_it = theirs.version == ours.version && theirs.digest == ours.digest;
    if has_it || was_refused { Step::Nothing } else { Step::Publish }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Instance;
    use cmg_core::configuration::HostName;
    use cmg_core::limits::AGREED;
    use cmg_core::site::{GatewayInstance, SiteGateway};
    use cmg_core::tunnel::control::{ConfigurationInForce, ConfigurationVerdict};
    use cmg_core::tunnel::handshake::{GatewayHello, VERSIONS, new_boot_id};
    use cmg_core::tunnel::message::Lane;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    const OURS: Digest = [1; 32];
    const OTHER: Digest = [2; 32];

    fn instance() -> Instance {
        let gateway = GatewayInstance { name: "gw-1".into(), addresses: Vec::new() };
        let site = SiteGateway {
            name: "gw".into(),
            service_names: Vec::new(),
            tunnel_name: HostName::parse("gw.test").unwrap(),
            instances: vec![gateway.clone()],
        };
        Instance::new(&site, &gateway, CancellationToken::new())
    }

    fn hello(version: u64, digest: &[u8]) -> GatewayHello {
        GatewayHello {
            versions: VERSIONS,
            program: "cmg-gateway 0.1.0".into(),
            instance: "gw-1".into(),
            boot_id: new_boot_id(),
            workers: 1,
            bulk_connections: 1,
            lane: Lane::Interactive,
            configuration_version: version,
            configuration_digest: digest.to_vec(),
        }
    }

    fn step(instance: &Instance, version: u64) -> Step {
        next_step(Ours { version, digest: &OURS }, &instance.facts().borrow())
    }

    #[tokio::test]
    async fn what_is_lower_or_different_is_published_to() {
        let instance = instance();
        assert_eq!(step(&instance, 7), Step::Nothing, "nobody is there yet");
        for (version, digest, wanted) in [
            (0, &[][..], Step::Publish),
            (6, &OTHER, Step::Publish),
            (6, &OURS, Step::Publish),
            (7, &OURS, Step::Nothing),
            (7, &OTHER, Step::Publish),
            (8, &OTHER, Step::TheirsIsHigher { theirs: 8 }),
            (8, &OURS, Step::TheirsIsHigher { theirs: 8 }),
        ] {
            instance.heard_hello(&hello(version, digest));
            assert_eq!(step(&instance, 7), wanted, "{version}");
        }
    }

    #[tokio::test]
    async fn what_was_refused_is_published_again_only_in_another_form_or_to_another_process() {
        let instance = instance();
        let first = hello(7, &OTHER);
        instance.heard_hello(&first);
        let refused = ConfigurationVerdict {
            version: 7,
            applied: false,
            problems: vec!["version 7 has another content".into()],
            version_in_force: 7,
            digest_in_force: OTHER.to_vec(),
        };
        instance.heard_verdict(&refused, Some(OURS));
        assert_eq!(step(&instance, 7), Step::Nothing);
        assert_eq!(step(&instance, 8), Step::Publish);
        instance.heard_hello(&first);
        assert_eq!(step(&instance, 7), Step::Nothing, "another tunnel of the same process");
        instance.heard_hello(&hello(0, &[]));
        assert_eq!(step(&instance, 7), Step::Publish, "a process that forgot");
    }

    #[tokio::test]
    async fn one_tunnel_of_an_instance_publishes_at_a_time() {
        let instance = instance();
        instance.heard_hello(&hello(0, &[]));
        let wants = |facts: &Facts| next_step(Ours { version: 7, digest: &OURS }, facts) == Step::Publish;
        assert!(instance.begin_publishing(wants));
        assert!(!instance.begin_publishing(wants));
        instance.end_publishing();
        assert!(instance.begin_publishing(wants));
    }

    #[tokio::test(start_paused = true)]
    async fn agreement_counts_only_after_a_while() {
        let instance = instance();
        let agreed = |digest, at| instance.agreed_on(digest, at);
        instance.heard_hello(&hello(7, &OURS));
        let early = Instant::now();
        tokio::time::advance(AGREED * 2).await;
        let late = Instant::now();
        assert!(agreed(&OURS, late) && !agreed(&OTHER, late));
        assert!(!agreed(&OURS, early), "what came early may have been admitted under another one");
        instance.heard_hello(&hello(7, &OURS));
        assert!(agreed(&OURS, late), "saying it again changes nothing");
        instance.heard_hello(&hello(8, &OTHER));
        assert!(!agreed(&OURS, late) && !agreed(&OTHER, late));
    }

    /// Another connection point has published: nobody asked us, and the old agreement is over at once.
    #[tokio::test(start_paused = true)]
    async fn agreement_ends_when_another_one_comes_into_force() {
        let instance = instance();
        instance.heard_hello(&hello(7, &OURS));
        tokio::time::advance(AGREED * 2).await;
        assert!(instance.agreed_on(&OURS, Instant::now()));
        let other = |version, digest: &[u8]| ConfigurationInForce { version, digest: digest.to_vec() };
        assert!(instance.heard_in_force(&other(8, &OTHER)));
        assert!(!instance.heard_in_force(&other(8, &OTHER)), "every tunnel of the link says it");
        assert!(!instance.agreed_on(&OURS, Instant::now()));
        assert_eq!(step(&instance, 7), Step::TheirsIsHigher { theirs: 8 });
        let verdict = ConfigurationVerdict {
            version: 9,
            applied: true,
            problems: Vec::new(),
            version_in_force: 9,
            digest_in_force: OURS.to_vec(),
        };
        instance.heard_verdict(&verdict, None);
        assert_eq!(step(&instance, 9), Step::Nothing, "a verdict tells what is in force, whoever had asked for it");
    }

    #[tokio::test]
    async fn what_was_forgotten_there_is_published_again() {
        let instance = instance();
        instance.heard_hello(&hello(7, &OTHER));
        let refused = ConfigurationVerdict {
            version: 7,
            applied: false,
            problems: vec!["version 7 has another content".into()],
            version_in_force: 7,
            digest_in_force: OTHER.to_vec(),
        };
        instance.heard_verdict(&refused, Some(OURS));
        assert_eq!(step(&instance, 7), Step::Nothing);
        assert!(instance.heard_in_force(&ConfigurationInForce::default()));
        assert_eq!(step(&instance, 7), Step::Publish, "nothing stands in its way any more");
    }
}
