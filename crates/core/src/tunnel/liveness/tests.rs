//! Silence on a paused clock: what comes, what the other end says, and when it is over.

use std::future::Future;
use std::task::Poll;

use h2::client;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A judgement whose heartbeats leave, and when it began.
struct Judged {
    pulse: Arc<Pulse>,
    liveness: Liveness,
    began: Instant,
}

impl Judged {
    fn new() -> Self {
        let pulse = Arc::new(Pulse::new());
        Self { liveness: Liveness::new(Arc::clone(&pulse)), pulse, began: Instant::now() }
    }

    /// The next sign, and how many milliseconds after the beginning it came. Our heartbeats leave meanwhile.
    async fn sign(&mut self) -> (Sign, u128) {
        loop {
            let next_beat = self.liveness.last_beat + limits::HEARTBEAT;
            tokio::select! {
                sign = self.liveness.sign() => return (sign, self.began.elapsed().as_millis()),
                () = sleep_until(next_beat) => drop(self.liveness.beat().await),
            }
        }
    }

    /// Bytes come at once, and our heartbeats leave, for so many heartbeats.
    async fn pass(&mut self, heartbeats: u32) {
        for _ in 0..heartbeats {
            sleep_until(Instant::now() + limits::HEARTBEAT).await;
            self.pulse.beat();
            self.liveness.beat().await;
        }
    }
}

/// While this runs, bytes come every second.
async fn while_bytes_come<T>(pulse: Arc<Pulse>, waits: impl Future<Output = T>) -> T {
    let come = async {
        loop {
            pulse.beat();
            sleep_until(Instant::now() + SECOND).await;
        }
    };
    tokio::select! { done = waits => done, () = come => unreachable!() }
}

#[tokio::test(start_paused = true)]
async fn silence_stalls_a_tunnel_and_ends_it_to_the_millisecond() {
    let mut judged = Judged::new();
    assert_eq!(judged.sign().await, (Sign::Stalled, 7_500));
    assert!(judged.pulse.is_stalled());
    assert_eq!(judged.sign().await, (Sign::Silent, 15_000));
}

#[tokio::test(start_paused = true)]
async fn the_next_byte_ends_a_stall_and_the_deadline_moves_with_it() {
    let mut judged = Judged::new();
    assert_eq!(judged.sign().await, (Sign::Stalled, 7_500));
    advance(Duration::from_millis(6_789)).await;
    judged.pulse.beat();
    assert!(!judged.pulse.is_stalled());
    assert_eq!(judged.sign().await, (Sign::Stalled, 14_289 + 7_500));
    assert_eq!(judged.sign().await, (Sign::Silent, 14_289 + 15_000));
}

