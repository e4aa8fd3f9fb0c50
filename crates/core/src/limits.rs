//! Every bound that is not a configuration key, and the default of those that are, with unit and reason.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// ---- requests at the edge

/// Bytes of a request head: an administrator's Kerberos or token field fits, a bomb does not.
pub const REQUEST_HEAD: usize = 32 * KIB;
/// Fields of a head.
pub const HEAD_FIELDS: usize = 100;
/// Bytes of a request target.
pub const REQUEST_TARGET: usize = 8 * KIB;
/// Bytes of a method: the longest in use is BITS_POST.
pub const METHOD: usize = 32;
/// Bytes of the name of a host, which is the most that DNS allows.
pub const HOST_NAME: usize = 255;
/// Bytes of one chunk-size line with its extensions.
pub const CHUNK_LINE: usize = 256;
/// Bytes of a trailer section.
pub const TRAILERS: usize = 8 * KIB;
/// Fields that we add to a head, so that its list grows only once.
pub const FIELDS_ADDED: usize = 8;
/// Bytes of a reason phrase that we make from a role's.
pub const REASON_PHRASE: usize = 128;
/// Options in the Connection fields of one head: each is looked for among all fields.
pub const CONNECTION_OPTIONS: usize = 32;
/// TLS handshake and first request head together.
pub const ESTABLISH: Duration = Duration::from_secs(10);
/// Request head of a later request, from its first byte.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An open client connection without a request.
pub const CLIENT_IDLE: Duration = Duration::from_secs(120);
/// No byte of a request body for this long ends the exchange.
pub const BODY_IDLE: Duration = Duration::from_secs(60);
/// For a client to take an answer that we make ourselves.
pub const OWN_ANSWER: Duration = Duration::from_secs(2);
/// For this long after an early answer or a failed handshake what still comes is read and thrown away, so that TCP does
/// not swallow what was said. A role that has answered may take no byte of the rest of a body for as long.
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away then.
pub const LINGER_BYTES: usize = 256 * KIB;
/// An HTTP/2 client that is told to go may take so long to read what was sent to it before; it says so all the while.
pub const HTTP2_LINGER: Duration = Duration::from_secs(30);
/// Until a gateway that starts listens for clients without a connection point: meanwhile they try its other addresses.
pub const FIRST_TUNNEL: Duration = Duration::from_secs(10);
/// What is thrown away of a failed handshake is read into a buffer of this size, on the stack.
pub const LINGER_READ: usize = KIB;
/// ClientHello in its records: post-quantum hellos are long, and a ticket holds the chain of the client.
pub const CLIENT_HELLO: usize = 40 * KIB;
/// Certificates that a client may send.
pub const CLIENT_CERTIFICATES: usize = 8;
/// Bytes of them together.
pub const CLIENT_CERTIFICATE_BYTES: usize = 32 * 1000;
/// How long a client is called expired, or not yet valid, before its chain is judged again.
pub const EXPIRY_VERDICT: Duration = Duration::from_secs(10);
/// Connections of clients that one instance holds.
pub const CONNECTIONS: usize = 18_000;
/// Connections of tunnels that one instance holds; and as many on the clients' port, beyond CONNECTIONS, of those who
/// have not said yet what they are: however many clients there are, a tunnel that was lost comes in again.
pub const TUNNEL_PLACES: usize = 2048;
/// From its beginning a connection has this long, whoever it is. After that one that no site believes is ended when it
/// asks nothing while places are scarce.
pub const STRANGER: Duration = Duration::from_secs(10);
/// Connections of one identity that are left alone then: twice what its exchanges could need.
pub const IDENTITY_CONNECTIONS: usize = 2 * IDENTITY_EXCHANGES;
/// Handshakes of which one instance computes its part before open connections have a turn.
pub const HANDSHAKES: usize = 512;
/// Request body that an instance lets through unless its file says otherwise.
pub const REQUEST_BODY_CAP: u64 = 1024 * MIB as u64;
/// Concurrent streams of an HTTP/2 client.
pub const HTTP2_STREAMS: u32 = 100;
/// Receive window of an HTTP/2 client's stream.
pub const CLIENT_STREAM_WINDOW: u32 = 256 * KIB as u32;
/// Receive window of an HTTP/2 client's connection: what one client can make us hold.
pub const CLIENT_CONNECTION_WINDOW: u32 = MIB as u32;
/// Between pings of an HTTP/2 client.
pub const CLIENT_PING_EVERY: Duration = Duration::from_secs(20);
/// A client that answers no ping for this long is gone.
pub const CLIENT_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the kernel holds for us before they are accepted.
pub const LISTEN_BACKLOG: i32 = 4096;
/// After a failure to accept: descriptors may be exhausted, and trying at once would only burn the processor.
pub const ACCEPT_BACKOFF_FIRST: Duration = Duration::from_millis(10);
/// Longest wait after a failure to accept.
pub const ACCEPT_BACKOFF_LONGEST: Duration = Duration::from_secs(1);
/// What a refused client should wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Exchanges that one identity may have at a time. A real client holds one poll all day and has a few more under way;
/// a browser at an HTTP/2 endpoint some dozen.
pub const IDENTITY_EXCHANGES: usize = 64;
/// Requests per second of one identity, for as long as it likes: a client that installs software reaches some dozen.
pub const IDENTITY_REQUESTS: usize = 100;
/// Requests of one identity at once: a policy download of hundreds of small files.
pub const IDENTITY_BURST: usize = 400;
/// Parts of the table of identities, each with a lock of its own: a look into it never waits for a sweep of all.
pub const IDENTITY_SHARDS: usize = 16;
/// Handshakes per second from one address, for as long as it likes: a fifth of what one core computes, so that nobody
/// burns more of it by himself, and enough for a branch office all of whose devices come once in half a minute.
pub const ADDRESS_HANDSHAKES: usize = 200;
/// Handshakes from one address at once: all devices that an instance is rated for may sit behind one address and come
/// back together after an outage. They wait for their turn among HANDSHAKES for some seconds, which is less than
/// ESTABLISH; the rest that a client needs beyond the first is within ADDRESS_HANDSHAKES.
pub const ADDRESS_HANDSHAKE_BURST: usize = RATED_CLIENTS;
/// One address may begin this part of TUNNEL_HANDSHAKES for as long as it likes: anybody can offer to be a tunnel, and
/// must leave turns to those that are.
pub const ADDRESS_TUNNELS_PART: u32 = 5;
/// So many seconds' worth of TUNNEL_HANDSHAKES may come from one address at once: a restart of the connection points of a
/// site, and less than what others wait for their turn.
pub const ADDRESS_TUNNELS_BURST: u32 = 2;
/// Refused requests per second from one address, of clients that no site believes: an office of devices whose
/// certificates have expired, each asking once a minute.
pub const ADDRESS_REFUSALS: usize = 100;
/// Refused requests from one address at once.
pub const ADDRESS_REFUSAL_BURST: usize = 1000;
/// So many times that burst have to be overdrawn until an address is refused without a word.
pub const ADDRESS_SILENCE_AT: u64 = 10;
/// Addresses of which anything is remembered: 1 MiB, whoever comes.
pub const ADDRESSES: usize = 16_384;
/// An address may stand in so many places of that table.
pub const ADDRESS_WAYS: usize = 8;

