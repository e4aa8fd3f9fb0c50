//! What a scenario is: an installation, a load beside it, a fault, and what is promised while it lasts. And what a
//! scenario's fault works with.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use cmg_e2e::Stack;
use cmg_e2e::cable::Cable;
use cmg_e2e::stack::Builder;
use cmg_load::{Allowed, Holding, Plan, Stop};
use tokio::time::Instant;

pub struct Scenario {
    pub name: &'static str,
    /// What is done to the installation.
    pub injected: &'static str,
    /// What holds all the same.
    pub promised: &'static str,
    /// What the fault may cost, beside what programs that are stopped have under way; lost, doubled and corrupted
    /// requests are never allowed.
    pub allowed: Allowed,
    /// Whether `cargo xtask ci` runs it.
    pub in_ci: bool,
    /// Whether tunnels go through a cable between two network namespaces.
    pub over_cable: bool,
    /// Two gateways and two connection points, changed as this fault needs it; everything is written into the folder.
    pub installation: fn(Builder, &Path) -> Builder,
    /// The usual load, changed as this fault needs it.
    pub load: fn(&mut Plan),
    /// Does the harm and, at its end, has undone it.
    pub fault: for<'a> fn(&'a mut Scene) -> Doing<'a>,
}

pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

impl Scenario {
    /// What most have in common: nothing may fail.
    pub const USUAL: Self = Self {
        name: "",
        injected: "",
        promised: "",
        allowed: Allowed::NOTHING,
        in_ci: false,
        over_cable: false,
        installation: |usual, _| usual,
        load: |_| (),
        fault: |_| Box::pin(async { Ok(()) }),
    };
}

/// Tunnels are lost, and others carry on.
pub const SOME_TUNNELS_LOST: Allowed = Allowed { codes: &["CMGService_TunnelLost"], ..Allowed::NOTHING };
/// All tunnels of a gateway are lost, so that nobody else is there even for what only reads.
pub const ALL_TUNNELS_LOST: Allowed =
    Allowed { codes: &["CMGService_TunnelLost", "CMGService_NoConnectionPoint"], reads: true, ..Allowed::NOTHING };

/// An installation under load, as its fault sees it.
pub struct Scene {
    pub stack: Stack,
    /// The clock of the load.
    pub clock: Instant,
    /// Requests that wait until harm has been done, if it wants some.
    pub holding: Option<Holding>,
    /// Programs that were stopped and are back.
    pub stops: Vec<Stop>,
    pub cable: Option<Cable>,
    /// Faults that are shortened for the CI have their full length.
    pub full: bool,
    /// Figures and sights for whoever reads the report; nothing is judged by them.
    pub notes: Vec<String>,
}

/// What a question brought that was asked beside the load.
pub struct Asked {
    pub status: u16,
    pub code: String,
    pub took: Duration,
}

impl Asked {
    pub fn is(&self, status: u16, code: &str) -> bool {
        self.status == status && self.code == code
    }
}

impl Scene {
    /// Before there is a load.
    pub fn of(stack: Stack, cable: Option<Cable>, full: bool) -> Self {
        Self { stack, clock: Instant::now(), holding: None, stops: Vec::new(), cable, full, notes: Vec::new() }
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Lets the load run for a while.
    pub async fn pause(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// The one length or the other.
    pub fn seconds(&self, short: u64, full: u64) -> u64 {
        if self.full { full } else { short }
    }

    /// A GET at one of the gateways.
    pub async fn ask(&self, instance: usize, target: &str) -> Result<Asked> {
        let client = self.stack.client_of(instance, Some(&self.stack.pki.clients[0]))?;
        let begin = Instant::now();
        let answer = client.get(target).await?;
        let code = answer.field("x-cmg-error").unwrap_or_default().to_owned();
        Ok(Asked { status: answer.status, code, took: begin.elapsed() })
    }

    /// Asks so often; all answers must have this status and code, and their durations are noted.
    pub async fn ask_often(&mut self, times: usize, target: &str, status: u16, code: &str) -> Result<()> {
        self.time_answers(times, target, status, code).await.map(drop)
    }

    /// The same, for who wants to know how long each took; the fastest first.
    pub async fn time_answers(&mut self, times: usize, target: &str, status: u16, code: &str) -> Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let asked = self.ask(0, target).await?;
            ensure!(
                asked.is(status, code),
                "{target} was answered {} {}, not {status} {code}",
                asked.status,
                asked.code
            );
            took.push(asked.took);
        }
        took.sort_unstable();
        let (median, most) = (took.get(times / 2), took.last());
        self.note(format!("{times} answers {status} {code}: median {}, at most {}", ms(median), ms(most)));
        Ok(took)
    }
}

pub fn ms(duration: Option<&Duration>) -> String {
    duration.map_or_else(|| "none".to_owned(), |duration| format!("{} ms", duration.as_millis()))
}
