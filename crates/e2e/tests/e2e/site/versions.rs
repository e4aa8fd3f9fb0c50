//! Versions and digests as both ends tell them, connection points that disagree, and how a change is noticed
//! (S-02, S-04, S-05).

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use cmg_e2e::admin::Admin;
use cmg_e2e::program::{Program, binaries};
use cmg_e2e::stack::{SITE, connection_point};
use cmg_e2e::{Stack, mp, until};
use serde_json::Value;

use super::{extra, version};
use crate::expect::{ask, echoed};

/// A second connection point whose file says something else.
async fn with_other_content(stack: &Stack, change: impl Fn(String) -> String) -> Result<Program> {
    let (name, id) = connection_point(2);
    let shown = stack.pki.connection_point(SITE, &name, &id)?;
    let other = stack.folder().join("other-site.toml");
    fs::write(&other, change(fs::read_to_string(stack.folder().join("site.toml"))?))?;
    stack.connection_point_reading(&name, &shown, other.to_str().context("a path that is text")?).await
}

/// What is in force on the link between the ends, as each of them tells it.
async fn both_ends(stack: &Stack) -> Result<[Value; 3]> {
    let outside = stack.gateway_admin()?.json("/status").await?["sites"][0].clone();
    let inside = stack.connection_point_admin()?.json("/status").await?;
    let (ours, theirs) = (&inside["configuration"], &inside["gateways"][0]["configuration"]);
    let told = [&outside["version"], &outside["digest"]];
    let ours = [&ours["version"], &ours["digest"]];
    let theirs = [&theirs["version_in_force"], &theirs["digest_in_force"]];
    Ok([told, ours, theirs].map(|[version, digest]| Value::Array(vec![version.clone(), digest.clone()])))
}

/// Version and digest as the metrics tell them.
async fn in_metrics(admin: Admin) -> Result<(f64, f64)> {
    let metrics = admin.metrics().await?;
    let sum = |what: &str| metrics.sum(&format!("cmg_site_configuration_{what}"), &[]);
    Ok((sum("version"), sum("digest")))
}

#[tokio::test]
async fn version_and_digest_are_the_same_on_both_ends() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    for (version, more) in [(1, ""), (2, &extra("/extra/", 20))] {
        if version > 1 {
            stack.publish(more).await?;
            stack.gateways[0].wait_for_line(&["a site configuration is in force", "\"version\":2"]).await?;
            stack.connection_points[0].wait_for_line(&["gateway said", "is in force", "\"version\":2"]).await?;
        }
        let [outside, ours, theirs] = both_ends(&stack).await?;
        assert_eq!(outside[0], version);
        assert!(outside[1].as_str().is_some_and(|digest| digest.len() == 64), "{outside}");
        assert_eq!((&ours, &theirs), (&outside, &outside));
        let gateway = in_metrics(stack.gateway_admin()?).await?;
        let point = in_metrics(stack.connection_point_admin()?).await?;
        assert_eq!((gateway.0, gateway), (f64::from(version), point));
        assert!(gateway.1 > 0.0, "no digest");
    }
    stack.finish().await
}

/// Both have version 1, and not the same: the second to come is refused, and both ends say so.
#[tokio::test]
async fn two_contents_under_one_version_are_named_on_both_ends() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let role = extra("/extra/", 20).replace("{roles}", "https://localhost:1");
    let other = with_other_content(&stack, |text| text + &role).await?;
    let why = "version 1 is in force with another content; two connection points have different files";
    stack.gateways[0].wait_for_line(&["a site configuration was refused", why]).await?;
    other.wait_for_line(&["gateway said: refused", why]).await?;
    assert_eq!(ask(&stack, "GET", "/extra/x", &[]).await?.status, 404);
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    drop(other);
    stack.finish().await
}

