//! The hand that writes one entry: told what comes and goes, and when it is dropped the request has ended.

use std::sync::Arc;

use super::{Entry, Ledger};

/// Clones write the same entry; the last one dropped ends it.
#[derive(Clone)]
pub struct Seen(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    sequence: u64,
}

/// What the ledger knows of the body by now.
pub struct BodySeen {
    pub length: u64,
    pub sha256: String,
    pub complete: bool,
}

impl Seen {
    pub(super) fn new(ledger: Ledger, sequence: u64) -> Self {
        Self(Arc::new(Inner { ledger, sequence }))
    }

    pub fn body_data(&self, data: &[u8]) {
        self.0.ledger.with_entry(self.0.sequence, |entry| entry.body_data(data));
    }

    pub fn trailer(&self, line: &[u8]) {
        self.0.ledger.with_entry(self.0.sequence, |entry| entry.trailer(line));
    }

    pub fn body_done(&self) {
        self.0.ledger.with_entry(self.0.sequence, Entry::body_done);
        self.0.ledger.count(|totals| totals.bodies_complete += 1);
    }

    pub fn answering(&self, status: u16) {
        self.0.ledger.with_entry(self.0.sequence, |entry| entry.status = Some(status));
    }

    pub fn answer_data(&self, bytes: u64) {
        self.0.ledger.with_entry(self.0.sequence, |entry| entry.answer_data(bytes));
    }

    /// The whole answer was handed to the connection.
    pub fn answered(&self) {
        self.0.ledger.with_entry(self.0.sequence, |entry| entry.answered = true);
    }

    /// None when the ledger has forgotten the entry already.
    pub fn body(&self) -> Option<BodySeen> {
        let mut body = None;
        self.0.ledger.with_entry(self.0.sequence, |entry| {
            let sha256 = entry.body_sha256();
            body = Some(BodySeen { length: entry.body_length, sha256, complete: entry.body_complete });
        });
        body
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut answered = false;
        self.ledger.with_entry(self.sequence, |entry| {
            entry.end();
            answered = entry.answered;
        });
        self.ledger.count(|totals| if answered { totals.answered += 1 } else { totals.cut += 1 });
    }
}
