//! A program as a process: started with its output captured, ready when it says so in one line of JSON on
//! standard output, killed when its handle is dropped. Its log is a file that a failing test shows.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::admin::until;
use crate::cable::Door;

/// A program that has not said that it is ready by then never will.
const READY: Duration = Duration::from_secs(30);
/// How much of a log is shown when something fails.
const SHOWN_LINES: usize = 60;
/// What Linux counts processor time in, on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

pub struct Program {
    /// What it is called in messages, such as `gateway-1`.
    pub name: String,
    /// The first line that it printed.
    pub ready: Value,
    /// Everything that it wrote on standard error.
    pub log: PathBuf,
    /// Leads to its admin pages if it runs in another network namespace.
    pub(crate) door: Option<Door>,
    child: Child,
}

/// How to start a program.
pub struct Start<'a> {
    pub name: &'a str,
    /// What stands before the program on its command line: what starts it in other surroundings.
    pub before: &'a [String],
    pub binary: &'a Path,
    pub arguments: &'a [&'a str],
    pub environment: &'a [(&'a str, &'a str)],
    /// Where its log goes.
    pub folder: &'a Path,
}

impl Program {
    /// Starts a program and waits until it says that it is ready.
    pub async fn start(start: Start<'_>) -> Result<Self> {
        let Start { name, before, binary, arguments, environment, folder } = start;
        let log = folder.join(format!("{name}.log"));
        let stderr = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut words = before.iter().map(OsStr::new).chain([binary.as_os_str()]);
        let first = words.next().context("a command without a word")?;
        let mut child = Command::new(first)
            .args(words)
            .args(arguments)
            // Only a test says whether there is a proxy.
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| {
                let first = first.display();
                format!("cannot start {first} for {name}; build it with `cargo build --workspace --bins`")
            })?;
        let stdout = child.stdout.take().context("a program without standard output")?;
        let said = first_line(stdout, folder.join(format!("{name}.out")));
        let mut program = Self { name: name.to_owned(), ready: Value::Null, log, door: None, child };
        let line = match tokio::time::timeout(READY, said).await {
            Ok(Ok(line)) => line,
            Ok(Err(_)) => bail!("{name} ended before it was ready{}", program.last_words()),
            Err(_) => bail!("{name} was not ready within {} s{}", READY.as_secs(), program.last_words()),
        };
        program.ready = serde_json::from_str(&line).with_context(|| format!("{name} said {line:?} instead of JSON"))?;
        ensure!(program.ready["ready"] == true, "{name} is not ready: {line}");
        Ok(program)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address under this key of the ready line: a text, or the first of a list.
    pub fn address(&self, key: &str) -> Result<std::net::SocketAddr> {
        let value = &self.ready[key];
        let text = value.as_str().or_else(|| value[0].as_str());
        let text = text.with_context(|| format!("{} told no address {key:?}: {}", self.name, self.ready))?;
        text.parse().with_context(|| format!("{} told {text:?} as {key:?}", self.name))
    }

    /// The address of one of the site role's listeners.
    pub fn listener(&self, name: &str) -> Result<std::net::SocketAddr> {
        let text = self.ready["listeners"][name].as_str();
        let text = text.with_context(|| format!("{} has no listener {name:?}: {}", self.name, self.ready))?;
        text.parse().with_context(|| format!("{} told {text:?} as {name:?}", self.name))
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of the log, to be appended to a message.
    pub fn last_words(&self) -> String {
        let text = self.log_text();
        let lines: Vec<_> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        format!("\n--- end of {}:\n{}\n---", self.log.display(), shown.join("\n"))
    }

    /// Waits until a line of its log holds all these texts; that line.
    pub async fn wait_for_line(&self, texts: &[&str]) -> Result<String> {
        let mut found = None;
        let waiting = until(async || {
            let log = self.log_text();
            found = log.lines().find(|line| texts.iter().all(|text| line.contains(text))).map(str::to_owned);
            Ok(found.is_some())
        });
        waiting.await.with_context(|| format!("no line of {} says {texts:?}{}", self.name, self.last_words()))?;
        found.context("a line")
    }

    /// The most memory that it has had at any time, bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        self.memory_line("VmHWM:")
    }

    /// The memory that it has now, bytes.
    pub fn memory(&self) -> Result<u64> {
        self.memory_line("VmRSS:")
    }

    fn memory_line(&self, key: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).context("cannot read /proc")?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let line = line.with_context(|| format!("no {key} in /proc"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{key} is no number"))?;
        Ok(kib * 1024)
    }

    /// The processor time that it has used, in seconds.
    pub fn processor_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).context("cannot read /proc")?;
        // The name before the last bracket may hold anything; user and system time are the 14th and 15th of all.
        let numbers = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: u64 = numbers.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / TICKS_A_SECOND)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.pid());
        Ok(fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?.count())
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let command = format!("kill -{signal} {}", self.pid());
        let status = Command::new("sh").args(["-c", &command]).status().context("cannot run sh")?;
        ensure!(status.success(), "cannot send {signal} to {}", self.name);
        Ok(())
    }

    /// Ends the program without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended by itself.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        let ended = async {
            loop {
                look.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    return Ok::<_, anyhow::Error>(status);
                }
            }
        };
        match tokio::time::timeout(deadline, ended).await {
            Ok(status) => status,
            Err(_) => bail!("{} did not end within {} s{}", self.name, deadline.as_secs(), self.last_words()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{}", self.last_words());
        }
    }
}

/// Hands over the first line of a program's output, and keeps the rest in a file so that its pipe never fills.
fn first_line(stdout: std::process::ChildStdout, path: PathBuf) -> oneshot::Receiver<String> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut sender = Some(sender);
        let mut file = File::create(path).ok();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(file) = &mut file {
                let _ = writeln!(file, "{line}");
            }
            if let Some(sender) = sender.take() {
                let _ = sender.send(line);
            }
        }
    });
    receiver
}

/// The folder of the binaries: beside the running test or command.
pub fn binaries() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let folder = own.parent().context("this program is in no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}
