//! A deadline that is moved on every byte and costs a timer only when it comes near: the sleep is reset when
//! it fires, not when the deadline moves. It lives as long as its connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
}

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        let at = Instant::now() + wait;
        Self { sleep: Box::pin(sleep_until(at)), at }
    }

    /// Moves the deadline to this long from now.
    pub(super) fn set(&mut self, wait: Duration) {
        self.at = Instant::now() + wait;
        if self.at < self.sleep.deadline() {
            self.sleep.as_mut().reset(self.at);
        }
    }

    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.at <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn it_passes_after_the_last_move_only() {
        let begun = Instant::now();
        let mut deadline = Deadline::after(Duration::from_secs(60));
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(50)).await;
            deadline.set(Duration::from_secs(60));
        }
        poll_fn(|cx| deadline.poll_passed(cx)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(210));
    }

    #[tokio::test(start_paused = true)]
    async fn it_moves_forward_too() {
        let begun = Instant::now();
        let mut deadline = Deadline::after(Duration::from_secs(900));
        deadline.set(Duration::from_secs(5));
        poll_fn(|cx| deadline.poll_passed(cx)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
