//! The connection point's metrics, registered at start; what the path of a request counts is an atomic addition.

use std::sync::Arc;

use cmg_core::metrics::{Counter, CounterFamily, Gauge, Histogram, Registry};
use cmg_core::refusal::RefusalKind;
use cmg_core::site::RoleId;
use cmg_core::site_role::RoleCounters;
use cmg_core::tunnel::message::RefusedReason;

pub struct PointMetrics {
    pub registry: Registry,
    pub exchanges_running: Gauge,
    pub role_seconds: Histogram,
    pub roles: Arc<RoleCounters>,
    pub tunnels: Gauge,
    pub tunnels_lost: Counter,
    pub tunnels_silent: Counter,
    pub dials: Counter,
    pub dials_failed: Counter,
    pub violations: Counter,
    pub site_version: Gauge,
    pub site_digest: Gauge,
    pub site_reads: Counter,
    pub site_reads_failed: Counter,
    refused: Vec<Counter>,
    exchanges: CounterFamily<3>,
    request_bytes: CounterFamily<2>,
    answer_bytes: CounterFamily<2>,
}

/// What is counted of one endpoint; resolved when a configuration is applied.
#[derive(Clone, Debug)]
pub struct EndpointCounters {
    pub answered: Counter,
    pub refused: Counter,
    pub cut: Counter,
    pub cancelled: Counter,
    pub request_bytes: Counter,
    pub answer_bytes: Counter,
}

impl PointMetrics {
    pub fn new() -> Self {
        let registry = Registry::new(crate::PROGRAM);
        let refused =
            registry.counters("cmg_refusals_total", "Exchanges that got no answer of a role, by code.", ["code"]);
        let roles = RoleCounters {
            connected: registry.counter("cmg_role_connections_total", "Connections made to roles."),
            connect_failed: registry
                .counter("cmg_role_connections_failed_total", "Connections to roles that could not be made."),
            reused: registry.counter("cmg_role_connections_reused_total", "Exchanges begun on a kept connection."),
            sent_again: registry.counter(
                "cmg_role_requests_sent_again_total",
                "Requests sent again because a kept connection had died.",
            ),
            informational_dropped: registry.counter("cmg_role_interim_answers_dropped_total", "1xx answers of roles."),
            open: registry.gauge("cmg_role_connections", "Open connections to roles, idle ones too."),
        };
        Self {
            refused: RefusalKind::ALL.map(|kind| refused.with([kind.code()])).into(),
            exchanges_running: registry.gauge("cmg_exchanges_running", "Exchanges that run now."),
            role_seconds: registry
                .histogram("cmg_role_seconds", "From the arrival of a request to the head of its role's answer."),
            roles: Arc::new(roles),
            tunnels: registry.gauge("cmg_tunnels", "Tunnels that both ends have taken on."),
            tunnels_lost: registry.counter("cmg_tunnels_ended_total", "Tunnels that were up and ended."),
            tunnels_silent: registry.counter(
                "cmg_tunnels_silent_total",
                "Of them those on which nothing came from the gateway, or nothing arrived there.",
            ),
            dials: registry.counter("cmg_dials_total", "Attempts to open a tunnel."),
            dials_failed: registry.counter("cmg_dials_failed_total", "Of them those that did not lead to a tunnel."),
            violations: registry
                .counter("cmg_gateway_violations_total", "Requests of a gateway that this site does not allow."),
            site_version: registry.gauge("cmg_site_configuration_version", "Version in force; 0: none."),
            site_digest: registry
                .gauge("cmg_site_configuration_digest", "First 48 bits of the digest of what is published; 0: none."),
            site_reads: registry.counter("cmg_site_reads_total", "Looks at the source of the site configuration."),
            site_reads_failed: registry
                .counter("cmg_site_reads_failed_total", "Of them those that brought nothing usable."),
            exchanges: registry.counters(
                "cmg_exchanges_total",
                "Exchanges that have ended, by role, endpoint and outcome.",
                ["role", "endpoint", "outcome"],
            ),
            request_bytes: registry.counters(
                "cmg_request_body_bytes_total",
                "Bytes of request bodies, by role and endpoint.",
                ["role", "endpoint"],
            ),
            answer_bytes: registry.counters(
                "cmg_answer_body_bytes_total",
                "Bytes of answer bodies, by role and endpoint.",
                ["role", "endpoint"],
            ),
            registry,
        }
    }

    pub fn refused(&self, reason: RefusedReason) {
        let kind = reason.refusal();
        let at = RefusalKind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        if let Some(counter) = self.refused.get(at) {
            counter.increment();
        }
    }

    pub fn endpoint(&self, role: RoleId, endpoint: &str) -> EndpointCounters {
        let role = role.to_string();
        let ended = |outcome| self.exchanges.with([role.as_str(), endpoint, outcome]);
        EndpointCounters {
            answered: ended("answered"),
            refused: ended("refused"),
            cut: ended("cut"),
            cancelled: ended("cancelled"),
            request_bytes: self.request_bytes.with([role.as_str(), endpoint]),
            answer_bytes: self.answer_bytes.with([role.as_str(), endpoint]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let document = include_str!("../../../docs/operations.md");
        let rendered = PointMetrics::new().registry.render();
        let names: Vec<&str> = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let names: Vec<&str> = names.iter().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(document.contains(&format!("`{name}`")), "docs/operations.md does not explain {name}");
        }
    }
}
