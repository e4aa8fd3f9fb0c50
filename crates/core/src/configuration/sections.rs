//! Sections that several programs have in common: admin, health, drain, log, TLS. Each reads itself out of a
//! table and holds only values that can be used as they are.

use super::table::Table;
use super::value::Value;
use crate::logs::parse_level;
use crate::shutdown::Drain;
use crate::tls::configs::TlsFloor;
use crate::{limits, named_setting};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `[admin]`: status, health and metrics for the machine's own administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Always loopback.
    pub listen: SocketAddr,
    /// What changes something goes over this Unix socket.
    pub socket: PathBuf,
}

pub fn admin(root: &mut Table<'_>, default_listen: SocketAddr, state_directory: Option<&Path>) -> AdminSettings {
    root.table("admin", |table| {
        let listen = table.default("listen", default_listen);
        if !listen.ip().is_loopback() {
            table.problem(
                "listen",
                format!("{listen} is not a loopback address"),
                "write 127.0.0.1 or [::1]; for probes from elsewhere use health.listen",
            );
        }
        let socket = table.described("socket", "admin.sock in the state directory");
        let beside_state = || state_directory.unwrap_or(Path::new(".")).join("admin.sock");
        AdminSettings { listen, socket: socket.unwrap_or_else(beside_state) }
    })
}

/// `[health] listen`: /healthz and /readyz alone, for probes from elsewhere.
pub fn health(root: &mut Table<'_>) -> Option<SocketAddr> {
    root.optional_table("health", |table| table.required("listen"))
}

/// `[drain]`: how a planned stop goes.
pub fn drain(root: &mut Table<'_>) -> Drain {
    root.table("drain", |table| Drain {
        delay: table.default("delay", limits::DRAIN_DELAY),
        deadline: table.default("deadline", limits::DRAIN_DEADLINE),
    })
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    Human,
    Json,
    /// As the log viewer of Configuration Manager reads it.
    CmTrace,
}

named_setting!(
    LogFormat,
    [
        ("auto", LogFormat::Auto),
        ("human", LogFormat::Human),
        ("json", LogFormat::Json),
        ("cmtrace", LogFormat::CmTrace)
    ]
);

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A level, or directives such as `info,cmg_core::tunnel=debug`.
    pub level: String,
}

pub fn log(root: &mut Table<'_>) -> LogSettings {
    root.table("log", |table| {
        let format = table.default("format", LogFormat::Auto);
        let level = table.default("level", "info".to_owned());
        if let Err(error) = parse_level(&level) {
            table.problem("level", format!("{} is not a log level", level.print()), error.instead());
        }
        LogSettings { format, level }
    })
}

named_setting!(TlsFloor, [("1.2", TlsFloor::Tls12), ("1.3", TlsFloor::Tls13)]);

/// `[tls] minimum`.
pub fn tls_minimum(table: &mut Table<'_>) -> TlsFloor {
    table.default("minimum", TlsFloor::Tls12)
}

/// `workers`: one per core unless the file says otherwise.
pub fn workers(table: &mut Table<'_>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(limits::WORKERS);
    let workers: Option<usize> = table.described("workers", "one per core");
    if let Some(workers) = workers.filter(|workers| *workers == 0 || *workers > limits::WORKERS) {
        table.problem(
            "workers",
            format!("{workers} workers cannot be run"),
            format!("write 1 to {}, or leave it out for one per core", limits::WORKERS),
        );
    }
    workers.unwrap_or(cores)
}
