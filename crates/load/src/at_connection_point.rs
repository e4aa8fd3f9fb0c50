//! The connection points' own count of what only they can know: which requests they sent to a role a second time. From
//! their log files, whose exchange lines say it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::LoadError;

/// The ids of requests that were sent to a role again.
#[derive(Clone, Debug, Default)]
pub struct SentAgainToRole(pub HashSet<Box<str>>);

#[derive(Deserialize)]
struct Line {
    request_id: Box<str>,
}

impl SentAgainToRole {
    pub fn read(logs: &[PathBuf]) -> Result<Self, LoadError> {
        let mut told = Self::default();
        for log in logs {
            told.read_log(log).map_err(|source| LoadError::File { path: log.clone(), source })?;
        }
        Ok(told)
    }

    fn read_log(&mut self, log: &Path) -> std::io::Result<()> {
        let mut reader = BufReader::new(File::open(log)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.read_line(&line);
            line.clear();
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        // Half a line proves nothing.
        if text.contains("\"component\":\"exchange\"")
            && text.contains("\"sent_again\":")
            && let Ok(Line { request_id }) = serde_json::from_str(&text)
        {
            self.0.insert(request_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_so_are_counted() {
        let mut told = SentAgainToRole::default();
        let line = |id: &str, rest: &str| format!(r#"{{"component":"exchange","request_id":"{id}","ms":1.0{rest}}}"#);
        told.read_line(line("aa", "").as_bytes());
        told.read_line(line("bb", r#","sent_again":"repeatable""#).as_bytes());
        let half = line("cc", r#","sent_again":"repeatable""#);
        told.read_line(&half.as_bytes()[..half.len() - 1]);
        assert_eq!(told.0.into_iter().collect::<Vec<_>>(), ["bb".into()]);
    }
}
