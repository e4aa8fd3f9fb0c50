//! Several sites on one gateway: the role id, or the prefix, says whose connection points serve (S-10).

use std::fs;

use anyhow::{Context, Result};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::admin::Admin;
use cmg_e2e::program::{Program, Start, binaries};
use cmg_e2e::stack::{CUSTOM, DISTRIBUTION_POINT, MANAGEMENT_POINT, SITE, SOFTWARE_UPDATE_POINT};
use cmg_e2e::{Stack, mp, until};

use crate::expect::{ask, echoed, refused};

const SECOND: &str = "PS2";

/// What the gateway's file says of both sites.
fn two_sites() -> String {
    let point = |name: &str, number: usize| format!("[{{ name = \"{name}\", id = \"{number:032x}\" }}]");
    format!(
        r#"[{{ code = "{SITE}", roles = ["1-99", "{MANAGEMENT_POINT}-{DISTRIBUTION_POINT}"],
              prefixes = ["/open/", "/files/"], connection_points = {} }},
            {{ code = "{SECOND}", roles = ["500-503"], prefixes = ["/second/"], connection_points = {} }}]"#,
        point("cp1", 1),
        point("second", 2)
    )
    .replace('\n', " ")
}

/// A connection point of the second site, which publishes the same under other ids and paths.
async fn second_site(stack: &Stack) -> Result<Program> {
    let folder = stack.folder();
    let mut site = fs::read_to_string(folder.join("site.toml"))?;
    for (id, other) in [(MANAGEMENT_POINT, 500), (SOFTWARE_UPDATE_POINT, 501), (DISTRIBUTION_POINT, 502), (CUSTOM, 503)]
    {
        site = site.replace(&format!("id = {id}\n"), &format!("id = {other}\n"));
    }
    site = site
        .replace(&format!("{SITE:?}"), &format!("{SECOND:?}"))
        .replace("\"/open/\"", "\"/second/open/\"")
        .replace("\"/files/\"", "\"/second/files/\"");
    fs::write(folder.join("second-site.toml"), site)?;
    stack.pki.connection_point(SECOND, "second", &format!("{:032x}", 2))?;
    let own = fs::read_to_string(folder.join("cp1.toml"))?.replace("/site.toml", "/second-site.toml");
    let own = own.replace(&format!("{SITE:?}"), &format!("{SECOND:?}"));
    let own = own.replace("\"cp1\"", "\"second\"").replace("/cp1", "/second");
    let file = folder.join("second.toml");
    fs::write(&file, own)?;
    let arguments = ["--config", file.to_str().context("a path that is text")?];
    let binary = binaries()?.join("cmg-connection-point");
    Program::start(Start {
        name: "second",
        before: &[],
        binary: &binary,
        arguments: &arguments,
        environment: &[],
        folder,
    })
    .await
}

#[tokio::test]
async fn the_role_id_decides_which_site_serves() -> Result<()> {
    let stack = Stack::builder().gateway_setting("SITES", &two_sites()).start().await?;
    let mut second = second_site(&stack).await?;
    stack.wait_for_answer("/CCM_Proxy_MutualAuth/500/SMS_MP/x", 200).await?;
    for (target, site, point) in [
        (mp("SMS_MP/x"), SITE, "cp1"),
        ("/CCM_Proxy_MutualAuth/500/SMS_MP/x".to_owned(), SECOND, "second"),
        ("/open/x".to_owned(), SITE, "cp1"),
        ("/second/open/x".to_owned(), SECOND, "second"),
    ] {
        let answer = ask(&stack, "GET", &target, &[]).await?;
        echoed(&answer)?;
        let line = stack.exchange_line(answer.field("x-cmg-request-id").unwrap()).await?;
        assert_eq!((&line["site"], &line["connection_point"]), (&site.into(), &point.into()), "{target}");
    }
    second.kill();
    stack.wait_for_answer("/CCM_Proxy_MutualAuth/500/SMS_MP/x", 503).await?;
    let answer = ask(&stack, "GET", "/second/open/x", &[]).await?;
    refused(&stack, &answer, RefusalKind::NoConnectionPoint).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

/// Each gateway, with an instance of its own, serves both sites; each connection point knows both by name.
#[tokio::test]
async fn two_sites_use_two_gateways() -> Result<()> {
    let builder = Stack::builder().gateways(2).gateway_setting("SITES", &two_sites());
    let mut stack = builder.connection_points(0).start_unready().await?;
    let file = stack.folder().join("site.toml");
    let text = fs::read_to_string(&file)?;
    let (first, instances) = text.split_once("[[gateways]]").context("no gateway")?;
    let (head, instances) = instances.split_once("[[gateways.instances]]").context("no instance")?;
    let mut text = first.to_owned();
    for (number, instance) in instances.split("[[gateways.instances]]").enumerate() {
        let head = head.replace("name = \"gateway\"", &format!("name = \"gateway-of-{number}\""));
        text.push_str(&format!("[[gateways]]{head}[[gateways.instances]]{instance}"));
    }
    fs::write(&file, text)?;
    stack.start_connection_point().await?;
    let second = second_site(&stack).await?;
    stack.wait_ready().await?;
    for instance in 0..2 {
        let client = stack.client_of(instance, Some(&stack.pki.clients[0]))?;
        for (target, site) in [("/open/x", SITE), ("/second/open/x", SECOND)] {
            until(async || Ok(client.get(target).await?.status == 200)).await.context(target)?;
            let answer = client.get(target).await?;
            let id = answer.field("x-cmg-request-id").context("no id")?;
            let line = stack.exchange_line(id).await?;
            assert_eq!(line["site"], site, "instance {instance}: {line}");
        }
    }
    for program in [&stack.connection_points[0], &second] {
        let admin = Admin::of(program)?;
        until(async || {
            let links = admin.json("/status").await?["gateways"].take();
            let links = links.as_array().context("no links")?;
            let names: Vec<_> = links.iter().map(|link| link["gateway"].as_str()).collect();
            assert_eq!(names, [Some("gateway-of-0"), Some("gateway-of-1")], "{}", program.name);
            Ok(links.iter().all(|link| link["state"] == "healthy"))
        })
        .await?;
    }
    stack.finish().await
}
