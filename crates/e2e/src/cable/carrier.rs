//! The thread that carries packets: makes both devices, puts each into its namespace, and moves what one end sends to
//! the other when it is due. Ends when it is told, and its devices with it.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use anyhow::{Context, Result};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use super::way::{Quality, Way};
use super::{Counters, FAR, NEAR, Namespace, ip};

/// The devices' names; nobody else has any in namespaces of ours.
const NEAR_DEVICE: &str = "cmg0";
const FAR_DEVICE: &str = "cmg1";
/// Longer than any packet.
const PACKET: usize = 4096;
/// Packets on their way in one direction, beyond which they are lost.
const ON_THE_WAY: usize = 20_000;

pub(super) struct Ends {
    pub near: Arc<Namespace>,
    pub far: Arc<Namespace>,
}

/// Carries until it is stopped; `told` hears once whether the cable is laid.
pub(super) fn run(
    ends: &Ends,
    quality: watch::Receiver<Quality>,
    counters: &Counters,
    stopped: oneshot::Receiver<()>,
    told: &SyncSender<Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(told.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let (near, far) = match lay(ends) {
            Ok(devices) => devices,
            Err(error) => return drop(told.send(Err(error))),
        };
        let _ = told.send(Ok(()));
        tokio::select! {
            _ = stopped => {}
            ended = carry(&near, &far, &quality, counters, 1) => eprintln!("the cable's near end broke: {ended}"),
            ended = carry(&far, &near, &quality, counters, 2) => eprintln!("the cable's far end broke: {ended}"),
        }
    });
}

/// Makes both devices in the near namespace, so that no name of them is ever seen elsewhere, and moves one.
fn lay(ends: &Ends) -> Result<(Tun, Tun)> {
    ends.near.enter()?;
    let (near, far) = (device(NEAR_DEVICE)?, device(FAR_DEVICE)?);
    ip(&["link", "set", FAR_DEVICE, "netns", ends.far.name()])?;
    up(&ends.near, NEAR_DEVICE, NEAR, FAR)?;
    up(&ends.far, FAR_DEVICE, FAR, NEAR)?;
    Ok((near, far))
}

fn device(name: &str) -> Result<Tun> {
    let made = Tun::builder().name(name).build().with_context(|| format!("cannot make the TUN device {name}"))?;
    made.into_iter().next().context("a device without a queue")
}

fn up(namespace: &Namespace, device: &str, own: Ipv4Addr, peer: Ipv4Addr) -> Result<()> {
    let (own, peer) = (own.to_string(), peer.to_string());
    ip(&["-n", namespace.name(), "address", "add", &own, "peer", &peer, "dev", device])?;
    ip(&["-n", namespace.name(), "link", "set", device, "up"])
}

/// One direction, until its device breaks.
async fn carry(from: &Tun, to: &Tun, quality: &watch::Receiver<Quality>, counters: &Counters, seed: u64) -> io::Error {
    let mut way = Way::new(seed, Instant::now());
    // By the time at which they are due, and by number where that is the same.
    let mut on_the_way: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut number = 0;
    let mut packet = vec![0; PACKET];
    loop {
        let next = on_the_way.first_key_value().map(|((due, _), _)| *due);
        let is_due = async {
            match next {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = is_due => {
                if let Some((_, packet)) = on_the_way.pop_first() {
                    // A device that takes no packet now has lost it.
                    let count = if to.send(&packet).await.is_ok() { &counters.carried } else { &counters.lost };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            length = from.recv(&mut packet) => {
                let length = match length {
                    Ok(length) => length,
                    Err(error) => return error,
                };
                let now = *quality.borrow();
                match way.due(&now, length, Instant::now()) {
                    Some(due) if on_the_way.len() < ON_THE_WAY => {
                        number += 1;
                        if on_the_way.last_key_value().is_some_and(|((last, _), _)| due < *last) {
                            counters.overtaking.fetch_add(1, Ordering::Relaxed);
                        }
                        on_the_way.insert((due, number), packet[..length].to_vec());
                    }
                    _ => drop(counters.lost.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
    }
}
