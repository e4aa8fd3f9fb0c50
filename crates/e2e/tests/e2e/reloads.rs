//! SIGHUP: certificates and log levels are those of the files, what is open goes on, and what is broken changes
//! nothing (G-02, O-04, O-07, C-02).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use cmg_client::tls::ClientCertificate;
use cmg_client::{Client, Request};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::pki::{Authority, Leaf, TUNNEL_NAME};
use cmg_e2e::program::Program;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::{SERVICE_NAME, SITE, connection_point};
use cmg_e2e::{Stack, mp, until};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::expect::{ask, echoed, refused, request};

const RELOADED: &str = "\"message\":\"reloaded\"";
const NOT_RELOADED: &str = "not reloaded; the old settings stay in force";

/// Has a program do something that it tells of, and waits until it says this once more than before. Its log may be
/// written after its answer: whoever does not wait for every line takes an older one for the next.
async fn told<T>(program: &Program, says: &str, act: impl AsyncFnOnce() -> Result<T>) -> Result<(T, String)> {
    let lines = || program.log_text().lines().filter(|line| line.contains(says)).map(str::to_owned).collect::<Vec<_>>();
    let before = lines().len();
    let done = act().await?;
    until(async || Ok(lines().len() > before)).await?;
    Ok((done, lines().pop().unwrap_or_default()))
}

/// Has a program read its file again; the line in which it tells so.
async fn reload(program: &Program, says: &str) -> Result<String> {
    let ((), said) = told(program, says, async || program.signal("HUP")).await?;
    Ok(said)
}

/// The certificate that the gateway shows to a new connection.
async fn shown(stack: &Stack) -> Result<CertificateDer<'static>> {
    let stream = stack.client()?.connect_tls().await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain[0].clone().into_owned())
}

fn file_of(stack: &Stack, name: &str) -> PathBuf {
    stack.folder().join(format!("{name}.toml"))
}

fn change(file: &Path, change: impl FnOnce(String) -> String) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let changed = change(text.clone());
    ensure!(changed != text, "nothing changes in {}", file.display());
    Ok(fs::write(file, changed)?)
}

#[tokio::test]
async fn service_certificates_are_replaced_under_open_connections() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut open = RawConnection::open(&stack.client()?).await?;
    open.write(request("GET", &mp("SMS_MP/_/poll?key=open"), &[])).await?;
    stack.wait_at_gate("open", 1).await?;
    let first = shown(&stack).await?;
    let renewed = stack.pki.service_ca.issue(Leaf::server("service", &[SERVICE_NAME]))?;
    assert_eq!(shown(&stack).await?, first, "before the reload");
    reload(&stack.gateways[0], RELOADED).await?;
    let second = shown(&stack).await?;
    assert_eq!(second, CertificateDer::from_pem_file(&renewed.certificate)?);
    assert_ne!(second, first);
    // What was open goes on: the answer that was due, and another one.
    stack.release("open", 1).await?;
    assert_eq!(open.answer("GET").await?.status, 200);
    echoed(&open.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    // Broken in two ways: both are told, and nothing changes.
    fs::write(&renewed.certificate, "no certificate")?;
    fs::write(&stack.pki.gateway_tunnel.certificate, "none either")?;
    let said = reload(&stack.gateways[0], NOT_RELOADED).await?;
    assert!(said.contains("service.pem") && said.contains("gateway-tunnel.pem"), "{said}");
    assert_eq!(shown(&stack).await?, second);
    echoed(&open.exchange(request("GET", &mp("SMS_MP/y"), &[])).await?)?;
    drop(open);
    echoed(&ask(&stack, "GET", &mp("SMS_MP/z"), &[]).await?)?;
    stack.finish().await
}

