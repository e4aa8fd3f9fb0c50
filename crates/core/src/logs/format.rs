//! The three shapes of a line.

/// What a configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people on a terminal, JSON otherwise.
    #[default]
    Automatic,
    Human,
    Json,
    /// As Microsoft's log viewers read it.
    CmTrace,
}

impl Format {
    pub const NAMES: [&'static str; 4] = ["auto", "human", "json", "cmtrace"];

    /// Reads one of [`Format::NAMES`].
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Format::Automatic,
            "human" => Format::Human,
            "json" => Format::Json,
            "cmtrace" => Format::CmTrace,
            _ => return None,
        })
    }

    pub(super) fn style(self, on_terminal: bool) -> Style {
        match (self, on_terminal) {
            (Format::Human | Format::Automatic, true) => Style::Coloured,
            (Format::Human, false) => Style::Human,
            (Format::Json, _) | (Format::Automatic, false) => Style::Json,
            (Format::CmTrace, _) => Style::CmTrace,
        }
    }
}

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
    fn every_name_is_read_and_every_style_survives_its_number() {
        for name in Format::NAMES {
            let format = Format::parse(name).unwrap();
            for on_terminal in [false, true] {
                let style = format.style(on_terminal);
                assert_eq!(Style::from_number(style as u8), style);
            }
        }
        assert_eq!(Format::parse("xml"), None);
    }
}
