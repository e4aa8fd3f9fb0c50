//! One request in the ledger.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::wire::{RawHead, hex, latin1};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub listener: String,
    pub connection: u64,
    pub address: String,
    pub server_name: Option<String>,
    /// SHA-256 of the certificate that the client showed.
    pub certificate: Option<String>,
}

/// What stays of a request as long as the ledger counts it: little, for there may be a million of them.
pub struct Entry {
    pub(super) sequence: u64,
    pub(super) id: Option<Box<str>>,
    /// The number that a load generator gave it, from `X-Test-Request`.
    test: Option<Box<str>>,
    pub(super) target: Box<str>,
    method: Box<str>,
    /// Whether it came to a listener that serves the site: those have no generator.
    is_site: bool,
    pub(super) body_length: u64,
    pub(super) body_complete: bool,
    hash: BodyHash,
    pub(super) status: Option<u16>,
    answer_bytes: u64,
    pub(super) answered: bool,
    pub(super) ended: Option<u64>,
    /// What only the newest entries keep.
    details: Option<Box<Details>>,
}

struct Details {
    fields: Vec<(String, String)>,
    trailers: Vec<String>,
    peer: Arc<Peer>,
    behaviour: String,
    began: u64,
}

/// The SHA-256 of a body, while it comes and afterwards.
enum BodyHash {
    Running(Context),
    Done([u8; 32]),
}

impl BodyHash {
    fn now(&self) -> [u8; 32] {
        match self {
            BodyHash::Running(context) => context.clone().finish().as_ref().try_into().unwrap_or_default(),
            BodyHash::Done(hash) => *hash,
        }
    }
}

impl Entry {
    pub(super) fn new(sequence: u64, head: &RawHead, peer: Arc<Peer>, behaviour: &str, keeps_fields: bool) -> Self {
        let fields = if keeps_fields { fields(head) } else { Vec::new() };
        let details = Details { fields, trailers: Vec::new(), peer, behaviour: behaviour.to_owned(), began: now() };
        Self {
            sequence,
            id: head.text("x-cmg-request-id").map(Box::from),
            test: head.text("x-test-request").map(Box::from),
            target: latin1(&head.target).into(),
            method: latin1(&head.method).into(),
            is_site: behaviour == "site",
            body_length: 0,
            body_complete: false,
            hash: BodyHash::Running(Context::new(&SHA256)),
            status: None,
            answer_bytes: 0,
            answered: false,
            ended: None,
            details: Some(Box::new(details)),
        }
    }

    pub(super) fn body_data(&mut self, data: &[u8]) {
        self.body_length += data.len() as u64;
        if let BodyHash::Running(context) = &mut self.hash {
            context.update(data);
        }
    }

    pub(super) fn body_done(&mut self) {
        self.body_complete = true;
        self.hash = BodyHash::Done(self.hash.now());
    }

    pub(super) fn trailer(&mut self, line: &[u8]) {
        if let Some(details) = &mut self.details {
            details.trailers.push(latin1(line));
        }
    }

    pub(super) fn answer_data(&mut self, bytes: u64) {
        self.answer_bytes += bytes;
    }

    pub(super) fn end(&mut self) {
        self.hash = BodyHash::Done(self.hash.now());
        self.ended = Some(now());
    }

    /// Keeps only what is counted.
    pub(super) fn forget_details(&mut self) {
        self.details = None;
    }

    /// SHA-256 of the body as far as it came.
    pub(super) fn body_sha256(&self) -> String {
        hex(&self.hash.now())
    }

    /// Nothing yet, begun, complete or cut.
    fn answer(&self) -> &'static str {
        match (self.answered, self.ended, self.status) {
            (true, _, _) => "complete",
            (false, Some(_), _) => "cut",
            (false, None, Some(_)) => "begun",
            (false, None, None) => "none",
        }
    }

    /// The whole entry; none when its details are forgotten.
    pub(super) fn to_json(&self) -> Option<Value> {
        let details = self.details.as_ref()?;
        Some(json!({
            "sequence": self.sequence, "id": self.id, "behaviour": details.behaviour,
            "listener": details.peer.listener, "connection": details.peer.connection, "client": details.peer.address,
            "server_name": details.peer.server_name, "client_certificate_sha256": details.peer.certificate,
            "method": self.method, "target": self.target, "fields": details.fields, "trailers": details.trailers,
            "body_length": self.body_length, "body_sha256": self.body_sha256(), "body_complete": self.body_complete,
            "status": self.status, "answer": self.answer(), "answer_bytes": self.answer_bytes,
            "began_ms": details.began, "ended_ms": self.ended,
        }))
    }

    /// One line of the export, without its end; none for what the site was asked.
    pub(super) fn to_count(&self) -> Option<Value> {
        let count = json!({
            "sequence": self.sequence, "id": self.id, "test": self.test, "method": self.method,
            "target": self.target, "body_length": self.body_length, "body_sha256": self.body_sha256(),
            "body_complete": self.body_complete, "status": self.status, "answer": self.answer(),
            "answer_bytes": self.answer_bytes,
        });
        (!self.is_site).then_some(count)
    }
}

/// Names and values in order, each byte one character.
pub fn fields(head: &RawHead) -> Vec<(String, String)> {
    head.fields.iter().map(|(name, value)| (latin1(name), latin1(value))).collect()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
