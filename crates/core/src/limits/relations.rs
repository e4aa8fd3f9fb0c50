//! What has to hold between bounds: judged when it is compiled, so that nobody changes one without the other.

use super::*;

const _: () = assert!(ACTIVE_EXCHANGES + WAITING_EXCHANGES < TUNNEL_STREAMS as usize, "below the peer's stream limit");
const WAITING_ANSWERS: usize = WAITING_EXCHANGES * (WAITING_ANSWER + TRAILERS);
const _: () = assert!(
    (ACTIVE_EXCHANGES + LONG_ANSWERS) * (INTERACTIVE_WINDOW as usize) + WAITING_ANSWERS < CONNECTION_WINDOW as usize,
    "stalled streams fit"
);
const _: () = assert!(
    (BULK_EXCHANGES + BULK_LONG_ANSWERS) * (BULK_WINDOW as usize) + WAITING_ANSWERS < CONNECTION_WINDOW as usize,
    "stalled transfers fit"
);
/// Seconds that a connection of nobody lasts while places are scarce: the last head of it may begin at its end.
const A_STRANGERS_LIFE: u64 = ESTABLISH.as_secs() + STRANGER.as_secs() + HEAD_TIMEOUT.as_secs() + 2 * LINGER.as_secs();
const FROM_ONE_ADDRESS: usize = ADDRESS_HANDSHAKE_BURST + ADDRESS_HANDSHAKES * A_STRANGERS_LIFE as usize;
const _: () = assert!(FROM_ONE_ADDRESS < CONNECTIONS / 100 * NEAR_LIMIT, "no address makes places scarce for long");
const _: () = assert!(ADDRESSES.is_multiple_of(ADDRESS_WAYS), "places are in whole sets");
const _: () = assert!(REQUEST_TARGET < REQUEST_HEAD && REQUEST_HEAD < TUNNEL_MESSAGE, "a head fits into one message");
const _: () =
    assert!(REQUEST_HEAD + 3 * CLIENT_CERTIFICATE_BYTES < TUNNEL_HEAD, "a client's chain fits beside its head");
const _: () =
    assert!(ANSWER_HEAD < TUNNEL_HEAD && TUNNEL_HEAD < INTERACTIVE_WINDOW as usize, "a head fits, uncredited");
const _: () = assert!(ANSWER_HEAD + TUNNEL_CHUNK < TUNNEL_MESSAGE, "head and first chunk fit into one message");
const _: () = assert!((VERDICT_PROBLEMS + 1) * PROBLEM_TEXT < TUNNEL_MESSAGE, "a verdict fits into one message");
const _: () = assert!(HEARTBEAT.as_secs() <= REPLACEMENT_SETTLES.as_secs(), "a heartbeat fits into it");
const _: () = assert!(INSTANCE_DIALS < DIALS, "no instance keeps the others from being dialed");
const _: () = assert!(3 * HEARTBEAT.as_secs() <= HEARTBEAT_SILENCE.as_secs(), "two heartbeats may be lost");
const _: () = assert!(HEARTBEAT.as_millis() < PING_AFTER.as_millis() && PING_AFTER.as_millis() < STALLED.as_millis());
const _: () = assert!(2 * REPLACED_RETRY.as_secs() + REDIAL_LONGEST.as_secs() < CONFLICT_WITHIN.as_secs());
const _: () = assert!((ADDRESS_TUNNELS_BURST as u64) < TUNNEL_TURN.as_secs(), "one address leaves turns for others");
const _: () = assert!(TUNNEL_TURN.as_secs() < TUNNEL_ESTABLISH.as_secs(), "a turn leaves time for the handshake");
const _: () = assert!(STALLED.as_millis() < HEARTBEAT_SILENCE.as_millis(), "a stalled tunnel may come back");
const _: () = assert!(TLS_GATHER_BELOW <= TLS_RECORD && TLS_RECORD <= TLS_WRITE_AT && TLS_WRITE_AT < TLS_QUEUE);
