//! The closed list of what is measured: each row with its unit, the ratio that must be reached now, and the final goal.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    GetH1,
    PostH1,
    GetH2,
    PostH2,
    Down,
    Up,
    HandshakeFull,
    HandshakeResumed,
    IdleBare,
    IdleUsed,
    Latency,
    Stalled,
}

/// What the requirements of quality (Q) ask of the finished product.
#[derive(Clone, Copy, PartialEq)]
pub enum Goal {
    None,
    /// At most this many times nginx's figure.
    Ratio(f64),
    /// At most this, in the row's own unit.
    Figure(f64),
}

impl Row {
    pub const ALL: [Row; 12] = [
        Row::GetH1,
        Row::PostH1,
        Row::GetH2,
        Row::PostH2,
        Row::Down,
        Row::Up,
        Row::HandshakeFull,
        Row::HandshakeResumed,
        Row::IdleBare,
        Row::IdleUsed,
        Row::Latency,
        Row::Stalled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Row::GetH1 => "get-h1",
            Row::PostH1 => "post-h1",
            Row::GetH2 => "get-h2",
            Row::PostH2 => "post-h2",
            Row::Down => "down",
            Row::Up => "up",
            Row::HandshakeFull => "handshake-full",
            Row::HandshakeResumed => "handshake-resumed",
            Row::IdleBare => "idle-bare",
            Row::IdleUsed => "idle-used",
            Row::Latency => "latency",
            Row::Stalled => "stalled",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Row::GetH1 => "CPU of all hops per GET with a 1 KiB answer, 64 clients, HTTP/1.1 keep-alive",
            Row::PostH1 => "the same per POST of 2 KiB",
            Row::GetH2 => "per GET, 64 clients with a connection each, HTTP/2",
            Row::PostH2 => "per POST of 2 KiB, HTTP/2",
            Row::Down => "CPU of all hops per GiB to the client, one connection",
            Row::Up => "CPU of all hops per GiB from the client, one connection",
            Row::HandshakeFull => "CPU of the edge per new connection: full mutual TLS 1.3 handshake and one GET",
            Row::HandshakeResumed => "the same with a ticket of the connection before",
            Row::IdleBare => "memory of the edge per connection after the handshake",
            Row::IdleUsed => "memory of the edge per connection after one GET on it",
            Row::Latency => "p50 of one connection's GETs, less the p50 of the backend asked directly",
            Row::Stalled => "p99 of 8 clients at 800 GET/s while 64 readers stall, against the same without them",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Row::GetH1 | Row::PostH1 | Row::GetH2 | Row::PostH2 => "us CPU",
            Row::Down | Row::Up => "CPU-s/GiB",
            Row::HandshakeFull | Row::HandshakeResumed => "us CPU",
            Row::IdleBare | Row::IdleUsed => "KiB",
            Row::Latency => "us",
            Row::Stalled => "x",
        }
    }

    /// Ours as a multiple of nginx to nginx, at most.
    pub fn target(self) -> Option<f64> {
        match self {
            Row::GetH1 | Row::PostH1 | Row::GetH2 | Row::PostH2 => Some(0.9),
            Row::Down | Row::Up => Some(0.65),
            Row::HandshakeFull | Row::HandshakeResumed => Some(0.4),
            Row::IdleBare | Row::IdleUsed | Row::Latency | Row::Stalled => None,
        }
    }

    pub fn goal(self) -> Goal {
        match self {
            Row::GetH1 | Row::PostH1 | Row::GetH2 | Row::PostH2 => Goal::Ratio(0.7),
            Row::Down | Row::Up => Goal::Ratio(0.55),
            Row::HandshakeFull => Goal::Ratio(0.3),
            Row::HandshakeResumed => Goal::None,
            Row::IdleBare | Row::IdleUsed => Goal::Figure(18.0),
            Row::Latency => Goal::Figure(80.0),
            Row::Stalled => Goal::Figure(1.5),
        }
    }

    /// What keeps the programs busy, so that a profile of it says something.
    pub fn is_load(self) -> bool {
        !matches!(self, Row::IdleBare | Row::IdleUsed | Row::Latency | Row::Stalled)
    }

    /// Memory is measured on programs that were just started: an allocator that kept pages would hide what is needed.
    pub fn wants_fresh_processes(self) -> bool {
        matches!(self, Row::IdleBare | Row::IdleUsed)
    }
}
