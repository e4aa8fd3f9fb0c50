//! The parameters of a behaviour: `name=value` pairs with percent-encoding.

/// In order; a name may stand several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, Vec<u8>)>);

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name} is {value:?}; {instead}")]
pub struct BadParameter {
    pub name: String,
    pub value: String,
    pub instead: String,
}

impl Parameters {
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect())
    }

    /// The value as bytes, which may be anything.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    pub fn number(&self, name: &str, default: u64) -> Result<u64, BadParameter> {
        match self.bytes(name) {
            None => Ok(default),
            Some(value) => {
                let text = String::from_utf8_lossy(value);
                text.parse().map_err(|_| bad(name, &text, "write a whole number".to_owned()))
            }
        }
    }

    /// One of the known words; the first is the default.
    pub fn word<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<T, BadParameter> {
        let names = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let wanted = match self.text(name) {
            Some(text) => known.iter().find(|(word, _)| *word == text),
            None => known.first(),
        };
        let wrong = || bad(name, self.text(name).unwrap_or_default(), format!("write one of {}", names()));
        wanted.map(|(_, value)| *value).ok_or_else(wrong)
    }
}

fn bad(name: &str, value: &str, instead: String) -> BadParameter {
    BadParameter { name: name.to_owned(), value: value.to_owned(), instead }
}

/// Resolves `%XX`; anything else is taken as it is, one byte per character.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let hex = rest.strip_prefix('%').and_then(|hex| hex.get(..2)).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let length = match hex {
            Some(byte) => {
                out.push(byte);
                3
            }
            None => {
                out.push(u32::from(character) as u8);
                character.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bytes() {
        let parameters = Parameters::parse("a=%ffx%4&b&c=1&c=2");
        assert_eq!(parameters.bytes("a"), Some(&b"\xffx%4"[..]));
        assert_eq!(parameters.bytes("b"), Some(&b""[..]));
        assert_eq!(parameters.all("c").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(parameters.number("none", 3), Ok(3));
        assert!(parameters.number("a", 3).unwrap_err().to_string().contains("a whole number"));
        assert!(parameters.word("c", &[("x", 1), ("y", 2)]).unwrap_err().to_string().contains("x, y"));
    }
}
