//! What the role saw: one entry per request, from its head to the end of its answer, bounded; and totals
//! that are never forgotten. Tests ask it and wait for it instead of sleeping; a load generator compares its own
//! count with the export, for which every entry outlives its details.

mod entry;
mod question;
mod seen;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

pub use entry::{Entry, Peer, fields};
pub use question::{Question, State};
pub use seen::Seen;

use crate::limits;
use crate::wire::RawHead;

#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    entries: Mutex<Entries>,
    /// Ticks at every change.
    changed: watch::Sender<u64>,
    /// How many of the newest entries keep their details.
    bound: usize,
    keeps_heads: bool,
}

#[derive(Default)]
struct Entries {
    list: VecDeque<Entry>,
    /// The number of the oldest entry that is kept.
    first: u64,
    totals: Totals,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    requests: u64,
    bodies_complete: u64,
    answered: u64,
    cut: u64,
    connections: u64,
    open_connections: u64,
}

/// Counts a connection as open until dropped.
pub struct OpenConnection {
    ledger: Ledger,
    pub number: u64,
}

impl Ledger {
    /// Keeps so many entries with their details; with `keeps_heads` also the fields of every request.
    pub fn new(bound: usize, keeps_heads: bool) -> Self {
        let shared = Shared { entries: Mutex::default(), changed: watch::Sender::new(0), bound, keeps_heads };
        Self { shared: Arc::new(shared) }
    }

    pub fn open_connection(&self) -> OpenConnection {
        let number = self.change(|entries| {
            entries.totals.connections += 1;
            entries.totals.open_connections += 1;
            entries.totals.connections
        });
        OpenConnection { ledger: self.clone(), number }
    }

    /// Writes down a request; what becomes of it is told to what this returns.
    pub fn begin(&self, head: &RawHead, peer: &Arc<Peer>, behaviour: &str) -> Seen {
        let keeps_heads = self.shared.keeps_heads;
        let sequence = self.change(|entries| {
            let sequence = entries.first + entries.list.len() as u64;
            entries.totals.requests += 1;
            entries.list.push_back(Entry::new(sequence, head, peer.clone(), behaviour, keeps_heads));
            entries.make_room(self.shared.bound);
            sequence
        });
        Seen::new(self.clone(), sequence)
    }

    /// The entries that answer a question, oldest first.
    pub fn ask(&self, question: &Question) -> Value {
        let (entries, bound) = (self.entries(), self.shared.bound);
        let found: Vec<Value> = entries
            .newest(bound)
            .filter(|entry| question.fits(entry))
            .filter_map(Entry::to_json)
            .take(question.limit)
            .collect();
        json!({ "entries": found })
    }

