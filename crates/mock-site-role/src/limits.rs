//! Bounds of the mock role, with unit and reason.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of a request head that is recorded; longer ones are left to hyper to refuse.
pub const HEAD: usize = 128 * KIB;
/// Bytes of one read, and of one piece of a generated body.
pub const PIECE: usize = 64 * KIB;
/// Bytes of a chunk-size or trailer line that is followed.
pub const LINE: usize = 8 * KIB;
/// Requests that the ledger keeps with their details unless the file says otherwise.
pub const LEDGER: usize = 20_000;
/// Entries that one page of the ledger shows at most.
pub const LEDGER_PAGE: usize = 1_000;
/// Requests that the ledger counts, some 400 bytes each: more than any run of the load generator.
pub const LEDGER_COUNTED: usize = 2_000_000;
/// Entries that one piece of the export holds: the ledger is held while they are written.
pub const EXPORT_PAGE: usize = 500;
/// Gates that are kept: each is one test's.
pub const GATES: usize = 10_000;
/// Reports that the site keeps.
pub const REPORTS: usize = 256;
/// Bytes of one report.
pub const REPORT: usize = MIB;
/// How long a wait on the admin listener lasts unless the question says otherwise.
pub const WAIT: Duration = Duration::from_secs(30);
/// TLS handshake of a client.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// After accepting failed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between looks at whether a client that is not read any more has gone.
pub const GONE_POLL: Duration = Duration::from_millis(20);
/// Between readyz 503 and the end of accepting: nobody balances towards a mock.
pub const DRAIN_DELAY: Duration = Duration::ZERO;
/// What is unfinished then is cut.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
