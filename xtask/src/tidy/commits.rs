//! Subjects of commits: short, imperative, without a full stop.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::tree::Problem;

const SUBJECT: usize = 60;
/// Subjects that landed before the check ran. Never more of them.
const LANDED: &[&str] = &["Judge heads, framing, targets and fields by table and property"];
/// First words that end like another form of the verb and are imperative all the same.
const IMPERATIVE: &[&str] = &[
    "Address", "Bring", "Compress", "Discuss", "Embed", "Express", "Feed", "Need", "Pass", "Ping", "Process",
    "Proceed", "Seed", "Shed", "Speed", "Spring", "Stress", "String", "Suppress", "Guess", "Miss", "Dismiss", "Press",
    "Focus", "Bless",
];

/// Short hash and subject of every commit but merges.
pub fn subjects(root: &Path) -> Result<Vec<(String, String)>> {
    let log = Command::new("git")
        .args(["log", "--no-merges", "--format=%h %s"])
        .current_dir(root)
        .output()
        .context("cannot run git log")?;
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    Ok(log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(hash, subject)| (hash.into(), subject.into()))
        .collect())
}

pub fn subjects_are_short_and_imperative(subjects: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (hash, subject) in subjects.iter().filter(|(_, subject)| !LANDED.contains(&subject.as_str())) {
        if let Some(what) = wrong_with(subject) {
            problems.push(Problem::new(&format!("commit {hash}"), 0, format!("{subject:?}: {what}")));
        }
    }
    problems
}

fn wrong_with(subject: &str) -> Option<String> {
    let length = subject.chars().count();
    if length > SUBJECT {
        return Some(format!("{length} characters; {SUBJECT} at most"));
    }
    if subject.ends_with('.') {
        return Some("a subject has no full stop".to_owned());
    }
    let first = subject.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    if !first.starts_with(char::is_uppercase) {
        return Some("begin with a verb and a capital letter".to_owned());
    }
    let another_form = ["ed", "ing", "s"].iter().any(|end| first.ends_with(end));
    (another_form && !IMPERATIVE.contains(&first)).then(|| format!("`{first}` is not imperative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_subjects_are_found() {
        for bad in ["Added a check", "Adds a check", "Adding a check", "add a check", "Add a check.", &"A".repeat(61)] {
            assert!(wrong_with(bad).is_some(), "{bad}");
        }
        for good in ["Add a check", "Pass the target as it is", "Process heads in place"] {
            assert_eq!(wrong_with(good), None, "{good}");
        }
    }
}