// ---- the tunnel

/// Longest message that either end accepts.
pub const TUNNEL_MESSAGE: usize = MIB;
/// Bytes of a head in a message: a request's with its client's chain, once as it is and once as a field.
pub const TUNNEL_HEAD: usize = 128 * KIB;
/// Bytes of what else is needed whole of a message: trailers, a refusal.
pub const TUNNEL_REST: usize = 32 * KIB;
/// Longest `data` that either end writes in one message.
pub const TUNNEL_CHUNK: usize = 64 * KIB;
/// The same on a slow connection: others have their turn in between.
pub const TUNNEL_PART: usize = 4 * KIB;
/// Bytes of a slow connection that the kernel may hold unsent: little to wait behind, and something while we are woken.
pub const TUNNEL_UNSENT: usize = 8 * KIB;
/// A connection that takes so many bytes is fast: all that may wait in it leaves in some tenth of a second.
pub const TUNNEL_FAST: usize = 2 * MIB;
/// Within this time.
pub const TUNNEL_FAST_WITHIN: Duration = Duration::from_secs(1);
/// Longest frame: frames are as long as the chunk that fills them.
pub const TUNNEL_FRAME: u32 = MIB as u32;
/// Receive window of a stream on an interactive connection: memory of a stalled reader.
pub const INTERACTIVE_WINDOW: u32 = 256 * KIB as u32;
/// Receive window of a stream on a bulk connection: throughput is window per round trip.
pub const BULK_WINDOW: u32 = 4 * MIB as u32;
/// Receive window of a connection: more than all stalled streams together, else all freeze.
pub const CONNECTION_WINDOW: u32 = 1024 * MIB as u32;
/// Bytes that h2 keeps per stream before `send_data` must wait.
pub const TUNNEL_SEND_BUFFER: usize = 256 * KIB;
/// Streams that the connection point advertises.
pub const TUNNEL_STREAMS: u32 = 32_768;
/// Exchanges of one instance that wait because every connection point of their site is full: requests get slower, not
/// lost, and what a wait holds is a head.
pub const QUEUE: usize = 512;
/// Longest such wait: a client that waited longer would rather try another instance.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// Active exchanges on one connection.
pub const ACTIVE_EXCHANGES: usize = 900;
/// Active exchanges on one bulk connection: all of them stalled leave room in its window for others.
pub const BULK_EXCHANGES: usize = 128;
/// Exchanges of other endpoints that a connection point runs on one connection, as a multiple of those that it has
/// announced: one that has ended for the gateway may not have ended inside.
pub const ACTIVE_SLACK: usize = 2;
/// Exchanges of endpoints with `waits` on one connection: nearly all of them wait for the role's head.
pub const WAITING_EXCHANGES: usize = 16_384;
/// Of an answer of an endpoint with `waits`, what is sent down before it holds a place for long answers: all that a poll
/// usually brings, and little enough that all who wait may be answered at once and none be read.
pub const WAITING_ANSWER: usize = 16 * KIB;
/// Places for long answers of such endpoints on one connection.
pub const LONG_ANSWERS: usize = ACTIVE_EXCHANGES;
/// The same on one bulk connection, whose streams hold more.
pub const BULK_LONG_ANSWERS: usize = 16;
/// Resets are ordinary here: every client that leaves early is one. h2's guards count them for the life
/// of a connection and would end it; both ends are authenticated and bound their work themselves.
pub const TUNNEL_RESETS: usize = 100_000;
/// How long h2 remembers a stream that it reset.
pub const RESET_MEMORY: Duration = Duration::from_secs(1);
/// Dial, TLS handshake and hello of a tunnel.
pub const TUNNEL_ESTABLISH: Duration = Duration::from_secs(10);
/// For the other end of a tunnel to read a goodbye and hang up.
pub const HANG_UP: Duration = Duration::from_secs(1);
/// Between heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Silence after which a tunnel is dead.
pub const HEARTBEAT_SILENCE: Duration = Duration::from_secs(15);
/// Silence after which an end pings the other: a bit more than a heartbeat.
pub const PING_AFTER: Duration = Duration::from_secs(6);
/// Between looks at whether a ping could leave, while the socket takes nothing.
pub const PING_AGAIN: Duration = Duration::from_secs(1);
/// Silence after which a tunnel is stalled and others are given the work: a heartbeat and a half.
pub const STALLED: Duration = Duration::from_millis(7500);
/// Exchanges in a row that get no answer in their time take a tunnel out of selection.
pub const UNANSWERED: usize = 3;
/// Between exchanges that find out whether such a tunnel answers again.
pub const UNANSWERED_PROBE: Duration = Duration::from_secs(30);
/// How long a connection point's process stays away after another has replaced it: longer than a switch takes, and
/// short enough that two that live show themselves within a minute.
pub const REPLACED_RETRY: Duration = Duration::from_secs(15);
/// Two processes that replace each other so often are an alarm.
pub const CONFLICT_AFTER: usize = 3;
/// Within this time.
pub const CONFLICT_WITHIN: Duration = Duration::from_secs(60);
/// Changes of a connection point's process that are remembered: more than a minute has.
pub const TAKE_OVERS: usize = 32;
/// How long a connection point waits that may not attach, or speaks no common version: somebody has to act first.
pub const REFUSED_RETRY: Duration = Duration::from_secs(60);
/// Tunnel handshakes that one instance begins in a second.
pub const TUNNEL_HANDSHAKES: u32 = 50;
/// For a tunnel handshake to get its turn; half of what a connection point waits for a tunnel.
pub const TUNNEL_TURN: Duration = Duration::from_secs(5);
/// Longest wait before a connection point's very first dial: a start is waited for.
pub const DIAL_AT_START: Duration = Duration::from_millis(200);
/// First wait before a connection point dials again, at most; full jitter, because all others lost theirs too.
pub const REDIAL_FIRST: Duration = Duration::from_secs(1);
/// The next wait, at most; doubled by each loss that follows.
pub const REDIAL_NEXT: Duration = Duration::from_millis(200);
/// Longest wait before a connection point dials again.
pub const REDIAL_LONGEST: Duration = Duration::from_secs(10);
/// A tunnel that lived this long makes the next redial a first one.
pub const REDIAL_STABLE: Duration = Duration::from_secs(60);
/// Longest wait that a gateway may ask for: a wrong one must not keep a connection point away for a day.
pub const REDIAL_TOLD: Duration = Duration::from_secs(5 * 60);
/// Dials of one instance at a time: one that accepts and never answers holds no more connections.
pub const INSTANCE_DIALS: usize = 8;
/// Dials of a connection point at a time, over all instances.
pub const DIALS: usize = 64;
/// Between checks of a link: what is missing is rebuilt, and a tunnel on a later address tries those before it.
pub const LINK_CHECK: Duration = Duration::from_secs(60);
/// A tunnel that replaces another has to live so long before the other is drained: each end has heard the other's
/// heartbeat by then, so the gateway surely uses it.
pub const REPLACEMENT_SETTLES: Duration = Duration::from_secs(5);
/// Bytes of a proxy's answer that are looked at in one go; its whole head is bounded like a role's.
pub const PROXY_READ: usize = 4 * KIB;
/// A proxy that refused a login is not shown it again for so long: accounts are locked for some wrong passwords in a row,
/// and forget them after some minutes.
pub const LOGIN_RETRY: Duration = Duration::from_secs(5 * 60);
/// While nobody knows whether a login is right, one dial presents it and the others wait for so long at most.
pub const LOGIN_TURN: Duration = Duration::from_secs(1);
/// Bytes of a file that holds a password.
pub const PASSWORD_FILE: usize = KIB;
/// Looking up a name, before a dial.
pub const RESOLVE: Duration = Duration::from_secs(5);
/// The next address of a name is tried beside one that has not answered by now.
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// A request that the site does not allow proves a gateway wrong only if both ends have had the same
/// configuration in force for this long: until then it may have been admitted under the one before.
pub const AGREED: Duration = Duration::from_secs(10);
/// A gateway's word of another configuration may come behind a request that it admitted by it: for this long a
/// violation waits for that word before it ends the tunnel.
pub const VIOLATION_DOUBT: Duration = Duration::from_secs(1);
/// Characters that a gateway takes of what a connection point says about a refusal: it stands in a log line.
pub const REFUSED_DETAIL: usize = 256;
/// Between telling a gateway of a drain and refusing new exchanges: the word has to arrive first.
pub const DRAIN_NOTICE: Duration = Duration::from_millis(500);
/// Bulk connections per instance.
pub const BULK_CONNECTIONS: u32 = 1;
/// Bytes of a request's body that a gateway keeps until it knows that they need not be sent again.
pub const KEPT_BODY: usize = 64 * KIB;
/// Tunnels of one connection point at an instance, as a multiple of those that it is told to hold: replaced ones that
/// died unnoticed count until they have been silent for long enough.
pub const TUNNEL_GENERATIONS: usize = 4;
/// Connections for long transfers that an instance's file may ask for: more than a link could fill.
pub const BULK_CONNECTIONS_MOST: u32 = 16;
/// A declared upload of at least this many bytes travels on the bulk lane.
pub const BULK_FROM: u64 = MIB as u64;
/// Bytes of a name in a hello, for logs and status.
pub const HELLO_NAME: usize = 256;
/// Workers that an instance may announce.
pub const WORKERS: usize = 64;
/// Control messages that wait to leave on one tunnel: a heartbeat, a verdict, a drain.
pub const CONTROL_QUEUE: usize = 8;

