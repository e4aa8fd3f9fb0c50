//! The gateway: accepts devices over mutual TLS, admits or refuses each request, sends admitted ones down a
//! tunnel. The modules stand in the order in which a request passes them; what runs beside it comes last.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

/// The name of the program.
pub const PROGRAM: &str = "cmg-gateway";

// The order is the reader's, so each stands alone: rustfmt sorts neighbours.
pub mod settings;

mod accept;

mod pace;

mod places;

mod client_connection;

mod patience;

mod http1_edge;

mod http2_edge;

mod edge;

mod request_path;

mod client;

mod service_names;

mod service_metadata;

mod published;

mod selection;

mod pre_auth;

mod filter;

mod fairness;

mod waiting_room;

mod registry;

mod attempt;

mod relay;

mod refusal_answer;

mod exchange_record;

mod tunnel_link;

mod site_keeper;

pub mod commands;

pub mod program;

mod instance;

mod reload;

mod expiry;

mod load_watch;

mod metrics;

mod admin_pages;

#[cfg(test)]
mod test_instance;
#[cfg(test)]
mod test_site;
