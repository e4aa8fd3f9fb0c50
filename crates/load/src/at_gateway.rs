//! The gateways' count: their log files, one line per exchange. A program that was killed may leave a line half
//! written; that is counted and not an error.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::LoadError;

/// The one line of an exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct AtGateway {
    pub request_id: Box<str>,
    #[serde(default)]
    pub method: Box<str>,
    #[serde(default)]
    pub path: Box<str>,
    pub status: u16,
    /// answered, refused, cut or client gone.
    pub outcome: Box<str>,
    pub code: Option<Box<str>>,
    pub request_bytes: u64,
    pub answer_bytes: u64,
    /// Whose turn it was; the second one if the request was sent again.
    pub connection_point: Option<Box<str>>,
    /// Why it was.
    pub sent_again: Option<Box<str>>,
}

/// What the logs say of one run.
#[derive(Clone, Debug, Default)]
pub struct GatewayCount {
    pub lines: Vec<AtGateway>,
    /// Last lines that were cut off in the middle.
    pub partial: u64,
    /// Other lines that cannot be read.
    pub unreadable: u64,
    /// Lines that the programs say they had no room for.
    pub dropped: u64,
}

/// Reads every log file for the lines of one run.
pub fn read_logs(logs: &[PathBuf], run: &str) -> Result<GatewayCount, LoadError> {
    let mut count = GatewayCount::default();
    for log in logs {
        read_log(log, run, &mut count).map_err(|source| LoadError::File { path: log.clone(), source })?;
    }
    Ok(count)
}

fn read_log(log: &Path, run: &str, count: &mut GatewayCount) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(log)?);
    let mark = format!("/{run}-");
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        read_line(&line, &mark, count);
        line.clear();
    }
    Ok(())
}

fn read_line(line: &[u8], mark: &str, count: &mut GatewayCount) {
    if line.last() != Some(&b'\n') {
        count.partial += 1;
        return;
    }
    let text = String::from_utf8_lossy(line);
    if text.contains("\"component\":\"exchange\"") && text.contains(mark) {
        match serde_json::from_str(&text) {
            Ok(line) => count.lines.push(line),
            Err(_) => count.unreadable += 1,
        }
    } else if let Some((_, told)) = text.split_once("\"dropped\":") {
        let digits: String = told.chars().take_while(char::is_ascii_digit).collect();
        count.dropped += digits.parse().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"t","level":"info","component":"exchange","request_id":"aa","method":"GET","path":"/mp/r-7/_/echo","status":200,"outcome":"answered","request_bytes":0,"answer_bytes":5,"ms":1.000}"#;

    #[test]
    fn lines_of_the_run_are_counted_and_half_a_line_is_told() {
        let mut count = GatewayCount::default();
        let other = LINE.replace("/r-7/", "/s-7/");
        let broken = LINE.replace("\"status\":200", "\"status\":");
        let dropped = r#"{"time":"t","component":"cmg_core::logs","message":"log lines were dropped","dropped":12}"#;
        for line in [LINE, &other, &broken, dropped] {
            read_line(format!("{line}\n").as_bytes(), "/r-", &mut count);
        }
        read_line(&LINE.as_bytes()[..50], "/r-", &mut count);
        assert_eq!((count.lines.len(), count.partial, count.unreadable, count.dropped), (1, 1, 1, 12));
        assert_eq!((count.lines[0].status, &*count.lines[0].path), (200, "/mp/r-7/_/echo"));
    }
}
