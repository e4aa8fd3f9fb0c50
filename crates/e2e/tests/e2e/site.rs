//! Site configurations on their way: pushed, versioned, atomic, kept; the inside stays inside (S-01 to S-06).

mod source;
mod versions;

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::admin::Admin;
use cmg_e2e::program::{Program, binaries};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp, until};
use serde_json::Value;

use crate::expect::{ask, echoed, refused, request};

/// A custom role under this prefix, as text for site.toml.
fn extra(prefix: &str, id: u64) -> String {
    format!(
        "\n[[roles]]\nid = {id}\nkind = \"custom\"\ninternal_url = \"{{roles}}\"\n\n\
         [[roles.custom]]\nname = \"extra\"\nexternal_prefix = \"{prefix}\"\nmethods = [\"GET\"]\n"
    )
}

/// The version in force, as a status page tells it.
async fn version(program: &Program) -> Result<u64> {
    let status = Admin::of(program)?.json("/status").await?;
    let told = status["configuration"]["version"].as_u64().or_else(|| status["sites"][0]["version"].as_u64());
    told.with_context(|| format!("{} tells no version: {status}", program.name))
}

/// A change reaches every instance at once, nothing that is open notices, and no program starts again.
#[tokio::test]
async fn a_change_takes_effect_everywhere_without_restart() -> Result<()> {
    let mut stack = Stack::builder().gateways(2).connection_points(2).start().await?;
    let mut open = RawConnection::open(&stack.client()?).await?;
    open.write(request("GET", &mp("SMS_MP/_/poll?key=open"), &[])).await?;
    stack.wait_at_gate("open", 1).await?;
    for instance in 0..2 {
        assert_eq!(stack.client_of(instance, Some(&stack.pki.clients[0]))?.get("/extra/x").await?.status, 404);
    }
    let begin = Instant::now();
    stack.publish(&extra("/extra/", 20)).await?;
    for instance in 0..2 {
        let client = stack.client_of(instance, Some(&stack.pki.clients[0]))?;
        until(async || Ok(client.get("/extra/x").await?.status == 200)).await?;
    }
    // The source is looked at every second, and five more are allowed.
    println!("in force on every instance after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(60));
    stack.release("open", 1).await?;
    assert_eq!(open.answer("GET").await?.status, 200);
    drop(open);
    stack.finish().await
}

#[tokio::test]
async fn a_site_configuration_comes_over_https_too() -> Result<()> {
    let mut stack = Stack::builder().site_over_https().start().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.finish().await
}

/// What the gateway's own file does not allow is refused whole, the reason stands on both ends, and the one in force
/// stays.
#[tokio::test]
async fn a_configuration_beyond_its_permissions_is_refused_on_both_ends() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.publish(&(extra("/extra/", 20) + &extra("/forbidden/", 21))).await?;
    let reason = ["/forbidden/", "not among those that the gateway allows"];
    stack.gateways[0].wait_for_line(&reason).await?;
    stack.connection_points[0].wait_for_line(&reason).await?;
    assert_eq!(version(&stack.gateways[0]).await?, 1);
    assert_eq!(ask(&stack, "GET", "/extra/x", &[]).await?.status, 404, "half of it is in force");
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    let refusals = stack.gateway_admin()?.metrics().await?.sum("cmg_site_configurations_refused_total", &[]);
    assert_eq!(refusals, 1.0);
    // Put right, it is taken at once.
    stack.publish(&extra("/extra/", 20)).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.finish().await
}

/// A file that is wrong is refused inside already, with every problem, and nothing changes.
#[tokio::test]
async fn a_file_with_problems_changes_nothing() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.publish("\n[[roles]]\nid = 8\nkind = \"costum\"\nurl = \"http://inside/\"\n").await?;
    for part in ["costum", "url"] {
        stack.connection_points[0].wait_for_line(&["site.toml:", part]).await?;
    }
    assert_eq!((version(&stack.connection_points[0]).await?, version(&stack.gateways[0]).await?), (1, 1));
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn a_lower_version_and_two_contents_under_one_are_refused() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.publish_as(1, "")?;
    let inside = &stack.connection_points[0];
    inside.wait_for_line(&["site.toml", "version: 1 is lower than 2"]).await?;
    stack.publish_as(2, "")?;
    inside.wait_for_line(&["site.toml", "two contents under version 2"]).await?;
    assert_eq!(ask(&stack, "GET", "/extra/x", &[]).await?.status, 200);
    // The old content under a higher number is the way back.
    stack.publish_as(3, "")?;
    stack.wait_for_answer("/extra/x", 404).await?;
    stack.finish().await
}

#[tokio::test]
async fn a_configuration_in_force_survives_kill_9() -> Result<()> {
    let mut stack = Stack::builder().gateway_setting("LISTEN__WAIT_FOR_TUNNEL", "0s").start().await?;
    stack.publish(&extra("/extra/", 20)).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.connection_points.remove(0).kill();
    stack.restart_gateway(0).await?;
    let answer = ask(&stack, "GET", "/extra/x", &[]).await?;
    refused(&stack, &answer, RefusalKind::NoConnectionPoint).await?;
    assert_eq!(version(&stack.gateways[0]).await?, 2);
    // The connection point keeps its copy too: its source is gone when it comes back.
    std::fs::remove_file(stack.folder().join("site.toml"))?;
    stack.start_connection_point().await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.finish().await
}

