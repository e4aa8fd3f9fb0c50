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

pub struct Entry {
    pub(super) sequence: u64,
    pub(super) id: Option<String>,
    pub(super) target: String,
    method: String,
    fields: Vec<(String, String)>,
    trailers: Vec<String>,
    peer: Arc<Peer>,
    behaviour: String,
    began: u64,
    pub(super) body_length: u64,
    pub(super) body_complete: bool,
    hash: Context,
    pub(super) status: Option<u16>,
    answer_bytes: u64,
    pub(super) answered: bool,
    pub(super) ended: Option<u64>,
}

impl Entry {
    pub(super) fn new(sequence: u64, head: &RawHead, peer: Arc<Peer>, behaviour: &str, keeps_fields: bool) -> Self {
        let fields = if keeps_fields { fields(head) } else { Vec::new() };
        Self {
            sequence,
            id: head.text("x-cmg-request-id").map(str::to_owned),
            target: latin1(&head.target),
            method: latin1(&head.method),
            fields,
            trailers: Vec::new(),
            peer,
            behaviour: behaviour.to_owned(),
            began: now(),
            body_length: 0,
            body_complete: false,
            hash: Context::new(&SHA256),
            status: None,
            answer_bytes: 0,
            answered: false,
            ended: None,
        }
    }

    pub(super) fn body_data(&mut self, data: &[u8]) {
        self.body_length += data.len() as u64;
        self.hash.update(data);
    }

    pub(super) fn trailer(&mut self, line: &[u8]) {
        self.trailers.push(latin1(line));
    }

    pub(super) fn answer_data(&mut self, bytes: u64) {
        self.answer_bytes += bytes;
    }

    pub(super) fn end(&mut self) {
        self.ended = Some(now());
    }

    /// SHA-256 of the body as far as it came.
    pub(super) fn body_sha256(&self) -> String {
        hex(self.hash.clone().finish().as_ref())
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

    pub(super) fn to_json(&self) -> Value {
        json!({
            "sequence": self.sequence, "id": self.id, "behaviour": self.behaviour,
            "listener": self.peer.listener, "connection": self.peer.connection, "client": self.peer.address,
            "server_name": self.peer.server_name, "client_certificate_sha256": self.peer.certificate,
            "method": self.method, "target": self.target, "fields": self.fields, "trailers": self.trailers,
            "body_length": self.body_length, "body_sha256": self.body_sha256(), "body_complete": self.body_complete,
            "status": self.status, "answer": self.answer(), "answer_bytes": self.answer_bytes,
            "began_ms": self.began, "ended_ms": self.ended,
        })
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
