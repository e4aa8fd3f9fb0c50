//! `cargo xtask faults`: does harm to whole installations under load, one harm at a time, and holds each against what is
//! promised: every request is accounted for, service comes back by itself, and nothing is left behind.

mod clients;
mod footprint;
mod links;
mod machines;
mod networks;
mod play;
mod report;
mod roles;
mod scenario;
mod sites;
mod stops;
mod tunnels;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use crate::root;
use crate::run::Steps;
use crate::testing::{Counts, see_to_programs};
use play::Ground;
use report::Played;
use scenario::Scenario;

#[derive(clap::Args)]
pub struct Arguments {
    /// Say what there is and do nothing
    #[arg(long)]
    list: bool,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only those that `cargo xtask ci` runs
    #[arg(long, conflicts_with = "only")]
    ci: bool,
    /// At least so many requests beside each fault
    #[arg(long, value_name = "N", default_value_t = REQUESTS)]
    requests: u64,
    /// Faults that are shortened have their full length
    #[arg(long)]
    full: bool,
    /// Where keys, configuration, logs and records go and stay, a folder for each scenario
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write all outcomes here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Enough that every kind of request meets the fault.
const REQUESTS: u64 = 500;
/// What stands in the path of every request that is sent beside the load, which accounts for its own only.
const BESIDE: &str = "/beside";
/// One of them, which the role answers.
const ECHO: &str = "/CCM_Proxy_MutualAuth/72057594037927941/SMS_MP/beside/_/echo";

fn all() -> impl Iterator<Item = &'static Scenario> {
    let themes = [stops::SCENARIOS, tunnels::SCENARIOS, networks::SCENARIOS, links::SCENARIOS];
    let more = [roles::SCENARIOS, machines::SCENARIOS, sites::SCENARIOS, clients::SCENARIOS];
    themes.into_iter().chain(more).flatten()
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let unknown: Vec<_> = arguments.only.iter().filter(|name| all().all(|one| one.name != **name)).cloned().collect();
    ensure!(unknown.is_empty(), "there is no scenario {}; see --list", unknown.join(", "));
    let is_meant = |one: &Scenario| arguments.only.is_empty() || arguments.only.iter().any(|name| name == one.name);
    let chosen: Vec<_> = all().filter(|one| is_meant(one) && (one.in_ci || !arguments.ci)).collect();
    if arguments.list {
        report::list(&chosen);
        return Ok(());
    }
    let played = play_all(&chosen, arguments)?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_vec_pretty(&played)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let failed: Vec<_> = played.iter().filter(|one| !one.has_passed()).map(|one| one.name).collect();
    ensure!(failed.is_empty(), "{} of {} failed: {}", failed.len(), played.len(), failed.join(", "));
    Ok(())
}

/// What a change must pass.
pub fn in_ci() -> Result<Counts> {
    let arguments =
        Arguments { list: false, only: Vec::new(), ci: true, requests: REQUESTS, full: false, keep: None, json: None };
    let chosen: Vec<_> = all().filter(|one| one.in_ci).collect();
    let played = play_all(&chosen, &arguments)?;
    let passed = played.iter().filter(|one| one.has_passed()).count() as u64;
    Ok(Counts { passed, failed: played.len() as u64 - passed })
}

fn play_all(chosen: &[&'static Scenario], arguments: &Arguments) -> Result<Vec<Played>> {
    let steps = Steps::begin();
    see_to_programs()?;
    steps.say("building the programs");
    // As the tests build them, so that nothing is built twice.
    steps.run(Command::new("cargo").args(["build", "--workspace", "--bins"]).current_dir(root::work_tree()))?;
    let mut played = Vec::with_capacity(chosen.len());
    for scenario in chosen {
        steps.say(&format!("== {}", scenario.name));
        report::announce(scenario);
        let one = play_one(scenario, arguments)?;
        println!("{one}");
        played.push(one);
    }
    report::table(&played);
    Ok(played)
}

/// On a thread of its own: one that plays over a cable enters a namespace and can never leave it.
fn play_one(scenario: &'static Scenario, arguments: &Arguments) -> Result<Played> {
    let begin = Instant::now();
    let temporary = arguments.keep.is_none().then(tempfile::tempdir).transpose()?;
    let folder = match (&arguments.keep, &temporary) {
        (Some(kept), _) => root::empty_folder(&kept.join(scenario.name))?,
        (None, Some(temporary)) => temporary.path().canonicalize()?,
        (None, None) => PathBuf::from("."),
    };
    let ground = Ground { folder, requests: arguments.requests, full: arguments.full };
    let playing = thread::spawn(move || {
        let mut played = Played::of(scenario);
        if let Err(error) = play::play(scenario, &ground, &mut played) {
            played.problems.push(format!("{error:#}"));
        }
        played
    });
    let mut played = playing.join().map_err(|_| anyhow!("{} panicked", scenario.name))?;
    played.seconds = begin.elapsed().as_secs();
    Ok(played)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_says_what_it_does() {
        let names: BTreeSet<_> = all().map(|one| one.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(all().count() > 20);
        let coverage = include_str!("../../docs/coverage.md");
        for one in all().filter(|one| one.name != "none") {
            assert!(coverage.contains(&format!("`faults {}`", one.name)), "{} is not in docs/coverage.md", one.name);
            assert!(!one.injected.is_empty() && !one.promised.is_empty(), "{}", one.name);
            let is_kebab = |letter: char| letter == '-' || letter.is_ascii_lowercase() || letter.is_ascii_digit();
            assert!(one.name.chars().all(is_kebab), "{}", one.name);
        }
    }
}
