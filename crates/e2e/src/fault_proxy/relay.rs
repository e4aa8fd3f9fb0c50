//! One connection through the fault proxy: two directions that each ask, before every piece, whether it may pass.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{Counters, Direction, Fault, State};

const PIECE: usize = 64 * 1024;
/// How often a slow connection passes its share of a second.
const BEAT: Duration = Duration::from_millis(20);
const BEATS_A_SECOND: u64 = 50;

/// Bytes that a slow drain reads at each beat.
const SIP: usize = 16;

/// How a connection ends when its two ends have not ended it.
enum Ended {
    Cut,
    HalfOpen,
}

/// Relays until both ends have closed or a fault ends the connection.
pub(super) async fn both_ways(
    mut near: TcpStream,
    mut far: TcpStream,
    mut state: watch::Receiver<State>,
    counters: &Counters,
) {
    let cuts = state.borrow().cuts;
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (up_state, down_state) = (state.clone(), state.clone());
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let up = one_way(near_read, far_write, Direction::Up, up_state, &counters.bytes_up);
    let down = one_way(far_read, near_write, Direction::Down, down_state, &counters.bytes_down);
    let relayed = async { tokio::join!(up, down) };
    let ended = tokio::select! {
        ended = fatal_fault(&mut state, cuts) => ended,
        _ = relayed => return,
    };
    match ended {
        Ended::Cut => {
            reset(&near);
            reset(&far);
        }
        Ended::HalfOpen => {
            drop(far);
            // The near side must not learn of it until the fault is over.
            let _ = state.wait_for(|state| state.fault != Fault::HalfOpen || state.cuts != cuts).await;
            reset(&near);
        }
    }
}

async fn fatal_fault(state: &mut watch::Receiver<State>, cuts: u64) -> Ended {
    let seen = state.wait_for(|state| state.cuts != cuts || state.fault == Fault::HalfOpen).await.map(|state| *state);
    match seen {
        Ok(state) if state.cuts == cuts => Ended::HalfOpen,
        // A proxy that is gone takes its connections with it.
        _ => Ended::Cut,
    }
}

/// Closing this connection will send a reset.
pub(super) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    mut state: watch::Receiver<State>,
    passed: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pieces = 0_u64;
    loop {
        let room = match open(direction, &mut state).await {
            Fault::Slow(bytes_a_second) => {
                beat.tick().await;
                usize::try_from(bytes_a_second / BEATS_A_SECOND).unwrap_or(PIECE).clamp(1, PIECE)
            }
            Fault::SlowDrain(slow) if slow == direction => {
                beat.tick().await;
                SIP
            }
            _ => PIECE,
        };
        let count = from.read(&mut piece[..room]).await?;
        // A fault that began while this waited for bytes holds for these bytes too.
        let fault = open(direction, &mut state).await;
        if count == 0 {
            return to.shutdown().await;
        }
        pieces += 1;
        if let Fault::Flip(wrong, every) = fault
            && wrong == direction
            && pieces.is_multiple_of(every)
        {
            piece[count / 2] ^= 1;
        }
        to.write_all(&piece[..count]).await?;
        passed.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Waits until bytes may pass in this direction, and says under which fault.
async fn open(direction: Direction, state: &mut watch::Receiver<State>) -> Fault {
    let passes = |fault: Fault| match fault {
        Fault::None | Fault::Slow(_) | Fault::SlowDrain(_) | Fault::Flip(..) => true,
        Fault::SilentUp => direction == Direction::Down,
        Fault::SilentDown => direction == Direction::Up,
        Fault::Stall | Fault::Cut | Fault::HalfOpen => false,
    };
    state.wait_for(|state| passes(state.fault)).await.map_or(Fault::None, |state| state.fault)
}
