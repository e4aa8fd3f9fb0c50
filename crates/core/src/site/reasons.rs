//! Why something is refused, in words: the first reasons, and how many more there are. A peer decides how many that
//! is, so what is not kept is never put into words.

use crate::limits;

#[derive(Debug, Default)]
pub struct Reasons {
    named: Vec<String>,
    more: usize,
}

impl Reasons {
    pub fn add(&mut self, reason: impl FnOnce() -> String) {
        if self.named.len() < limits::VERDICT_PROBLEMS {
            self.named.push(short(reason()));
        } else {
            self.more += 1;
        }
    }

    /// Takes over what was found elsewhere.
    pub fn append(&mut self, other: Reasons) {
        other.named.into_iter().for_each(|reason| self.add(|| reason));
        self.more += other.more;
    }

    /// Counts reasons that nobody has put into words.
    pub fn add_more(&mut self, more: usize) {
        self.more += more;
    }

    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.more == 0
    }

    pub fn into_words(self) -> Vec<String> {
        let Self { mut named, more } = self;
        if more > 0 {
            named.push(format!("and {more} more problems"));
        }
        named
    }

    /// An error if there is one reason.
    pub fn into_result(self) -> Result<(), Vec<String>> {
        if self.is_empty() { Ok(()) } else { Err(self.into_words()) }
    }
}

fn short(mut reason: String) -> String {
    let end = reason.floor_char_boundary(limits::PROBLEM_TEXT);
    reason.truncate(end);
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_named_and_the_rest_counted() {
        let (mut reasons, mut worded) = (Reasons::default(), 0);
        for number in 0..1000 {
            reasons.add(|| {
                worded += 1;
                format!("{number}: {}", "ä".repeat(limits::PROBLEM_TEXT))
            });
        }
        let words = reasons.into_result().unwrap_err();
        assert_eq!((worded, words.len()), (limits::VERDICT_PROBLEMS, limits::VERDICT_PROBLEMS + 1));
        assert_eq!(words.last().unwrap(), "and 900 more problems");
        assert!(words.iter().all(|reason| reason.len() <= limits::PROBLEM_TEXT));
        let mut both = Reasons::default();
        both.add(|| "one".to_owned());
        both.append(Reasons { named: vec!["other".to_owned(); limits::VERDICT_PROBLEMS], more: 7 });
        assert_eq!(both.into_words().last().unwrap(), "and 8 more problems");
        assert_eq!(Reasons::default().into_result(), Ok(()));
    }
}
