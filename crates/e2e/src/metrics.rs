//! The text of /metrics as numbers. Knows which gauges must be zero when nothing is going on.

use std::collections::BTreeMap;

/// Gauges that stand for something that lasts, by the beginning of their names. All others count work under
/// way and are zero when there is none.
const STANDING: &[&str] = &[
    "cmg_build_info",
    "cmg_process_",
    "cmg_tunnel",
    "cmg_link",
    "cmg_site_",
    "cmg_certificate_",
    "cmg_start",
    "cmg_role_connections",
    "cmg_rated_clients",
];

#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// By name with labels, as written.
    values: BTreeMap<String, f64>,
    gauges: Vec<String>,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" gauge")) {
                metrics.gauges.push(name.to_owned());
            } else if !line.starts_with('#')
                && let Some((series, value)) = line.rsplit_once(' ')
            {
                metrics.values.insert(series.to_owned(), value.parse().unwrap_or(f64::NAN));
            }
        }
        metrics
    }

    /// The sum over all series of a name that have these labels (`code="..."`).
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name =
            |series: &str| series == name || series.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        let fits = |series: &str| of_name(series) && labels.iter().all(|label| series.contains(label));
        self.values.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Gauges of work under way that are not zero.
    pub fn still_running(&self) -> Vec<String> {
        let names = self.gauges.iter().filter(|name| !STANDING.iter().any(|standing| name.starts_with(standing)));
        names
            .filter(|name| self.sum(name, &[]) != 0.0)
            .map(|name| format!("{name} = {}", self.sum(name, &[])))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP cmg_exchanges_running Exchanges that run now.\n# TYPE cmg_exchanges_running gauge\n\
        cmg_exchanges_running 2\n# TYPE cmg_tunnels gauge\ncmg_tunnels 4\n# TYPE cmg_refusals_total counter\n\
        cmg_refusals_total{code=\"A\"} 3\ncmg_refusals_total{code=\"B\"} 4\n";

    #[test]
    fn series_are_summed_and_running_work_is_seen() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("cmg_refusals_total", &[]), 7.0);
        assert_eq!(metrics.sum("cmg_refusals_total", &["code=\"B\""]), 4.0);
        assert_eq!(metrics.sum("cmg_refusals", &[]), 0.0);
        assert_eq!(metrics.still_running(), ["cmg_exchanges_running = 2"]);
    }
}
