//! What an administrator sees and does: health, metrics, own paths, sockets, logs, checks, signals (G-22, T-01,
//! O-02 to O-04, O-07).

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cmg_client::{Request, RequestBody};
use cmg_e2e::admin::{Admin, PATIENCE};
use cmg_e2e::pki::{Authority, Leaf};
use cmg_e2e::program::{Program, binaries};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::SERVICE_NAME;
use cmg_e2e::{Stack, mp, until};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::expect::{ask, echoed, echoed_whole, request};

#[tokio::test]
async fn readiness_follows_configuration_and_tunnel() -> Result<()> {
    let mut stack = Stack::builder().connection_points(0).start_unready().await?;
    let gateway = stack.gateway_admin()?;
    let (status, reasons) = gateway.get("/readyz").await?;
    ensure!(status == 503 && reasons.contains("configuration") && reasons.contains("tunnel"), "{status} {reasons}");
    assert_eq!(gateway.get("/healthz").await?.0, 200);
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    stack.connection_points.remove(0).kill();
    stack.wait_unready().await?;
    let (_, reasons) = gateway.get("/readyz").await?;
    ensure!(reasons.contains("tunnel") && !reasons.contains("configuration"), "{reasons}");
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    stack.gateways.remove(0).kill();
    let inside = stack.connection_point_admin()?;
    until(async || Ok(inside.get("/readyz").await?.0 == 503)).await.context("nobody is connected, and it is ready")
}

#[tokio::test]
async fn every_program_tells_how_it_is() -> Result<()> {
    let stack = Stack::builder().start().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    for program in stack.programs() {
        let admin = Admin::of(program)?;
        assert_eq!(admin.get("/healthz").await?.0, 200, "{}", program.name);
        assert!(admin.metrics().await?.len() > 10, "{}", program.name);
        assert!(admin.json("/status").await?.is_object(), "{}", program.name);
        assert_eq!(admin.get("/nothing").await?.0, 404, "{}", program.name);
        // Read-only over TCP.
        assert!([404, 405].contains(&admin.ask("POST", "/status").await?.0), "{}", program.name);
    }
    let status = stack.gateway_admin()?.json("/status").await?.to_string();
    let inside = stack.connection_point_admin()?.json("/status").await?.to_string();
    let digest = |text: &str| text.split("\"digest\":\"").nth(1).map(|rest| rest[..64].to_owned());
    assert!(digest(&status).is_some() && digest(&status) == digest(&inside), "{status} {inside}");
    stack.finish().await
}

/// The admin pages are not reachable through the client listener, and a client's HTTP is not spoken there.
#[tokio::test]
async fn the_client_listener_has_no_admin_pages() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for path in ["/metrics", "/status", "/readyz", "/healthz"] {
        assert_eq!(ask(&stack, "GET", path, &[]).await?.status, 404, "{path}");
    }
    stack.finish().await
}

#[tokio::test]
async fn service_metadata_tells_the_version_only_to_known_devices() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let (with_certificate, with_token) =
        ("/CCM_Proxy_MutualAuth/ServiceMetadata", "/ccm_proxy_serverauth/servicemetadata");
    for target in [with_certificate, with_token] {
        let told = echoed(&ask(&stack, "GET", target, &[]).await?)?;
        assert_eq!((&told["service_name"], &told["instance"]), (&SERVICE_NAME.into(), &"gateway-1".into()));
        assert!(told["version"].is_string(), "{told}");
    }
    let client = stack.client_without_certificate()?;
    let told: Value = serde_json::from_slice(&client.get(with_token).await?.body)?;
    assert_eq!((&told["service_name"], &told["version"]), (&SERVICE_NAME.into(), &Value::Null));
    assert_eq!(client.get(with_certificate).await?.status, 403);
    // A certificate that nobody believes makes no device known.
    let strange = Authority::root(&stack.pki.folder, "other-client-ca")?.issue(Leaf::client("other-client"))?;
    let client = stack.client_of(0, Some(&strange))?;
    for target in [with_certificate, with_token] {
        let told = echoed_whole(&client.get(target).await?)?;
        assert_eq!((&told["service_name"], &told["instance"]), (&SERVICE_NAME.into(), &"gateway-1".into()));
        assert_eq!(told["version"], Value::Null, "{target}");
    }
    stack.finish().await
}

