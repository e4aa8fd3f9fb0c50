//! Processes that the measurement has started. Each is ended by its own handle when it goes out of use, on Ctrl-C and
//! SIGTERM as well; nothing is ever ended by name.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;

/// How long a process may take to end after it was asked.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Living processes. One leaves the list under the same lock that reaps it, so that no id in it is stale.
static LIVING: Mutex<BTreeMap<u32, Living>> = Mutex::new(BTreeMap::new());

/// The signal that a process ends by.
#[derive(Clone, Copy)]
pub enum Farewell {
    Interrupt,
    Terminate,
}

/// Asked once: a second signal would make some programs skip their own cleaning up.
struct Living {
    farewell: Farewell,
    asked: bool,
}

/// A process in a group of its own, so that a Ctrl-C at the terminal reaches only us and we end it in order.
pub struct Owned {
    name: String,
    pub child: Child,
}

impl Owned {
    pub fn start(name: &str, command: &mut Command, farewell: Farewell) -> Result<Owned> {
        stop_if_interrupted()?;
        let child = command.process_group(0).spawn().with_context(|| format!("starting {name}"))?;
        lock().insert(child.id(), Living { farewell, asked: false });
        Ok(Owned { name: name.to_owned(), child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status if it has already ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let mut living = lock();
        let status = self.child.try_wait()?;
        if status.is_some() {
            living.remove(&self.child.id());
        }
        Ok(status)
    }

    /// Polls `ready` until it gives something, the process has ended, or the time is over.
    pub fn wait_until<T>(&mut self, within: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            stop_if_interrupted()?;
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(status) = self.ended()? {
                bail!("{} ended before it was ready ({status})", self.name);
            }
            if Instant::now() > deadline {
                bail!("{} was not ready within {} s", self.name, within.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    fn end(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        drop(self.child.stdin.take());
        if let Some(living) = lock().get_mut(&self.child.id()) {
            living.ask(self.child.id());
        }
        let deadline = Instant::now() + PATIENCE;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                eprintln!("{} did not end when asked; killing it", self.name);
                signal_group("KILL", self.child.id());
                lock().remove(&self.child.id());
                self.child.wait()?;
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("ending {}: {error:#}", self.name);
        }
    }
}

pub fn stop_if_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted; everything that was started has been ended");
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM beside the measurement and asks all that live to end; whoever waits for one of them then
/// sees its end and returns.
pub fn watch_for_interrupts() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let waited: Result<()> = runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        });
        if waited.is_ok() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            for (process, living) in lock().iter_mut() {
                living.ask(*process);
            }
        }
    });
    Ok(())
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<u32, Living>> {
    LIVING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Living {
    fn ask(&mut self, process: u32) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let signal = match self.farewell {
            Farewell::Interrupt => "INT",
            Farewell::Terminate => "TERM",
        };
        signal_group(signal, process);
    }
}

/// As a terminal would: the process and what it has started. The standard library can only kill one process; the
/// shell's own `kill` is on every machine.
fn signal_group(signal: &str, leader: u32) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$0" -- "-$1" 2>/dev/null"#, signal, &leader.to_string()]);
    let _ = command.stdin(Stdio::null()).status();
}
