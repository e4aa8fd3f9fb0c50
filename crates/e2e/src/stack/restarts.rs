//! Stops: a program is asked to stop and ends by itself, or is killed, and is started again as it was. Its log is kept,
//! and what happened when is told by the clock of the load beside it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cmg_load::{How, Stop, Stopped};
use tokio::time::Instant;

use super::{SITE, Stack, connection_point};
use crate::admin::Admin;
use crate::metrics::Metrics;
use crate::program::Program;

/// Beyond the deadline of any drain.
const STOP: Duration = Duration::from_secs(90);

impl Stack {
    /// Asks a program to stop and waits until it has ended well. What lasts longer than the deadline is ended.
    pub async fn stop(&mut self, which: Stopped, deadline: Duration, clock: Instant) -> Result<Stop> {
        let from = clock.elapsed();
        let program = self.program(&which)?;
        program.signal("TERM")?;
        let status = program.wait(STOP).await?;
        ensure!(status.success(), "{} did not end well: {status}{}", program.name, program.last_words());
        let gone = clock.elapsed();
        self.keep_log_of(&which)?;
        Ok(Stop { program: which, how: How::Asked { deadline }, from, gone, noticed: gone, back: gone })
    }

    /// Ends a program as a crash does, and waits until everybody who was connected to it has noticed.
    pub async fn kill(&mut self, which: Stopped, clock: Instant) -> Result<Stop> {
        let from = clock.elapsed();
        // Killed and waited for: its sockets are closed.
        self.program(&which)?.kill();
        let gone = clock.elapsed();
        self.keep_log_of(&which)?;
        self.wait_until_missed(&which).await?;
        let noticed = clock.elapsed();
        Ok(Stop { program: which, how: How::Killed, from, gone, noticed, back: noticed })
    }

    /// Starts what was stopped again as it was, and waits until everything is connected.
    pub async fn bring_back(&mut self, stop: &mut Stop, clock: Instant) -> Result<()> {
        match &stop.program {
            Stopped::Gateway(at) => self.restart_gateway(*at).await?,
            Stopped::ConnectionPoint(name) => self.restart_connection_point(self.place_of(name)?).await?,
        }
        self.wait_ready().await?;
        stop.back = clock.elapsed();
        Ok(())
    }

    /// Ends a connection point as a crash does; `restart_connection_point` starts it again.
    pub fn crash_connection_point(&mut self, at: usize) -> Result<()> {
        let old = self.connection_points.get_mut(at).context("no such connection point")?;
        old.kill();
        self.ended.connection_points.push(keep_log(old)?);
        Ok(())
    }

    /// Starts a connection point that has ended again, with the same state.
    pub async fn restart_connection_point(&mut self, at: usize) -> Result<()> {
        let (name, id) = connection_point(at + 1);
        let shown = self.pki.connection_point(SITE, &name, &id)?;
        let started = self.connection_point(&name, &shown).await?;
        *self.connection_points.get_mut(at).context("no such connection point")? = started;
        Ok(())
    }

    fn program(&mut self, which: &Stopped) -> Result<&mut Program> {
        match which {
            Stopped::Gateway(at) => self.gateways.get_mut(*at).context("no such instance"),
            Stopped::ConnectionPoint(name) => {
                let at = self.place_of(name)?;
                self.connection_points.get_mut(at).context("no such connection point")
            }
        }
    }

    fn place_of(&self, name: &str) -> Result<usize> {
        self.connection_points.iter().position(|one| one.name == name).context("no such connection point")
    }

    fn keep_log_of(&mut self, which: &Stopped) -> Result<()> {
        let log = keep_log(self.program(which)?)?;
        match which {
            Stopped::Gateway(_) => self.ended.gateways.push(log),
            Stopped::ConnectionPoint(_) => self.ended.connection_points.push(log),
        }
        Ok(())
    }

    /// Waits until all others have given up their tunnels to it.
    async fn wait_until_missed(&self, which: &Stopped) -> Result<()> {
        let (others, left) = match which {
            Stopped::Gateway(_) => (&self.connection_points, self.gateways.len() - 1),
            Stopped::ConnectionPoint(_) => (&self.gateways, self.connection_points.len() - 1),
        };
        let most = left * self.starter.builder.tunnels_of_a_link();
        for other in others {
            let are_left = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) <= most as f64;
            Admin::of(other)?.wait_for_metrics(&format!("that at most {most} tunnels are left"), are_left).await?;
        }
        Ok(())
    }
}

/// Puts a log aside, because the next process writes its own under the same name.
fn keep_log(program: &Program) -> Result<PathBuf> {
    let kept = (1..).map(|number| program.log.with_extension(format!("{number}.log"))).find(|path| !path.exists());
    let kept = kept.context("no name for a log")?;
    fs::rename(&program.log, &kept).with_context(|| format!("cannot keep {}", program.log.display()))?;
    Ok(kept)
}
