//! Clients: one that floods, many that go away, one whose time is over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Answer, Client, Request, RequestBody};
use cmg_e2e::admin::Admin;
use cmg_e2e::pki::Leaf;
use cmg_e2e::program::Program;
use cmg_e2e::stack::{DISTRIBUTION_POINT, SERVICE_NAME};
use cmg_e2e::{mp, until};
use cmg_load::{Kind, Mix, Outcome, Plan, Site, Stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::scenario::{Scenario, Scene, ms};
use super::{ECHO, stops};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "flood",
        injected: "one identity sends 6,000 requests as fast as it can on 128 connections",
        promised: "it gets its share and 429 beyond, and others' account is clean",
        in_ci: true,
        // The load beside it is one identity too, and stays below these at each of two gateways.
        installation: |usual, _| {
            let limited = usual.gateway_setting("LIMITS__IDENTITY_REQUESTS_PER_SECOND", &SHARE.to_string());
            limited.gateway_setting("LIMITS__IDENTITY_BURST", &BURST.to_string())
        },
        fault: |scene| Box::pin(flood(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "clients-go-away",
        injected: "1,000 clients leave in the middle of a download, an upload or a wait",
        promised: "the role sees each leave, nothing is left behind, and others' account is clean",
        in_ci: true,
        fault: |scene| Box::pin(go_away(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "slow-readers",
        injected: "100 clients read 1 kB a second of 1 GB each, for 10 s (--full: 60 s)",
        promised: "no program holds more of it than the windows of the tunnels, and others' account is clean",
        in_ci: true,
        fault: |scene| Box::pin(read_slowly(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "crowd",
        injected: "a gateway is killed and started again, and 2,000 clients (--full: 10,000) come back to it at once",
        promised: "every one of them is served; after how long is told",
        fault: |scene| Box::pin(come_back_at_once(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "certificate-expires",
        injected: "a client's certificate expires while its connection is open",
        promised: "refused from then on, on the open connection and on new ones, with the code that says so",
        fault: |scene| Box::pin(expire(scene)),
        ..Scenario::USUAL
    },
];

const SHARE: usize = 200;
const BURST: usize = 600;

/// The load has the first device's identity, the flood the other's.
async fn flood(scene: &mut Scene) -> Result<()> {
    const REQUESTS: usize = 6_000;
    let site = scene.stack.load_site()?;
    let identities = site.identities.last().cloned().into_iter().collect();
    let site = Site { identities, ..site };
    let plan = Plan { clients: 128, waiters: 0, mix: Mix::only(Kind::Get), ..Plan::new("beside", REQUESTS as u64) };
    let (_stop, never) = watch::channel(false);
    let begin = Instant::now();
    let record = cmg_load::run(&plan, &site, never, |_| ()).await?;
    let most = scene.stack.gateways.len() as f64 * (BURST as f64 + SHARE as f64 * begin.elapsed().as_secs_f64());
    // Its account would wait for the load beside it, which goes on; its own count must do.
    let count =
        |outcome, status| record.sent.iter().filter(|sent| sent.outcome == outcome && sent.status == status).count();
    let (answered, refused) = (count(Outcome::Answered, 200), count(Outcome::Refused, 429));
    scene.note(format!("of the flood {answered} requests were answered and {refused} refused"));
    let others = REQUESTS - answered - refused;
    ensure!(others == 0, "of the flood {others} requests were neither answered 200 nor 429");
    ensure!(refused > 0 && answered as f64 <= most, "the flood got {answered} answers, its share is {most:.0}");
    Ok(())
}

async fn go_away(scene: &mut Scene) -> Result<()> {
    const CLIENTS: usize = 20;
    const EACH: usize = 50;
    let mut leaving = JoinSet::new();
    for number in 0..CLIENTS {
        let client = scene.stack.client_of(number % 2, Some(&scene.stack.pki.clients[0]))?;
        let role = scene.stack.role_admin()?;
        leaving.spawn(async move {
            for at in 0..EACH {
                match at % 3 {
                    0 => leave_a_download(&client).await?,
                    1 => leave_an_upload(&client).await?,
                    _ => leave_a_wait(&client, &role, &format!("left-{number}-{at}")).await?,
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(left) = leaving.join_next().await {
        left.context("a client panicked")??;
    }
    scene.note(format!("{} clients have left", CLIENTS * EACH));
    let seen = scene.stack.wait_at_role("beside/left", "cut", CLIENTS * EACH).await;
    seen.map(drop).context("the role has not seen each of them leave")
}

/// Leaves when the first piece of an answer is there that would fill every buffer on the way.
async fn leave_a_download(client: &Client) -> Result<()> {
    let mut connection = client.connect().await?;
    let mut answer = connection.send(Request::get(&mp("SMS_MP/beside/left/_/huge?bytes=100000000"))).await?;
    ensure!(answer.next().await?.is_some(), "nothing of the download came");
    Ok(())
}

/// Leaves when the first piece of what was sent is back, and more is due.
async fn leave_an_upload(client: &Client) -> Result<()> {
    let mut connection = client.connect().await?;
    let (writer, body) = RequestBody::streamed(Some(1_000_000));
    writer.write(vec![b'u'; 100_000]).await;
    let upload = Request::new("POST", &mp("CCM_System/beside/left/_/mirror")).body(body);
    let mut answer = connection.send(upload).await?;
    ensure!(answer.next().await?.is_some(), "nothing of the upload came back");
    drop((answer, connection));
    writer.break_off().await;
    Ok(())
}

/// Leaves when its request waits at the role.
async fn leave_a_wait(client: &Client, role: &Admin, key: &str) -> Result<()> {
    let mut connection = client.connect().await?;
    let wait = Request::get(&mp(&format!("BGB/beside/left/_/poll?key={key}")));
    let waiting = format!("/_gates/wait?key={key}&waiting=1&within=60000");
    tokio::select! {
        answer = connection.send(wait) => bail!("an answer from nowhere: {}", answer?.status),
        waits = role.json(&waiting) => waits.map(drop),
    }
}

async fn read_slowly(scene: &mut Scene) -> Result<()> {
    const READERS: usize = 100;
    /// The window of a stream on a tunnel for bulk, and buffers of sockets and TLS.
    const EACH: u64 = 5 << 20;
    let programs = || scene.stack.gateways.iter().chain(&scene.stack.connection_points);
    let before = programs().map(Program::memory).collect::<Result<Vec<_>>>()?;
    let mut reading = JoinSet::new();
    // Not all at once: a role that fills their windows has to have time for others.
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for number in 0..READERS {
        pace.tick().await;
        let client = scene.stack.client_of(number % 2, Some(&scene.stack.pki.clients[0]))?;
        reading.spawn(async move { read_a_little(&client).await });
    }
    scene.stack.wait_at_role("beside/slow", "answering", READERS).await?;
    scene.pause(scene.seconds(10, 60)).await;
    let after = programs().map(Program::memory).collect::<Result<Vec<_>>>()?;
    let names = programs().map(|program| program.name.clone()).collect::<Vec<_>>();
    if let Some(ended) = reading.try_join_next() {
        bail!("a reader ended: {:?}", ended?);
    }
    for ((name, before), after) in names.iter().zip(before).zip(after) {
        let more = after.saturating_sub(before);
        scene.note(format!("{name} holds {} MiB more", more >> 20));
        ensure!(more < READERS as u64 / 2 * EACH, "{name} holds {} MiB more for its readers", more >> 20);
    }
    reading.shutdown().await;
    scene.stack.wait_at_role("beside/slow", "cut", READERS).await.map(drop)
}

/// Until it is dropped, or something goes wrong.
async fn read_a_little(client: &Client) -> Result<()> {
    let target =
        format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/beside/slow/_/huge?bytes=1000000000");
    let mut stream = client.connect_tls().await?;
    let head = format!("GET {target} HTTP/1.1\r\nHost: {SERVICE_NAME}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut piece = [0; 1000];
    loop {
        second.tick().await;
        stream.read_exact(&mut piece).await?;
    }
}

async fn come_back_at_once(scene: &mut Scene) -> Result<()> {
    let clients = scene.seconds(2_000, 10_000) as usize;
    let mut coming = JoinSet::new();
    let begin = Instant::now();
    let come = async |scene: &mut Scene| {
        for _ in 0..clients {
            let client = scene.stack.client()?;
            coming.spawn(async move {
                loop {
                    let asked =
                        async { anyhow::Ok(client.connect().await?.send(Request::get(ECHO)).await?.whole().await?) };
                    match asked.await {
                        Ok(answer) if answer.status == 200 => return begin.elapsed(),
                        _ => tokio::time::sleep(Duration::from_millis(500)).await,
                    }
                }
            });
        }
        Ok(())
    };
    stops::kill(scene, Stopped::Gateway(0), come).await?;
    let back = begin.elapsed();
    let served = coming.join_all().await;
    let last = served.iter().max().copied();
    scene.note(format!(
        "the gateway was back after {}, the last of {clients} served after {}",
        ms(Some(&back)),
        ms(last.as_ref())
    ));
    Ok(())
}

async fn expire(scene: &mut Scene) -> Result<()> {
    let short = scene.stack.pki.client_ca.issue(Leaf::client("short").for_only(Duration::from_secs(4)))?;
    let client = scene.stack.client_of(0, Some(&short))?;
    let mut open = client.connect().await?;
    ensure!(open.send(Request::get(ECHO)).await?.whole().await?.status == 200, "refused before its time");
    let begin = Instant::now();
    let is_expired = |answer: &Answer| answer.field("x-cmg-error") == Some("CMGService_ClientCertificateExpired");
    until(async || Ok(is_expired(&open.send(Request::get(ECHO)).await?.whole().await?))).await?;
    scene.note(format!("refused after {} ms, on the connection that was open", begin.elapsed().as_millis()));
    let fresh = client.get(ECHO).await?;
    ensure!(is_expired(&fresh), "a fresh connection is answered {}", fresh.status);
    Ok(())
}
