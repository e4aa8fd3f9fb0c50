//! Worker threads: each has a runtime of its own and keeps what it accepts or dials. A request never
//! changes threads (docs/decisions): that halves its cost.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{self, Handle};

use crate::shutdown::{TaskHandle, Tasks};

/// A worker's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerIndex(pub usize);

/// The worker threads of a program. They run until the value is dropped.
pub struct Workers {
    workers: Vec<Worker>,
}

struct Worker {
    handle: Handle,
    /// Dropped to end the thread.
    _alive: tokio::sync::oneshot::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts that many threads, but at least one, named after the program.
    pub fn start(count: usize, name: &str) -> io::Result<Self> {
        let workers = (0..count.max(1)).map(|index| start_one(format!("{name}-{index}"))).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// What may start tasks on the workers from anywhere.
    pub fn spawner(&self) -> Spawner {
        Spawner { handles: self.workers.iter().map(|worker| worker.handle.clone()).collect() }
    }
}

/// Starts tasks on workers. After the threads have ended what it starts is dropped at once.
#[derive(Clone)]
pub struct Spawner {
    handles: Arc<[Handle]>,
}

impl Spawner {
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Runs a task on one worker. An index beyond the last wraps around.
    pub fn spawn<F>(&self, at: WorkerIndex, tasks: &Tasks, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _inside = self.handles[at.0 % self.handles.len()].enter();
        tasks.spawn(name, future)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in self.workers.drain(..) {
            let Worker { handle, _alive, thread } = worker;
            drop((handle, _alive));
            if let Some(thread) = thread {
                // A worker that panicked has been reported already.
                let _ = thread.join();
            }
        }
    }
}

fn start_one(name: String) -> io::Result<Worker> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (alive, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = thread::Builder::new().name(name).spawn(move || {
        // Ends with an error when the sender is dropped, which is what is awaited.
        let _ = runtime.block_on(ended);
        // Without waiting for what blocks: a look-up of a name may hang for as long as the resolver likes.
        runtime.shutdown_background();
    })?;
    Ok(Worker { handle, _alive: alive, thread: Some(thread) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use std::sync::mpsc;

    #[tokio::test]
    async fn each_worker_keeps_to_its_thread() {
        let workers = Workers::start(2, "test").unwrap();
        let (tasks, spawner) = (Tasks::new(), workers.spawner());
        let mut names = Vec::new();
        for at in (0..spawner.count()).map(WorkerIndex) {
            let thread = spawner.spawn(at, &tasks, "where", async { thread::current().name().map(str::to_owned) });
            names.push(thread.await.unwrap().unwrap());
        }
        assert_eq!(names, ["test-0", "test-1"]);
    }

    /// As a look-up of a name does while the resolver is silent.
    #[test]
    fn what_blocks_keeps_no_worker_from_ending() {
        let workers = Workers::start(1, "test").unwrap();
        let ((release, blocked), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
        workers.workers[0].handle.spawn_blocking(move || {
            let _ = begins.send(());
            let _ = blocked.recv();
        });
        begun.recv().unwrap();
        let (ends, ended) = mpsc::channel();
        thread::spawn(move || {
            drop(workers);
            let _ = ends.send(());
        });
        assert!(ended.recv_timeout(limits::TUNNEL_ESTABLISH).is_ok(), "it waits for what blocks");
        drop(release);
    }
}
