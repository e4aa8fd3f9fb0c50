//! Requests that wait at a gate of the role until harm has been done: half of them only read, the others must not run
//! twice. Whoever does the harm gathers them before it and lets them go after it, so that it meets them for sure.

use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::at_role;
use crate::error::LoadError;
use crate::limits;
use crate::site::Site;
use crate::wording::held_gate;

/// In the hands of whoever does the harm.
pub struct Holding {
    admin: SocketAddr,
    gate: String,
    rounds: watch::Sender<u64>,
    state: watch::Receiver<HeldState>,
}

/// In the hands of the clients that hold requests.
#[derive(Clone, Debug)]
pub struct Held {
    rounds: watch::Receiver<u64>,
    state: watch::Sender<HeldState>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeldState {
    /// Requests that have ended, of all rounds.
    ended: u64,
    /// Clients that hold nothing any more.
    left: usize,
    /// No round is begun any more.
    is_over: bool,
}

/// For the run of this name, whose plan gets the clients' part.
pub fn hold(run: &str, site: &Site) -> (Holding, Held) {
    let (rounds, asked) = watch::channel(0);
    let (told, state) = watch::channel(HeldState::default());
    (Holding { admin: site.role_admin, gate: held_gate(run), rounds, state }, Held { rounds: asked, state: told })
}

impl Holding {
    /// Has every client send a request, and waits until all of them are at the gate. False if the run is over.
    pub async fn gather(&self) -> Result<bool, LoadError> {
        self.rounds.send_modify(|rounds| *rounds += 1);
        let mut state = self.state.clone();
        let gathered = tokio::select! {
            gathered = at_role::wait_at_gate(self.admin, &self.gate, limits::HELD) => gathered,
            _ = state.wait_for(|state| state.is_over) => {
                self.let_go().await?;
                return Ok(false);
            }
        };
        gathered.map(|()| true)
    }

    /// Lets them through the gate, those too that come there a second time, until each has its outcome.
    pub async fn let_go(&self) -> Result<(), LoadError> {
        let due = *self.rounds.borrow() * limits::HELD as u64;
        let mut state = self.state.clone();
        let is_done = |state: &HeldState| state.ended >= due || state.left == limits::HELD;
        while !is_done(&state.borrow()) {
            at_role::release_waiting(self.admin, &self.gate, limits::HELD).await?;
            let _ = timeout(limits::RELEASE_PAUSE, state.wait_for(is_done)).await;
        }
        Ok(())
    }
}

impl Held {
    /// Completes when a round begins: true, or when there will be none.
    pub(crate) async fn next(&mut self) -> bool {
        let mut state = self.state.subscribe();
        tokio::select! {
            biased;
            round = self.rounds.changed() => round.is_ok(),
            _ = state.wait_for(|state| state.is_over) => false,
        }
    }

    pub(crate) fn ended(&self) {
        self.state.send_modify(|state| state.ended += 1);
    }

    pub(crate) fn left(&self) {
        self.state.send_modify(|state| state.left += 1);
    }

    pub(crate) fn over(&self) {
        self.state.send_modify(|state| state.is_over = true);
    }
}
