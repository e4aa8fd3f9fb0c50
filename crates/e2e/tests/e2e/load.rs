//! The ledger (T-12, T-13, Q-09): a load through everything is accounted for by three independent counts, and what goes
//! wrong shows as what it is.

use anyhow::{Context, Result, ensure};
use cmg_client::{Request, RequestBody};
use cmg_e2e::Stack;
use cmg_e2e::fault_proxy::FaultProxy;
use cmg_load::checker::Fault;
use cmg_load::{Allowed, Kind, Mix, Outcome, Plan, Record, Site, check};
use tokio::sync::watch;

/// Sends a whole plan.
async fn load(plan: &Plan, site: &Site) -> Result<Record> {
    let (_stop, never) = watch::channel(false);
    Ok(cmg_load::run(plan, site, never, |_| ()).await?)
}

#[tokio::test]
async fn every_request_of_a_load_is_accounted_for() -> Result<()> {
    let stack = Stack::builder().gateways(2).connection_points(2).start().await?;
    let record = load(&Plan { clients: 32, ..Plan::new("whole", 3000) }, &stack.load_site()?).await?;
    let counts = stack.load_counts(record, 0).await?;
    let verdict = check(&counts, Allowed::NOTHING);
    ensure!(verdict.is_clean(), "{verdict}");
    for (kind, name, _) in Kind::ALL {
        ensure!(kind.is_held() || verdict.outcomes.contains_key(&kind), "no {name} was sent");
    }
    ensure!(verdict.outcomes(Outcome::Answered) > 2800 && verdict.body_bytes > 1_000_000, "{verdict}");
    for gateway in &stack.gateways {
        ensure!(gateway.log_text().contains("/whole-"), "{} served nothing", gateway.name);
    }
    stack.finish().await
}

/// A client's connection that breaks is a cut for its sender: visible, never lost, and nothing that was done twice.
#[tokio::test]
async fn a_broken_connection_is_a_cut_and_not_a_loss() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let proxy = FaultProxy::to(stack.client_address(0)?).await?;
    let site = Site { addresses: vec![proxy.address], ..stack.load_site()? };
    let plan = Plan { requests: None, clients: 8, waiters: 3, ..Plan::new("cuts", 0) };
    let (stop, stopped) = watch::channel(false);
    let breaking = async {
        stack.wait_at_gate("load-cuts-wait", 3).await?;
        proxy.cut_once();
        // They are connected again and wait again: what was cut has been written down.
        stack.wait_at_gate("load-cuts-wait", 3).await?;
        stop.send(true).context("the load ended by itself")
    };
    let (record, broken) = tokio::join!(cmg_load::run(&plan, &site, stopped, |_| ()), breaking);
    broken?;
    let counts = stack.load_counts(record?, 0).await?;
    let verdict = check(&counts, Allowed { breaks: true, unconnected: true, ..Allowed::NOTHING });
    ensure!(verdict.is_clean() && verdict.outcomes(Outcome::Cut) >= 3, "{verdict}");
    let strict = check(&counts, Allowed::NOTHING);
    ensure!(strict.count(Fault::Cut) >= 3 && strict.count(Fault::Lost) == 0, "{strict}");
    stack.finish().await
}

/// Somebody sends one of the requests again: the role saw a POST twice, and the instrument says so.
#[tokio::test]
async fn a_doubled_post_is_found() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let plan = Plan { mix: Mix::only(Kind::CcmPost), clients: 2, waiters: 0, ..Plan::new("twice", 20) };
    let record = load(&plan, &stack.load_site()?).await?;
    let again = Request::new("CCM_POST", &cmg_e2e::mp("CCM_System/twice-7/_/echo"))
        .field("x-test-request", "twice-7")
        .body(RequestBody::whole("again"));
    let answer = stack.client()?.send(again).await?;
    ensure!(answer.status == 200, "the second time was not served");
    stack.exchange_line(answer.field("x-cmg-request-id").context("an answer without id")?).await?;
    let verdict = check(&stack.load_counts(record, 0).await?, Allowed::NOTHING);
    ensure!(verdict.count(Fault::Doubled) == 1 && verdict.count(Fault::SeveralLines) == 1, "{verdict}");
    stack.finish().await
}

/// A role closes a kept connection under a request that only reads: that it ran twice is said of this request.
#[tokio::test]
async fn a_second_time_at_the_role_is_said_in_its_line() -> Result<()> {
    let stack = Stack::builder().workers(1).faulty_roles().start().await?;
    let client = stack.client()?;
    // Leaves a connection to the role behind.
    ensure!(client.get(&cmg_e2e::mp("SMS_MP/_/echo")).await?.status == 200, "the role is not there");
    let cutting = async {
        stack.wait_at_gate("again", 1).await?;
        stack.role_proxy.as_ref().context("no proxy before the role")?.cut_once();
        stack.wait_at_role("key=again", "begun", 2).await?;
        stack.release("again", 2).await
    };
    let target = cmg_e2e::mp("SMS_MP/_/poll?key=again");
    let (answer, cut) = tokio::join!(client.get(&target), cutting);
    cut?;
    let answer = answer?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.reason);
    let id = answer.field("x-cmg-request-id").context("an answer without id")?;
    let point = &stack.connection_points[0];
    point.wait_for_line(&[id, r#""component":"exchange""#, r#""sent_again":"kept connection died""#]).await?;
    stack.finish().await
}
