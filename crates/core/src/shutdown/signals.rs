//! What the operator or the supervisor says to the process: the first SIGTERM or SIGINT means drain, the
//! second means end at once, SIGHUP means reload (O-07).

use std::io;

use tokio::signal::unix::{self, SignalKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Drain,
    EndAtOnce,
    Reload,
}

/// From its making on none of these signals ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    drain_was_told: bool,
}

impl Signals {
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            drain_was_told: false,
        })
    }

    /// The next signal; may be dropped and called again without losing one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => self.stop(),
            _ = self.interrupt.recv() => self.stop(),
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }

    /// Completes at the second SIGTERM or SIGINT; while stopping nothing is reloaded.
    pub async fn end_at_once(&mut self) {
        while self.next().await != Signal::EndAtOnce {}
    }

    fn stop(&mut self) -> Signal {
        if std::mem::replace(&mut self.drain_was_told, true) { Signal::EndAtOnce } else { Signal::Drain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn send(signal: &str) {
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    #[tokio::test]
    async fn first_drains_second_ends_hang_up_reloads() {
        let mut signals = Signals::install().unwrap();
        send("-HUP");
        assert_eq!(signals.next().await, Signal::Reload);
        send("-TERM");
        assert_eq!(signals.next().await, Signal::Drain);
        send("-HUP");
        send("-INT");
        signals.end_at_once().await;
    }
}
