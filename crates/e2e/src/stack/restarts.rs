//! Stops: a program is asked to stop and ends by itself, or is killed, and is started again as it was. What it leaves
//! behind is kept: its log and what it had counted.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::load::sent_again;
use super::{SITE, Stack, connection_point};
use crate::admin::Admin;
use crate::program::Program;

/// Beyond the deadline of any drain.
const STOP: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// What programs that have ended leave behind.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Logs of gateways.
    pub logs: Vec<PathBuf>,
    /// Requests that they had sent a second time.
    pub sent_again: u64,
}

impl Stack {
    /// Stops a gateway instance in good order and starts it again at the same addresses with the same state.
    pub async fn roll_gateway(&mut self, instance: usize) -> Result<()> {
        let gateway = self.gateways.get_mut(instance).context("no such instance")?;
        self.ended.sent_again += stop(gateway).await?;
        self.ended.logs.push(keep_log(gateway)?);
        self.restart_gateway(instance).await
    }

    /// Stops a connection point in good order and starts it again with the same state.
    pub async fn roll_connection_point(&mut self, at: usize) -> Result<()> {
        let old = self.connection_points.get_mut(at).context("no such connection point")?;
        self.ended.sent_again += stop(old).await?;
        keep_log(old)?;
        self.restart_connection_point(at).await
    }

    /// Ends a gateway instance as a crash does; `restart_gateway` starts it again.
    pub async fn crash_gateway(&mut self, instance: usize) -> Result<()> {
        let gateway = self.gateways.get_mut(instance).context("no such instance")?;
        self.ended.sent_again += sent_again(&Admin::of(gateway)?.metrics().await?);
        gateway.kill();
        self.ended.logs.push(keep_log(gateway)?);
        Ok(())
    }

    /// Ends a connection point as a crash does; `restart_connection_point` starts it again.
    pub async fn crash_connection_point(&mut self, at: usize) -> Result<()> {
        let old = self.connection_points.get_mut(at).context("no such connection point")?;
        self.ended.sent_again += sent_again(&Admin::of(old)?.metrics().await?);
        old.kill();
        keep_log(old).map(drop)
    }

    /// Starts a connection point that has ended again, with the same state.
    pub async fn restart_connection_point(&mut self, at: usize) -> Result<()> {
        let (name, id) = connection_point(at + 1);
        let shown = self.pki.connection_point(SITE, &name, &id)?;
        let started = self.connection_point(&name, &shown).await?;
        *self.connection_points.get_mut(at).context("no such connection point")? = started;
        Ok(())
    }
}

/// Asks a program to stop and waits until it has ended well; how often it had sent a request again, as far as its admin
/// pages told before they closed.
async fn stop(program: &mut Program) -> Result<u64> {
    let admin = Admin::of(program)?;
    let mut counted = sent_again(&admin.metrics().await?);
    program.signal("TERM")?;
    let mut look = tokio::time::interval(LOOK);
    let ended = async {
        loop {
            look.tick().await;
            if let Some(status) = program.ended() {
                return status;
            }
            if let Ok(metrics) = admin.metrics().await {
                counted = sent_again(&metrics);
            }
        }
    };
    let Ok(status) = tokio::time::timeout(STOP, ended).await else {
        bail!("{} did not end within {} s{}", program.name, STOP.as_secs(), program.last_words());
    };
    ensure!(status.success(), "{} did not end well: {status}{}", program.name, program.last_words());
    Ok(counted)
}

/// Puts a log aside, because the next process writes its own under the same name.
fn keep_log(program: &Program) -> Result<PathBuf> {
    let kept = (1..).map(|number| program.log.with_extension(format!("{number}.log"))).find(|path| !path.exists());
    let kept = kept.context("no name for a log")?;
    fs::rename(&program.log, &kept).with_context(|| format!("cannot keep {}", program.log.display()))?;
    Ok(kept)
}
