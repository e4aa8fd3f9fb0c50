//! The Prometheus text format, version 0.0.4. Writes only; knows nothing of what the numbers mean.

use std::fmt::{Display, Write};

use super::series::{Counter, Gauge, Histogram, SECONDS};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a series can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// HELP and TYPE of a family.
pub(super) fn write_family(out: &mut String, name: &str, help: &str, kind: Kind) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    push(out, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
}

/// One sample. `labels` is what [`labels`] made, or empty.
pub(super) fn write_sample(out: &mut String, name: &str, labels: &str, value: impl Display) {
    if labels.is_empty() {
        push(out, format_args!("{name} {value}\n"));
    } else {
        push(out, format_args!("{name}{{{labels}}} {value}\n"));
    }
}

/// A float the way Prometheus reads it.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// `name="value",...` with values escaped.
pub(super) fn labels(names: &[&str], values: &[&str]) -> String {
    let mut out = String::new();
    for (name, value) in names.iter().zip(values) {
        if !out.is_empty() {
            out.push(',');
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        push(&mut out, format_args!("{name}=\"{value}\""));
    }
    out
}

/// Something that a family can hold.
pub trait Series: Clone + Default + Send + Sync + 'static {
    #[doc(hidden)]
    const KIND: Kind;
    #[doc(hidden)]
    fn render(&self, out: &mut String, name: &str, labels: &str);
}

impl Series for Counter {
    const KIND: Kind = Kind::Counter;

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        write_sample(out, name, labels, self.get());
    }
}

impl Series for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        write_sample(out, name, labels, self.get());
    }
}

impl Series for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut cumulated = 0;
        let bounds = SECONDS.into_iter().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(self.counts()) {
            cumulated += count;
            push(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{}\"}} {cumulated}\n", number(bound)));
        }
        write_sample(out, &format!("{name}_sum"), labels, number(self.sum_seconds()));
        write_sample(out, &format!("{name}_count"), labels, cumulated);
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
