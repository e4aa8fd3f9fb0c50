//! Clients: one that floods, many that go away, one whose time is over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cmg_client::{Answer, Request, RequestBody};
use cmg_e2e::pki::Leaf;
use cmg_e2e::{mp, until};
use cmg_load::{Kind, Mix, Outcome, Plan, Site};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ECHO;
use super::scenario::{Scenario, Scene};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "flood",
        injected: "one identity sends as fast as it can on 128 connections, 2,000 requests",
        promised: "others' account is clean",
        in_ci: true,
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
        name: "certificate-expires",
        injected: "a client's certificate expires while its connection is open",
        promised: "refused from then on, on the open connection and on new ones, with the code that says so",
        fault: |scene| Box::pin(expire(scene)),
        ..Scenario::USUAL
    },
];

/// The load has the first device's identity in half of its connections; the flood has the other's alone.
async fn flood(scene: &mut Scene) -> Result<()> {
    let site = scene.stack.load_site()?;
    let identities = site.identities.last().cloned().into_iter().collect();
    let site = Site { identities, ..site };
    let plan = Plan { clients: 128, waiters: 0, mix: Mix::only(Kind::Get), ..Plan::new("beside", 2_000) };
    let (_stop, never) = watch::channel(false);
    let record = cmg_load::run(&plan, &site, never, |_| ()).await?;
    let count = |outcome| record.sent.iter().filter(|sent| sent.outcome == outcome).count();
    let (answered, refused) = (count(Outcome::Answered), count(Outcome::Refused));
    scene.note(format!("of the flood {answered} requests were answered and {refused} refused"));
    // Its account would wait for the load beside it, which goes on; its own count must do.
    let bad = [Outcome::Lost, Outcome::Corrupted, Outcome::TimedOut].map(count);
    ensure!(bad == [0; 3], "of the flood {bad:?} requests were lost, corrupted, without an end");
    Ok(())
}

async fn go_away(scene: &mut Scene) -> Result<()> {
    const CLIENTS: usize = 20;
    const EACH: usize = 50;
    let mut leaving = JoinSet::new();
    for number in 0..CLIENTS {
        let client = scene.stack.client_of(number % 2, Some(&scene.stack.pki.clients[0]))?;
        leaving.spawn(async move {
            for at in 0..EACH {
                let mut connection = client.connect().await?;
                match at % 3 {
                    0 => drop(
                        connection.send(Request::get(&mp("SMS_MP/beside/_/huge?bytes=2000000"))).await?.next().await?,
                    ),
                    1 => {
                        let upload = Request::new("POST", &mp("CCM_System/beside/_/never"))
                            .body(RequestBody::whole(vec![b'u'; 100_000]));
                        drop(tokio::time::timeout(LEAVE, connection.send(upload)).await);
                    }
                    _ => {
                        let wait = Request::get(&mp("BGB/beside/_/poll?key=gone"));
                        drop(tokio::time::timeout(LEAVE, connection.send(wait)).await);
                    }
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(left) = leaving.join_next().await {
        left.context("a client panicked")??;
    }
    scene.note(format!("{} clients have left", CLIENTS * EACH));
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

/// How long a client waits before it goes away.
const LEAVE: Duration = Duration::from_millis(50);
