//! `cargo xtask containers`: builds the images, starts two gateway instances, two connection points and a site role in
//! containers of their own, and proves that a request goes through both instances and that nothing else gets in. Leaves
//! nothing behind unless asked to.

mod apart;
mod keys;
#[allow(dead_code, reason = "its main function belongs to the program that rustc makes of the same file")]
mod probe;
mod project;
mod steps;

use anyhow::{Context, Result, bail};
use cmg_e2e::mp;
use cmg_e2e::pki::Pki;
use cmg_e2e::stack::SERVICE_NAME;
use tokio::signal::unix::{SignalKind, signal};

use crate::docker;
use crate::run::Steps;
use crate::testing::Counts;
use crate::walk::Walk;
use project::{CLIENT_PORT, GATEWAYS, Project};

#[derive(clap::Args)]
pub struct Arguments {
    /// Leave everything running and say how to use and to remove it
    #[arg(long)]
    keep: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let proved = prove(arguments.keep);
    let counts = *proved.as_ref().unwrap_or(&Counts { passed: 0, failed: 1 });
    println!("{} passed, {} failed", counts.passed, counts.failed);
    proved?;
    if counts.failed > 0 {
        bail!("{} step(s) failed; what they saw is above", counts.failed);
    }
    Ok(())
}

/// As a part of everything that a change must pass: whoever has no Docker at home is told what was left out.
pub fn in_ci() -> Result<Counts> {
    let missing = docker::engine().and_then(|_| docker::compose()).err();
    match left_out(missing, std::env::var_os("CI").is_some())? {
        Some(why) => {
            println!("{why}");
            Ok(Counts::default())
        }
        None => prove(false),
    }
}

/// Why the containers are not tried, if they are not. In the CI they always are.
fn left_out(missing: Option<anyhow::Error>, in_ci: bool) -> Result<Option<String>> {
    match missing {
        Some(error) if in_ci => Err(error),
        missing => Ok(missing.map(|error| format!("skipped: the containers were not tried, because {error:#}"))),
    }
}

fn prove(keep: bool) -> Result<Counts> {
    let steps = Steps::begin();
    steps.say(&format!("Docker engine {}, docker-compose {}", docker::engine()?, docker::compose()?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut walk = Walk::default();
    let project = Project::new(keep)?;
    let walked = runtime.block_on(async {
        tokio::select! {
            // First, so that signals are caught before anything is started.
            biased;
            error = interrupted() => Err(error),
            walked = start_and_walk(&project, &steps, &mut walk) => walked,
        }
    });
    if let Err(error) = walked {
        walk.record("everything starts and becomes ready", Err(error));
    }
    let counts = walk.counts();
    if counts.failed > 0 {
        println!("{}", project.last_words());
    }
    if !keep {
        steps.say("removing containers, networks, volumes and images");
    }
    drop(project);
    steps.say("done");
    Ok(counts)
}

async fn start_and_walk(project: &Project, steps: &Steps, walk: &mut Walk) -> Result<()> {
    project.build(steps)?;
    steps.say("making keys and certificates");
    let pki = keys::make(project.folder())?;
    project.hand_over_keys()?;
    steps.say("starting two gateways, two connection points and the site role");
    project.up()?;
    steps.say("waiting until connection points have dialled the gateways");
    steps::walk(project, &pki, walk).await?;
    if project.is_kept() {
        print_what_to_try(project, &pki)?;
    }
    Ok(())
}

/// Ctrl-C and SIGTERM end the proof, but not without cleaning up.
async fn interrupted() -> anyhow::Error {
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = signals else { return anyhow::anyhow!("signals cannot be received") };
    tokio::select! {
        _ = interrupt.recv() => anyhow::anyhow!("interrupted"),
        _ = terminate.recv() => anyhow::anyhow!("terminated"),
    }
}

fn print_what_to_try(project: &Project, pki: &Pki) -> Result<()> {
    let device = &pki.clients[0];
    println!("\na request from inside, through each gateway; without --cert and --key it is refused");
    for gateway in GATEWAYS {
        let address = project.published(gateway, CLIENT_PORT).context("asking for a port")?;
        let port = address.port();
        println!(
            "  curl --cacert {} --resolve {SERVICE_NAME}:{port}:127.0.0.1 \\\n    --cert {} --key {} \\\n    'https://{SERVICE_NAME}:{port}{}'",
            pki.service_ca.certificate.display(),
            device.certificate.display(),
            device.key.display(),
            mp("SMS_MP/_/echo"),
        );
    }
    println!("everything stays; look at it and remove it with");
    project.print_commands()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_at_home_containers_may_be_left_out_and_it_is_said() {
        let missing = || Some(anyhow::anyhow!("no Docker engine answers"));
        assert!(left_out(missing(), true).is_err());
        assert!(left_out(missing(), false).unwrap().unwrap().contains("no Docker engine answers"));
        for in_ci in [true, false] {
            assert_eq!(left_out(None, in_ci).unwrap(), None);
        }
    }
}
