//! The places of one lane. A place whose tunnel lives on another address than the first may have a successor for a
//! moment: a second place beside it that tries the better ones (T-05). Replacement first: the old one is retired only
//! when the new one has settled.

use std::sync::Arc;

use cmg_core::configuration::HostPort;
use cmg_core::shutdown::TaskHandle;
use cmg_core::tunnel::message::Lane;
use cmg_core::worker::WorkerIndex;
use tokio_util::sync::CancellationToken;

use crate::dialer::{self, Place};
use crate::instance::{Instance, OpenPlace, PlaceId};
use crate::point::ConnectionPoint;

pub struct LanePlaces {
    lane: Lane,
    slots: Vec<Slot>,
}

/// One wanted tunnel.
struct Slot {
    worker: WorkerIndex,
    current: Kept,
    successor: Option<Kept>,
}

/// A place that a task keeps. Dropping it ends the task.
struct Kept {
    id: PlaceId,
    retiring: CancellationToken,
    task: TaskHandle<()>,
}

/// Opens places for tunnels to one instance.
pub struct Opener {
    pub point: Arc<ConnectionPoint>,
    pub instance: Arc<Instance>,
}

impl LanePlaces {
    pub fn new(lane: Lane) -> Self {
        Self { lane, slots: Vec::new() }
    }

    /// Opens or retires places until there are so many; `before` says how many other places share the workers.
    pub fn set_count(&mut self, count: usize, before: usize, opener: &Opener) {
        for slot in self.slots.drain(count.min(self.slots.len())..) {
            slot.let_go();
        }
        while self.slots.len() < count {
            let worker = WorkerIndex(before + self.slots.len());
            let current = opener.open(self.lane, worker);
            self.slots.push(Slot { worker, current, successor: None });
        }
    }

    /// Opens anew what a panic has ended, and notes who has taken another's place.
    pub fn rebuild(&mut self, opener: &Opener) {
        for slot in &mut self.slots {
            slot.settle();
            if slot.current.task.is_finished() {
                let (gateway, instance, lane) = (&opener.instance.gateway, &opener.instance.name, self.lane.name());
                tracing::error!(gateway, instance, lane, "the place of a tunnel was lost; it is opened anew");
                slot.current = opener.open(self.lane, slot.worker);
            }
        }
    }

    /// Has one tunnel try to return to an address before its own, if one should and does not yet.
    pub fn return_one(&mut self, opener: &Opener) -> Option<PlaceId> {
        for slot in &mut self.slots {
            slot.settle();
            let better = better_addresses(&opener.instance, slot.current.id);
            if slot.successor.is_none() && !better.is_empty() {
                let successor = opener.open_successor(self.lane, slot, better);
                let id = successor.id;
                slot.successor = Some(successor);
                return Some(id);
            }
        }
        None
    }

    pub fn let_go(self) {
        self.slots.into_iter().for_each(Slot::let_go);
    }
}

/// The addresses that the site prefers to the one that this tunnel lives on.
fn better_addresses(instance: &Instance, id: PlaceId) -> Vec<HostPort> {
    let places = instance.places();
    let own = places.iter().find(|place| place.id == id).and_then(|place| place.address.as_ref());
    let at = own.and_then(|own| instance.addresses.iter().position(|address| address.to_string() == *own));
    instance.addresses.iter().take(at.unwrap_or(0)).cloned().collect()
}

impl Slot {
    /// A successor that has retired the other is the tunnel of this slot now; one that has failed is forgotten.
    fn settle(&mut self) {
        let Some(successor) = self.successor.take() else { return };
        if self.current.retiring.is_cancelled() {
            std::mem::replace(&mut self.current, successor).let_go();
        } else if !successor.task.is_finished() {
            self.successor = Some(successor);
        }
    }

    fn let_go(self) {
        self.current.let_go();
        if let Some(successor) = self.successor {
            successor.let_go();
        }
    }
}

impl Kept {
    /// Retires the place and leaves the task to drain it.
    fn let_go(self) {
        self.retiring.cancel();
        self.task.detach();
    }
}

impl Opener {
    fn open(&self, lane: Lane, worker: WorkerIndex) -> Kept {
        self.keep(lane, worker, dialer::keep)
    }

    fn open_successor(&self, lane: Lane, slot: &Slot, better: Vec<HostPort>) -> Kept {
        let predecessor = slot.current.retiring.clone();
        self.keep(lane, slot.worker, |place, open| dialer::succeed(place, open, better, predecessor))
    }

    fn keep<F>(&self, lane: Lane, worker: WorkerIndex, keep: impl FnOnce(Place, OpenPlace) -> F) -> Kept
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (point, instance) = (Arc::clone(&self.point), Arc::clone(&self.instance));
        let (spawner, tasks) = (point.spawner.clone(), point.tasks.clone());
        let (open, retiring) = (instance.open_place(lane), instance.retiring.child_token());
        let id = open.id;
        let place = Place { point, instance, id, worker, retiring: retiring.clone() };
        let task = spawner.spawn(worker, &tasks, "tunnel", keep(place, open));
        Kept { id, retiring, task }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialer::tests::{Stage, hello};

    #[tokio::test]
    async fn a_place_that_a_panic_has_ended_is_opened_anew() {
        let stage = Stage::new().await;
        let opener = Opener { point: Arc::clone(&stage.point), instance: Arc::clone(&stage.place.instance) };
        let mut places = LanePlaces::new(Lane::Interactive);
        places.set_count(1, 0, &opener);
        let tunnel = stage.connected(&hello()).await;
        places.slots[0].current.task = stage.point.background.spawn("panics", async { panic!("on purpose") });
        while !places.slots[0].current.task.is_finished() {
            tokio::task::yield_now().await;
        }
        drop(tunnel);
        places.rebuild(&opener);
        let _again = stage.connected(&hello()).await;
        assert!(!places.slots[0].current.task.is_finished());
        places.let_go();
    }
}
