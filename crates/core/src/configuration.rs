//! Reads configuration files: TOML with places, environment and flags merged in, one typed reader that
//! collects every problem before it gives up. Decides no setting itself and never stops at the first fault.

pub mod credentials;
mod document;
pub mod documentation;
mod nearest;
mod origin;
mod problem;
mod record;
pub mod sections;
mod table;
mod tree;
mod value;

pub use document::Document;
pub use origin::{Override, Overrides, key_and_value};
pub use problem::{Place, Problem, ProblemKind, Problems};
pub use record::{KnownKey, Reading, Setting};
pub use table::Table;
pub use value::{ByteSize, Fault, HostName, HostPort, Value, by_name, list_names};

#[cfg(test)]
mod tests;
