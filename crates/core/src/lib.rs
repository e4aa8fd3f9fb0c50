//! What the programs share. No listener but the admin one.

pub mod configuration;
pub mod fields;
pub mod limits;
pub mod refusal;
pub mod request_id;
