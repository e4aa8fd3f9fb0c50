//! Body of the fuzz target for the gateway's file and what the environment sets in its place: whatever the text,
//! no panic, and every problem says what to do.

use std::time::Duration;

use cmg_core::configuration::{Document, Overrides};
use rustls::pki_types::UnixTime;

use super::{ENVIRONMENT, GatewaySettings};

/// A text of TOML; behind a NUL, lines of `KEY=value` as the environment would have them after the prefix.
pub fn fuzz_gateway_settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (file, environment) = text.split_once('\0').unwrap_or((text, ""));
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("{ENVIRONMENT}{name}"), value));
    let overrides = Overrides::none().variables(ENVIRONMENT, variables);
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    let read = Document::parse("gateway.toml", file, None, overrides)
        .and_then(|document| GatewaySettings::read(document, now));
    if let Err(problems) = read {
        assert!(!problems.is_empty() && !problems.to_string().is_empty());
    }
}
