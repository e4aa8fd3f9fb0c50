//! A file as the checks see it: its text, the same text with comments and literals blanked out (same lines,
//! same columns), and which lines are tests.

pub struct Source {
    pub path: String,
    pub text: String,
    /// Code alone: comments and what is inside literals are spaces.
    pub code: String,
    /// For each line whether it belongs to a test.
    tests: Vec<bool>,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let code = if path.ends_with(".rs") { blank(&text) } else { text.clone() };
        let tests = mark_tests(&path, &code);
        Self { path, text, code, tests }
    }

    /// Lines of the file as written, numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Lines of code, numbered from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Lines of code that are not tests.
    pub fn program_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code_lines().filter(|(number, _)| !self.is_test(*number))
    }

    /// Lines of code that are tests.
    pub fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code_lines().filter(|(number, _)| self.is_test(*number))
    }

    pub fn is_test(&self, line: usize) -> bool {
        self.tests.get(line - 1).copied().unwrap_or(false)
    }

    /// The file's name without folder and ending.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }
}

/// Whether `word` stands in `line` as a whole word.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_a_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part_of_a_word)
            && !line[at + word.len()..].chars().next().is_some_and(part_of_a_word)
    })
}

/// Where the block ends that opens at the first `{` at or after `from`; `None` if a `;` comes first.
pub fn end_of_block(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if depth == 0 && brackets == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn mark_tests(path: &str, code: &str) -> Vec<bool> {
    let lines = code.lines().count();
    let is_named_so =
        path.ends_with("/tests.rs") || path.rsplit('/').next().is_some_and(|name| name.starts_with("test_"));
    let whole = path.contains("/tests/") || is_named_so || path.starts_with("crates/e2e/");
    let mut tests = vec![whole; lines];
    for (at, marker) in code.match_indices("#[cfg(test)]") {
        let first = line_of(code, at);
        let last = end_of_block(code, at + marker.len()).map_or(first + 1, |end| line_of(code, end));
        tests.iter_mut().take(last).skip(first - 1).for_each(|test| *test = true);
    }
    tests
}

/// The number, from 1, of the line that holds the byte at `at`.
pub fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Replaces comments and the insides of literals by spaces, keeping every line break where it is.
fn blank(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest, out.chars().next_back());
        let (taken, after) = rest.split_at(length.unwrap_or(first.len_utf8()));
        if length.is_some() {
            out.extend(taken.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else if first.is_ascii() {
            out.push(first);
        } else {
            out.extend(taken.bytes().map(|_| ' '));
        }
        rest = after;
    }
    out
}

/// How many bytes the comment or literal at the start of `rest` has, if there is one.
fn literal_or_comment(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    let in_a_word = before.is_some_and(|character| character.is_alphanumeric() || character == '_');
    if !in_a_word && let Some(length) = raw_string(rest) {
        return Some(length);
    }
    match rest.as_bytes().first()? {
        b'"' => Some(quoted(rest)),
        b'\'' => character(rest),
        _ => None,
    }
}

fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(prefix.len() + hashes + 1 + end)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, and not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        return rest[2..].char_indices().skip(1).find(|(_, character)| *character == '\'').map(|(at, _)| at + 3);
    }
    let (at, second) = characters.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_in_place() {
        let text = "let a = \"x // y\"; // z\nlet b = '\\''; let c: &'static str = r#\"q\"q\"#; /* d\n */ e";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), text.lines().count());
        for gone in ["x", "y", "z", "q", "d"] {
            assert!(!code.contains(&format!(" {gone} ")), "{gone} in {code}");
        }
        assert!(code.contains("&'static str") && code.ends_with(" e"), "{code}");
    }

    #[test]
    fn lines_of_a_test_module_are_tests_and_what_follows_is_not() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n".to_owned();
        let source = Source::new("crates/core/src/a.rs".to_owned(), text);
        let tests: Vec<_> = source.test_lines().map(|(number, _)| number).collect();
        assert_eq!(tests, [2, 3, 4, 5]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use tokio::net;", "tokio"));
        assert!(!has_word("let tokio_free = 1;", "tokio"));
    }
}
