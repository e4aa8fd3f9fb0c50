//! Bounds of the load generator, with unit and reason.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of an ordinary request's body, at most.
pub const SMALL_BODY: u64 = 16 * KIB;
/// Bytes of an upload or download, at least and at most.
pub const LARGE_BODY: (u64, u64) = (16 * KIB, 4 * MIB);
/// Bytes of a body that are written at once.
pub const PIECE: usize = 32 << 10;
/// Bytes of a read.
pub const READ: usize = 64 << 10;
/// Bytes of an answer's head.
pub const HEAD: usize = 64 << 10;
/// Bytes of an answer that is judged as text.
pub const TEXT: usize = 256 << 10;
/// Records on their way to the one that keeps them.
pub const RECORDS_UNDER_WAY: usize = 1024;
/// Between two tries to connect when no address takes a connection.
pub const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// How long all addresses together may refuse connections before a request is given up unsent.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// One connection, with its handshake.
pub const CONNECT: Duration = Duration::from_secs(20);
/// An ordinary poll waits so many milliseconds, from and to.
pub const POLL: (u64, u64) = (50, 800);
/// Requests that wait for a harm to be done, half of them reads. So many that either of two connection points has some
/// of both sorts but once in ten thousand times.
pub const HELD: usize = 32;
/// Between two waits of a client that only waits.
pub const WAIT_PAUSE: Duration = Duration::from_millis(100);
/// Between two releases of one waiting poll.
pub const RELEASE_PAUSE: Duration = Duration::from_millis(100);
/// Until all requests that are to be held are where they wait.
pub const GATHER: Duration = Duration::from_secs(50);
/// One question to an admin page.
pub const ADMIN: Duration = Duration::from_secs(60);
/// Streams that share one HTTP/2 connection.
pub const STREAMS: usize = 4;
/// Seconds of progress are told so often.
pub const PROGRESS: Duration = Duration::from_secs(1);
/// Examples of one fault that a report shows.
pub const EXAMPLES: usize = 20;
/// How long requests may go on at the role after the last answer.
pub const SETTLE: Duration = Duration::from_secs(30);
/// Between two looks at what nobody announces.
pub const LOOK: Duration = Duration::from_millis(100);
/// How long the last lines may take to reach the logs.
pub const LOG: Duration = Duration::from_secs(10);
/// Lines that a killed program takes with it are of its last moment: its log is written every few milliseconds, and
/// on a busy machine some time after.
pub const UNWRITTEN_LINES: Duration = Duration::from_secs(1);
