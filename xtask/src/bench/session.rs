//! One whole run: backend, contestants, rounds. Contestants alternate within a round and take turns in going first.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::contestants::{Contestant, Ground, Name};
use super::job::Target;
use super::keys::{BACKEND_NAME, Keys};
use super::measurement::{self, Scale};
use super::process::{self, Farewell, Owned};
use super::profile;
use super::results::RowResult;
use super::rows::Row;

/// Memory differs little from start to start, and each start costs seconds.
const MEMORY_ROUNDS: usize = 2;

pub struct Plan {
    pub rows: Vec<Row>,
    pub names: Vec<Name>,
    pub rounds: usize,
    pub scale: Scale,
    pub workers: usize,
    pub profile: bool,
}

pub struct Session {
    plan: Plan,
    ground: Ground,
    results: BTreeMap<Row, RowResult>,
    _backend: Owned,
    _folder: tempfile::TempDir,
}

impl Session {
    pub fn new(plan: Plan, work_tree: PathBuf) -> Result<Session> {
        let folder = tempfile::Builder::new().prefix("cmg-bench-").tempdir()?;
        let keys = Keys::make(&folder.path().join("keys"))?;
        let (backend, address) = start_backend(&keys)?;
        let path = folder.path().to_path_buf();
        let ground = Ground { folder: path, work_tree, keys, backend: address, workers: plan.workers };
        let results = plan.rows.iter().map(|row| (*row, RowResult::default())).collect();
        Ok(Session { plan, ground, results, _backend: backend, _folder: folder })
    }

    pub fn run(mut self) -> Result<BTreeMap<Row, RowResult>> {
        self.note_missing();
        self.measure_memory()?;
        let rows: Vec<Row> = self.plan.rows.iter().copied().filter(|row| !row.wants_fresh_processes()).collect();
        if !rows.is_empty() {
            let mut contestants = self.start_all()?;
            for round in 0..self.plan.rounds {
                self.measure_round(round, &rows, &contestants)?;
                let first = 1.min(contestants.len());
                contestants.rotate_left(first);
            }
            self.profile(&rows, &contestants)?;
        }
        Ok(self.results)
    }

    fn note_missing(&mut self) {
        let missing: Vec<(Name, String)> =
            self.plan.names.iter().filter_map(|name| Some((*name, name.missing()?))).collect();
        for (name, reason) in missing {
            self.give_up(name, &reason);
        }
    }

    /// Takes a contestant out of the run; every row says why.
    fn give_up(&mut self, name: Name, reason: &str) {
        eprintln!("{name} is left out: {reason}");
        self.plan.names.retain(|other| *other != name);
        for result in self.results.values_mut() {
            result.troubles.entry(name).or_insert_with(|| reason.to_owned());
        }
    }

    fn start_all(&mut self) -> Result<Vec<Contestant>> {
        let mut contestants = Vec::new();
        for name in self.plan.names.clone() {
            contestants.extend(self.start(name)?);
        }
        Ok(contestants)
    }

    fn start(&mut self, name: Name) -> Result<Option<Contestant>> {
        eprintln!("starting {name}");
        let outcome = Contestant::start(name, &self.ground);
        process::stop_if_interrupted()?;
        match outcome {
            Ok(contestant) => Ok(Some(contestant)),
            Err(error) => {
                self.give_up(name, &format!("{error:#}"));
                Ok(None)
            }
        }
    }

    fn measure_memory(&mut self) -> Result<()> {
        if !self.plan.rows.iter().any(|row| row.wants_fresh_processes()) {
            return Ok(());
        }
        for round in 0..self.plan.rounds.min(MEMORY_ROUNDS) {
            for name in self.plan.names.clone() {
                let Some(contestant) = self.start(name)? else { continue };
                let outcome = measurement::idle(&contestant, self.plan.scale);
                let (bare, used) = match outcome {
                    Ok((bare, used)) => (Ok(bare), Ok(used)),
                    Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
                };
                self.keep(Row::IdleBare, round, name, bare)?;
                self.keep(Row::IdleUsed, round, name, used)?;
            }
        }
        Ok(())
    }

    fn measure_round(&mut self, round: usize, rows: &[Row], contestants: &[Contestant]) -> Result<()> {
        eprintln!("round {} of {}", round + 1, self.plan.rounds);
        let direct = Target {
            address: self.ground.backend,
            server_name: BACKEND_NAME.to_owned(),
            prefix: "/".to_owned(),
            authority: self.ground.keys.certificate("internal-ca"),
            certificate: None,
            key: None,
        };
        for row in rows {
            for contestant in contestants {
                if self.is_void(*row, contestant.name) {
                    continue;
                }
                let figure = measurement::figure(*row, contestant, &direct, self.plan.scale);
                self.keep(*row, round, contestant.name, figure)?;
            }
        }
        Ok(())
    }

    /// A contestant that failed at a row once has no figure there; trying again would change nothing.
    fn is_void(&self, row: Row, name: Name) -> bool {
        self.results.get(&row).is_some_and(|result| result.troubles.contains_key(&name))
    }

    fn keep(&mut self, row: Row, round: usize, name: Name, figure: Result<f64>) -> Result<()> {
        process::stop_if_interrupted()?;
        let Some(result) = self.results.get_mut(&row) else { return Ok(()) };
        if result.rounds.len() <= round {
            result.rounds.resize_with(round + 1, BTreeMap::new);
        }
        match figure {
            Ok(value) => {
                eprintln!("  {:18} {name:8} {value:10.2} {}", row.name(), row.unit());
                if let Some(figures) = result.rounds.get_mut(round) {
                    figures.insert(name, value);
                }
            }
            Err(error) => {
                eprintln!("  {:18} {name:8} {error:#}", row.name());
                result.troubles.insert(name, format!("{error:#}"));
            }
        }
        Ok(())
    }

    fn profile(&self, rows: &[Row], contestants: &[Contestant]) -> Result<()> {
        if !self.plan.profile {
            return Ok(());
        }
        for contestant in contestants.iter().filter(|contestant| contestant.name == Name::Ours) {
            for row in rows.iter().filter(|row| row.is_load()) {
                profile::print(*row, contestant, &self.ground.folder)?;
            }
        }
        Ok(())
    }
}

pub fn start_backend(keys: &Keys) -> Result<(Owned, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "backend", "--certificate"]).arg(keys.certificate("backend"));
    command.arg("--key").arg(keys.key("backend")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut owned = Owned::start("the backend", &mut command, Farewell::Terminate)?;
    let mut line = String::new();
    let output = owned.child.stdout.take().context("no pipe from the backend")?;
    BufReader::new(output).read_line(&mut line)?;
    let address = line.trim().parse().context("the backend did not say where it listens")?;
    Ok((owned, address))
}
