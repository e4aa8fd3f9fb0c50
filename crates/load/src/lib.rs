//! The ledger: sends requests, never one of them twice, writes down what became of each, and compares its own count
//! with what the roles saw and what the gateways' logs say. Knows addresses, certificates and log files; starts and
//! stops nothing, and shares no code with the programs that it judges.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod content;
mod random;

mod expected;
mod kind;
mod wording;

mod connection;
mod engine;
mod holding;
mod outcome;
mod progress;
mod record;

mod at_connection_point;
mod at_gateway;
mod at_role;

pub mod checker;
mod counting;

mod error;
mod limits;
mod site;

pub use at_gateway::{AtGateway, GatewayCount};
pub use at_role::{AtRole, RoleCount, role_position};
pub use checker::{Allowed, Counts, How, Stop, Stopped, Verdict, check};
pub use counting::Logs;
pub use engine::{Plan, run};
pub use error::LoadError;
pub use holding::{Held, Holding, hold};
pub use kind::{Kind, Mix};
pub use outcome::Outcome;
pub use progress::Progress;
pub use record::{Record, Sent, Unsent};
pub use site::{Identity, Site};
