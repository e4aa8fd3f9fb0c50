//! Whether a tunnel lives (T-05): dead after [`limits::HEARTBEAT_SILENCE`] without a byte in either direction. What
//! comes is told by the socket, of what is sent the other end tells in its heartbeats whether it arrives. Either
//! end judges for itself, and no look at a clock alone is a verdict: a process that slept reads first.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::task::yield_now;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep, sleep_until};

use crate::jitter::at_random;
use crate::limits;
use crate::tls::Pulse;

/// What becomes of a tunnel that is not heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It has been silent for longer than a heartbeat takes; the next byte ends that.
    Stalled,
    /// Nothing has come for too long.
    Silent,
    /// The other end is heard, and says that nothing has come to it for too long.
    Unheard,
}

/// When an end sends its heartbeats.
#[derive(Debug)]
pub struct Heartbeats {
    pulse: Arc<Pulse>,
    is_first: bool,
    regular: Interval,
    /// When bytes had last come, as a heartbeat has told that worries the other end.
    worried: Option<Instant>,
    look: Interval,
}

impl Heartbeats {
    fn of(pulse: &Arc<Pulse>) -> Self {
        // All tunnels of a process come up at the same moment; their timers do not meet.
        let mut regular = interval_at(Instant::now() + at_random(limits::HEARTBEAT), limits::HEARTBEAT);
        regular.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut look = interval(limits::PING_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { pulse: Arc::clone(pulse), is_first: true, regular, worried: None, look }
    }

    /// Completes when the next is due. The first is at once: it says that the tunnel was taken on. Another leaves as soon
    /// as bytes come again after one had told that none did: before the next regular one the other end would give up.
    /// May be dropped and called again.
    pub async fn tick(&mut self) {
        while !self.is_first {
            tokio::select! {
                _ = self.regular.tick() => break,
                _ = self.look.tick(), if self.worried.is_some() => {
                    if self.worried != Some(self.pulse.heard_at()) { break }
                }
            }
        }
        self.is_first = false;
        self.worried = (self.pulse.silence() >= limits::PING_AFTER).then(|| self.pulse.heard_at());
    }
}

/// One end's judgement of a tunnel.
#[derive(Debug)]
pub struct Liveness {
    pulse: Arc<Pulse>,
    /// When something of ours last arrived, as far as the other end has said that it worries.
    arrived: Option<Instant>,
    last_beat: Instant,
    /// Since then our heartbeats have left one after the other: silence that is our own proves nothing.
    beating_since: Instant,
}

impl Liveness {
    pub fn new(pulse: Arc<Pulse>) -> Self {
        let now = Instant::now();
        Self { pulse, arrived: None, last_beat: now, beating_since: now }
    }

    pub fn heartbeats(&self) -> Heartbeats {
        Heartbeats::of(&self.pulse)
    }

    /// A heartbeat of ours is about to leave. Tells for how long nothing has come, which the heartbeat will say.
    pub async fn beat(&mut self) -> Duration {
        let now = Instant::now();
        if now - self.last_beat > limits::STALLED {
            self.beating_since = now;
        }
        self.last_beat = now;
        let silence = self.pulse.silence();
        if silence < limits::PING_AFTER {
            return silence;
        }
        let_the_connection_read().await;
        self.pulse.silence()
    }

    /// A heartbeat of the other end came and says for how long nothing of ours had.
    pub fn heard(&mut self, quiet: Duration) {
        // Below that our next heartbeat is hardly due.
        let worries = quiet >= limits::PING_AFTER;
        self.arrived = worries.then(|| Instant::now().checked_sub(quiet)).flatten();
    }

    /// The other end has said that nothing of ours arrives.
    pub fn is_doubted(&self) -> bool {
        self.arrived.is_some()
    }

    /// Completes when the tunnel is stalled, or dead. May be dropped and called again.
    pub async fn sign(&self) -> Sign {
        loop {
            let (at, sign) = self.next();
            sleep_until(at).await;
            // We may have been asleep ourselves, with all that came waiting in the socket.
            let_the_connection_read().await;
            let (at, sign_now) = self.next();
            if sign_now == sign && at <= Instant::now() {
                if sign == Sign::Stalled {
                    self.pulse.stall();
                }
                return sign;
            }
        }
    }

    /// What the tunnel comes to next, and when, if nothing happens.
    fn next(&self) -> (Instant, Sign) {
        let heard = self.pulse.heard_at();
        let silent = match self.pulse.is_stalled() {
            true => (heard + limits::HEARTBEAT_SILENCE, Sign::Silent),
            false => (heard + limits::STALLED, Sign::Stalled),
        };
        match self.unheard_at() {
            Some(at) if at < silent.0 => (at, Sign::Unheard),
            _ => silent,
        }
    }

    /// Two heartbeats of ours have to have had the time to arrive.
    fn unheard_at(&self) -> Option<Instant> {
        let beaten = self.beating_since + (limits::HEARTBEAT_SILENCE - limits::HEARTBEAT);
        Some((self.arrived? + limits::HEARTBEAT_SILENCE).max(beaten))
    }
}

/// Gives the connection, which is polled on the same thread, a turn after the system was asked what has come: the
/// first turn asks, in the second it reads.
async fn let_the_connection_read() {
    yield_now().await;
    yield_now().await;
}

/// Asks a silent peer for a sign of life; that it comes shows in the pulse.
pub async fn ping_when_silent(ping: Option<PingPong>, pulse: Arc<Pulse>) -> Infallible {
    let Some(mut ping) = ping else { return pending().await };
    loop {
        let heard = pulse.heard_at();
        sleep_until(heard + limits::PING_AFTER).await;
        if pulse.heard_at() != heard {
            continue;
        }
        // h2 reads nothing while a ping of ours waits to be written. With both ends so, and both sockets full,
        // nobody would ever read again.
        if pulse.is_blocked() || ping.send_ping(Ping::opaque()).is_err() {
            sleep(limits::PING_AGAIN).await;
        } else if poll_fn(|cx| ping.poll_pong(cx)).await.is_err() {
            return pending().await;
        }
    }
}

#[cfg(test)]
mod tests;
