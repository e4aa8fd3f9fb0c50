//! The connection point: dials out to every gateway instance, serves the tunnels, maps external to internal
//! URLs, forwards to site roles. Believes no gateway. The modules stand in the order in which a start passes
//! them, then a tunnel, then a request; what runs beside them comes last.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

/// The name of the program.
pub const PROGRAM: &str = "cmg-connection-point";

// The order is the reader's, so each stands alone: rustfmt sorts neighbours.
pub mod settings;

pub mod commands;

pub mod program;

mod point;

mod site_source;

mod site;

mod publishing;

mod gateways;

mod instance;

mod link_keeper;

mod link_health;

mod link_metrics;

mod dialer;

mod redial;

mod egress;

mod control;

mod link;

mod exchange;

mod admission;

mod relay;

mod long_answer;

mod exchange_record;

pub mod reload;

mod status;

mod metrics;

mod admin_pages;
