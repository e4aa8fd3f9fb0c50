//! What tests wait for: requests at the role, tunnels at the gateway, changes that have reached everyone. Events
//! where someone announces them, looking again where nobody does; never a pause that hopes.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Stack;
use crate::admin::until;
use crate::metrics::Metrics;

impl Stack {
    /// Everything that the role saw whose target holds this text.
    pub async fn seen_at_role(&self, target: &str) -> Result<Vec<Value>> {
        let answer = self.role_admin()?.json(&format!("/_ledger?target={target}")).await?;
        answer["entries"].as_array().cloned().context("a ledger without entries")
    }

    /// Waits until so many requests whose target holds this text have come so far at the role: `begun`, `body`,
    /// `answering`, `ended`, `complete` or `cut`.
    pub async fn wait_at_role(&self, target: &str, state: &str, count: usize) -> Result<Vec<Value>> {
        let path = format!("/_ledger/wait?target={target}&until={state}&count={count}&within=60000");
        let answer = self.role_admin()?.json(&path).await?;
        answer["entries"].as_array().cloned().context("a ledger without entries")
    }

    /// Waits until so many requests wait at a gate of the role.
    pub async fn wait_at_gate(&self, key: &str, waiting: usize) -> Result<()> {
        self.role_admin()?.json(&format!("/_gates/wait?key={key}&waiting={waiting}&within=60000")).await.map(drop)
    }

    /// Lets so many requests through a gate of the role.
    pub async fn release(&self, key: &str, count: usize) -> Result<()> {
        let (status, body) = self.role_admin()?.ask("POST", &format!("/_release?key={key}&count={count}")).await?;
        ensure!(status == 200, "the gate {key} answered {status}: {body}");
        Ok(())
    }

    /// Asks until the answer has this status: a change of configuration has reached everyone.
    pub async fn wait_for_answer(&self, target: &str, status: u16) -> Result<()> {
        let client = self.client()?;
        let mut last = 0;
        let waiting = until(async || {
            last = client.get(target).await?.status;
            Ok(last == status)
        });
        waiting.await.with_context(|| format!("{target} answers {last} and not {status}{}", self.last_words()))
    }

    /// Waits until the first gateway has at least so many tunnels.
    pub async fn wait_for_tunnels(&self, count: usize) -> Result<()> {
        let admin = self.gateway_admin()?;
        let enough = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) >= count as f64;
        admin.wait_for_metrics(&format!("that {count} tunnels are up"), enough).await.map(drop)
    }

    /// Waits until the first gateway has no tunnel.
    pub async fn wait_for_no_tunnel(&self) -> Result<()> {
        self.wait_for_tunnel_count(0).await
    }

    /// Waits until the first gateway has exactly so many tunnels.
    pub async fn wait_for_tunnel_count(&self, count: usize) -> Result<()> {
        let exactly = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) == count as f64;
        self.gateway_admin()?.wait_for_metrics(&format!("that {count} tunnels are left"), exactly).await.map(drop)
    }

    /// Waits until the first gateway says that it is not ready.
    pub async fn wait_unready(&self) -> Result<()> {
        let admin = self.gateway_admin()?;
        until(async || Ok(admin.get("/readyz").await?.0 == 503)).await.context("the gateway stays ready")
    }
}
