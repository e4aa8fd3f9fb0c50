//! What each stop met: a program that is killed while it has nothing to do proves nothing.

use serde::Serialize;

use super::joined::View;
use super::stops::{Met, Stop};
use super::verdict::{Example, Fault, Verdict};
use crate::outcome::Outcome;

/// A stop, with what was under way there at that moment and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct StopMet {
    #[serde(flatten)]
    pub stop: Stop,
    /// Under way there at that moment: requests that only read, and all others.
    pub reads: u64,
    pub others: u64,
    /// Of those and of later ones.
    pub refused: u64,
    pub cut: u64,
    /// Sent there when nobody was there any more.
    pub late: u64,
}

/// A kill has to meet requests of both sorts.
pub fn judge_stops(stops: &[Stop], views: &[View<'_>], verdict: &mut Verdict) {
    for stop in stops {
        let mut met = StopMet { stop: stop.clone(), reads: 0, others: 0, refused: 0, cut: 0, late: 0 };
        for view in views {
            count(view, &mut met);
        }
        if stop.is_kill() && (met.reads == 0 || met.others == 0) {
            let what = format!("the kill of {} met {} that read and {} others", stop.program, met.reads, met.others);
            verdict.found(Fault::MetNothing, Example::only(what));
        }
        verdict.stops.push(met);
    }
}

fn count(view: &View<'_>, met: &mut StopMet) {
    if met.stop.surely_met(view) {
        match view.sent.kind.is_repeatable() {
            true => met.reads += 1,
            false => met.others += 1,
        }
    }
    let how = met.stop.met(view);
    if how == Met::Not {
        return;
    }
    let failed = matches!(view.sent.outcome, Outcome::Refused | Outcome::Cut) && !view.sent.kind.must_be_refused();
    match view.sent.outcome {
        Outcome::Refused if failed => met.refused += 1,
        Outcome::Cut => met.cut += 1,
        _ => {}
    }
    met.late += u64::from(failed && how == Met::Late);
}
