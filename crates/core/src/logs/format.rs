//! The shapes of a line, and which of them a configuration asks for.

use crate::configuration::sections::LogFormat;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Style {
    Json,
    Human,
    Coloured,
    CmTrace,
}

impl Style {
    pub fn of(format: LogFormat, on_terminal: bool) -> Self {
        match (format, on_terminal) {
            (LogFormat::Human | LogFormat::Auto, true) => Style::Coloured,
            (LogFormat::Human, false) => Style::Human,
            (LogFormat::Json, _) | (LogFormat::Auto, false) => Style::Json,
            (LogFormat::CmTrace, _) => Style::CmTrace,
        }
    }

    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Style::Human,
            2 => Style::Coloured,
            3 => Style::CmTrace,
            _ => Style::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_survives_its_number() {
        for format in [LogFormat::Auto, LogFormat::Human, LogFormat::Json, LogFormat::CmTrace] {
            for on_terminal in [false, true] {
                let style = Style::of(format, on_terminal);
                assert_eq!(Style::from_number(style as u8), style);
            }
        }
    }
}
