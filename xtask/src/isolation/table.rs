//! The figures, for people and for scripts.

use std::fmt;

use serde_json::{Value, json};

use super::disturbance::Disturbance;
use super::idle::Idle;

pub struct Row {
    disturbance: Disturbance,
    /// Microseconds without and with, by round.
    rounds: Vec<(f64, f64)>,
}

impl Row {
    pub fn new(disturbance: Disturbance) -> Self {
        Self { disturbance, rounds: Vec::new() }
    }

    pub fn add(&mut self, without: f64, with: f64) {
        self.rounds.push((without, with));
    }

    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> = self.rounds.iter().map(|(without, with)| with / without).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratios = self.ratios();
        let without = median(&sorted(self.rounds.iter().map(|round| round.0)));
        let with = median(&sorted(self.rounds.iter().map(|round| round.1)));
        let (least, most) = (ratios.first().unwrap_or(&f64::NAN), ratios.last().unwrap_or(&f64::NAN));
        write!(
            f,
            "| {:21} | {without:8.0} | {with:8.0} | {:4.2}x ({least:.2}-{most:.2}) | {} |",
            self.disturbance.name(),
            median(&ratios),
            self.disturbance.meaning()
        )
    }
}

pub fn text(rows: &[Row], idle: Option<&Idle>) -> String {
    let mut text = String::from(
        "p99 of 8 clients at 800 GET/s, in microseconds: medians, and the median of the rounds' own ratios\n\n\
         | disturbance           | without  | with     | ratio             | meaning |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&format!("{row}\n"));
    }
    if let Some(Idle { tunnels, clients, gateway_percent, connection_points_percent }) = idle {
        text.push_str(&format!(
            "\nidle, {tunnels} tunnels and {clients} clients: {gateway_percent:.2} % of a processor in the gateway, \
             {connection_points_percent:.2} % in all connection points together\n"
        ));
    }
    text
}

pub fn json(rows: &[Row], idle: Option<&Idle>) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let rounds: Vec<Value> =
                row.rounds.iter().map(|(without, with)| json!({ "without_us": without, "with_us": with })).collect();
            json!({ "disturbance": row.disturbance.name(), "ratio": median(&row.ratios()), "rounds": rounds })
        })
        .collect();
    json!({ "p99": rows, "idle": idle })
}
