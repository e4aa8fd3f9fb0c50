//! What is known of the login at the proxy. Accounts are locked for wrong passwords: a login that was refused is not
//! presented again for a while, and one that nobody knows to be right is presented by one dial at a time.

use cmg_core::configuration::HostPort;
use cmg_core::limits;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::{Proxy, ProxyFault};

#[derive(Debug)]
pub struct LoginMemory {
    standing: watch::Sender<Standing>,
    turns: Semaphore,
}

/// What became of the login when it was presented last.
#[derive(Clone, Debug, Default)]
enum Standing {
    #[default]
    Unknown,
    Accepted(Proxy),
    Refused {
        login: Proxy,
        said: String,
        at: Instant,
    },
}

impl Default for LoginMemory {
    fn default() -> Self {
        Self { standing: watch::Sender::default(), turns: Semaphore::new(1) }
    }
}

impl LoginMemory {
    /// Has the proxy asked, if that presents no login that it has just refused.
    pub async fn guard<T>(
        &self,
        proxy: &Proxy,
        gateway: &HostPort,
        ask: impl Future<Output = Result<T, ProxyFault>>,
    ) -> Result<T, ProxyFault> {
        if proxy.login.is_none() {
            return ask.await;
        }
        let is_accepted = matches!(&*self.standing.borrow(), Standing::Accepted(known) if known == proxy);
        // A proxy that does not like a login says so at once. Whoever waits longer waits for the gateway behind it.
        let turn =
            async { if is_accepted { None } else { timeout(limits::LOGIN_TURN, self.turns.acquire()).await.ok() } };
        let _turn = turn.await;
        if let Some(said) = self.held_back(proxy) {
            return Err(ProxyFault::login_refused(proxy, gateway, said));
        }
        let asked = ask.await;
        match &asked {
            Ok(_) => drop(self.standing.send_replace(Standing::Accepted(proxy.clone()))),
            Err(fault) => self.heard(proxy, fault),
        }
        asked
    }

    /// Whoever reloads may have mended it where we cannot see it.
    pub fn forget(&self) {
        self.standing.send_replace(Standing::Unknown);
    }

    /// What the proxy said, if it is too early to present this login again. When it is no longer, one dial does.
    fn held_back(&self, proxy: &Proxy) -> Option<String> {
        let mut held_back = None;
        self.standing.send_if_modified(|standing| {
            if let Standing::Refused { login, said, at } = standing
                && login == proxy
            {
                match at.elapsed() < limits::LOGIN_RETRY {
                    true => held_back = Some(said.clone()),
                    false => *at = Instant::now(),
                }
            }
            false
        });
        held_back
    }

    fn heard(&self, proxy: &Proxy, fault: &ProxyFault) {
        let (login, at) = (proxy.clone(), Instant::now());
        if let Some(said) = fault.refused_login() {
            self.standing.send_replace(Standing::Refused { login, said: said.to_owned(), at });
        } else if fault.is_answer() {
            self.standing.send_replace(Standing::Unknown);
        }
    }
}
