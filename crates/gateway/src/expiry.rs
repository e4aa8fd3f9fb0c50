//! When certificates of this gateway expire: as metrics always, as warnings 30, 14, 7 and 1 days before, at start,
//! at each reload and once a day (G-02).

use std::sync::Arc;

use cmg_core::limits;
use cmg_core::tls::certificate::{self, date_text, unix_time};
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::time::{Instant, interval_at};

use crate::instance::Instance;
use crate::metrics::GatewayMetrics;
use crate::settings::GatewaySettings;

const SECONDS_OF_A_DAY: u64 = 86_400;

/// How urgent an expiry is: the smallest of the reported distances that it lies within.
fn days_within(days_left: u64) -> Option<u64> {
    [1, 7, 14, 30].into_iter().find(|within| days_left < *within)
}

/// Sets the metrics and warns of what expires soon.
pub fn report(settings: &GatewaySettings, metrics: &GatewayMetrics) {
    let now = UnixTime::now();
    for service in &settings.services {
        for der in service.certificate.key().cert.iter().take(1) {
            report_one(&format!("service {}", service.name), der, now, metrics);
        }
    }
    for der in settings.tunnel.certificate.cert.iter().take(1) {
        report_one("tunnel", der, now, metrics);
    }
    for der in &settings.tunnel.authorities {
        report_one("tunnel CA", der, now, metrics);
    }
}

fn report_one(what: &str, der: &CertificateDer<'_>, now: UnixTime, metrics: &GatewayMetrics) {
    let Ok(read) = certificate::read(der) else { return };
    let until = unix_time(read.validity().not_after);
    metrics.certificate_expiry.with([what]).set(i64::try_from(until.as_secs()).unwrap_or(i64::MAX));
    let days_left = until.as_secs().saturating_sub(now.as_secs()) / SECONDS_OF_A_DAY;
    if let Some(within) = days_within(days_left) {
        let (subject, date) = (certificate::subject_of(der), date_text(until));
        tracing::warn!(what, subject, date, within_days = within, "a certificate expires soon; renew it and reload");
    }
}

/// Reports once a day.
pub async fn watch(instance: Arc<Instance>) {
    let mut daily = interval_at(Instant::now() + limits::EXPIRY_CHECK, limits::EXPIRY_CHECK);
    loop {
        daily.tick().await;
        instance.with_settings_in_force(|settings| report(settings, &instance.metrics));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_reported_at_30_14_7_and_1_days() {
        let reported = [0, 1, 6, 7, 13, 14, 29, 30, 400].map(days_within);
        assert_eq!(reported, [Some(1), Some(7), Some(7), Some(14), Some(14), Some(30), Some(30), None, None]);
    }
}
