//! What the programs share. No listener but the admin one.

pub mod configuration;
pub mod fields;
pub mod headers;
pub mod http1;
pub mod limits;
pub mod refusal;
pub mod request_id;
pub mod request_target;
pub mod routes;
pub mod site;
pub mod tls;
pub mod tunnel;
pub mod url_mapping;

pub mod base64;
pub mod deadline;
pub mod dial;
pub mod jitter;
pub mod site_role;

pub mod worker;

pub mod admin;
pub mod build_info;
pub mod command_line;
pub mod durable_file;
pub mod logs;
pub mod metrics;
pub mod shutdown;
