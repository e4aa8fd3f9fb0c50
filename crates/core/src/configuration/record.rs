//! What reading found out about settings: every key that exists, with type and default, and every setting in
//! force with its value and where it came from. Serves `check --print` and the test of the documentation.

use super::problem::Place;
use std::collections::BTreeMap;

/// A key that the reader knows, whether or not a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// With `[]` for the elements of a list of tables: `sites[].code`.
    pub key: String,
    pub kind: String,
    /// As the file would say it; `required` or `none` where there is no default.
    pub default: String,
}

/// A setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With the number of the element, from 1: `sites[2].code`.
    pub key: String,
    /// In the syntax of the file; secrets are masked.
    pub value: String,
    /// None: the default.
    pub place: Option<Place>,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}  # ", self.key, self.value)?;
        match &self.place {
            Some(place) => write!(f, "{place}"),
            None => write!(f, "default"),
        }
    }
}

/// Everything that reading found out.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    known: BTreeMap<String, KnownKey>,
    settings: Vec<Setting>,
}

impl Reading {
    /// In the order of their names.
    pub fn known_keys(&self) -> impl Iterator<Item = &KnownKey> {
        self.known.values()
    }

    /// In the order of reading.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The keys whose value is another one than it was, in the order of reading, then those that are gone.
    pub fn changed_since(&self, before: &Reading) -> Vec<String> {
        let is_new = |now: &&Setting| !before.settings.iter().any(|old| old.key == now.key && old.value == now.value);
        let is_gone = |old: &&Setting| !self.settings.iter().any(|now| now.key == old.key);
        let changed = self.settings.iter().filter(is_new).chain(before.settings.iter().filter(is_gone));
        changed.map(|setting| setting.key.clone()).collect()
    }

    pub(super) fn knows(&mut self, key: String, kind: String, default: String) {
        self.known.entry(key.clone()).or_insert(KnownKey { key, kind, default });
    }

    pub(super) fn found(&mut self, setting: Setting) {
        self.settings.push(setting);
    }
}
