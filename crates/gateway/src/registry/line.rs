//! Exchanges of one site that wait for a place on a tunnel, in the order of their coming. Whoever gives a place back
//! hands it to the first of them: nobody overtakes, and no place stays empty while somebody is being woken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tunnel::message::Lane;
use cmg_core::worker::WorkerIndex;
use tokio::sync::oneshot;

use super::{Lease, Place, Registry, nobody};

type Given = Result<Lease, Refusal>;

/// The lines of one site: those that want an active place, and those of endpoints that wait.
pub struct Lines {
    registry: Weak<Registry>,
    site: String,
    active: Line,
    waiting: Line,
}

#[derive(Default)]
struct Line {
    /// What the path of a request reads: nobody waits as long as it is 0.
    length: AtomicUsize,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    last_number: u64,
    queue: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    worker: WorkerIndex,
    lane: Lane,
    tell: oneshot::Sender<Given>,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        // Nothing inside can panic half-way: a poisoned line is still whole.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    pub fn new(registry: Weak<Registry>, site: String) -> Arc<Self> {
        Arc::new(Self { registry, site, active: Line::default(), waiting: Line::default() })
    }

    fn of(&self, place: Place) -> &Line {
        match place {
            Place::Active => &self.active,
            Place::Waiting => &self.waiting,
        }
    }

    pub fn is_empty(&self, place: Place) -> bool {
        self.of(place).length.load(Ordering::Relaxed) == 0
    }

    /// Goes to the end of the line.
    pub fn join(self: &Arc<Self>, place: Place, worker: WorkerIndex, lane: Lane) -> Turn {
        let line = self.of(place);
        let (tell, given) = oneshot::channel();
        let mut waiters = line.lock();
        waiters.last_number += 1;
        let number = waiters.last_number;
        waiters.queue.push_back(Waiter { number, worker, lane, tell });
        line.length.fetch_add(1, Ordering::SeqCst);
        drop(waiters);
        // Who gave a place back before it could see this waiter is seen here: neither misses the other.
        fence(Ordering::SeqCst);
        self.serve_line(place);
        Turn { lines: Arc::clone(self), place, number, given }
    }

    /// A place of this kind has become free.
    pub fn freed(&self, place: Place) {
        if self.of(place).length.load(Ordering::SeqCst) > 0 {
            self.serve_line(place);
        }
    }

    /// A tunnel has come, or one gives no places any more.
    pub fn changed(&self) {
        self.freed(Place::Active);
        self.freed(Place::Waiting);
    }

    /// Gives what there is to the first ones.
    fn serve_line(&self, place: Place) {
        let line = self.of(place);
        // Taken for somebody who had just gone. Dropped under the lock it would come back here.
        let mut spare = None;
        let mut waiters = line.lock();
        while let Some(first) = waiters.queue.front() {
            let given = match (spare.take(), self.registry.upgrade()) {
                (Some(lease), _) => Ok(lease),
                (None, Some(registry)) => registry.take_turn(&self.site, first.worker, first.lane, place),
                (None, None) => Err(nobody(&self.site)),
            };
            if given.as_ref().is_err_and(|refusal| refusal.kind == RefusalKind::Overloaded) {
                break;
            }
            line.length.fetch_sub(1, Ordering::SeqCst);
            let unheard = waiters.queue.pop_front().and_then(|first| first.tell.send(given).err());
            spare = unheard.and_then(Result::ok);
        }
        drop(waiters);
        drop(spare);
    }

    fn leave(&self, place: Place, number: u64) {
        let line = self.of(place);
        let mut waiters = line.lock();
        if let Some(at) = waiters.queue.iter().position(|waiter| waiter.number == number) {
            let left = waiters.queue.remove(at);
            line.length.fetch_sub(1, Ordering::SeqCst);
            drop(waiters);
            drop(left);
        }
    }
}

/// A place in a line, given up when dropped. A lease that was given and not taken goes to the next one.
pub struct Turn {
    lines: Arc<Lines>,
    place: Place,
    number: u64,
    given: oneshot::Receiver<Given>,
}

impl Turn {
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Given> {
        let given = std::task::ready!(Pin::new(&mut self.given).poll(cx));
        Poll::Ready(given.unwrap_or_else(|_| Err(nobody(&self.lines.site))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lines.leave(self.place, self.number);
    }
}