/// Addresses on which a process listens, from the kernel's own tables.
fn listening(program: &Program) -> Result<BTreeSet<String>> {
    let proc = format!("/proc/{}", program.pid());
    let mut sockets = BTreeSet::new();
    for entry in std::fs::read_dir(format!("{proc}/fd"))? {
        let target = std::fs::read_link(entry?.path()).unwrap_or_default();
        let inode = target.to_string_lossy().strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned());
        sockets.extend(inode);
    }
    let mut addresses = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        for line in std::fs::read_to_string(format!("{proc}/net/{table}"))?.lines().skip(1) {
            let columns: Vec<_> = line.split_whitespace().collect();
            let is_listening = columns.get(3) == Some(&"0A");
            if is_listening && columns.get(9).is_some_and(|inode| sockets.contains(*inode)) {
                addresses.insert(columns[1].to_owned());
            }
        }
    }
    Ok(addresses)
}

#[tokio::test]
async fn a_connection_point_listens_on_loopback_only() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let addresses = listening(&stack.connection_points[0])?;
    let admin = stack.connection_point_admin()?.address;
    // As the kernel writes 127.0.0.1 and a port.
    assert_eq!(addresses, BTreeSet::from([format!("0100007F:{:04X}", admin.port())]));
    // The way of looking is right: a gateway has listeners for clients and tunnels too.
    assert_eq!(listening(&stack.gateways[0])?.len(), 3);
    stack.finish().await
}

#[tokio::test]
async fn no_log_holds_a_secret_a_query_or_a_body() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let canary = "canary-7f3a9c";
    let secret = Request::new("POST", &mp(&format!("CCM_System/request?token={canary}")))
        .field("authorization", format!("Bearer {canary}"))
        .field("cookie", format!("session={canary}"))
        .field("x-test-secret", canary)
        .body(RequestBody::whole(canary));
    assert_eq!(stack.client()?.send(secret).await?.status, 200);
    let refused = stack.client()?.get(&mp(&format!("Secrets/x?token={canary}"))).await?;
    assert_eq!(refused.status, 404);
    let malformed = format!("GET /a HTTP/1.1\r\nHost: {SERVICE_NAME}\r\nBad Name: {canary}\r\n\r\n");
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let answer = connection.exchange(malformed).await?;
    stack.exchange_line(answer.field("x-cmg-request-id").context("no id")?).await?;
    for program in stack.programs() {
        let log = program.log_text();
        assert!(!log.contains(canary), "{}: {}", program.name, log.lines().find(|line| line.contains(canary)).unwrap());
    }
    drop(connection);
    stack.finish().await
}

/// The line of an exchange that its client left tells so, and there is one.
#[tokio::test]
async fn a_client_that_leaves_is_told_of_in_one_line() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("GET", &mp("SMS_MP/_/poll?key=left"), &[])).await?;
    let seen = stack.wait_at_role("left", "begun", 1).await?;
    drop(connection);
    let id = seen[0]["id"].as_str().context("no id at the role")?;
    assert_eq!(stack.exchange_line(id).await?["outcome"], "client gone");
    assert_eq!(stack.connection_point_line(id).await?["outcome"], "cancelled");
    assert_eq!(stack.at_role(id).await?["answer"], "cut");
    stack.finish().await
}

/// Runs a program's own check of a file.
fn check(program: &str, file: &std::path::Path) -> Result<(Option<i32>, String)> {
    let output = Command::new(binaries()?.join(program)).arg("check").arg("--config").arg(file).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), text))
}

#[tokio::test]
async fn check_reports_all_problems_together_with_line_and_advice() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (program, name) in [("cmg-gateway", "gateway-1"), ("cmg-connection-point", "cp1")] {
        let good = stack.folder().join(format!("{name}.toml"));
        assert_eq!(check(program, &good)?.0, Some(0), "{}", check(program, &good)?.1);
        let broken = stack.folder().join(format!("{name}-broken.toml"));
        let text = std::fs::read_to_string(&good)?
            .replace("workers = 2", "wrokers = 2")
            .replace("delay = \"0s\"", "delay = \"soon\"")
            .replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1\"");
        std::fs::write(&broken, text)?;
        let (code, said) = check(program, &broken)?;
        assert_eq!(code, Some(3), "{said}");
        for part in ["wrokers", "workers", "soon", "127.0.0.1", &format!("{name}-broken.toml:")] {
            assert!(said.contains(part), "{part} is missing in: {said}");
        }
        let no_key = std::fs::read_to_string(&good)?.replace(".key\"", ".gone\"");
        std::fs::write(&broken, no_key)?;
        assert_eq!(check(program, &broken)?.0, Some(4), "{}", check(program, &broken)?.1);
    }
    let usage = Command::new(binaries()?.join("cmg-gateway")).arg("--nonsense").output()?;
    assert_eq!(usage.status.code(), Some(2));
    stack.finish().await
}