// ---- roles

/// TCP connect to a role; as long again its TLS handshake.
pub const ROLE_CONNECT: Duration = Duration::from_secs(5);
/// From the request to the head of a role's answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for endpoints that wait.
pub const WAITING_ANSWER_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The gateway waits this much longer than the connection point, so that the inside explains the delay.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(5);
/// Bytes per second at which a role is given time to read what a tunnel holds of its request.
pub const SLOWEST_ROLE: u64 = 16 * KIB as u64;
/// Bytes of a role's answer head.
pub const ANSWER_HEAD: usize = 64 * KIB;
/// Bytes of a request head that a role takes unless its site says otherwise.
pub const ROLE_MAX_HEAD: usize = 16 * 1000;
/// Idle connections kept per role and worker.
pub const ROLE_IDLE_CONNECTIONS: usize = 128;
/// An idle connection to a role is closed after this.
pub const ROLE_IDLE: Duration = Duration::from_secs(60);
/// An idle connection is given up this much earlier than its role said it would.
pub const ROLE_IDLE_MARGIN: Duration = Duration::from_secs(1);
/// Between looks for idle connections that have ended.
pub const ROLE_SWEEP: Duration = Duration::from_secs(10);
/// Chunks of a body below this are joined with those that have arrived behind them.
pub const SMALL_CHUNK: usize = 4 * KIB;

