//! A network of our own between two programs: two namespaces, a TUN device in each, and a thread of ours that carries
//! packets between them with delay, jitter, loss, reordering and a rate. Needs root, `/dev/net/tun` and iproute2, and
//! touches nothing outside its namespaces. Everything is removed when it is dropped; what a killed process left behind
//! the next one removes.

mod carrier;
mod door;
mod namespace;
mod way;

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use tokio::sync::{oneshot, watch};

pub use door::Door;
pub use namespace::{Namespace, remove_leftovers};
pub use way::Quality;

/// The near end's address, in its own namespace.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);
/// The far end's.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);

pub struct Cable {
    quality: watch::Sender<Quality>,
    counters: Arc<Counters>,
    /// Dropped first, which ends the carrier and with it the devices.
    stop: Option<oneshot::Sender<()>>,
    carrier: Option<thread::JoinHandle<()>>,
    pub near: Arc<Namespace>,
    pub far: Arc<Namespace>,
}

/// Packets of both directions.
#[derive(Debug, Default)]
pub struct Counters {
    pub carried: AtomicU64,
    pub lost: AtomicU64,
    /// Of those that are carried the ones that pass another on the way.
    pub overtaking: AtomicU64,
}

/// What became of the packets so far, of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    pub carried: u64,
    pub lost: u64,
    pub overtaking: u64,
}

impl Cable {
    /// Lays a cable that carries packets in this quality, in either direction.
    pub fn lay(quality: Quality) -> Result<Self> {
        let missing = missing();
        ensure!(missing.is_empty(), "a network of our own needs more: {}", missing.join(", "));
        remove_leftovers()?;
        let (near, far) = (Arc::new(Namespace::make("near")?), Arc::new(Namespace::make("far")?));
        let (quality, watched) = watch::channel(quality);
        let counters = Arc::<Counters>::default();
        let (stop, stopped) = oneshot::channel();
        let (told, is_laid) = std::sync::mpsc::sync_channel(1);
        let ends = carrier::Ends { near: near.clone(), far: far.clone() };
        let counting = counters.clone();
        let carrier = thread::spawn(move || carrier::run(&ends, watched, &counting, stopped, &told));
        let laid = is_laid.recv().context("the carrier ended before the cable was laid")?;
        laid?;
        Ok(Self { quality, counters, stop: Some(stop), carrier: Some(carrier), near, far })
    }

    /// From now on packets are carried like this.
    pub fn set(&self, quality: Quality) {
        self.quality.send_replace(quality);
    }

    pub fn packets(&self) -> Packets {
        let [carried, lost, overtaking] = [&self.counters.carried, &self.counters.lost, &self.counters.overtaking]
            .map(|counter| counter.load(Ordering::Relaxed));
        Packets { carried, lost, overtaking }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.carrier.take().map(thread::JoinHandle::join);
    }
}

/// What this machine lacks for a cable, in words that say how to get it.
pub fn missing() -> Vec<&'static str> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let has_ip = Command::new("ip").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let needs = [
        (is_root, "root"),
        (has_ip, "the program ip (apt-get install iproute2)"),
        (Path::new("/dev/net/tun").exists(), "/dev/net/tun (modprobe tun; in a container --device /dev/net/tun)"),
    ];
    needs.into_iter().filter(|(is_there, _)| !is_there).map(|(_, what)| what).collect()
}

/// Runs `ip` with these arguments.
fn ip(arguments: &[&str]) -> Result<()> {
    let run = Command::new("ip").args(arguments).output().context("cannot run ip; install iproute2")?;
    let said = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.success(), "`ip {}` failed: {}", arguments.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    /// Sends so many bytes from far to near by TCP and says how many a second arrived.
    fn transfer(cable: &Cable, bytes: usize) -> f64 {
        let listener = cable.near.inside(|| TcpListener::bind((NEAR, 0))).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let mut sender = cable.far.inside(|| TcpStream::connect(address)).unwrap().unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        let sent: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
        let begin = Instant::now();
        let got = thread::scope(|scope| {
            let got = scope.spawn(move || {
                let mut got = Vec::new();
                receiver.read_to_end(&mut got).map(|_| got)
            });
            sender.write_all(&sent).unwrap();
            drop(sender);
            got.join().unwrap().unwrap()
        });
        assert!(got == sent, "{} of {bytes} bytes arrived", got.len());
        bytes as f64 / begin.elapsed().as_secs_f64()
    }

    #[test]
    fn bytes_arrive_whole_over_a_bad_cable() {
        let delay = Duration::from_millis(15);
        let bad = Quality { delay, jitter: delay / 3, loss_per_mille: 20, late_per_mille: 20, ..Quality::GOOD };
        let cable = Cable::lay(bad).unwrap();
        println!("delayed, lossy, out of order: {:.0} bytes a second", transfer(&cable, 1 << 20));
        let packets = cable.packets();
        assert!(packets.carried > 100 && packets.lost > 0 && packets.overtaking > 0, "{packets:?}");
        cable.set(Quality { bytes_a_second: Some(1_000_000), ..Quality::GOOD });
        println!("at a rate of 1,000,000: {:.0} bytes a second", transfer(&cable, 1 << 20));
        let (near, far) = (cable.near.path(), cable.far.path());
        drop(cable);
        assert!(!near.exists() && !far.exists(), "the namespaces are left behind");
    }
}
