//! A strict reader of the Prometheus text format, for tests: order, types, names, escapes and the rules of
//! histograms. It panics at the first line that is not exactly right.

use std::collections::{BTreeMap, HashSet};

type Key = (String, BTreeMap<String, String>);

pub(crate) struct Samples(BTreeMap<Key, f64>);

impl Samples {
    pub fn check(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut samples = BTreeMap::new();
        let (mut families, mut family) = (HashSet::new(), (String::new(), String::new()));
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(!words.is_empty() && families.insert(name.to_owned()), "one HELP for {name}");
                let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
                family = (name.to_owned(), kind.to_owned());
            } else {
                let (key, value) = sample(line);
                let suffix = key.0.strip_prefix(&family.0).unwrap_or_else(|| panic!("{line} is outside its family"));
                let fits = match family.1.as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                    _ => suffix.is_empty(),
                };
                assert!(fits, "{line} in a family of type {}", family.1);
                assert!(samples.insert(key, value).is_none(), "{line} stands twice");
            }
        }
        let samples = Self(samples);
        samples.check_histograms();
        samples
    }

    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = (name.to_owned(), labels);
        *self.0.get(&key).unwrap_or_else(|| panic!("no sample {key:?}"))
    }

    /// Buckets grow with their bound, and the last is the count.
    fn check_histograms(&self) {
        let mut histograms: BTreeMap<Key, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.0 {
            let Some(name) = name.strip_suffix("_bucket") else { continue };
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap();
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            histograms.entry((name.to_owned(), labels)).or_default().push((bound, *value));
        }
        for ((name, labels), mut buckets) in histograms {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name} {labels:?} is cumulated");
            let (bound, last) = *buckets.last().unwrap();
            assert_eq!(bound, f64::INFINITY);
            assert_eq!(last, self.0[&(format!("{name}_count"), labels.clone())]);
            assert!(self.0.contains_key(&(format!("{name}_sum"), labels)));
        }
    }
}

fn sample(line: &str) -> (Key, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(end);
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let value = value.strip_prefix(' ').unwrap_or_else(|| panic!("{line}: a space before the value"));
    ((name.to_owned(), labels), value.parse().unwrap_or_else(|_| panic!("{line}: not a number")))
}

fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (value, after) = quoted(after);
        assert!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, after.strip_prefix('}').unwrap()),
        }
    }
}

fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().unwrap().1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                other => panic!("escape \\{other}"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("a label value that does not end: {text}")
}
