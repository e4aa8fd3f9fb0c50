//! A deadline that is moved on every byte and costs next to nothing: the clock is read when the deadline is asked
//! for, and the timer is set anew when it fires, not when the deadline moves. It lives as long as its connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

pub struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// Moved to this long from now, where now is when the deadline is next asked for.
    moved: Option<Duration>,
}

impl Deadline {
    pub fn after(wait: Duration) -> Self {
        Self::at(Instant::now() + wait)
    }

    pub fn at(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), at, moved: None }
    }

    /// Moves the deadline to this long from now.
    pub fn set(&mut self, wait: Duration) {
        self.moved = Some(wait);
    }

    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = self.moved.take() {
            self.at = Instant::now() + wait;
            if self.at < self.sleep.deadline() {
                self.sleep.as_mut().reset(self.at);
            }
        }
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
