//! The files that the checks look at: what git tracks or would track, read once. Never the generated code.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::source::Source;

/// Written by `xtask codegen`; only its heading is ours.
pub const GENERATED: &str = "crates/core/src/tunnel/generated.rs";

/// A place and what is wrong there, with what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    path: String,
    line: usize,
    what: String,
}

impl Problem {
    /// Line 0 means the file as a whole.
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

pub struct Tree {
    pub files: Vec<Source>,
}

impl Tree {
    pub fn read(root: &Path) -> Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root)
            .output()
            .context("cannot run git; tidy looks at what git tracks")?;
        ensure!(listing.status.success(), "git ls-files failed");
        let mut paths: Vec<_> = String::from_utf8(listing.stdout)?.split_terminator('\0').map(str::to_owned).collect();
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            // A file that is deleted but still tracked, or that is not text, has no lines to check.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                files.push(Source::new(path, text));
            }
        }
        ensure!(!files.is_empty(), "git ls-files names no file; tidy would have passed without looking");
        Ok(Self { files })
    }

    /// Rust files that a person wrote.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs") && file.path != GENERATED)
    }

    /// Rust files of the crates, without their `tests` folders and without the crates that only test.
    pub fn programs(&self) -> impl Iterator<Item = &Source> {
        const PROGRAMS: [&str; 3] = ["crates/core/src/", "crates/gateway/src/", "crates/connection-point/src/"];
        self.rust().filter(|file| PROGRAMS.iter().any(|folder| file.path.starts_with(folder)))
    }

    pub fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A tree for the checks' own tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| Source::new((*path).to_owned(), (*text).to_owned())).collect() }
    }
}
