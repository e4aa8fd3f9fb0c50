//! How both ends of a tunnel set up HTTP/2. The guards of h2 against hostile peers are raised here and only
//! here: both ends are authenticated and bound their work themselves (`limits`).

use super::message::Lane;
use crate::limits;

/// Receive window of one stream.
const fn stream_window(lane: Lane) -> u32 {
    match lane {
        Lane::Interactive => limits::INTERACTIVE_WINDOW,
        Lane::Bulk => limits::BULK_WINDOW,
    }
}

/// The gateway's end.
pub fn client(lane: Lane) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(stream_window(lane))
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_frame_size(limits::TUNNEL_FRAME)
        .max_send_buffer_size(limits::TUNNEL_SEND_BUFFER)
        .max_concurrent_reset_streams(limits::TUNNEL_RESETS)
        .reset_stream_duration(limits::RESET_MEMORY)
        .max_local_error_reset_streams(None)
        .enable_push(false);
    builder
}

/// The connection point's end.
pub fn server(lane: Lane) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(stream_window(lane))
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_frame_size(limits::TUNNEL_FRAME)
        .max_send_buffer_size(limits::TUNNEL_SEND_BUFFER)
        .max_concurrent_streams(limits::TUNNEL_STREAMS)
        .max_concurrent_reset_streams(limits::TUNNEL_RESETS)
        .reset_stream_duration(limits::RESET_MEMORY)
        .max_local_error_reset_streams(None)
        .max_pending_accept_reset_streams(limits::TUNNEL_RESETS);
    builder
}
