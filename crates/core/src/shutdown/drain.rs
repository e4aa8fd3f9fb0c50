//! Stopping in order (O-07): not ready, a delay in which balancers notice, no new work, finish what
//! runs, a deadline, last words. Says which way it ended.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::{ExitCode, Tasks};
use crate::admin::Readiness;
use crate::limits;

/// How a planned stop goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Between "not ready" and the end of accepting.
    pub delay: Duration,
    /// For what runs, from the end of accepting: what is still running then is ended.
    pub deadline: Duration,
}

/// Which way a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainEnd {
    /// Everything finished by itself.
    Graceful,
    /// The deadline passed with this many tasks running; they were told to end.
    Deadline { unfinished: usize },
    /// A second signal came with this many tasks running.
    AtOnce { unfinished: usize },
}

impl DrainEnd {
    /// A deadline is a planned end: conversations that last a day always meet it. A second signal is not.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            DrainEnd::Graceful | DrainEnd::Deadline { .. } => ExitCode::Fine,
            DrainEnd::AtOnce { .. } => ExitCode::RunTimeFailure,
        }
    }
}

impl Drain {
    /// Runs the drain to its end and logs which way it ended. `end_at_once` is the second signal.
    pub async fn run(self, tasks: &Tasks, readiness: &Readiness, end_at_once: impl Future<Output = ()>) -> DrainEnd {
        tracing::info!(delay = ?self.delay, deadline = ?self.deadline, "draining");
        readiness.block("stopping", "the program is stopping");
        let end = tokio::select! {
            end = self.in_order(tasks) => end,
            () = end_at_once => DrainEnd::AtOnce { unfinished: tasks.running() },
        };
        match end {
            DrainEnd::Graceful => tracing::info!("drained: everything finished"),
            DrainEnd::Deadline { unfinished } => {
                tracing::warn!(unfinished, "drained: the deadline ended what was unfinished");
            }
            DrainEnd::AtOnce { unfinished } => {
                tasks.end();
                tracing::warn!(unfinished, "not drained: a second signal ended what was unfinished");
            }
        }
        end
    }

    async fn in_order(self, tasks: &Tasks) -> DrainEnd {
        tokio::time::sleep(self.delay).await;
        tasks.stop();
        if timeout(self.deadline, tasks.closed()).await.is_ok() {
            return DrainEnd::Graceful;
        }
        let unfinished = tasks.running();
        tasks.end();
        // Refusals are written to clients in this time; what is left after it dies with the process.
        let _ = timeout(limits::LAST_WORDS, tasks.closed()).await;
        DrainEnd::Deadline { unfinished }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::future::{pending, ready};
    use tokio::time::Instant;

    const DRAIN: Drain = Drain { delay: Duration::from_secs(5), deadline: Duration::from_secs(30) };

    #[tokio::test(start_paused = true)]
    async fn what_finishes_in_time_is_graceful() {
        let (tasks, readiness) = (Tasks::new(), Readiness::new());
        let stopping = tasks.stopping();
        let begun = Instant::now();
        tasks
            .spawn("request", async move {
                stopping.await;
                assert_eq!(begun.elapsed(), DRAIN.delay);
                assert!(timeout(Duration::from_secs(20), pending::<()>()).await.is_err());
            })
            .detach();
        let end = DRAIN.run(&tasks, &readiness, pending()).await;
        assert_eq!(end, DrainEnd::Graceful);
        assert_eq!(begun.elapsed(), Duration::from_secs(25));
        assert!(!readiness.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_lets_tasks_say_their_last_words() {
        let tasks = Tasks::new();
        let ending = tasks.ending();
        let said = tasks.spawn("poll", async move {
            ending.await;
            "ended by drain"
        });
        let begun = Instant::now();
        let end = DRAIN.run(&tasks, &Readiness::new(), pending()).await;
        assert_eq!((end, end.exit_code()), (DrainEnd::Deadline { unfinished: 1 }, ExitCode::Fine));
        assert_eq!(begun.elapsed(), DRAIN.delay + DRAIN.deadline);
        assert_eq!(said.await, Ok("ended by drain"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once() {
        let tasks = Tasks::new();
        let _running = tasks.spawn("poll", pending::<()>());
        let begun = Instant::now();
        let end = DRAIN.run(&tasks, &Readiness::new(), ready(())).await;
        assert_eq!((end, end.exit_code()), (DrainEnd::AtOnce { unfinished: 1 }, ExitCode::RunTimeFailure));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(tasks.ending().now_or_never().is_some());
    }
}
