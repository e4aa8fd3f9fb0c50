//! `cargo xtask demo`: builds the programs, makes keys, starts everything on free ports, walks a client through,
//! says what to try next, and stays up until Ctrl-C. `--once` stops and tells by its exit code.

mod record;
mod steps;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cmg_e2e::Stack;
use cmg_e2e::program::Program;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::root;
use crate::run::Steps;

/// A program that has not ended by itself by then is killed.
const STOP: Duration = Duration::from_secs(10);
/// Between looks at what has ended.
const LOOK: Duration = Duration::from_millis(500);
/// Until what has ended is started again: long enough to see how the others do without it.
const AGAIN: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Arguments {
    /// Stop after the steps; the exit code is 0 only if every step worked
    #[arg(long)]
    once: bool,
    /// Build with optimisation, as for production
    #[arg(long)]
    release: bool,
    /// Where keys, configuration, logs and demo.json go
    #[arg(long, value_name = "DIR", default_value = "demo")]
    dir: PathBuf,
    /// Gateway instances
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    instances: u16,
    /// Connection points
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    connection_points: u16,
    /// Publish this HTTPS server under /bench/
    #[arg(long, value_name = "URL")]
    internal_url: Option<String>,
    /// The root certificate of that server
    #[arg(long, value_name = "PEM", requires = "internal_url")]
    internal_ca: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let steps = Steps::begin();
    let folder = fresh_folder(&arguments.dir)?;
    steps.say("building the programs; the first time takes some minutes");
    steps.run(&mut root::build_programs(arguments.release))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(demonstrate(arguments, &folder, &steps))
}

/// A whole demo, two of everything, in a folder that is gone afterwards.
pub fn in_ci() -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    run(&Arguments {
        once: true,
        release: false,
        dir: folder.path().to_owned(),
        instances: 2,
        connection_points: 2,
        internal_url: None,
        internal_ca: None,
    })
}

/// The folder, without what an earlier demo left in it. Never empties a folder that is somebody else's.
fn fresh_folder(folder: &Path) -> Result<PathBuf> {
    const MARK: &str = "pki";
    let has_content = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if has_content && !folder.join(MARK).is_dir() {
        bail!("{} holds something else; name an empty folder with --dir, or one of an earlier demo", folder.display());
    }
    for part in [MARK, "state"] {
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
    }
    fs::create_dir_all(folder.join(MARK)).with_context(|| format!("cannot make {}", folder.display()))?;
    let _ = fs::remove_file(folder.join(record::FILE));
    folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))
}

async fn demonstrate(arguments: &Arguments, folder: &Path, steps: &Steps) -> Result<()> {
    steps.say(&format!("making keys and starting everything in {}", folder.display()));
    let mut builder = Stack::builder()
        .folder(folder)
        .binaries(&root::programs(arguments.release))
        .gateways(arguments.instances.into())
        .connection_points(arguments.connection_points.into());
    if let Some(url) = &arguments.internal_url {
        let authority = arguments.internal_ca.as_ref().map(|path| path.canonicalize()).transpose();
        let authority = authority.context("cannot find the file of --internal-ca")?;
        builder = builder.internal(&origin_of(url)?, authority.as_deref());
    }
    let mut stack = builder.start_unready().await?;
    for program in stack.programs() {
        steps.say(&format!("{} runs as process {}", program.name, program.pid()));
    }
    steps.say("waiting until every tunnel is up and the site's configuration is in force");
    stack.wait_ready().await?;
    record::write(&stack, arguments.internal_url.is_some())?;
    steps.say("ready; a client walks through");
    let failed = steps::walk(&stack, arguments.internal_url.is_some()).await?;
    record::print(&stack)?;
    if !arguments.once {
        stay(&mut stack, arguments.internal_url.is_some()).await?;
    }
    steps.say("stopping");
    stop(&mut stack).await?;
    ensure!(failed == 0, "{failed} step(s) did not work; the logs are in {}", folder.display());
    if arguments.once {
        println!("every step worked");
    }
    Ok(())
}

/// The server of a URL: what it publishes is published whole.
fn origin_of(url: &str) -> Result<String> {
    let instead = "write --internal-url https://host:port";
    let rest = url.strip_prefix("https://").with_context(|| format!("{url} is not an https URL; {instead}"))?;
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    ensure!(!server.is_empty(), "{url} names no server; {instead}");
    ensure!(path.is_empty(), "{url} has a path; the server is published whole: {instead}");
    Ok(format!("https://{server}"))
}

/// Waits for Ctrl-C or SIGTERM. A gateway or a connection point that ends is started again after a while, as whatever
/// runs services does: killing one and watching the other is a thing to try. Without the role there is nothing to see.
async fn stay(stack: &mut Stack, internal: bool) -> Result<()> {
    println!("\neverything stays up until Ctrl-C; kill a gateway or a connection point and it is started again");
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            // First: Ctrl-C ends the programs as well.
            biased;
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            _ = look.tick() => {}
        }
        let Some(ended) = programs(stack).find_map(|program| program.ended().map(|how| (program.name.clone(), how)))
        else {
            continue;
        };
        let (name, how) = ended;
        if name == stack.site_role.name {
            bail!("{name} ended by itself ({how}){}", stack.site_role.last_words());
        }
        println!("{name} has ended ({how}) and is started again in {} s", AGAIN.as_secs());
        tokio::select! {
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            () = sleep(AGAIN) => {}
        }
        let pid = start_again(stack, &name).await?;
        record::write(stack, internal)?;
        println!("{name} runs as process {pid}; {} tells its new admin address", record::FILE);
    }
}

/// At the same addresses and with the same state; its log begins anew.
async fn start_again(stack: &mut Stack, name: &str) -> Result<u32> {
    let place = |programs: &[Program]| programs.iter().position(|program| program.name == name);
    if let Some(at) = place(&stack.gateways) {
        stack.restart_gateway(at).await?;
    } else if let Some(at) = place(&stack.connection_points) {
        stack.restart_connection_point(at).await?;
    }
    let program = stack.programs().find(|program| program.name == name);
    Ok(program.context("no such program")?.pid())
}

/// Outside first: nobody is cut off by what still runs behind.
async fn stop(stack: &mut Stack) -> Result<()> {
    for program in programs(stack) {
        // One that got the same Ctrl-C may be gone already.
        let _ = program.signal("TERM");
    }
    for program in programs(stack) {
        if program.wait(STOP).await.is_err() {
            println!("{} did not stop within {} s and is killed", program.name, STOP.as_secs());
            program.kill();
        }
    }
    Ok(())
}

fn programs(stack: &mut Stack) -> impl Iterator<Item = &mut Program> {
    stack.gateways.iter_mut().chain(&mut stack.connection_points).chain([&mut stack.site_role])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        assert!(fresh_folder(folder.path()).unwrap_err().to_string().contains("--dir"));
        assert!(fresh_folder(&folder.path().join("demo")).is_ok());
        assert!(fresh_folder(&folder.path().join("demo")).is_ok());
        assert!(folder.path().join("thesis.txt").exists());
    }

    #[test]
    fn an_internal_url_is_a_server() {
        assert_eq!(origin_of("https://127.0.0.1:8443/").unwrap(), "https://127.0.0.1:8443");
        for bad in ["http://a", "https://", "https://a/b", "a"] {
            assert!(origin_of(bad).unwrap_err().to_string().contains("--internal-url"), "{bad}");
        }
    }
}
