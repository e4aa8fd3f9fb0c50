//! What the measuring process and the load generator say to each other: one line of JSON each way per step.
//! The generator answers "ready" when its connections stand, runs on "go", and ends when its input ends.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bytes of a small answer and of a small upload: Q-01.
pub const SMALL_ANSWER: usize = 1024;
pub const SMALL_UPLOAD: usize = 2048;

/// One listener that speaks TLS, and what it takes to be served there.
#[derive(Clone, Serialize, Deserialize)]
pub struct Target {
    pub address: SocketAddr,
    pub server_name: String,
    /// What stands in front of the backend's own paths, with a slash at both ends.
    pub prefix: String,
    pub authority: PathBuf,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    Get,
    Post,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    Http1,
    Http2,
}

#[derive(Clone, Serialize, Deserialize)]
pub enum Work {
    /// Every connection asks again as soon as it was answered.
    Requests {
        method: Method,
        version: Version,
        connections: usize,
        seconds: f64,
    },
    /// One connection, one body.
    Download {
        bytes: u64,
    },
    Upload {
        bytes: u64,
    },
    /// Connect, one GET, close; each slot with its own ticket store.
    Handshakes {
        resumed: bool,
        slots: usize,
        seconds: f64,
    },
    /// Connections that do nothing; "go" sends one GET on each.
    Idle {
        connections: usize,
    },
    /// GETs at a fixed rate while `stalled` other connections have asked for a large body and do not read it.
    Paced {
        connections: usize,
        per_second: f64,
        seconds: f64,
        stalled: usize,
    },
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    pub target: Target,
    pub work: Work,
}

/// What came of it. Any error makes the run void: nothing is ever tried again.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub done: u64,
    pub resumed: u64,
    pub seconds: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
    pub errors: u64,
    pub first_error: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub enum Report {
    Ready,
    Outcome(Outcome),
}
