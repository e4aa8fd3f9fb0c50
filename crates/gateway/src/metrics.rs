//! The gateway's metrics, registered at start; what the path of a request counts is one atomic addition.

use cmg_core::metrics::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Registry};
use cmg_core::refusal::RefusalKind;

use crate::attempt::{NotSentAgain, SentAgain};

const OUTCOMES: [&str; 4] = ["answered", "refused", "cut", "client gone"];
const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub struct GatewayMetrics {
    pub registry: Registry,
    pub exchanges_running: Gauge,
    pub duration: Histogram,
    pub request_bytes: Counter,
    pub answer_bytes: Counter,
    pub trailers_dropped: Counter,
    pub client_connections: Gauge,
    pub handshakes_running: Gauge,
    pub handshakes: Counter,
    pub handshakes_resumed: Counter,
    pub connections_refused: Counter,
    pub turned_away: TurnedAway,
    pub accept_errors: Counter,
    pub tunnels: TunnelMetrics,
    pub certificate_expiry: GaugeFamily<1>,
    pub site_version: GaugeFamily<1>,
    pub site_digest: GaugeFamily<1>,
    pub configurations_applied: Counter,
    pub configurations_refused: Counter,
    pub handshakes_failed: HandshakesFailed,
    pub sending_again: SendingAgain,
    pub queue: QueueMetrics,
    pub near_limit: GaugeFamily<1>,
    /// In the order of `OUTCOMES` and `STATUS_CLASSES`.
    ended: Vec<Vec<Counter>>,
    /// In the order of `RefusalKind::ALL`.
    refused: Vec<Counter>,
}

/// By who should have been there. Resolved at start: anybody can make handshakes fail, as fast as he likes.
pub struct HandshakesFailed {
    pub clients: Counter,
    pub tunnels: Counter,
}

/// What becomes of tunnels, and of the connection points at their other ends.
pub struct TunnelMetrics {
    pub stalled: Counter,
    pub ended: CounterFamily<1>,
    pub handshakes_paced: Counter,
    pub points_replaced: Counter,
    pub point_conflicts: Counter,
}

impl TunnelMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            stalled: registry.counter(
                "cmg_tunnels_stalled_total",
                "Times that others got the work because a tunnel was silent, or answered nothing.",
            ),
            ended: registry.counters(
                "cmg_tunnels_ended_total",
                "Tunnels that have ended, by what ended them.",
                ["why"],
            ),
            handshakes_paced: registry
                .counter("cmg_tunnel_handshakes_paced_total", "Handshakes of tunnels that had to wait for their turn."),
            points_replaced: registry.counter(
                "cmg_connection_points_replaced_total",
                "Times that another process took over a connection point.",
            ),
            point_conflicts: registry.counter(
                "cmg_connection_point_conflicts_total",
                "Of them those by which two processes replace each other again and again.",
            ),
        }
    }
}

/// Decisions about requests that got no answer.
pub struct SendingAgain {
    /// By [`SentAgain::label`].
    pub sent: CounterFamily<1>,
    /// By [`NotSentAgain::label`].
    pub not_sent: CounterFamily<1>,
}

impl SendingAgain {
    fn new(registry: &Registry) -> Self {
        Self {
            sent: registry.closed_counters(
                "cmg_requests_sent_again_total",
                "Requests that were sent to a second connection point, by why that was safe.",
                ["reason"],
                &SentAgain::LABELS.map(|label| [label]),
            ),
            not_sent: registry.closed_counters(
                "cmg_requests_not_sent_again_total",
                "Requests without an answer that were not sent again, by why not.",
                ["reason"],
                &NotSentAgain::LABELS.map(|label| [label]),
            ),
        }
    }
}

/// Exchanges that wait because every connection point of their site is full.
#[derive(Clone)]
pub struct QueueMetrics {
    pub waiting: Gauge,
    pub joined: Counter,
    pub waited: Histogram,
    pub expired: Counter,
    pub full: Counter,
}

impl QueueMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            waiting: registry.gauge("cmg_queue_waiting", "Exchanges that wait for a connection point now."),
            joined: registry.counter("cmg_queue_joined_total", "Exchanges that waited for a connection point."),
            waited: registry.histogram("cmg_queue_seconds", "How long they waited."),
            expired: registry.counter("cmg_queue_expired_total", "Exchanges refused because they waited too long."),
            full: registry.counter("cmg_queue_full_total", "Exchanges refused because too many waited already."),
        }
    }
}

/// What is counted of addresses that ask for too much.
pub struct TurnedAway {
    pub handshakes: Counter,
    pub refusals_closing: Counter,
    pub refusals_unanswered: Counter,
}

impl TurnedAway {
    fn new(registry: &Registry) -> Self {
        Self {
            handshakes: registry.counter(
                "cmg_handshakes_turned_away_total",
                "Connections closed before their TLS handshake because too many came from their address.",
            ),
            refusals_closing: registry.counter(
                "cmg_refusals_closing_total",
                "Refusals that ended their connection because too many went to their address.",
            ),
            refusals_unanswered: registry.counter(
                "cmg_refusals_unanswered_total",
                "Refused requests whose connection was closed without an answer because far too many went to their address.",
            ),
        }
    }
}

