//! Who is measured: our gateway with its connection point, and peers that carry a request over the same TLS hops.
//! A contestant is its address for clients and its processes, edge and inner apart; it ends when it is dropped.

mod haproxy;
mod nginx;
mod ours;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::job::Target;
use super::keys::{Keys, SERVICE_NAME};
use super::process::Owned;
use super::usage::CpuTime;

const READY_WITHIN: Duration = Duration::from_secs(20);
/// This long with less than a fiftieth of it on a processor.
const IDLE_FOR: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// cmg-gateway and cmg-connection-point
    Ours,
    /// nginx to nginx, HTTP/1.1 keep-alive between them
    Nginx,
    /// HAProxy to HAProxy, HTTP/2 between them
    Haproxy,
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Name::Ours => "ours",
            Name::Nginx => "nginx",
            Name::Haproxy => "haproxy",
        })
    }
}

impl Name {
    /// What is wrong if this contestant cannot run here, with the line that installs it.
    pub fn missing(self) -> Option<String> {
        let (program, package) = match self {
            Name::Ours => return None,
            Name::Nginx => ("nginx", "nginx-light"),
            Name::Haproxy => ("haproxy", "haproxy"),
        };
        program_path(program).is_none().then(|| format!("{program} is not installed: apt-get install {package}"))
    }

    /// First line of what the program says of its version.
    pub fn version(self) -> Option<String> {
        let (program, flag) = match self {
            Name::Ours => return Some(format!("cmg {}", env!("CARGO_PKG_VERSION"))),
            Name::Nginx => ("nginx", "-v"),
            Name::Haproxy => ("haproxy", "-v"),
        };
        let output = Command::new(program_path(program)?).arg(flag).output().ok()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let line = text.lines().next()?.trim_start_matches("nginx version: ");
        Some(line.split(" - ").next().unwrap_or(line).to_owned())
    }
}

/// What every contestant is started on.
pub struct Ground {
    pub folder: PathBuf,
    pub work_tree: PathBuf,
    pub keys: Keys,
    pub backend: SocketAddr,
    pub workers: usize,
}

pub struct Contestant {
    pub name: Name,
    pub target: Target,
    /// Processes that clients talk to.
    pub edge: Vec<u32>,
    /// Processes between those and the backend.
    pub inner: Vec<u32>,
    _owned: Vec<Owned>,
}

impl Contestant {
    pub fn start(name: Name, ground: &Ground) -> Result<Contestant> {
        let started = match name {
            Name::Ours => ours::start(ground),
            Name::Nginx => nginx::start(ground),
            Name::Haproxy => haproxy::start(ground),
        };
        let contestant = started.with_context(|| format!("starting {name}"))?;
        contestant.wait_until_idle()?;
        Ok(contestant)
    }

    /// Some programs go on with work of their own after they have said that they are ready.
    fn wait_until_idle(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut before = CpuTime::of(&self.processes())?;
        while Instant::now() < deadline {
            std::thread::sleep(IDLE_FOR);
            let now = CpuTime::of(&self.processes())?;
            if Duration::from_nanos(now.since(before)) < IDLE_FOR / 50 {
                return Ok(());
            }
            before = now;
        }
        bail!("{} is never idle", self.name)
    }

    pub fn processes(&self) -> Vec<u32> {
        [self.edge.as_slice(), self.inner.as_slice()].concat()
    }
}

/// Peers publish the backend where ours does, to clients of the measurement's own authority.
fn peer_target(ground: &Ground, port: u16) -> Target {
    Target {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        server_name: SERVICE_NAME.to_owned(),
        prefix: "/bench/".to_owned(),
        authority: ground.keys.certificate("service-ca"),
        certificate: Some(ground.keys.certificate("client")),
        key: Some(ground.keys.key("client")),
    }
}

/// Debian keeps daemons in /usr/sbin, which is not in every user's PATH.
fn program_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A port that nobody listens on. The peers cannot report one of their own choice, so a race with others is possible;
/// it would end the start with their own message.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Writes a template of deploy/bench into `folder` with every `{{name}}` replaced.
fn configuration(ground: &Ground, folder: &Path, template: &str, values: &[(&str, String)]) -> Result<PathBuf> {
    let source = ground.work_tree.join("deploy/bench").join(template);
    let text = std::fs::read_to_string(&source).with_context(|| format!("reading {}", source.display()))?;
    std::fs::create_dir_all(folder)?;
    let path = folder.join(template);
    std::fs::write(&path, fill(text, values)).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn fill(template: String, values: &[(&str, String)]) -> String {
    values.iter().fold(template, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

fn shared_values(ground: &Ground, folder: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("workers", ground.workers.to_string()),
        ("keys", ground.keys.folder().display().to_string()),
        ("folder", folder.display().to_string()),
        ("backend", ground.backend.to_string()),
    ]
}

fn wait_for_listener(owned: &mut Owned, port: u16) -> Result<()> {
    owned.wait_until(READY_WITHIN, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())?;
    Ok(())
}

/// Output of a contestant goes to a file, whose end is shown when it does not start.
fn log_file(folder: &Path, name: &str) -> Result<std::fs::File> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    std::fs::File::create(&path).with_context(|| format!("creating {}", path.display()))
}

fn with_end_of_log<T>(outcome: Result<T>, log: &Path) -> Result<T> {
    outcome.with_context(|| {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("its log ends with:\n  {}", lines[lines.len().saturating_sub(20)..].join("\n  "))
    })
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn every_name_in_every_template_is_filled_in() {
        let templates = [
            include_str!("../../../deploy/bench/nginx-edge.conf"),
            include_str!("../../../deploy/bench/nginx-inner.conf"),
            include_str!("../../../deploy/bench/haproxy-edge.cfg"),
            include_str!("../../../deploy/bench/haproxy-inner.cfg"),
        ];
        let names = ["workers", "keys", "folder", "backend", "edge_port", "inner_port"];
        let values = names.map(|name| (name, "value".to_owned()));
        for template in templates {
            let text = fill(template.to_owned(), &values);
            assert!(!text.contains("{{"), "{text}");
        }
    }
}
