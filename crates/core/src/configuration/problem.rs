//! What is wrong with a configuration: where, which key, why, and what to write instead. A list of problems
//! is the only error of reading; it prints one problem a line in the order of the file.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole: a missing key of the top level has no line.
    Whole { name: String },
    /// A file, or a source that stands for one; lines and columns count from 1.
    File { name: String, line: usize, column: usize },
    /// An environment variable.
    Variable { name: String },
    /// A command-line flag.
    Flag { name: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Place::Whole { name } => write!(f, "{name}"),
            Place::Variable { name } => write!(f, "environment variable {name}"),
            Place::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// What kind of thing is wrong; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    Configuration,
    /// A certificate, key or chain.
    Certificate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// The whole key, such as `limits.connections` or `roles[2].id`; empty when no key is to blame.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead; may be empty when the message says it.
    pub instead: String,
    pub kind: ProblemKind,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        if !self.instead.is_empty() {
            write!(f, "; {}", self.instead)?;
        }
        Ok(())
    }
}

/// Everything that is wrong; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// A problem with a file as a whole, such as one that cannot be opened.
    pub fn of_file(name: impl Into<String>, message: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::one(Problem {
            place: Place::Whole { name: name.into() },
            key: String::new(),
            message: message.into(),
            instead: instead.into(),
            kind: ProblemKind::Configuration,
        })
    }

    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every problem is one of a certificate or key: the exit code is 4 and not 3.
    pub fn certificates_only(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|problem| problem.kind == ProblemKind::Certificate)
    }

    /// In the order of the file, each once.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        self.0.dedup();
        self
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
