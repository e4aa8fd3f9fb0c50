//! Between who asks for a reload (the Unix socket) and who does it (the program's run loop): one request at
//! a time, each with its answer.

use tokio::sync::{mpsc, oneshot};

/// Asks for reloads; clones ask the same program.
#[derive(Clone, Debug)]
pub struct ReloadTrigger(mpsc::Sender<ReloadRequest>);

/// The program's end.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadRequest>);

/// A wish to reload; answer it with what is in force now, or with everything that was wrong.
#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<Result<String, String>>);

pub fn reload_channel() -> (ReloadTrigger, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(1);
    (ReloadTrigger(sender), ReloadRequests(receiver))
}

impl ReloadTrigger {
    /// Asks for a reload and waits for its result.
    pub async fn reload(&self) -> Result<String, String> {
        let (sender, answer) = oneshot::channel();
        let asked = self.0.send(ReloadRequest(sender)).await;
        asked.map_err(|_| "nothing was reloaded: the program is stopping".to_owned())?;
        let not_answered = "no answer: other reloads wait, or the program is stopping; look at the log, or try again";
        answer.await.unwrap_or_else(|_| Err(not_answered.to_owned()))
    }
}

impl ReloadRequests {
    /// The next request; pending for ever when nobody can ask any more. May be dropped and called again.
    pub async fn next(&mut self) -> ReloadRequest {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl ReloadRequest {
    pub fn answer(self, result: Result<String, String>) {
        // Who asked may have gone; the reload stands all the same.
        let _ = self.0.send(result);
    }
}