impl GatewayMetrics {
    pub fn new() -> Self {
        let registry = Registry::new("cmg-gateway");
        let ended = registry.counters(
            "cmg_exchanges_total",
            "Exchanges that have ended, by outcome and status class.",
            ["outcome", "status"],
        );
        let refused = registry.counters("cmg_refusals_total", "Exchanges that were refused or cut, by code.", ["code"]);
        let handshake_faults = registry.counters(
            "cmg_handshake_faults_total",
            "TLS handshakes that failed, by which side of the gateway.",
            ["listener"],
        );
        Self {
            ended: OUTCOMES.map(|outcome| STATUS_CLASSES.map(|class| ended.with([outcome, class])).into()).into(),
            refused: RefusalKind::ALL.map(|kind| refused.with([kind.code()])).into(),
            exchanges_running: registry.gauge("cmg_exchanges_running", "Exchanges that run now."),
            duration: registry
                .histogram("cmg_exchange_seconds", "From the head of a request to the end of its answer."),
            request_bytes: registry.counter("cmg_request_body_bytes_total", "Bytes of request bodies."),
            answer_bytes: registry.counter("cmg_answer_body_bytes_total", "Bytes of answer bodies."),
            trailers_dropped: registry.counter(
                "cmg_trailers_dropped_total",
                "Trailers that no client had asked for, or that may not be trailers.",
            ),
            client_connections: registry.gauge("cmg_client_connections", "Open connections of clients."),
            handshakes_running: registry.gauge("cmg_handshakes_running", "TLS handshakes under way."),
            handshakes: registry.counter("cmg_handshakes_total", "TLS handshakes of clients that succeeded."),
            handshakes_resumed: registry
                .counter("cmg_handshakes_resumed_total", "Of them those that resumed a session."),
            connections_refused: registry
                .counter("cmg_connections_refused_total", "Connections closed because a limit was reached."),
            turned_away: TurnedAway::new(&registry),
            accept_errors: registry.counter("cmg_accept_errors_total", "Failures to accept a connection."),
            handshakes_failed: HandshakesFailed {
                clients: handshake_faults.with(["client"]),
                tunnels: handshake_faults.with(["tunnel"]),
            },
            sending_again: SendingAgain::new(&registry),
            queue: QueueMetrics::new(&registry),
            near_limit: registry.gauges(
                "cmg_near_limit",
                "How much is near its limit: 80 % of it is in use.",
                ["limit"],
            ),
            tunnels: TunnelMetrics::new(&registry),
            certificate_expiry: registry.gauges(
                "cmg_certificate_expiry_timestamp_seconds",
                "When a certificate of this gateway expires, in seconds since 1970.",
                ["certificate"],
            ),
            site_version: registry.gauges(
                "cmg_site_configuration_version",
                "Version of a site's configuration in force; 0: none.",
                ["site"],
            ),
            site_digest: registry.gauges(
                "cmg_site_configuration_digest",
                "First 48 bits of the digest of what a site publishes; 0: none.",
                ["site"],
            ),
            configurations_applied: registry
                .counter("cmg_site_configurations_applied_total", "Site configurations that came into force."),
            configurations_refused: registry
                .counter("cmg_site_configurations_refused_total", "Site configurations that were refused."),
            registry,
        }
    }

    /// Identities with an open connection, counted at each scrape, and how many the instance is meant for.
    pub fn tell_clients(&self, connected: impl Fn() -> usize + Send + Sync + 'static, rated: f64) {
        let help = "Identities that have an open connection.";
        self.registry.gauge_from("cmg_clients", help, move || Some(connected() as f64));
        let help = "Identities with an open connection that this instance is rated for.";
        self.registry.gauge_from("cmg_rated_clients", help, move || Some(rated));
    }

    /// Counted at each scrape.
    pub fn tell_tunnels(&self, usable: impl Fn() -> usize + Send + Sync + 'static) {
        self.registry.gauge_from("cmg_tunnels", "Tunnels that may be given work.", move || Some(usable() as f64));
    }

    pub fn ended(&self, outcome: &str, status: u16) {
        let outcome = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or_default();
        let counter = self.ended.get(outcome).and_then(|classes| classes.get(usize::from(status / 100)));
        if let Some(counter) = counter {
            counter.increment();
        }
    }

    pub fn refused(&self, kind: RefusalKind) {
        let at = RefusalKind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        if let Some(counter) = self.refused.get(at) {
            counter.increment();
        }
    }

    /// Counts a refusal that an alert or a reset tells, which have no room for a code; gives the code for the log (G-20).
    pub fn refused_without_answer(&self, kind: Option<RefusalKind>) -> Option<&'static str> {
        let kind = kind?;
        self.refused(kind);
        Some(kind.code())
    }
}

impl Default for GatewayMetrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_and_every_code_is_documented() {
        let document = include_str!("../../../docs/operations.md");
        let metrics = GatewayMetrics::new();
        metrics.tell_clients(|| 0, 0.0);
        metrics.tell_tunnels(|| 0);
        let rendered = metrics.registry.render();
        let names: Vec<&str> = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let names: Vec<&str> = names.iter().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names.into_iter().chain(RefusalKind::ALL.map(RefusalKind::code)) {
            assert!(document.contains(&format!("`{name}`")), "docs/operations.md does not explain {name}");
        }
    }
}