/// Both ends change to another tunnel CA: tunnels that are up stay, new ones are made with it.
#[tokio::test]
async fn tunnel_certificates_are_replaced_under_open_tunnels() -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().start().await?;
    let (name, id) = connection_point(1);
    let authority = Authority::root(&stack.pki.folder, "tunnel-ca")?;
    authority.issue(Leaf::server("gateway-tunnel", &[TUNNEL_NAME]))?;
    let own = authority.issue(Leaf::connection_point(&name, &format!("cmg:{SITE}/{name}/{id}")))?;
    reload(&stack.gateways[0], RELOADED).await?;
    reload(&stack.connection_points[0], RELOADED).await?;
    let inside = stack.connection_point_admin()?;
    assert_eq!(inside.metrics().await?.sum("cmg_tunnels_ended_total", &[]), 0.0);
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    // A broken certificate and a CA that is gone: the ones before stay.
    fs::write(&own.certificate, "no certificate")?;
    fs::write(&stack.pki.internal_ca.certificate, "none either")?;
    let said = reload(&stack.connection_points[0], NOT_RELOADED).await?;
    assert!(said.contains("cp1.pem") && said.contains("internal-ca.pem"), "{said}");
    stack.tunnel_proxies[0].cut_once();
    inside.wait_for_metrics("that tunnels ended", |metrics| metrics.sum("cmg_tunnels_ended_total", &[]) >= 3.0).await?;
    stack.wait_ready().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/y"), &[]).await?)?;
    stack.finish().await
}

/// A custom role under this prefix.
fn role(id: u64, prefix: &str, internal_url: &str) -> String {
    format!(
        "\n[[roles]]\nid = {id}\nkind = \"custom\"\ninternal_url = \"{internal_url}\"\n\n\
         [[roles.custom]]\nname = \"extra\"\nexternal_prefix = \"{prefix}\"\nmethods = [\"GET\"]\n"
    )
}

