//! docs/limits.md tells every bound with its value and its reason, in the words that stand here.

use super::{KIB, MIB};

const SOURCE: &str = include_str!("../limits.rs");
const DOCUMENT: &str = include_str!("../../../../docs/limits.md");

/// The table of the document as it should be: a part for each section of the source.
fn table() -> String {
    let (mut table, mut reason) = (String::new(), String::new());
    for line in SOURCE.lines() {
        if let Some(section) = line.strip_prefix("// ---- ") {
            let section = section[..1].to_uppercase() + &section[1..];
            table.push_str(&format!("\n### {section}\n\n| bound | value | what for |\n| --- | --- | --- |\n"));
        } else if let Some(words) = line.strip_prefix("/// ") {
            reason.push_str(words);
            reason.push(' ');
        } else if let Some((name, value)) = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": ")) {
            let value = value.split_once(" = ").and_then(|(_, value)| value.strip_suffix(';'));
            let value = value.unwrap_or_else(|| panic!("{name}: write a bound in one line"));
            table.push_str(&format!("| `{name}` | {} | {} |\n", in_words(value), reason.trim_end()));
            reason.clear();
        }
    }
    table
}

/// `64 * KIB` as `64 KiB`, `Duration::from_secs(15 * 60)` as `15 min`; a relation to another bound as it is.
fn in_words(value: &str) -> String {
    let value = value.trim_end_matches(" as u64").trim_end_matches(" as u32");
    if let Some(milliseconds) = value.strip_prefix("Duration::from_millis(") {
        return format!("{} ms", milliseconds.trim_end_matches(')'));
    }
    if let Some(seconds) = value.strip_prefix("Duration::from_secs(") {
        let seconds = product(seconds.trim_end_matches(')')).unwrap();
        return match [(86_400, "d"), (3600, "h"), (60, "min")]
            .into_iter()
            .find(|(unit, _)| seconds.is_multiple_of(*unit))
        {
            Some((unit, name)) => format!("{} {name}", seconds / unit),
            None => format!("{seconds} s"),
        };
    }
    let is_size = value.contains("KIB") || value.contains("MIB");
    match product(value) {
        Some(bytes) if is_size && bytes % (1024 * MIB) == 0 => format!("{} GiB", bytes / (1024 * MIB)),
        Some(bytes) if is_size && bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
        Some(bytes) if is_size => format!("{} KiB", bytes / KIB),
        Some(bytes) if value.ends_with("* 1000") => format!("{} kB", bytes / 1000),
        Some(number) => number.to_string(),
        None => format!("`{value}`"),
    }
}

fn product(factors: &str) -> Option<usize> {
    let factors = factors.split(" * ").map(|factor| match factor {
        "KIB" => Some(KIB),
        "MIB" => Some(MIB),
        number => number.replace('_', "").parse().ok(),
    });
    factors.product()
}

fn rows(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("| `")).collect()
}

#[test]
fn every_bound_is_documented_as_it_is() {
    let wanted = table();
    let (_, told) = DOCUMENT.split_once("\n## Bounds\n").unwrap();
    let (wanted, told) = (rows(&wanted), rows(told));
    assert!(wanted.len() > 100, "the bounds were found");
    let absent: Vec<_> = wanted.iter().filter(|row| !told.contains(row)).copied().collect();
    let stale: Vec<_> = told.iter().filter(|row| !wanted.contains(row)).copied().collect();
    let (absent, stale) = (absent.join("\n"), stale.join("\n"));
    assert!(absent.is_empty() && stale.is_empty(), "docs/limits.md lacks\n{absent}\nand should not have\n{stale}");
}