// ---- configuration

/// Bytes of a site configuration.
pub const SITE_CONFIGURATION: usize = 4 * MIB;
/// Bytes of a publication: it travels in one message, and its version and the gRPC frame with it.
pub const PUBLICATION: usize = TUNNEL_MESSAGE - KIB;
/// Endpoints of one role: they are looked through one by one.
pub const ROLE_ENDPOINTS: usize = 64;
/// Bytes of an endpoint's name: it is a metric label and a column of every log.
pub const ENDPOINT_NAME: usize = 64;
/// Bytes of an external path: generous, and far below the limit of request targets.
pub const EXTERNAL_PATH: usize = 512;
/// Verbs of an endpoint: more than any service has.
pub const VERBS: usize = 32;
/// Problems that a gateway names when it refuses a publication: the verdict travels in one message.
pub const VERDICT_PROBLEMS: usize = 100;
/// Bytes of one of them: two external paths and what is wrong with them.
pub const PROBLEM_TEXT: usize = 2 * KIB;
/// Roots and intermediates of a site.
pub const TRUST_CERTIFICATES: usize = 256;
/// Longest of the timeouts that a site may ask for.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Largest head that a role may ask for: above what the edge lets in, with our own fields.
pub const ROLE_MAX_HEAD_CAP: usize = 128 * KIB;
/// Between looks at the site's source.
pub const SITE_POLL: Duration = Duration::from_secs(60);
/// One look at a source over https, from connecting to the last byte.
pub const SITE_FETCH: Duration = Duration::from_secs(30);
/// Site configurations that wait to be judged: every connection point pushes at once after a restart.
pub const CONFIGURATION_QUEUE: usize = 64;
/// Between looks at the expiry of certificates.
pub const EXPIRY_CHECK: Duration = Duration::from_secs(24 * 60 * 60);
/// Between looks at whether this instance is ready: soon enough for whoever waits, and next to free.
pub const READINESS_CHECK: Duration = Duration::from_millis(100);
/// Between looks at whether the last exchange of a leaving tunnel has ended.
pub const IDLE_LOOK: Duration = Duration::from_millis(20);

