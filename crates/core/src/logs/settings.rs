//! How a level is read, and what can be wrong with the log's settings.

use std::io;

use tracing_subscriber::filter::Targets;

use crate::configuration::sections::{LogFormat, LogSettings};

impl Default for LogSettings {
    /// Until a configuration is read.
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{0}")]
    Level(#[from] LevelError),
    #[error("the log's writer thread could not be started: {0}")]
    Writer(#[from] io::Error),
    #[error("logging was started twice in one process")]
    StartedTwice,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a log level: {}", Self::INSTEAD)]
pub struct LevelError {
    text: String,
}

impl LevelError {
    const INSTEAD: &str = "write off, error, warn, info, debug or trace, or levels per target such as info,h2=debug";

    /// What to write instead.
    pub const fn instead(&self) -> &'static str {
        Self::INSTEAD
    }
}

/// Reads a level; a word that is no level is refused, not taken for a target's name.
pub fn parse_level(text: &str) -> Result<Targets, LevelError> {
    let wrong = || LevelError { text: text.to_owned() };
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str()) {
            return Err(wrong());
        }
    }
    text.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_are_read_per_target() {
        let targets = parse_level("warn,cmg_core=debug,exchange=off").unwrap();
        assert!(targets.would_enable("cmg_core::tls", &Level::DEBUG));
        assert!(!targets.would_enable("h2", &Level::INFO));
        assert!(!targets.would_enable("exchange", &Level::ERROR));
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "loud", "info,h2", "h2=chatty"] {
            let error = parse_level(text).unwrap_err().to_string();
            assert!(error.contains("info,h2=debug"), "{error}");
        }
    }
}
