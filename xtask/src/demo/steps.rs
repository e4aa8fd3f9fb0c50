//! A client's walk through a demo: each step a request that shows one thing, printed with its result.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Request, RequestBody};
use cmg_e2e::stack::DISTRIBUTION_POINT;
use cmg_e2e::{Stack, mp};

use crate::walk::{Walk, echoed, refused};

/// Walks all steps; how many did not work.
pub async fn walk(stack: &Stack, internal: bool) -> Result<u64> {
    let mut walk = Walk::default();
    walk.record("a client with a certificate reads from the inside", certificate(stack).await);
    walk.record("the same without a certificate is refused", no_certificate(stack).await);
    walk.record("a certificate of another authority is refused", stranger(stack).await);
    walk.record("a path that nobody published is refused", not_published(stack).await);
    walk.record("a policy message by CCM_POST arrives whole", message(stack).await);
    walk.record("a raw target arrives byte for byte", raw_target(stack).await);
    walk.record("a part of a file, by range", range(stack).await);
    walk.record("an answer reaches the client while it is made", streamed(stack).await);
    walk.record("64 MiB down, whole", download(stack).await);
    walk.record("HTTP/2", http2(stack).await);
    walk.record("the same request id on every hop", request_id(stack).await);
    for instance in 1..stack.gateways.len() {
        walk.record(&format!("instance {} answers too", instance + 1), other_instance(stack, instance).await);
    }
    if stack.connection_points.len() > 1 {
        walk.record("the connection points take turns", turns(stack).await);
    }
    if internal {
        walk.record("the internal server answers under /bench/", bench(stack).await);
    }
    Ok(walk.counts().failed)
}

async fn certificate(stack: &Stack) -> Result<String> {
    let answer = stack.client()?.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?;
    let echoed = echoed(&answer)?;
    let target = echoed["target"].as_str().unwrap_or("no target");
    Ok(format!("200, the role saw {target}"))
}

async fn no_certificate(stack: &Stack) -> Result<String> {
    let answer = stack.client_without_certificate()?.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?;
    refused(&answer, 403, "CMGService_ClientCertificateRequired")
}

async fn stranger(stack: &Stack) -> Result<String> {
    let authority = cmg_e2e::pki::Authority::root(&stack.pki.folder, "another-client-ca")?;
    let stranger = authority.issue(cmg_e2e::pki::Leaf::client("stranger-client"))?;
    let answer = stack.client_of(0, Some(&stranger))?.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?;
    refused(&answer, 403, "CMGService_ClientCertificateUntrusted")
}

async fn not_published(stack: &Stack) -> Result<String> {
    let answer = stack.client()?.get(&mp("Secrets/passwords.txt")).await?;
    refused(&answer, 404, "CMGService_NotPublished")
}

async fn message(stack: &Stack) -> Result<String> {
    let body = vec![b'm'; 32 * 1024];
    let request = Request::new("CCM_POST", &mp("CCM_System/request"))
        .field("content-type", "multipart/mixed; boundary=\"x\"")
        .body(RequestBody::whole(body));
    let echoed = echoed(&stack.client()?.send(request).await?)?;
    ensure!(echoed["body_length"] == 32 * 1024, "the role saw a body of {}", echoed["body_length"]);
    Ok(format!("200, {} bytes at the role", echoed["body_length"]))
}

async fn raw_target(stack: &Stack) -> Result<String> {
    let rest = "CCM_Incoming/{4F2C51B7-0C2D-4B1E-9F53-0D3C6F6E7A11}/sccm?/file&x=%7e";
    let echoed = echoed(&stack.client()?.get(&mp(rest)).await?)?;
    let wanted = format!("/{rest}");
    ensure!(echoed["target"] == wanted.as_str(), "the role saw {}", echoed["target"]);
    Ok(wanted)
}

fn file(bytes: u64) -> String {
    format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/_/static/a.bin?bytes={bytes}")
}

async fn range(stack: &Stack) -> Result<String> {
    let request = Request::get(&file(1_048_576)).field("range", "bytes=1000-1999");
    let answer = stack.client()?.send(request).await?;
    ensure!(answer.status == 206 && answer.body.len() == 1000, "{} with {} bytes", answer.status, answer.body.len());
    Ok(format!("206, {}", answer.field("content-range").unwrap_or("without Content-Range")))
}

/// The role holds the second piece back until the first one has been seen here.
async fn streamed(stack: &Stack) -> Result<String> {
    let mut connection = stack.client()?.connect().await?;
    let request = Request::get(&mp("SMS_MP/_/slow?pieces=2&piece=7&hold=demo"));
    let mut reply = connection.send(request).await?;
    let first = reply.next().await?.context("the answer ended early")?.len();
    ensure!(first == 7, "{first} bytes came where the role had written 7");
    stack.role_admin()?.ask("POST", "/_release?key=demo&count=1").await?;
    let rest = reply.count().await?;
    ensure!(rest == 7, "{rest} bytes came where the role had 7 left");
    Ok("the first 7 bytes came while the role held the rest back".to_owned())
}

async fn download(stack: &Stack) -> Result<String> {
    let mut connection = stack.client()?.connect().await?;
    let begin = Instant::now();
    let mut reply = connection.send(Request::get("/open/_/huge?bytes=67108864")).await?;
    let count = reply.count().await?;
    ensure!(count == 64 << 20, "{count} bytes came");
    Ok(format!("{:.0} MiB/s", 64.0 / begin.elapsed().as_secs_f64()))
}

async fn http2(stack: &Stack) -> Result<String> {
    let answer = stack.http2_client()?.get(&mp("SMS_MP/_/echo")).await?;
    echoed(&answer).map(|_| "200".to_owned())
}

async fn request_id(stack: &Stack) -> Result<String> {
    let answer = stack.client()?.get(&mp("SMS_MP/_/echo")).await?;
    let id = answer.field("x-cmg-request-id").context("the answer has no X-CMG-Request-Id")?.to_owned();
    let at_role = stack.at_role(&id).await?;
    stack.exchange_line(&id).await?;
    stack.connection_point_line(&id).await?;
    ensure!(at_role["id"] == id.as_str(), "the role saw {}", at_role["id"]);
    Ok(id)
}

async fn other_instance(stack: &Stack, instance: usize) -> Result<String> {
    let client = stack.client_of(instance, Some(&stack.pki.clients[1]))?;
    echoed(&client.get(&mp("SMS_MP/_/echo")).await?).map(|_| "200".to_owned())
}

async fn turns(stack: &Stack) -> Result<String> {
    let mut connection = stack.client()?.connect().await?;
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..stack.connection_points.len() * 4 {
        let answer = connection.send(Request::get(&mp("SMS_MP/_/echo"))).await?.whole().await?;
        let id = answer.field("x-cmg-request-id").context("the answer has no X-CMG-Request-Id")?.to_owned();
        let line = stack.exchange_line(&id).await?;
        *seen.entry(line["connection_point"].as_str().unwrap_or("nobody").to_owned()).or_default() += 1;
    }
    ensure!(seen.len() == stack.connection_points.len(), "only {seen:?} were asked");
    Ok(seen.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "))
}

async fn bench(stack: &Stack) -> Result<String> {
    let answer = stack.client()?.get("/bench/").await?;
    if let Some(code) = answer.field("x-cmg-error") {
        bail!("{} {code}: {}", answer.status, answer.text());
    }
    Ok(format!("{}, {} bytes", answer.status, answer.body.len()))
}