    /// Completes when at least `question.count` entries fit.
    pub async fn wait(&self, question: &Question) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if self.entries().newest(self.shared.bound).filter(|entry| question.fits(entry)).count() >= question.count {
                return;
            }
            // The sender lives as long as the ledger.
            let _ = changed.changed().await;
        }
    }

    /// A page of the export: lines of JSON for the entries from this number on, and the number after them.
    pub fn export(&self, from: u64) -> Option<(Bytes, u64)> {
        let entries = self.entries();
        let skipped = from.saturating_sub(entries.first) as usize;
        let mut page = Vec::new();
        let mut next = None;
        for entry in entries.list.iter().skip(skipped).take(limits::EXPORT_PAGE) {
            next = Some(entry.sequence + 1);
            if let Some(count) = entry.to_count() {
                page.extend_from_slice(count.to_string().as_bytes());
                page.push(b'\n');
            }
        }
        next.map(|next| (page.into(), next))
    }

    pub fn totals(&self) -> Value {
        let (entries, bound) = (self.entries(), self.shared.bound);
        let kept = entries.list.len().min(bound);
        let Totals { requests, bodies_complete, answered, cut, connections, open_connections } = entries.totals;
        json!({
            "requests": requests, "request_bodies_complete": bodies_complete, "answered": answered, "cut": cut,
            "open_requests": requests - answered - cut, "connections": connections,
            "open_connections": open_connections, "kept": kept, "counted": entries.list.len(), "forgotten": entries.first,
        })
    }

    /// Open connections and open requests, for the gauges.
    pub fn open(&self) -> (u64, u64) {
        let totals = self.entries().totals;
        (totals.open_connections, totals.requests - totals.answered - totals.cut)
    }

    /// Forgets the entries, not the totals.
    pub fn clear(&self) {
        self.change(|entries| {
            entries.first += entries.list.len() as u64;
            entries.list.clear();
        });
    }

    fn with_entry(&self, sequence: u64, act: impl FnOnce(&mut Entry)) {
        self.change(|entries| {
            let entry = sequence.checked_sub(entries.first).and_then(|at| entries.list.get_mut(at as usize));
            if let Some(entry) = entry {
                act(entry);
            }
        });
    }

    fn count(&self, act: impl FnOnce(&mut Totals)) {
        self.change(|entries| act(&mut entries.totals));
    }

    fn change<T>(&self, act: impl FnOnce(&mut Entries) -> T) -> T {
        let result = act(&mut self.entries());
        self.shared.changed.send_modify(|tick| *tick += 1);
        result
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// The oldest give up their details first and are forgotten much later.
    fn make_room(&mut self, bound: usize) {
        if let Some(old) = self.list.len().checked_sub(bound + 1).and_then(|at| self.list.get_mut(at)) {
            old.forget_details();
        }
        if self.list.len() > limits::LEDGER_COUNTED.max(bound) {
            self.list.pop_front();
            self.first += 1;
        }
    }

    /// Those that have their details.
    fn newest(&self, bound: usize) -> impl Iterator<Item = &Entry> {
        self.list.iter().skip(self.list.len().saturating_sub(bound))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.ledger.count(|totals| totals.open_connections -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn head(id: &str) -> RawHead {
        RawHead::parse(Bytes::from(format!("POST /x HTTP/1.1\r\nX-CMG-Request-Id: {id}\r\n\r\n")))
    }

    #[tokio::test]
    async fn an_entry_follows_its_request() {
        let ledger = Ledger::new(2, true);
        let peer = Arc::new(Peer::default());
        let seen = ledger.begin(&head("a"), &peer, "echo");
        let ended = Question { id: Some("a".to_owned()), until: State::Ended, ..Question::default() };
        let (waited, ()) = tokio::join!(ledger.wait(&ended), async {
            seen.body_data(b"hel");
            seen.body_data(b"lo");
            seen.body_done();
            seen.answering(201);
            seen.answer_data(7);
            seen.answered();
            drop(seen);
        });
        assert_eq!(waited, ());
        let entry = &ledger.ask(&ended)["entries"][0];
        assert_eq!((&entry["body_length"], &entry["body_complete"]), (&json!(5), &json!(true)));
        assert_eq!(entry["body_sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(
            (&entry["answer"], &entry["status"], &entry["answer_bytes"]),
            (&json!("complete"), &json!(201), &json!(7))
        );
        assert_eq!(ledger.totals()["open_requests"], 0);
    }

    #[test]
    fn what_is_dropped_was_cut_and_the_oldest_loses_its_details() {
        let ledger = Ledger::new(2, false);
        let peer = Arc::new(Peer::default());
        for id in ["a", "b", "c"] {
            drop(ledger.begin(&head(id), &peer, "never"));
        }
        let all = ledger.ask(&Question::default());
        assert_eq!(all["entries"].as_array().unwrap().len(), 2);
        assert_eq!((&all["entries"][0]["id"], &all["entries"][0]["answer"]), (&json!("b"), &json!("cut")));
        assert_eq!((&ledger.totals()["kept"], &ledger.totals()["counted"]), (&json!(2), &json!(3)));
        assert_eq!((&ledger.totals()["cut"], &ledger.totals()["requests"]), (&json!(3), &json!(3)));
    }

    #[test]
    fn the_export_counts_what_has_no_details_any_more() {
        let ledger = Ledger::new(1, true);
        let peer = Arc::new(Peer::default());
        let named = |test: &str, behaviour: &str| {
            let head =
                format!("PUT /x/{test} HTTP/1.1\r\nX-CMG-Request-Id: {test}{test}\r\nX-Test-Request: {test}\r\n\r\n");
            ledger.begin(&RawHead::parse(Bytes::from(head)), &peer, behaviour)
        };
        let first = named("a", "echo");
        let _open = named("b", "echo");
        let _site = named("c", "site");
        // What is told after the details are gone still counts.
        first.body_data(b"hello");
        first.body_done();
        first.answering(200);
        first.answer_data(3);
        first.answered();
        drop(first);
        let (page, next) = ledger.export(0).unwrap();
        let lines: Vec<Value> =
            page.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(
            (&lines[0]["test"], &lines[0]["id"], &lines[0]["method"]),
            (&json!("a"), &json!("aa"), &json!("PUT"))
        );
        assert_eq!(lines[0]["body_sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!((&lines[0]["answer"], &lines[0]["answer_bytes"]), (&json!("complete"), &json!(3)));
        assert_eq!((&lines[1]["test"], &lines[1]["answer"]), (&json!("b"), &json!("none")));
        assert_eq!(next, 3);
        assert!(ledger.export(next).is_none());
    }
}