/// A connection point that has read less than another one takes nothing back.
#[tokio::test]
async fn a_connection_point_that_is_behind_changes_nothing() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    let behind = with_other_content(&stack, |text| text.replacen("version = 2", "version = 1", 1)).await?;
    behind.wait_for_line(&["the gateway has a higher version in force", "\"ours\":1", "\"theirs\":2"]).await?;
    assert_eq!(version(&stack.gateways[0]).await?, 2);
    drop(behind);
    stack.finish().await
}

/// The second one's source says nothing new for an hour; what the gateway has in force it knows all the same.
#[tokio::test]
async fn what_one_connection_point_publishes_the_others_know() -> Result<()> {
    let builder = Stack::builder().connection_points(2).connection_point_setting("SITE__POLL", "1h");
    let mut stack = builder.start().await?;
    let second = Admin::of(&stack.connection_points[1])?;
    let tunnels = async || anyhow::Ok(second.json("/status").await?["gateways"][0]["tunnels"].clone());
    until(async || Ok(second.json("/status").await?["gateways"][0]["state"] == "healthy")).await?;
    let before = tunnels().await?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.connection_points[0].signal("HUP")?;
    stack.connection_points[1].wait_for_line(&["gateway said: another configuration", "\"version\":2"]).await?;
    let status = second.json("/status").await?;
    assert_eq!(status["configuration"]["version"], 1);
    assert_eq!(status["gateways"][0]["configuration"]["version_in_force"], 2);
    assert!(!before.as_array().context("no list of tunnels")?.is_empty());
    assert_eq!(tunnels().await?, before, "no tunnel had to be dialed again for that");
    stack.finish().await
}

/// A connection point that is there publishes again what the gateway has forgotten; nobody has to start anything.
#[tokio::test]
async fn what_is_forgotten_is_published_again() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let file = stack.folder().join("gateway-1.toml");
    let forget = Command::new(binaries()?.join("cmg-gateway"))
        .args(["site", "forget", SITE, "--config"])
        .arg(&file)
        .output()
        .context("cannot run cmg-gateway")?;
    assert!(forget.status.success(), "{forget:?}");
    stack.connection_points[0].wait_for_line(&["gateway said: it has no configuration of the site in force"]).await?;
    stack.wait_for_answer("/open/x", 200).await?;
    stack.finish().await
}

/// A reload looks at once; nobody has to wait for the next look at the source.
#[tokio::test]
async fn a_reload_reads_the_source_at_once() -> Result<()> {
    let mut stack = Stack::builder().connection_point_setting("SITE__POLL", "1h").start().await?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.connection_points[0].signal("HUP")?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.finish().await
}

/// The source is asked whether anything is new, and an unchanged one is not sent again.
#[tokio::test]
async fn an_unchanged_source_is_not_sent_again() -> Result<()> {
    let stack = Stack::builder().site_over_https().start().await?;
    let role = stack.role_admin()?;
    let answered = async |status: u64| -> Result<usize> {
        let seen = role.json("/_ledger?target=site.toml").await?;
        let entries = seen["entries"].as_array().context("a ledger without entries")?;
        Ok(entries.iter().filter(|entry| entry["status"] == status).count())
    };
    until(async || Ok(answered(304).await? >= 2)).await?;
    assert_eq!(answered(200).await?, 1);
    stack.finish().await
}

/// Killed at the moment of the acknowledgement: what was acknowledged is in force before anybody connects.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_that_moment() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    for round in 2..7 {
        stack.publish(&extra("/extra/", 18 + round)).await?;
        let acknowledged = format!("\"version\":{round}");
        stack.connection_points[0].wait_for_line(&["gateway said", "is in force", &acknowledged]).await?;
        stack.gateways[0].kill();
        stack.connection_points[0].signal("STOP")?;
        stack.restart_gateway(0).await?;
        assert_eq!(version(&stack.gateways[0]).await?, round);
        stack.connection_points[0].signal("CONT")?;
        stack.wait_ready().await?;
    }
    stack.finish().await
}
