//! Thousands of exchanges may wait for their answers on one tunnel, and may all be answered at once. Each sends what a
//! poll usually brings; whoever has more to say waits for one of the tunnel's places for long answers, and its role
//! with it. So clients that do not read cannot fill the tunnel, and no answer that has come is refused.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmg_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// What one exchange may send of its answer.
pub struct LongAnswer {
    /// `None`: the gateway gave it a place on the tunnel before it came.
    places: Option<PollSemaphore>,
    place: Option<OwnedSemaphorePermit>,
    /// Without a place.
    left: usize,
}

impl LongAnswer {
    pub fn new(waits: bool, places: &Arc<Semaphore>) -> Self {
        let places = waits.then(|| PollSemaphore::new(Arc::clone(places)));
        Self { places, place: None, left: limits::WAITING_ANSWER }
    }

    /// Ready when so many bytes more may be sent, which counts them as sent. Most answers may send what they like, and
    /// nobody counts their bytes.
    pub fn poll_send(&mut self, bytes: impl FnOnce() -> usize, cx: &mut Context<'_>) -> Poll<()> {
        let Some(places) = self.places.as_mut().filter(|_| self.place.is_none()) else { return Poll::Ready(()) };
        match self.left.checked_sub(bytes()) {
            Some(left) => self.left = left,
            // Nobody closes the semaphore.
            None => self.place = ready!(places.poll_acquire(cx)),
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn may_send(answer: &mut LongAnswer, bytes: usize) -> bool {
        answer.poll_send(|| bytes, &mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Whatever their number, what they have sent together fits into the tunnel's window.
    #[test]
    fn stalled_long_answers_leave_room_for_others() {
        const PLACES: usize = 3;
        let places = Arc::new(Semaphore::new(PLACES));
        let mut waiting: Vec<_> = (0..100).map(|_| LongAnswer::new(true, &places)).collect();
        for answer in &mut waiting {
            assert!(may_send(answer, limits::WAITING_ANSWER), "what a poll brings needs no place");
        }
        let sent = waiting.iter_mut().filter_map(|answer| may_send(answer, 1).then_some(())).count();
        assert_eq!(sent, PLACES);
        assert!(may_send(&mut waiting[0], limits::TUNNEL_CHUNK), "a place is kept to the end");
        assert!(!may_send(&mut waiting[PLACES], 1));
        let mut other = LongAnswer::new(false, &places);
        assert!(may_send(&mut other, limits::TUNNEL_CHUNK), "others have places of their own");
        waiting.remove(0);
        assert!(may_send(&mut waiting[PLACES - 1], 1), "a place that is given back goes to the first");
        assert!(!may_send(&mut waiting[PLACES], 1));
    }

    #[test]
    fn what_is_too_long_for_the_rest_waits_whole() {
        let places = Arc::new(Semaphore::new(0));
        let mut answer = LongAnswer::new(true, &places);
        assert!(!may_send(&mut answer, limits::WAITING_ANSWER + 1));
        assert!(may_send(&mut answer, limits::WAITING_ANSWER), "nothing was counted");
        assert!(!may_send(&mut answer, 1));
    }
}