/// What cannot be reached is told apart from what is wrong.
#[tokio::test]
async fn what_is_out_of_reach_ends_with_a_code_of_its_own() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    let good = stack.folder().join("cp1.toml");
    let text = std::fs::read_to_string(&good)?;
    let file = stack.folder().join("site.toml").display().to_string();
    let root = format!("\nroot = \"{}\"\n", stack.pki.internal_ca.certificate.display());
    let elsewhere = stack.folder().join("elsewhere.toml");
    for (source, more) in [("/nothing/site.toml", ""), ("https://localhost:1/site.toml", root.as_str())] {
        let source = format!("source = \"{source}\"{more}");
        std::fs::write(&elsewhere, text.replace(&format!("source = \"{file}\""), &source))?;
        let (code, said) = check("cmg-connection-point", &elsewhere)?;
        assert_eq!(code, Some(5), "{source}: {said}");
    }
    let forget = |stack: &Stack| {
        let mut command = Command::new(binaries()?.join("cmg-gateway"));
        command.args(["site", "forget", "PS1", "--config"]).arg(stack.folder().join("gateway-1.toml"));
        anyhow::Ok(command.output()?.status.code())
    };
    assert_eq!(forget(&stack)?, Some(0));
    stack.gateways[0].kill();
    assert_eq!(forget(&stack)?, Some(5), "nobody is there to forget it");
    Ok(())
}

/// Whoever looks at the log alone sees why a program did not start.
#[tokio::test]
async fn a_start_that_fails_is_told_in_the_log_too() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let programs = [("cmg-gateway", "gateway-1", "instance"), ("cmg-connection-point", "cp1", "connection_point")];
    for (program, name, table) in programs {
        let mut command = Command::new(binaries()?.join(program));
        command.arg("--config").arg(stack.folder().join(format!("{name}.toml")));
        command.args(["--set", &format!("{table}.state_directory=/proc/nothing"), "--set", "log.format=json"]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let logged = said.lines().find(|line| line.starts_with('{') && line.contains("could not start"));
        assert!(logged.is_some_and(|line| line.contains("/proc/nothing")), "{said}");
        assert!(said.lines().any(|line| line.starts_with(&format!("{program}: /proc/nothing"))), "{said}");
    }
    stack.finish().await
}

/// What is under way when a gateway is told to stop is finished; then it ends by itself, with 0.
#[tokio::test]
async fn a_half_sent_answer_is_finished_after_sigterm() -> Result<()> {
    for stopped in ["gateway", "connection point"] {
        let mut stack = Stack::builder().start().await?;
        let mut connection = stack.client()?.connect().await?;
        let mut reply = connection.send(Request::get(&mp("SMS_MP/_/slow?pieces=2&piece=5&hold=half"))).await?;
        assert_eq!(reply.next().await?.context("no first piece")?.len(), 5);
        let program = if stopped == "gateway" { &stack.gateways[0] } else { &stack.connection_points[0] };
        program.signal("TERM")?;
        let admin = Admin::of(program)?;
        until(async || Ok(admin.get("/readyz").await?.0 == 503)).await?;
        stack.release("half", 1).await?;
        assert_eq!(reply.count().await?, 5, "{stopped}");
        drop((reply, connection));
        let program = if stopped == "gateway" { &mut stack.gateways[0] } else { &mut stack.connection_points[0] };
        let status = program.wait(PATIENCE).await?;
        assert_eq!(status.code(), Some(0), "{stopped}{}", program.last_words());
    }
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_at_once() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("GET", &mp("SMS_MP/_/never"), &[])).await?;
    stack.wait_at_role("never", "begun", 1).await?;
    stack.gateways[0].signal("TERM")?;
    stack.wait_unready().await?;
    stack.gateways[0].signal("TERM")?;
    let status = stack.gateways[0].wait(PATIENCE).await?;
    assert!(status.code().is_some_and(|code| code != 0), "what was unfinished was cut, and it says {status}");
    Ok(())
}

/// With two connection points none of the requests around a planned stop of one of them fails.
#[tokio::test]
async fn a_connection_point_leaves_and_nobody_notices() -> Result<()> {
    let mut stack = Stack::builder().connection_points(2).start().await?;
    let client = stack.client()?;
    let mut asking = JoinSet::new();
    asking.spawn(async move {
        let mut connection = client.connect().await?;
        for number in 0..400 {
            let answer = connection.send(Request::get(&mp(&format!("SMS_MP/{number}")))).await?.whole().await?;
            ensure!(answer.status == 200, "request {number}: {} {}", answer.status, answer.text());
        }
        anyhow::Ok(())
    });
    stack.wait_at_role("SMS_MP", "ended", 50).await?;
    stack.connection_points[1].signal("TERM")?;
    assert_eq!(stack.connection_points[1].wait(PATIENCE).await?.code(), Some(0));
    asking.join_next().await.context("nobody asks")???;
    stack.connection_points.truncate(1);
    stack.finish().await
}
