//! The sender's count: one record per request, in memory and as a line of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::LoadError;
use crate::expected::hex;
use crate::kind::Kind;
use crate::outcome::Outcome;

/// One request, as its sender saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    pub number: u64,
    pub kind: Kind,
    /// The version of HTTP that it was sent in.
    pub http: u8,
    /// At which of the site's addresses, from 0.
    pub gateway: usize,
    /// When its first byte was about to be written, since the run began.
    #[serde(serialize_with = "as_seconds")]
    pub began: Duration,
    /// When its end had been seen.
    #[serde(serialize_with = "as_seconds")]
    pub ended: Duration,
    pub outcome: Outcome,
    /// Of the answer, if its head came.
    pub status: u16,
    /// Of the gateway's own answer.
    pub code: Option<Box<str>>,
    /// As the answer told it.
    pub request_id: Option<Box<str>>,
    pub body_length: u64,
    /// None without a body.
    #[serde(serialize_with = "as_hex")]
    pub body_sha256: Option<[u8; 32]>,
    /// Bytes of the answer's body that came.
    pub answer_bytes: u64,
    /// What was wrong, in words.
    pub detail: Option<Box<str>>,
}

fn as_hex<S: Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    hash.map(|hash| hex(&hash)).serialize(serializer)
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A try that made no request: its connection did not come about, or was gone before a head was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent {
    pub gateway: usize,
    pub began: Duration,
    pub ended: Duration,
}

/// All that a run sent.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The first part of every id.
    pub run: String,
    /// By number, one for each.
    pub sent: Vec<Sent>,
    pub unsent: Vec<Unsent>,
    /// Requests after whose whole answer the connection carried bytes that nobody had asked for.
    pub with_strays: Vec<u64>,
    /// When a client found that every address in turn took no connection.
    pub found_nobody: Vec<Duration>,
}

/// Writes the lines as they come.
pub struct RecordFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RecordFile {
    pub fn create(path: &Path) -> Result<Self, LoadError> {
        let file = File::create(path).map_err(|source| LoadError::File { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    pub fn write(&mut self, sent: &Sent) -> Result<(), LoadError> {
        let written = serde_json::to_writer(&mut self.file, sent).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| LoadError::File { path: self.path.clone(), source })
    }

    pub fn close(mut self) -> Result<(), LoadError> {
        self.file.flush().map_err(|source| LoadError::File { path: self.path, source })
    }
}