#[tokio::test]
async fn what_is_shown_to_and_asked_of_roles_is_replaced() -> Result<()> {
    let roles = role(20, "/extra/mutual/", "{mutual}") + &role(21, "/extra/stranger/", "{stranger}");
    let stack = Stack::builder().site(&roles).start().await?;
    for target in ["/extra/mutual/x", "/extra/stranger/x"] {
        refused(&stack, &ask(&stack, "GET", target, &[]).await?, RefusalKind::RoleTlsFailed).await?;
    }
    let mut held = RawConnection::open(&stack.client()?).await?;
    held.write(request("GET", &mp("SMS_MP/_/poll?key=held"), &[])).await?;
    stack.wait_at_gate("held", 1).await?;
    let own = stack.pki.internal_ca.issue(Leaf::client("role-client"))?;
    let shown = format!(
        "\n[[role_certificates]]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        own.certificate.display(),
        own.key.display()
    );
    change(&file_of(&stack, "cp1"), |text| {
        text.replace("internal-ca.pem\"]", "internal-ca.pem\", \"pki/strange-ca.pem\"]") + &shown
    })?;
    reload(&stack.connection_points[0], RELOADED).await?;
    for target in ["/extra/mutual/x", "/extra/stranger/x"] {
        echoed(&ask(&stack, "GET", target, &[]).await?)?;
    }
    // What was under way with the ones before goes on.
    stack.release("held", 1).await?;
    assert_eq!(held.answer("GET").await?.status, 200);
    drop(held);
    fs::write(&own.key, "no key")?;
    let said = reload(&stack.connection_points[0], NOT_RELOADED).await?;
    assert!(said.contains("role-client.key"), "{said}");
    echoed(&ask(&stack, "GET", "/extra/mutual/y", &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn the_log_level_of_both_programs_follows_their_files() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let [gateway, point] = [&stack.gateways[0], &stack.connection_points[0]];
    let counted = async |count: f64| -> Result<()> {
        for admin in [stack.gateway_admin()?, stack.connection_point_admin()?] {
            let ended = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_exchanges_total", &[]) == count;
            admin.wait_for_metrics("that the exchange is counted", ended).await?;
        }
        Ok(())
    };
    for (program, level) in [(gateway, "info,exchange=off"), (point, "info,exchange=off")] {
        change(&file_of(&stack, &program.name), |text| format!("{text}\n[log]\nlevel = \"{level}\"\n"))?;
        reload(program, RELOADED).await?;
    }
    let unsaid = ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?;
    counted(1.0).await?;
    for program in [gateway, point] {
        change(&file_of(&stack, &program.name), |text| text.replace("info,exchange=off", "debug"))?;
        reload(program, RELOADED).await?;
    }
    let said = ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?;
    let id = said.field("x-cmg-request-id").unwrap();
    stack.exchange_line(id).await?;
    stack.connection_point_line(id).await?;
    let id = unsaid.field("x-cmg-request-id").unwrap();
    for program in [gateway, point] {
        assert!(!program.log_text().contains(id), "{} logs what its level leaves out", program.name);
        change(&file_of(&stack, &program.name), |text| text.replace("\"debug\"", "\"loud\""))?;
        let problem = reload(program, NOT_RELOADED).await?;
        assert!(problem.contains("loud"), "{problem}");
    }
    stack.finish().await
}

/// What `POST /reload` on a program's admin socket answers, once its log says this.
async fn reload_by_socket(stack: &Stack, program: &Program, says: &str) -> Result<String> {
    let socket = stack.folder().join("state").join(&program.name).join("admin.sock");
    let ask = async || {
        let mut stream = UnixStream::connect(socket).await?;
        let asked = "POST /reload HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(asked.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let (answer, _) = told(program, says, ask).await?;
    Ok(answer)
}

#[tokio::test]
async fn what_a_reload_cannot_apply_is_named_to_whoever_asked() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for program in [&stack.gateways[0], &stack.connection_points[0]] {
        let file = file_of(&stack, &program.name);
        change(&file, |text| text.replace("workers = 2", "workers = 3"))?;
        let answer = reload_by_socket(&stack, program, RELOADED).await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let said = reload(program, RELOADED).await?;
        assert!(said.contains("restart to apply ") && said.contains(".workers"), "{said}");
        change(&file, |text| text.replace("workers = 3", "wrokers = 3"))?;
        let answer = reload_by_socket(&stack, program, NOT_RELOADED).await?;
        assert!(answer.starts_with("HTTP/1.1 422 ") && answer.contains("wrokers"), "{answer}");
    }
    // Whoever else it became, its tunnels would be those of the one it was.
    let point = &stack.connection_points[0];
    let other = stack.pki.connection_point(SITE, "cp9", &connection_point(9).1)?;
    change(&file_of(&stack, "cp1"), |text| {
        let text = text.replace("wrokers = 3", "workers = 2").replace("name = \"cp1\"", "name = \"cp9\"");
        text.replace("/cp1.pem", "/cp9.pem").replace("/cp1.key", "/cp9.key")
    })?;
    assert!(other.certificate.ends_with("cp9.pem"));
    let said = reload(point, NOT_RELOADED).await?;
    assert!(said.contains("this is cp1 of site PS1; restart to make it another one"), "{said}");
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn a_service_that_is_added_is_served_and_one_that_is_gone_is_not() -> Result<()> {
    const SECOND: &str = "second.example.net";
    let stack = Stack::builder().start().await?;
    let own = stack.pki.service_ca.issue(Leaf::server("second", &[SECOND]))?;
    let device = &stack.pki.clients[0];
    let shown = ClientCertificate { chain: &device.certificate, key: &device.key };
    let client = Client::new(stack.client_address(0)?, SECOND, &stack.pki.service_ca.certificate, Some(shown))?;
    assert!(client.get(&mp("SMS_MP/x")).await.is_err(), "nobody knows this name yet");
    let (certificate, key) = (own.certificate.display(), own.key.display());
    let service = format!("\n[[services]]\nname = \"{SECOND}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let file = file_of(&stack, "gateway-1");
    change(&file, |text| text + &service)?;
    let said = reload(&stack.gateways[0], RELOADED).await?;
    assert!(!said.contains("restart"), "{said}");
    let mut open = client.connect().await?;
    let answer = open.send(Request::get(&mp("SMS_MP/x"))).await?.whole().await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    change(&file, |text| text.replace(&service, ""))?;
    reload(&stack.gateways[0], RELOADED).await?;
    let answer = open.send(Request::get(&mp("SMS_MP/x"))).await?.whole().await?;
    assert_eq!(answer.status, RefusalKind::MisdirectedRequest.status());
    drop(open);
    stack.finish().await
}

/// A connection point that is barred stays attached until a restart: whoever reloads must not think otherwise.
#[tokio::test]
async fn what_is_gone_from_the_file_is_named_too() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let file = file_of(&stack, "gateway-1");
    // The last one: those behind another one would change their places, which is named anyway.
    change(&file, |text| text.rsplit_once("\n[[sites.connection_points]]\n").unwrap_or_default().0.to_owned())?;
    let said = reload(&stack.gateways[0], RELOADED).await?;
    assert!(said.contains("restart to apply ") && said.contains("sites[1].connection_points["), "{said}");
    stack.finish().await
}
