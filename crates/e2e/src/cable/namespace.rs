//! A network namespace with a loopback device, named after this process. Threads may enter it and programs may be
//! started in it; what listens there is invisible elsewhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::ip;

/// Where iproute2 keeps them.
const FOLDER: &str = "/run/netns";
const PREFIX: &str = "cmg-";

#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `what` stands in its name.
    pub fn make(what: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let made = Self { name: format!("{PREFIX}{}-{number}-{what}", std::process::id()) };
        ip(&["netns", "add", &made.name])?;
        ip(&["-n", &made.name, "link", "set", "lo", "up"])?;
        Ok(made)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands for it while it is there.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Takes this thread into the namespace for good, with all that it opens and starts from now on.
    pub fn enter(&self) -> Result<()> {
        let own = File::open(self.path()).with_context(|| format!("the namespace {} is gone", self.name))?;
        setns(own, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter the namespace {}", self.name))
    }

    /// Does some work in the namespace, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| scope.spawn(|| self.enter().map(|()| work())).join())
            .map_err(|_| anyhow!("work in the namespace {} panicked", self.name))?
    }

    /// What has to stand before a command, so that it runs in the namespace.
    pub fn before_command(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Removes the namespaces of processes that are gone.
pub fn remove_leftovers() -> Result<()> {
    // Nobody has made one yet if the folder is not there.
    for entry in fs::read_dir(FOLDER).into_iter().flatten() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(owner, _)| owner);
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            ip(&["netns", "del", &name])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_lives_stays() {
        let living = Namespace::make("living").unwrap();
        // No process has a number beyond the kernel's bound.
        let dead = Namespace { name: format!("{PREFIX}99999999-1-dead") };
        ip(&["netns", "add", &dead.name]).unwrap();
        remove_leftovers().unwrap();
        assert!(living.path().exists() && !dead.path().exists());
    }
}
