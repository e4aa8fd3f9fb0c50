//! The containers of deploy/docker-compose.yml under a project name of their own, and everything that is asked of or
//! done to them. Taken away again when its handle is dropped, unless it is to stay; touches nothing else on the machine.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cmg_e2e::admin::{Admin, until};
use serde_json::Value;

use crate::docker::{docker, said};
use crate::images::{self, PROGRAMS, Profile};
use crate::root;
use crate::run::Steps;

pub const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];
pub const CONNECTION_POINTS: [&str; 2] = ["connection-point-1", "connection-point-2"];
pub const SITE_ROLE: &str = "site-role";

/// The user in the containers.
pub const USER: u32 = 65532;
/// Where devices are, where gateways take tunnels, where the site is.
pub const OUTSIDE: &str = "outside";
pub const TUNNELS: &str = "tunnels";
pub const INSIDE: &str = "inside";

/// Published by gateways: what devices use, and the answers to probes.
pub const CLIENT_PORT: u16 = 8443;
const HEALTH_PORT: u16 = 8480;

/// As long as the grace period in docker-compose.yml.
const STOP_SECONDS: &str = "45";
/// How much of each log a failure shows.
const SHOWN_LINES: &str = "40";
/// On everything that is not started by Compose.
const LABEL: &str = "cmg.project";

pub struct Project {
    name: String,
    folder: PathBuf,
    is_kept: bool,
}

impl Project {
    pub fn new(is_kept: bool) -> Result<Self> {
        let name = format!("cmg-{}", std::process::id());
        let folder = root::work_tree().join("target/containers").join(&name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { name, folder: folder.canonicalize()?, is_kept })
    }

    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Where its keys are.
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// The images of this project, and the program that looks around in containers.
    pub fn build(&self, steps: &Steps) -> Result<()> {
        images::build(steps, &self.name, Profile::Images)?;
        images::compile_file(&root::work_tree().join("xtask/src/containers/probe.rs"), &self.probe_program())
    }

    /// Hands what is mounted to the containers' user: in a container, so that nobody has to be root for it.
    pub fn hand_over_keys(&self) -> Result<()> {
        let folders: Vec<_> = self.services().map(|service| format!("/handed/{service}")).collect();
        let mut command = self.run_probe(&["--network", "none", "--user", "0:0", "--cap-add", "CHOWN"]);
        for service in self.services() {
            command.arg(format!("--volume={}:/handed/{service}", self.folder.join(service).display()));
        }
        let user = USER.to_string();
        said(command.arg(self.probe_image()).args(["own", &user]).args(folders)).map(drop)
    }

    /// Creates and starts everything.
    pub fn up(&self) -> Result<()> {
        said(self.compose().args(["up", "--detach", "--no-build"])).map(drop)
    }

    /// Waits until an instance says that it is ready: a site is in force and a connection point can be given work.
    pub async fn wait_ready(&self, gateway: &str) -> Result<()> {
        let mut last = "no answer".to_owned();
        let ready = until(async || {
            let admin = Admin { name: gateway.to_owned(), address: self.published(gateway, HEALTH_PORT)? };
            match admin.get("/readyz").await {
                Ok((200, _)) => return Ok(true),
                Ok((_, body)) => last = body,
                // Nobody listens there yet; a program that ended will never.
                Err(_) => self.nothing_ended()?,
            }
            Ok(false)
        });
        ready.await.with_context(|| format!("{gateway} did not become ready: {last}"))
    }

    /// Where a port of a container is published on this machine.
    pub fn published(&self, service: &str, port: u16) -> Result<SocketAddr> {
        let told = said(&mut docker(&["port", &self.container(service), &format!("{port}/tcp")]))?;
        let address = told.lines().next().unwrap_or_default();
        address.parse().with_context(|| format!("{service} publishes {port} at {address:?}"))
    }

