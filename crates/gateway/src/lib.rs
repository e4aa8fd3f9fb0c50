//! The gateway: accepts devices over mutual TLS, admits or refuses each request, sends admitted ones down a
//! tunnel. The groups of modules stand in the order in which a request passes them; what runs beside it comes last.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

/// The name of the program.
pub const PROGRAM: &str = "cmg-gateway";

pub mod settings;

mod accept;
mod client_connection;
mod edge;
mod http1_edge;
mod http2_edge;
mod pace;

mod client;
mod request_path;

mod service_metadata;
mod service_names;

mod published;
mod selection;

mod pre_auth;

mod fairness;
mod filter;

mod attempt;
mod registry;
mod relay;
mod waiting_room;

mod exchange_record;
mod refusal_answer;

mod site_keeper;
mod tunnel_link;

mod admin_pages;
pub mod commands;
mod expiry;
mod instance;
mod load_watch;
mod metrics;
pub mod program;
mod reload;

#[cfg(test)]
mod test_instance;
#[cfg(test)]
mod test_site;
