//! The connection point: dials out to every gateway instance, serves the tunnels, maps external to internal
//! URLs, forwards to site roles. Believes no gateway. The modules stand in the order in which a start, then
//! a request, passes them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

/// The name of the program.
pub const PROGRAM: &str = "cmg-connection-point";

pub mod settings;

pub mod commands;
pub mod program;
pub mod reload;

mod metrics;
mod point;
mod site;
mod site_source;

mod dialer;
mod egress;
mod gateways;
mod instance;
mod link;
mod link_health;
mod link_keeper;
mod link_metrics;
mod long_answer;
mod redial;

mod control;
mod publishing;

mod admission;
mod exchange;
mod exchange_record;
mod relay;

mod admin_pages;
mod status;