// ---- stopping

/// Between readyz 503 and the end of accepting.
pub const DRAIN_DELAY: Duration = Duration::from_secs(5);
/// What is still running then is ended.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// After the deadline: time to write refusals, to end what served them, and to write out the log.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

// ---- TLS

/// One read from a socket: larger ones measured no better.
pub const TLS_READ: usize = 64 * KIB;
/// Writes below this share a record; larger ones are encrypted straight away.
pub const TLS_GATHER_BELOW: usize = 4 * KIB;
/// Plaintext of one record.
pub const TLS_RECORD: usize = 16 * KIB;
/// So many queued bytes go to the socket without waiting for a flush; while it does not take them, writers wait.
pub const TLS_WRITE_AT: usize = 64 * KIB;
/// Queued bytes of a connection whose peer does not read, at most: a longer write is taken in part.
pub const TLS_QUEUE: usize = 256 * KIB;
/// Buffers of each kind that a worker keeps for its connections.
pub const TLS_STOCK: usize = 32;
/// Tickets per TLS 1.3 handshake: a client with two connections finds one for each.
pub const TLS_TICKETS: usize = 2;
/// Bits of an RSA key.
pub const RSA_BITS: usize = 2048;
/// Bytes of a PEM file: some hundred certificates.
pub const PEM_FILE: usize = MIB;
/// Characters of a certificate's subject in logs and fields.
pub const SUBJECT_TEXT: usize = 256;
/// Characters of a site's or a connection point's name in a tunnel identity.
pub const IDENTITY_NAME: usize = 64;

// ---- operations

/// Series of one family of metrics: the endpoints of some hundred roles.
pub const METRIC_SERIES: usize = 4096;
/// Bytes of log lines that wait for the log's reader: some ten thousand lines.
pub const LOG_QUEUE: usize = 4 * MIB;
/// Bytes of a line for which a thread keeps its memory.
pub const LOG_LINE: usize = 16 * KIB;
/// The log's writer rests this long between two writes, so that one carries many lines.
pub const LOG_PAUSE: Duration = Duration::from_millis(5);
/// Connections to the admin listener: a scraper, a console and a few people.
pub const ADMIN_CONNECTIONS: usize = 64;
/// Identities with an open connection that one instance is meant for. More are served; it only warns.
pub const RATED_CLIENTS: usize = 6000;
/// Between looks at what is near its limit.
pub const LOAD_LOOK: Duration = Duration::from_secs(1);
/// Percent of a limit from which it is said to be near.
pub const NEAR_LIMIT: usize = 80;
/// Percent below which it is said to be no longer near: a level that swings about the mark says so once.
pub const AWAY_FROM_LIMIT: usize = 70;
/// After accepting failed (no descriptors left): no busy loop.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

mod relations;

#[cfg(test)]
mod tests;
