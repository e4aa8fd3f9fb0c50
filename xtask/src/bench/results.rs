//! The figures of all rounds, and what is made of them: medians, spreads, ratios within a round, verdicts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contestants::Name;
use super::rows::{Goal, Row};

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Spread { median: f64::midpoint(lower, upper), low, high })
    }
}

/// One row over all rounds. A contestant that had trouble in any round has no figure.
#[derive(Default, Serialize)]
pub struct RowResult {
    pub rounds: Vec<BTreeMap<Name, f64>>,
    pub troubles: BTreeMap<Name, String>,
}

impl RowResult {
    pub fn figure(&self, of: Name) -> Option<Spread> {
        if self.troubles.contains_key(&of) {
            return None;
        }
        Spread::of(self.rounds.iter().filter_map(|round| round.get(&of).copied()))
    }

    /// Median of the rounds' own ratios: what slows a whole round down falls out of it.
    pub fn ratio(&self, of: Name, to: Name) -> Option<Spread> {
        if self.troubles.contains_key(&of) || self.troubles.contains_key(&to) {
            return None;
        }
        Spread::of(self.rounds.iter().filter_map(|round| Some(round.get(&of)? / round.get(&to)?)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Met,
    Missed,
    /// Nothing was asked, or there is no figure to judge.
    None,
}

impl Verdict {
    pub fn on_target(row: Row, result: &RowResult) -> Verdict {
        Verdict::at_most(row.target(), result.ratio(Name::Ours, Name::Nginx))
    }

    pub fn on_goal(row: Row, result: &RowResult) -> Verdict {
        match row.goal() {
            Goal::None => Verdict::None,
            Goal::Ratio(most) => Verdict::at_most(Some(most), result.ratio(Name::Ours, Name::Nginx)),
            Goal::Figure(most) => Verdict::at_most(Some(most), result.figure(Name::Ours)),
        }
    }

    fn at_most(most: Option<f64>, spread: Option<Spread>) -> Verdict {
        match (most, spread) {
            (Some(most), Some(spread)) if spread.median <= most => Verdict::Met,
            (Some(_), Some(_)) => Verdict::Missed,
            _ => Verdict::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rounds: &[(f64, f64)]) -> RowResult {
        let round = |(ours, nginx): &(f64, f64)| BTreeMap::from([(Name::Ours, *ours), (Name::Nginx, *nginx)]);
        RowResult { rounds: rounds.iter().map(round).collect(), ..RowResult::default() }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let result = result(&[(30.0, 60.0), (20.0, 20.0), (60.0, 100.0)]);
        assert_eq!(result.ratio(Name::Ours, Name::Nginx), Some(Spread { median: 0.6, low: 0.5, high: 1.0 }));
        assert_eq!(Spread::of([1.0, 4.0, 2.0, 3.0]), Some(Spread { median: 2.5, low: 1.0, high: 4.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn verdicts_need_a_figure() {
        assert_eq!(Verdict::on_target(Row::GetH1, &result(&[(90.0, 100.0)])), Verdict::Met);
        assert_eq!(Verdict::on_target(Row::GetH1, &result(&[(91.0, 100.0)])), Verdict::Missed);
        assert_eq!(Verdict::on_goal(Row::IdleBare, &result(&[(18.5, 22.0)])), Verdict::Missed);
        assert_eq!(Verdict::on_target(Row::GetH1, &result(&[])), Verdict::None);
        let mut void = result(&[(90.0, 100.0)]);
        void.troubles.insert(Name::Ours, "void".to_owned());
        assert_eq!(Verdict::on_target(Row::GetH1, &void), Verdict::None);
    }
}
