//! Every metric of a program, in the order of registration, and its text. Names are checked when they are
//! registered, which is at start: a wrong or repeated one ends the program before it serves anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::process::Process;
use super::series::{Counter, Gauge, Histogram};
use super::text::{self, Kind, Series};
use super::{CounterFamily, Family, GaugeFamily};
use crate::build_info::BUILD;
use crate::{limits, logs, shutdown};

type Render = Box<dyn Fn(&mut String, &str) + Send + Sync>;

/// Clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    entries: Arc<Mutex<Vec<Entry>>>,
}

struct Entry {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    render: Render,
}

impl Registry {
    /// With what every program has: build, start, process, panics and dropped log lines.
    pub fn new(program: &'static str) -> Self {
        let registry = Self { entries: Arc::default() };
        registry.register_build(program);
        registry.register_process();
        registry.counter_from("cmg_panics_total", "Panics caught; each cost one task.", || shutdown::PANICS.get());
        registry.counter_from(
            "cmg_log_lines_dropped_total",
            "Log lines dropped because the reader of the log was too slow.",
            || logs::DROPPED.get(),
        );
        registry
    }

    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.single(name, help)
    }

    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.single(name, help)
    }

    pub fn histogram(&self, name: &'static str, help: &'static str) -> Histogram {
        self.single(name, help)
    }

    /// Counters of exactly these label values, shown from the start.
    pub fn closed_counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: [&'static str; N],
        rows: &[[&str; N]],
    ) -> CounterFamily<N> {
        self.family(name, help, label_names, Family::closed(label_names, rows))
    }

    /// Counters that come with the configuration, at most [`limits::METRIC_SERIES`].
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: [&'static str; N],
    ) -> CounterFamily<N> {
        self.family(name, help, label_names, Family::bounded(label_names, limits::METRIC_SERIES))
    }

    /// Gauges that come with the configuration or with peers, at most [`limits::METRIC_SERIES`].
    pub fn gauges<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: [&'static str; N],
    ) -> GaugeFamily<N> {
        self.family(name, help, label_names, Family::bounded(label_names, limits::METRIC_SERIES))
    }

    /// A gauge whose value is asked for at each scrape; nothing is shown while there is none.
    pub fn gauge_from(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        self.register(name, help, Kind::Gauge, move |out, name| {
            if let Some(value) = value() {
                text::write_sample(out, name, "", text::number(value));
            }
        });
    }

    /// Gauges with labels whose values are asked for at each scrape: what is gone is not shown any more.
    pub fn gauges_from<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: [&'static str; N],
        values: impl Fn() -> Vec<([String; N], f64)> + Send + Sync + 'static,
    ) {
        assert!(label_names.iter().all(|label| is_name(label)), "labels of {name}: {label_names:?}");
        self.register(name, help, Kind::Gauge, move |out, name| {
            for (labels, value) in values().into_iter().take(limits::METRIC_SERIES) {
                let labels = text::labels(&label_names, &labels.each_ref().map(String::as_str));
                text::write_sample(out, name, &labels, text::number(value));
            }
        });
    }

    /// A counter that is kept elsewhere.
    pub fn counter_from(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.register(name, help, Kind::Counter, move |out, name| text::write_sample(out, name, "", value()));
    }

    /// The whole in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for entry in self.entries.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text::write_family(&mut out, entry.name, entry.help, entry.kind);
            (entry.render)(&mut out, entry.name);
        }
        out
    }

    fn single<M: Series>(&self, name: &'static str, help: &'static str) -> M {
        let series = M::default();
        let shown = series.clone();
        self.register(name, help, M::KIND, move |out, name| shown.render(out, name, ""));
        series
    }

    fn family<M: Series, const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label_names: [&'static str; N],
        family: Family<M, N>,
    ) -> Family<M, N> {
        assert!(label_names.iter().all(|label| is_name(label) && *label != "le"), "labels of {name}: {label_names:?}");
        let shown = family.clone();
        self.register(name, help, M::KIND, move |out, name| shown.render(out, name));
        family
    }

    fn register(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        render: impl Fn(&mut String, &str) + Send + Sync + 'static,
    ) {
        assert!(is_name(name) && name.starts_with("cmg_"), "a metric's name is cmg_ and lower case: {name}");
        assert_eq!(kind == Kind::Counter, name.ends_with("_total"), "counters, and only they, end in _total: {name}");
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(entries.iter().all(|entry| entry.name != name), "a metric is registered once: {name}");
        entries.push(Entry { name, help, kind, render: Box::new(render) });
    }

    fn register_build(&self, program: &'static str) {
        self.register("cmg_build_info", "What was built; always 1.", Kind::Gauge, move |out, name| {
            let values = [program, BUILD.version, BUILD.commit, BUILD.rustc];
            text::write_sample(out, name, &text::labels(&["program", "version", "commit", "rustc"], &values), 1);
        });
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let help = "When the program started, in seconds since 1970.";
        self.gauge_from("cmg_start_time_seconds", help, move || Some(started));
    }

    fn register_process(&self) {
        let whole = |value: Option<u64>| value.map(|value| value as f64);
        self.register("cmg_process_cpu_seconds_total", "CPU time of the process.", Kind::Counter, |out, name| {
            if let Some(seconds) = Process::read().cpu_seconds {
                text::write_sample(out, name, "", text::number(seconds));
            }
        });
        let help = "Memory of the process that is in RAM.";
        self.gauge_from("cmg_process_resident_memory_bytes", help, move || whole(Process::read().resident_bytes));
        let help = "File descriptors in use.";
        self.gauge_from("cmg_process_open_fds", help, move || whole(Process::read().open_descriptors));
        let help = "File descriptors that the process may use.";
        self.gauge_from("cmg_process_max_fds", help, move || whole(Process::read().most_descriptors));
        let help = "Threads of the process.";
        self.gauge_from("cmg_process_threads", help, move || whole(Process::read().threads));
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::checker::Samples;
    use std::time::Duration;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let registry = Registry::new("cmg-test");
        registry.counter("cmg_things_total", "Things\nseen \\ counted.").add(3);
        let gauge = registry.gauge("cmg_open", "Open things.");
        let _held = [gauge.hold(), gauge.hold()];
        let refusals = registry.closed_counters("cmg_refusals_total", "Refusals.", ["code"], &[["A"], ["B"]]);
        refusals.with(["B"]).increment();
        let served = registry.counters("cmg_served_total", "Served.", ["role", "endpoint"]);
        served.with(["1", "odd\"\\\nname"]).add(7);
        let seconds = registry.histogram("cmg_exchange_seconds", "Duration.");
        seconds.observe(Duration::from_millis(3));
        seconds.observe(Duration::from_secs(3000));
        registry.gauge_from("cmg_absent", "Never there.", || None);
        let links = || vec![(["a\"".to_owned(), "up".to_owned()], 2.0), (["b".to_owned(), "up".to_owned()], 0.5)];
        registry.gauges_from("cmg_links", "Links.", ["link", "state"], links);

        let samples = Samples::check(&registry.render());
        assert_eq!(samples.value("cmg_things_total", &[]), 3.0);
        assert_eq!(samples.value("cmg_open", &[]), 2.0);
        assert_eq!(samples.value("cmg_refusals_total", &[("code", "A")]), 0.0);
        assert_eq!(samples.value("cmg_refusals_total", &[("code", "B")]), 1.0);
        assert_eq!(samples.value("cmg_served_total", &[("role", "1"), ("endpoint", "odd\"\\\nname")]), 7.0);
        assert_eq!(samples.value("cmg_links", &[("link", "a\""), ("state", "up")]), 2.0);
        assert_eq!(samples.value("cmg_links", &[("link", "b"), ("state", "up")]), 0.5);
        assert_eq!(samples.value("cmg_exchange_seconds_bucket", &[("le", "0.005")]), 1.0);
        assert_eq!(samples.value("cmg_exchange_seconds_bucket", &[("le", "+Inf")]), 2.0);
        assert_eq!(samples.value("cmg_exchange_seconds_sum", &[]), 3000.003);
        assert_eq!(samples.value("cmg_exchange_seconds_count", &[]), 2.0);
        assert!(samples.value("cmg_start_time_seconds", &[]) > 1e9);
        assert!(samples.value("cmg_process_open_fds", &[]) > 0.0);
    }

    #[test]
    #[should_panic(expected = "registered once")]
    fn a_name_is_registered_once() {
        let registry = Registry::new("cmg-test");
        registry.gauge("cmg_twice", "Once.");
        registry.gauge("cmg_twice", "Twice.");
    }
}
