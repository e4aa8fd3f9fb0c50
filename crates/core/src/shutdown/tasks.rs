//! The only place that spawns. A task is known by name, dropping its handle ends it, and a panic in it is
//! caught, counted and logged: it costs that task and nothing else (O-08). Never a task without an owner.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::metrics::StaticCounter;

/// Panics caught in tasks of this process: `cmg_panics_total`.
pub static PANICS: StaticCounter = StaticCounter::new();

/// Spawns tasks on the runtime it is called from, and knows those that run. Clones are the same set.
///
/// Stopping has two moments: at [`Tasks::stop`] tasks take nothing new and finish what they have; at
/// [`Tasks::end`], after the drain's deadline, they say their last words and end.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: Arc<Moment>,
    ending: Arc<Moment>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. Dropping the handle ends it; [`TaskHandle::detach`] lets it run on, still counted.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Boxed before it is wrapped: every wrapper would move the whole of it.
        let guarded = AssertUnwindSafe(Box::pin(future)).catch_unwind().map(move |outcome| match outcome {
            Ok(output) => Some(output),
            Err(_) => {
                PANICS.increment();
                tracing::error!(task = name, "a task panicked; it costs this task only");
                None
            }
        });
        TaskHandle { join: self.tracker.spawn(guarded), detached: false }
    }

    /// Completes when nothing new may be taken on.
    pub fn stopping(&self) -> Coming {
        Coming::of(&self.stopping)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.has_come()
    }

    /// Completes when the drain's deadline has passed: say the last words and end.
    pub fn ending(&self) -> Coming {
        Coming::of(&self.ending)
    }

    /// A token that [`Tasks::stop`] cancels, and that may be cancelled alone.
    pub fn child_token(&self) -> CancellationToken {
        self.stopping.token.child_token()
    }

    /// Tells every task to take on nothing new and to finish. Tasks started later count all the same.
    pub fn stop(&self) {
        self.stopping.come();
        self.tracker.close();
    }

    /// Tells every task to end now. Implies [`Tasks::stop`].
    pub fn end(&self) {
        self.stop();
        self.ending.come();
    }

    /// Completes when [`Tasks::stop`] was called and no task is left.
    pub async fn closed(&self) {
        self.tracker.wait().await;
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }
}

/// A moment of stopping. Every exchange asks for it whenever it is woken, so the answer takes no lock.
#[derive(Debug, Default)]
struct Moment {
    has_come: AtomicBool,
    token: CancellationToken,
}

impl Moment {
    fn come(&self) {
        self.has_come.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Acquire)
    }
}

/// Waits for a moment; may be asked again after it has come.
#[derive(Debug)]
pub struct Coming {
    moment: Arc<Moment>,
    wait: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whom the token wakes as it is.
    waked: Option<Waker>,
}

impl Coming {
    fn of(moment: &Arc<Moment>) -> Self {
        let wait = Box::pin(moment.token.clone().cancelled_owned());
        Self { moment: Arc::clone(moment), wait, waked: None }
    }
}

impl Future for Coming {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.moment.has_come() {
            return Poll::Ready(());
        }
        if self.waked.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waked = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx)
    }
}

/// Why a task has no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskEnd {
    #[error("the task panicked")]
    Panicked,
    #[error("the task was ended")]
    Aborted,
}

/// A running task; as a future it completes with the task's output.
#[must_use = "dropping the handle ends the task; call detach() to let it run on"]
#[derive(Debug)]
pub struct TaskHandle<T> {
    join: JoinHandle<Option<T>>,
    detached: bool,
}

impl<T> TaskHandle<T> {
    /// Lets the task run on without a handle. Its [`Tasks`] still waits for it.
    pub fn detach(mut self) {
        self.detached = true;
    }

    pub fn is_finished(&self) -> bool {
        self.join.is_finished()
    }
}

impl<T> Drop for TaskHandle<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.join.abort();
        }
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.join).poll(cx)) {
            Ok(Some(output)) => Ok(output),
            Ok(None) => Err(TaskEnd::Panicked),
            Err(failure) if failure.is_panic() => Err(TaskEnd::Panicked),
            Err(_) => Err(TaskEnd::Aborted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_task_gives_its_output() {
        assert_eq!(Tasks::new().spawn("sum", async { 1 + 1 }).await, Ok(2));
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_the_task() {
        let tasks = Tasks::new();
        let (held, gone) = oneshot::channel::<()>();
        let handle = tasks.spawn("held", async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(handle);
        assert!(gone.await.is_err());
        tasks.stop();
        tasks.closed().await;
    }

    #[tokio::test]
    async fn a_detached_task_runs_on_and_is_waited_for() {
        let tasks = Tasks::new();
        let (go, wait) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        tasks
            .spawn("detached", async move {
                let _ = wait.await;
                let _ = done.send(7);
            })
            .detach();
        tasks.stop();
        assert_eq!(tasks.running(), 1);
        go.send(()).unwrap();
        tasks.closed().await;
        assert_eq!(seen.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_costs_one_task() {
        let before = PANICS.get();
        let tasks = Tasks::new();
        let end = tasks.spawn("panics", async { panic!("on purpose") }).await;
        assert_eq!(end, Err::<(), _>(TaskEnd::Panicked));
        assert!(PANICS.get() > before);
        assert_eq!(tasks.spawn("after", async { 3 }).await, Ok(3));
    }

    #[tokio::test]
    async fn stop_and_end_are_two_moments() {
        let tasks = Tasks::new();
        let child = tasks.child_token();
        tasks.stop();
        tasks.stopping().await;
        child.cancelled().await;
        assert!(tasks.is_stopping() && tasks.ending().now_or_never().is_none());
        tasks.end();
        tasks.ending().await;
    }

    #[test]
    fn tasks_run_on_the_runtime_of_their_spawner() {
        let tasks = Tasks::new();
        let worker = |tasks: Tasks| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async move {
                let here = std::thread::current().id();
                assert_eq!(tasks.spawn("where", async { std::thread::current().id() }).await, Ok(here));
            });
        };
        let other = std::thread::spawn({
            let tasks = tasks.clone();
            move || worker(tasks)
        });
        worker(tasks);
        other.join().unwrap();
    }
}