    /// The address of a container in one of the networks.
    pub fn address(&self, service: &str, network: &str) -> Result<String> {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{}_{network}\").IPAddress}}}}", self.name);
        let address = self.inspected(service, &format)?;
        ensure!(!address.is_empty(), "{service} has no address in {network}");
        Ok(address)
    }

    /// Something that the engine knows of a container, in the form of its templates.
    pub fn inspected(&self, service: &str, format: &str) -> Result<String> {
        said(&mut docker(&["container", "inspect", "--format", format, &self.container(service)]))
    }

    /// Everything that a program has logged.
    pub fn log(&self, service: &str) -> Result<Vec<Value>> {
        let output = docker(&["logs", &self.container(service)]).output().context("cannot start docker")?;
        ensure!(output.status.success(), "the log of {service} cannot be read");
        let text = [output.stdout, output.stderr].concat();
        Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// SIGTERM to the program, and time to end by itself. Does not wait for it.
    pub fn stop(&self, service: &str) -> Result<Child> {
        let mut command = docker(&["stop", "-t", STOP_SECONDS, &self.container(service)]);
        command.stdout(Stdio::null()).spawn().context("cannot start docker")
    }

    pub fn start(&self, service: &str) -> Result<()> {
        said(&mut docker(&["start", &self.container(service)])).map(drop)
    }

    /// No program may have ended without being told to.
    pub fn nothing_ended(&self) -> Result<()> {
        for service in self.services() {
            let state = self.inspected(service, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}")?;
            if state != "0 running 0" {
                bail!("{service} ended by itself (restarts, state, exit code: {state})");
            }
        }
        Ok(())
    }

    /// Runs the probe in one of the networks, as a device there would.
    pub fn probe_in(&self, network: &str, words: &[&str]) -> Result<String> {
        // An engine asks the resolvers of its machine for what it does not know; they have a second.
        let hasty = ["--dns-option", "timeout:1", "--dns-option", "attempts:1"];
        let network = format!("--network={}_{network}", self.name);
        said(self.run_probe(&hasty).arg(network).arg(self.probe_image()).args(words))
    }

    /// Runs the probe with the addresses of a container, as its program would see the world.
    pub fn probe_at(&self, service: &str, words: &[&str]) -> Result<String> {
        let network = format!("--network=container:{}", self.container(service));
        said(self.run_probe(&[]).arg(network).arg(self.probe_image()).args(words))
    }

    /// The ends of all logs, for a message.
    pub fn last_words(&self) -> String {
        let tail = |service| {
            let output = docker(&["logs", "--tail", SHOWN_LINES, &self.container(service)]).output().ok();
            // One that was never made has nothing to say.
            let output = output.filter(|output| output.status.success())?;
            let text = [output.stdout, output.stderr].concat();
            Some(format!("\n--- end of the log of {service}:\n{}---", String::from_utf8_lossy(&text)))
        };
        self.services().filter_map(tail).collect()
    }

    /// How to go on by hand with what is kept.
    pub fn print_commands(&self) -> Result<()> {
        let file = self.folder.join("compose.env");
        let lines: String = self.variables().map(|(key, value)| format!("{key}={value}\n")).collect();
        fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
        let compose = root::work_tree().join("deploy/docker-compose.yml");
        let command = format!("docker-compose -p {} --env-file {} -f {}", self.name, file.display(), compose.display());
        println!("  {command} ps\n  {command} logs --follow\n  {command} down --volumes");
        let images = PROGRAMS.map(|program| images::image(program, &self.name)).join(" ");
        println!("  docker image rm {images}\n  rm -r {}", self.folder.display());
        Ok(())
    }

    pub fn services(&self) -> impl Iterator<Item = &'static str> + use<> {
        GATEWAYS.into_iter().chain(CONNECTION_POINTS).chain([SITE_ROLE])
    }

    /// What Compose of this version calls the container of a service.
    pub fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.name)
    }

    fn compose(&self) -> Command {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.name, "--file"]).arg(root::work_tree().join("deploy/docker-compose.yml"));
        command.envs(self.variables());
        command
    }

    fn variables(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        // Whatever port this machine has free.
        let free = || "0".to_owned();
        [
            ("CMG_TAG", self.name.clone()),
            ("CMG_KEYS", self.folder.display().to_string()),
            ("CMG_DRAIN_DELAY", "0s".to_owned()),
            // One device asks as fast as it can, to notice the least gap.
            ("CMG_IDENTITY_REQUESTS_PER_SECOND", "1000000".to_owned()),
            ("CMG_GATEWAY_1_PORT", free()),
            ("CMG_GATEWAY_1_HEALTH_PORT", free()),
            ("CMG_GATEWAY_2_PORT", free()),
            ("CMG_GATEWAY_2_HEALTH_PORT", free()),
        ]
        .into_iter()
    }

    fn probe_program(&self) -> PathBuf {
        self.folder.join("probe")
    }

    /// Any image will do: the probe is mounted into it.
    fn probe_image(&self) -> String {
        images::image("cmg-mock-site-role", &self.name)
    }

    fn run_probe(&self, options: &[&str]) -> Command {
        let mut command = docker(&["run", "--rm", "--read-only", "--cap-drop", "ALL", "--entrypoint", "/probe"]);
        command.arg(format!("--label={LABEL}={}", self.name));
        command.arg(format!("--volume={}:/probe:ro", self.probe_program().display()));
        command.args(options);
        command
    }

    fn remove(&self) -> Result<()> {
        let label = format!("label={LABEL}={}", self.name);
        let probes = said(&mut docker(&["container", "ls", "--all", "--quiet", "--filter", &label]))?;
        if !probes.is_empty() {
            said(docker(&["container", "rm", "--force"]).args(probes.lines()))?;
        }
        said(self.compose().args(["down", "--volumes", "--timeout", "10"]))?;
        for program in PROGRAMS {
            let image = images::image(program, &self.name);
            if said(&mut docker(&["image", "ls", "--quiet", &image]))?.is_empty() {
                continue;
            }
            said(&mut docker(&["image", "rm", &image]))?;
        }
        fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = self.remove()
        {
            println!("something of {} is left: {error:#}", self.name);
        }
    }
}