/// Stopped for half a minute: every timer has passed before anything could be read.
#[tokio::test(start_paused = true)]
async fn a_process_that_slept_reads_before_it_judges() {
    let judged = Judged::new();
    let pulse = Arc::clone(&judged.pulse);
    let connection = async move {
        sleep_until(Instant::now() + 30 * SECOND).await;
        // The system is asked in one turn, the bytes are read in the next.
        yield_now().await;
        pulse.beat();
        pending::<()>().await;
    };
    let slept = async {
        yield_now().await;
        // Nothing is polled until then: both timers come at once.
        let mut sign = std::pin::pin!(judged.liveness.sign());
        poll_fn(|cx| {
            assert!(sign.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        advance(30 * SECOND).await;
        sign.await
    };
    let sign = tokio::select! { biased; sign = slept => sign, () = connection => unreachable!() };
    assert_eq!((sign, judged.began.elapsed().as_millis()), (Sign::Stalled, 37_500));
}

/// One-way silence: we hear the other end, and it says that nothing of ours arrives.
#[tokio::test(start_paused = true)]
async fn what_the_other_end_does_not_hear_ends_the_tunnel_too() {
    let mut judged = Judged::new();
    judged.pass(4).await;
    // The last that arrived was sent at 18 seconds.
    for (at, quiet) in [(25, 7), (30, 12)] {
        let until = judged.began + at * SECOND;
        tokio::time::timeout_at(until, judged.sign()).await.unwrap_err();
        judged.pulse.beat();
        judged.liveness.heard(quiet * SECOND);
        assert!(judged.liveness.is_doubted());
    }
    assert_eq!(judged.sign().await, (Sign::Unheard, 33_000));
}

#[tokio::test(start_paused = true)]
async fn a_doubt_ends_when_something_arrives() {
    let mut judged = Judged::new();
    judged.pass(2).await;
    judged.liveness.heard(12 * SECOND);
    judged.liveness.heard(SECOND);
    assert!(!judged.liveness.is_doubted());
    let pulse = Arc::clone(&judged.pulse);
    let quiet = tokio::time::timeout(60 * SECOND, judged.sign());
    assert!(while_bytes_come(pulse, quiet).await.is_err());
}

/// A full link: the other end's heartbeats come minutes late, behind a transfer; ours do too, and it hears the bytes
/// before them.
#[tokio::test(start_paused = true)]
async fn a_slow_link_whose_bytes_move_is_never_dead() {
    let mut judged = Judged::new();
    judged.liveness.heard(4 * SECOND);
    let pulse = Arc::clone(&judged.pulse);
    let sign = tokio::time::timeout(600 * SECOND, judged.sign());
    assert!(while_bytes_come(pulse, sign).await.is_err(), "bytes came all the time");
}

/// It slept, and the other end truly heard nothing; that says nothing about the link.
#[tokio::test(start_paused = true)]
async fn silence_of_our_own_is_not_held_against_the_link() {
    let mut judged = Judged::new();
    judged.pass(2).await;
    advance(14 * SECOND).await;
    judged.pulse.beat();
    judged.liveness.heard(14 * SECOND);
    let pulse = Arc::clone(&judged.pulse);
    // The next heartbeat of the other end says that ours arrive again.
    let next = tokio::time::timeout(limits::HEARTBEAT, judged.sign());
    assert!(while_bytes_come(pulse, next).await.is_err());
    judged.liveness.heard(Duration::ZERO);
    assert!(!judged.liveness.is_doubted());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_many_tunnels_do_not_meet() {
    let mut thirds = [0; 3];
    for _ in 0..200 {
        let began = Instant::now();
        let mut beats = Judged::new().liveness.heartbeats();
        beats.tick().await;
        assert!(began.elapsed().is_zero(), "the first says at once that the tunnel was taken on");
        beats.tick().await;
        let after = began.elapsed();
        assert!(after <= limits::HEARTBEAT, "{after:?}");
        thirds[((after.as_millis() * 3 / limits::HEARTBEAT.as_millis()) as usize).min(2)] += 1;
    }
    assert!(thirds.iter().all(|third| (30..=110).contains(third)), "{thirds:?}");
}

/// What the other end was told is over: it hears so before it gives the tunnel up.
#[tokio::test(start_paused = true)]
async fn who_has_told_of_silence_tells_at_once_of_its_end() {
    let judged = Judged::new();
    let mut beats = judged.liveness.heartbeats();
    while judged.pulse.silence() < limits::HEARTBEAT_SILENCE - limits::STALLED {
        beats.tick().await;
    }
    sleep_until(Instant::now() + SECOND / 2).await;
    judged.pulse.beat();
    let heard = Instant::now();
    beats.tick().await;
    assert!(heard.elapsed() <= limits::PING_AGAIN, "{:?}", heard.elapsed());
    beats.tick().await;
    assert!(heard.elapsed() > 4 * SECOND, "once is enough");
}

/// Frames of HTTP/2 up to a ping, from a peer that answers nothing.
async fn until_ping(stream: &mut (impl AsyncReadExt + Unpin)) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == 6 {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_unless_the_socket_is_full() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let (_handle, mut connection) = client::handshake(ours).await.unwrap();
    // An empty SETTINGS frame.
    theirs.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let pulse = Arc::new(Pulse::new());
    let pinging = ping_when_silent(connection.ping_pong(), Arc::clone(&pulse));
    let began = Instant::now();
    let play = async {
        let mut preface = [0; 24];
        theirs.read_exact(&mut preface).await.unwrap();
        pulse.block(true);
        sleep_until(Instant::now() + Duration::from_millis(8_500)).await;
        pulse.block(false);
        until_ping(&mut theirs).await;
        began.elapsed()
    };
    let after = tokio::select! {
        after = play => after,
        never = pinging => match never {},
        ended = connection => panic!("{ended:?}"),
    };
    assert_eq!(after.as_secs(), 9, "not at 6 seconds, when it could not leave");
}
