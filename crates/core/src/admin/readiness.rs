//! Whether this program may be sent work, and if not, why: named reasons that come and go.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// Reasons not to be ready, by key. Clones are the same set.
#[derive(Clone, Debug)]
pub struct Readiness {
    reasons: watch::Sender<BTreeMap<String, String>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { reasons: watch::Sender::new(BTreeMap::new()) }
    }
}

impl Readiness {
    /// Ready until something blocks it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready from here on, for this reason; a reason of the same key is replaced.
    pub fn block(&self, key: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.reasons.send_if_modified(|reasons| {
            let changed = reasons.get(key) != Some(&reason);
            reasons.insert(key.to_owned(), reason);
            changed
        });
    }

    /// Takes the reason of this key back.
    pub fn clear(&self, key: &str) {
        self.reasons.send_if_modified(|reasons| reasons.remove(key).is_some());
    }

    pub fn is_ready(&self) -> bool {
        self.reasons.borrow().is_empty()
    }

    /// The reasons by key.
    pub fn reasons(&self) -> BTreeMap<String, String> {
        self.reasons.borrow().clone()
    }

    /// Completes when no reason is left.
    pub async fn ready(&self) {
        // The sender is this object, so waiting ends only by the condition.
        let _ = self.reasons.subscribe().wait_for(BTreeMap::is_empty).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_no_reason_is_left() {
        let readiness = Readiness::new();
        readiness.block("tunnel", "no tunnel for site PS1");
        readiness.block("tunnel", "no tunnel for sites PS1, PS2");
        readiness.block("configuration", "none yet");
        assert_eq!(readiness.reasons()["tunnel"], "no tunnel for sites PS1, PS2");
        readiness.clear("tunnel");
        assert!(!readiness.is_ready());
        let waiting = readiness.clone();
        let (ready, ()) = tokio::join!(waiting.ready(), async { readiness.clear("configuration") });
        assert_eq!(ready, ());
        assert!(readiness.is_ready());
    }
}
