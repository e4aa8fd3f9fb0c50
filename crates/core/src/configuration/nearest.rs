//! Finds the name that somebody most likely meant. Pure.

/// The candidate nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let spelled = spelling(word);
    let most = (spelled.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&spelled, &spelling(candidate)), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the choice between `-`, `_` and nothing are never what somebody meant.
fn spelling(word: &str) -> Vec<char> {
    // Longer words than any key are not near to one; the bound keeps the work small.
    const LONGEST: usize = 64;
    word.chars().filter(|c| *c != '-' && *c != '_').map(|c| c.to_ascii_lowercase()).take(LONGEST).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..width).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(width);
        row.push(i + 1);
        for (j, &to) in b.iter().enumerate() {
            let replaced = last.get(j).map_or(usize::MAX, |d| d + usize::from(from != to));
            let deleted = last.get(j + 1).map_or(usize::MAX, |d| d + 1);
            let inserted = row.last().map_or(usize::MAX, |d| d + 1);
            let swapped = if i > 0 && j > 0 && a.get(i - 1) == Some(&to) && b.get(j - 1) == Some(&from) {
                before_last.get(j - 1).map_or(usize::MAX, |d| d + 1)
            } else {
                usize::MAX
            };
            row.push(replaced.min(deleted).min(inserted).min(swapped));
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_found() {
        let keys = ["connections", "handshakes", "request_body_cap", "listen"];
        for (written, meant) in [
            ("conections", Some("connections")),
            ("Connections", Some("connections")),
            ("request-body-cap", Some("request_body_cap")),
            ("requestbodycap", Some("request_body_cap")),
            ("lsiten", Some("listen")),
            ("handshake", Some("handshakes")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
    }
}
