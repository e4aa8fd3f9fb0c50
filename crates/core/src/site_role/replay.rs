//! What was given of a request's body, kept while a kept connection may turn out to be dead, so that the
//! request can be sent again on a fresh one: at any time if repeating is harmless, else only if no byte of
//! it had left. Never more than one chunk.

use bytes::{Bytes, BytesMut};

use super::RoleRequest;
use crate::fields::Fields;
use crate::limits;

pub(super) struct Replay {
    parts: Vec<Bytes>,
    length: usize,
    end: Option<Fields>,
    is_repeatable: bool,
    /// Everything given so far is in `parts`.
    is_whole: bool,
}

impl Replay {
    /// For a request on a connection that was kept.
    pub(super) fn of(request: &RoleRequest) -> Self {
        Self { is_repeatable: request.is_repeatable(), is_whole: true, ..Self::never() }
    }

    /// For a connection of which nobody else can have died.
    pub(super) fn never() -> Self {
        Self { parts: Vec::new(), length: 0, end: None, is_repeatable: false, is_whole: false }
    }

    pub(super) fn keep(&mut self, data: &Bytes) {
        self.length += data.len();
        if self.length > limits::TUNNEL_CHUNK {
            self.is_whole = false;
            self.parts = Vec::new();
        }
        if self.is_whole {
            self.parts.push(data.clone());
        }
    }

    pub(super) fn end(&mut self, trailers: Fields) {
        if self.is_whole {
            self.end = Some(trailers);
        }
    }

    /// Whether the request may be sent again, given whether surely none of it has left.
    pub(super) fn is_allowed(&self, surely_nothing_left: bool) -> bool {
        self.is_whole && (self.is_repeatable || surely_nothing_left)
    }

    pub(super) fn take(self) -> (Bytes, Option<Fields>) {
        let mut body = BytesMut::with_capacity(self.length);
        self.parts.iter().for_each(|part| body.extend_from_slice(part));
        (body.freeze(), self.end)
    }
}
