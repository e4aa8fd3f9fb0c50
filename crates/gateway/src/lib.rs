//! Placeholder until the first commit.

pub mod settings;
