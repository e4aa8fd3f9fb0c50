//! The names that this gateway answers to, compared without regard to case and without the port.

/// Names of the services, the first of them for clients that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceNames(Vec<String>);

impl ServiceNames {
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    pub fn include(&self, host: &[u8]) -> bool {
        self.find(host).is_some()
    }

    /// The configured spelling of the name in a Host field; a wildcard covers one label.
    pub fn find(&self, host: &[u8]) -> Option<&str> {
        let host = without_port(host);
        self.0.iter().map(String::as_str).find(|name| match name.strip_prefix("*.") {
            Some(parent) => behind_first_dot(host).is_some_and(|rest| rest.eq_ignore_ascii_case(parent.as_bytes())),
            None => host.eq_ignore_ascii_case(name.as_bytes()),
        })
    }
}

/// A port is digits behind a colon; inside brackets colons belong to the address. A final dot is not stripped:
/// no certificate has it.
fn without_port(host: &[u8]) -> &[u8] {
    let Some(at) = host.iter().rposition(|byte| *byte == b':') else { return host };
    match (host.get(..at), host.get(at + 1..)) {
        (Some(name), Some(port)) if port.iter().all(u8::is_ascii_digit) => name,
        _ => host,
    }
}

fn behind_first_dot(host: &[u8]) -> Option<&[u8]> {
    let at = host.iter().position(|byte| *byte == b'.').filter(|at| *at > 0)?;
    host.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_without_case_and_port() {
        let names = ServiceNames::new(["cmg.example.net".to_owned(), "*.wild.example.net".to_owned()]);
        for host in ["cmg.example.net", "CMG.Example.NET:443", "a.wild.example.net", "cmg.example.net:8443"] {
            assert!(names.include(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            "example.net",
            "xcmg.example.net",
            "wild.example.net",
            "a.b.wild.example.net",
            ".wild.example.net",
            "cmg.example.net:80@evil.example",
            "cmg.example.net:x",
            "[::1]",
        ] {
            assert!(!names.include(host.as_bytes()), "{host}");
        }
        assert_eq!(names.find(b"CMG.EXAMPLE.NET"), Some("cmg.example.net"));
    }
}
