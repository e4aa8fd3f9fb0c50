//! Counters, gauges and histograms named `cmg_*`, and their Prometheus text. Handles are resolved at start
//! or when a configuration is applied, so that the path of a request pays one atomic addition. Every family
//! has a bound on its series; none is named by what a client sent.

mod family;
mod process;
mod registry;
mod series;
mod text;

pub use family::Family;
pub use registry::Registry;
pub use series::{Counter, Gauge, Held, Histogram, SECONDS, StaticCounter};
pub use text::CONTENT_TYPE;

#[cfg(test)]
pub(crate) mod checker;

pub type CounterFamily<const N: usize> = Family<Counter, N>;
pub type GaugeFamily<const N: usize> = Family<Gauge, N>;