/// Without its source, and with a source that is nonsense, everything goes on.
#[tokio::test]
async fn traffic_goes_on_while_the_source_is_gone() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let file = stack.folder().join("site.toml");
    let good = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    stack.connection_points[0].wait_for_line(&["the source of the site configuration cannot be read"]).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    let status = stack.connection_point_admin()?.json("/status").await?;
    assert!(
        status["source"]["out_of_reach_since"].is_number() || status["source"]["out_of_reach_since"].is_string(),
        "{status}"
    );
    std::fs::write(&file, "nonsense")?;
    stack.connection_points[0].wait_for_line(&["the site configuration is refused; the one in force stays"]).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    std::fs::write(&file, good)?;
    let inside = stack.connection_point_admin()?;
    until(async || Ok(inside.json("/status").await?["source"]["problems"] == Value::Array(Vec::new()))).await?;
    stack.finish().await
}

#[tokio::test]
async fn a_stored_configuration_can_be_forgotten() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.connection_points.remove(0).kill();
    stack.wait_for_no_tunnel().await?;
    let file = stack.folder().join("gateway-1.toml");
    let forget = |code: &str| {
        let output = Command::new(binaries()?.join("cmg-gateway"))
            .args(["site", "forget", code, "--config"])
            .arg(&file)
            .output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::Ok((output.status.code(), said))
    };
    let (code, said) = forget("PS1")?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(ask(&stack, "GET", "/open/x", &[]).await?.status, 404);
    let (code, said) = forget("XX9")?;
    ensure!(code != Some(0) && said.contains("XX9"), "{said}");
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    echoed(&ask(&stack, "GET", "/open/x", &[]).await?)?;
    stack.finish().await
}

const HIDDEN_SERVER: &str = "ledger-7c1.hidden.example";
const HIDDEN_HOST: &str = "books-9d2.hidden.example";

/// Server names, Host values and internal paths are nowhere in a gateway: not in its memory, files, log or pages.
#[tokio::test]
async fn no_internal_address_reaches_a_gateway() -> Result<()> {
    let hidden = format!(
        "\n[[roles]]\nid = 20\nkind = \"custom\"\ninternal_url = \"https://{HIDDEN_SERVER}:8531\"\nhost = \"{HIDDEN_HOST}\"\n\n\
         [[roles.custom]]\nname = \"extra\"\nexternal_prefix = \"/extra/\"\ninternal_path = \"/vault-5e8/\"\nmethods = [\"GET\"]\n"
    );
    let stack = Stack::builder().site(&hidden).start().await?;
    let answer = ask(&stack, "GET", "/extra/x", &[]).await?;
    refused(&stack, &answer, RefusalKind::RoleUnreachable).await?;
    let gateway = &stack.gateways[0];
    let (status, metrics) =
        (stack.gateway_admin()?.json("/status").await?, stack.gateway_admin()?.get("/metrics").await?.1);
    let pages = format!("{status}{metrics}{}{}", gateway.log_text(), answer.text());
    let state = stack.folder().join("state/gateway-1");
    let roles_port = stack.site_role.listener("roles")?.port();
    let secrets =
        [HIDDEN_SERVER.to_owned(), HIDDEN_HOST.to_owned(), "vault-5e8".to_owned(), format!("localhost:{roles_port}")];
    for secret in &secrets {
        assert!(!pages.contains(secret), "{secret} is on a page or in the log");
        assert!(!folder_holds(&state, secret)?, "{secret} is in the state directory");
        assert!(!memory_holds(gateway, secret)?, "{secret} is in the gateway's memory");
    }
    // The ways of looking find what is there: what is published, and at the connection point the inside too.
    assert!(folder_holds(&state, "/extra/")? && memory_holds(gateway, "/extra/")?);
    assert!(memory_holds(&stack.connection_points[0], HIDDEN_SERVER)?);
    stack.finish().await
}

fn folder_holds(folder: &Path, text: &str) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let holds = match path.is_dir() {
            true => folder_holds(&path, text)?,
            // Sockets cannot be read.
            false => std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, text)),
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether any memory that the process may write holds the text.
fn memory_holds(program: &Program, text: &str) -> Result<bool> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", program.pid()))?;
    let mut memory = std::fs::File::open(format!("/proc/{}/mem", program.pid()))?;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (begin, rest) = line.split_once('-').context("maps")?;
        let end = rest.split(' ').next().context("maps")?;
        let (begin, end) = (u64::from_str_radix(begin, 16)?, u64::from_str_radix(end, 16)?);
        let mut region = Vec::new();
        // A region that has gone since the list was read holds nothing.
        let read = memory
            .seek(SeekFrom::Start(begin))
            .and_then(|_| memory.by_ref().take(end - begin).read_to_end(&mut region));
        if (read.is_ok() || !region.is_empty()) && holds(&region, text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    let (first, wanted) = (text.as_bytes()[0], text.as_bytes());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
