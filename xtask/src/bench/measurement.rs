//! One figure of one contestant: starts a load generator, reads the kernel's counters around its work, divides.
//! A run with a single error gives no figure but says what went wrong.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::contestants::Contestant;
use super::job::{Job, Method, Outcome, Report, Target, Version, Work};
use super::process::{Farewell, Owned};
use super::rows::Row;
use super::usage::{self, CpuTime};

const CLIENTS: usize = 64;
const STALLED_READERS: usize = 64;
const GIB: f64 = (1_u64 << 30) as f64;

/// How much of everything.
#[derive(Clone, Copy)]
pub struct Scale {
    pub seconds: f64,
    pub bulk_bytes: u64,
    pub idle_connections: usize,
}

impl Scale {
    pub const FULL: Scale = Scale { seconds: 1.5, bulk_bytes: 512 << 20, idle_connections: 2000 };
    pub const QUICK: Scale = Scale { seconds: 0.7, bulk_bytes: 192 << 20, idle_connections: 500 };
}

/// A load generator whose connections stand.
pub struct Load {
    _owned: Owned,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Load {
    pub fn prepare(target: &Target, work: Work) -> Result<Load> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "load"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut owned = Owned::start("the load generator", &mut command, Farewell::Terminate)?;
        let input = owned.child.stdin.take().context("no pipe to the load generator")?;
        let output = BufReader::new(owned.child.stdout.take().context("no pipe from the load generator")?);
        let mut load = Load { _owned: owned, input, output };
        load.say(&serde_json::to_string(&Job { target: target.clone(), work })?)?;
        match load.hear()? {
            Report::Ready => Ok(load),
            Report::Outcome(_) => bail!("the load generator ran before it was told"),
        }
    }

    /// Runs the prepared work; any error makes the run void.
    pub fn go(&mut self) -> Result<Outcome> {
        self.say("go")?;
        match self.hear()? {
            Report::Ready => bail!("the load generator did not run"),
            Report::Outcome(outcome) if outcome.errors > 0 => {
                let first = outcome.first_error.unwrap_or_default();
                bail!("void: {} errors beside {} answers, the first: {first}", outcome.errors, outcome.done)
            }
            Report::Outcome(outcome) if outcome.done == 0 => bail!("void: nothing was answered"),
            Report::Outcome(outcome) => Ok(outcome),
        }
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn hear(&mut self) -> Result<Report> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            let mut complaint = String::new();
            if let Some(errors) = self._owned.child.stderr.take() {
                std::io::Read::read_to_string(&mut BufReader::new(errors), &mut complaint)?;
            }
            bail!("void: {}", complaint.trim());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

pub fn work(row: Row, scale: Scale) -> Work {
    let Scale { seconds, bulk_bytes: bytes, idle_connections } = scale;
    let requests = |method, version| Work::Requests { method, version, connections: CLIENTS, seconds };
    match row {
        Row::GetH1 => requests(Method::Get, Version::Http1),
        Row::PostH1 => requests(Method::Post, Version::Http1),
        Row::GetH2 => requests(Method::Get, Version::Http2),
        Row::PostH2 => requests(Method::Post, Version::Http2),
        Row::Down => Work::Download { bytes },
        Row::Up => Work::Upload { bytes },
        Row::HandshakeFull => Work::Handshakes { resumed: false, slots: 8, seconds },
        Row::HandshakeResumed => Work::Handshakes { resumed: true, slots: 8, seconds },
        Row::IdleBare | Row::IdleUsed => Work::Idle { connections: idle_connections },
        Row::Latency => Work::Requests { method: Method::Get, version: Version::Http1, connections: 1, seconds },
        Row::Stalled => paced(scale, STALLED_READERS),
    }
}

fn paced(scale: Scale, stalled: usize) -> Work {
    Work::Paced { connections: 8, per_second: 800.0, seconds: 2.0 * scale.seconds, stalled }
}

/// The figure of one row; `direct` is the backend asked without anything between.
pub fn figure(row: Row, contestant: &Contestant, direct: &Target, scale: Scale) -> Result<f64> {
    match row {
        Row::GetH1 | Row::PostH1 | Row::GetH2 | Row::PostH2 => {
            let (nanoseconds, outcome) = cpu(contestant, &contestant.processes(), row, scale)?;
            Ok(nanoseconds / 1e3 / outcome.done as f64)
        }
        Row::Down | Row::Up => {
            let (nanoseconds, _) = cpu(contestant, &contestant.processes(), row, scale)?;
            Ok(nanoseconds / 1e9 / (scale.bulk_bytes as f64 / GIB))
        }
        Row::HandshakeFull | Row::HandshakeResumed => {
            let (nanoseconds, outcome) = cpu(contestant, &contestant.edge, row, scale)?;
            check_resumed(row, &outcome)?;
            Ok(nanoseconds / 1e3 / outcome.done as f64)
        }
        Row::IdleBare => Ok(idle(contestant, scale)?.0),
        Row::IdleUsed => Ok(idle(contestant, scale)?.1),
        Row::Latency => {
            let alone = Load::prepare(direct, work(row, scale))?.go()?.p50_microseconds;
            Ok(Load::prepare(&contestant.target, work(row, scale))?.go()?.p50_microseconds - alone)
        }
        Row::Stalled => {
            let without = Load::prepare(&contestant.target, paced(scale, 0))?.go()?.p99_microseconds;
            let with = Load::prepare(&contestant.target, work(row, scale))?.go()?.p99_microseconds;
            Ok(with / without)
        }
    }
}

fn cpu(contestant: &Contestant, processes: &[u32], row: Row, scale: Scale) -> Result<(f64, Outcome)> {
    let mut load = Load::prepare(&contestant.target, work(row, scale))?;
    let before = CpuTime::of(processes)?;
    let outcome = load.go()?;
    Ok((CpuTime::of(processes)?.since(before) as f64, outcome))
}

/// The row means what it says: a server that forgets its tickets is not measured as one that resumes.
fn check_resumed(row: Row, outcome: &Outcome) -> Result<()> {
    let share = outcome.resumed as f64 / outcome.done as f64;
    match row {
        Row::HandshakeResumed if share < 0.95 => bail!("void: only {:.0} % of the connections resumed", share * 100.0),
        Row::HandshakeFull if share > 0.0 => bail!("void: {:.0} % of the connections resumed", share * 100.0),
        _ => Ok(()),
    }
}

/// KiB per connection, bare and after one request on each. A few connections come first, so that what a program
/// allocates once is not counted.
pub fn idle(contestant: &Contestant, scale: Scale) -> Result<(f64, f64)> {
    Load::prepare(&contestant.target, Work::Idle { connections: 4 })?.go()?;
    let connections = scale.idle_connections as f64;
    let base = usage::memory_kib(&contestant.edge)?;
    let mut load = Load::prepare(&contestant.target, work(Row::IdleBare, scale))?;
    let bare = usage::memory_kib(&contestant.edge)?;
    load.go()?;
    let used = usage::memory_kib(&contestant.edge)?;
    Ok(((bare - base) / connections, (used - base) / connections))
}
