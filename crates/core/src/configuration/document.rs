//! A configuration file in memory, ready to be read once. Says what is wrong with the file itself: missing,
//! too large, not UTF-8, not TOML.

use super::origin::Overrides;
use super::problem::{Place, Problems};
use super::record::Reading;
use super::table::{Reader, Table};
use super::tree::{self, Branch};
use crate::limits;
use std::io::Read;
use std::path::{Path, PathBuf};

pub struct Document {
    name: String,
    /// Relative paths start here; none for a source that is no file.
    base: Option<PathBuf>,
    root: Branch,
    /// Faults of merging; reported with those of reading.
    early: Problems,
}

impl Document {
    /// Reads a file and merges the overrides into it.
    pub fn load(path: &Path, overrides: Overrides) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let text = read_file(path, &name)?;
        let base = path.parent().map(Path::to_path_buf);
        Self::parse(&name, &text, base.as_deref(), overrides)
    }

    /// The same for a text that is already here. `name` stands for the file in problems.
    pub fn parse(name: &str, text: &str, base: Option<&Path>, overrides: Overrides) -> Result<Self, Problems> {
        let mut root = tree::parse(name, text)?;
        let early = overrides.merge_into(&mut root);
        Ok(Self { name: name.to_owned(), base: base.map(Path::to_path_buf), root, early })
    }

    /// Reads the whole document with one function. Every problem is collected; what the function returns
    /// counts only when there is none.
    pub fn read<T>(self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Result<(T, Reading), Problems> {
        let place = Place::Whole { name: self.name };
        let reader = Reader::new(self.base, self.early);
        let value = Table::root(&reader, &self.root, place.clone()).read(read);
        let (reading, problems) = reader.finish();
        match value {
            Some(value) if problems.is_empty() => Ok((value, reading)),
            None if problems.is_empty() => {
                let Place::Whole { name } = place else { return Err(problems) };
                Err(Problems::of_file(name, "could not be read", "report this as a fault of the program"))
            }
            _ => Err(problems),
        }
    }
}

fn read_file(path: &Path, name: &str) -> Result<String, Problems> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limits::SITE_CONFIGURATION as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Problems::of_file(name, format!("cannot be read: {error}"), "check path and permissions"))?;
    text_of(bytes, name)
}

/// Judges size and encoding of a file's bytes.
fn text_of(bytes: Vec<u8>, name: &str) -> Result<String, Problems> {
    if bytes.len() > limits::SITE_CONFIGURATION {
        let most = limits::SITE_CONFIGURATION >> 20;
        return Err(Problems::of_file(name, format!("is larger than {most} MiB"), "is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problems::of_file(name, format!("is not UTF-8: byte {at} is wrong"), "save it as UTF-8")
    })
}
