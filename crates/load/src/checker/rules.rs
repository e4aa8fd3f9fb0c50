//! The rules, each over one request in all three counts. Every outcome says how often the role may have seen it and what
//! the gateway must have written of it.

use super::joined::View;
use super::verdict::{Example, Fault, Verdict};
use super::{Allowed, Counts};
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::expected::{EMPTY_SHA256, hex};
use crate::outcome::Outcome;

/// The code of what outlasted the deadline of a planned stop.
const ENDED_BY_DRAIN: &str = "CMGService_EndedByDrain";
const CLIENT_GONE: &str = "client gone";

pub fn judge(view: &View<'_>, allowed: Allowed, verdict: &mut Verdict) {
    let mut found = |fault: Fault, what: String| verdict.found(fault, Example::of(view, what));
    judge_times_at_role(view, &mut found);
    match view.sent.outcome {
        Outcome::Answered => judge_answered(view, &mut found),
        Outcome::Refused => judge_refused(view, allowed, &mut found),
        Outcome::Cut => judge_cut(view, allowed, &mut found),
        Outcome::HandedBack | Outcome::NotConnected => judge_unstarted(view, &mut found),
        Outcome::Lost => found(Fault::Lost, detail(view)),
        Outcome::Corrupted => found(Fault::Corrupted, detail(view)),
        Outcome::TimedOut => found(Fault::TimedOut, detail(view)),
    }
    judge_line(view, allowed, &mut found);
    if let [line] = view.gateway.as_slice()
        && left_after_the_end(view, line)
    {
        verdict.left_after_the_end += 1;
    }
    if allowed.ended_by_drain && is_ended_by_drain(view) {
        verdict.ended_by_drain += 1;
    }
}

/// At most once; twice if it may be repeated (N2, N3).
fn judge_times_at_role(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    match (view.role.len(), view.sent.kind.is_repeatable()) {
        (times @ 2.., false) => found(Fault::Doubled, format!("{times} times at the role")),
        (times @ 3.., true) => found(Fault::SentTooOften, format!("{times} times at the role")),
        _ => {}
    }
    if let Some(other) = view.role.iter().find(|seen| *seen.method != *view.sent.kind.method()) {
        found(Fault::WrongBodyAtRole, format!("the role saw the method {}", other.method));
    }
}

/// Executed, with the body that was sent, and answered with what the role sent.
fn judge_answered(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    if view.role.is_empty() {
        return found(Fault::AnsweredAndNotExecuted, "an answer came from nowhere".to_owned());
    }
    if !view.role.iter().any(|seen| has_body(seen, view)) {
        return found(Fault::WrongBodyAtRole, "no time at the role had the whole body".to_owned());
    }
    if !view.role.iter().any(|seen| has_body(seen, view) && has_answer(seen, view)) {
        return found(Fault::WrongAnswerAtRole, "the role sent another answer, or not all of it".to_owned());
    }
    if !view.role.iter().any(|seen| has_answer(seen, view) && seen.id == view.sent.request_id) {
        found(Fault::WrongIds, "the role knows it by another id".to_owned());
    }
}

fn has_body(seen: &AtRole, view: &View<'_>) -> bool {
    let sha256 = view.sent.body_sha256.map_or_else(|| EMPTY_SHA256.to_owned(), |hash| hex(&hash));
    seen.body_complete && seen.body_length == view.sent.body_length && *seen.body_sha256 == *sha256
}

fn has_answer(seen: &AtRole, view: &View<'_>) -> bool {
    &*seen.answer == "complete" && seen.status == Some(view.sent.status) && seen.answer_bytes == view.sent.answer_bytes
}

/// Of refusals, some are a promise that no role saw the request (N4).
fn judge_refused(view: &View<'_>, allowed: Allowed, found: &mut impl FnMut(Fault, String)) {
    let sent = view.sent;
    let told = format!("{} {}", sent.status, sent.code.as_deref().unwrap_or_default());
    if promises_not_executed(sent.status) && !view.role.is_empty() {
        found(Fault::RefusedAndExecuted, format!("{told}, and the role saw it"));
    }
    let is_due = sent.kind.must_be_refused() && sent.status == 404;
    let is_allowed = allowed.refusals || (allowed.ended_by_drain && is_ended_by_drain(view));
    if !is_due && !is_allowed {
        found(Fault::Refused, told);
    }
}

/// 408 and 413 may come after the body began; 500, 502 and 504 say that nobody knows.
fn promises_not_executed(status: u16) -> bool {
    !matches!(status, 408 | 413 | 500 | 502 | 504)
}

fn judge_cut(view: &View<'_>, allowed: Allowed, found: &mut impl FnMut(Fault, String)) {
    let is_allowed = allowed.cuts || (allowed.ended_by_drain && is_ended_by_drain(view));
    if !is_allowed {
        found(Fault::Cut, detail(view));
    }
}

/// What never existed, or was handed back untouched, left no trace.
fn judge_unstarted(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    if !view.role.is_empty() {
        found(Fault::RefusedAndExecuted, format!("{}, and the role saw it", view.sent.outcome.name()));
    }
    if view.sent.outcome == Outcome::HandedBack && !view.gateway.is_empty() {
        found(Fault::WrongLine, "handed back as not looked at, and logged".to_owned());
    }
}

/// One line for what reached a gateway, and it tells what the client saw.
fn judge_line(view: &View<'_>, allowed: Allowed, found: &mut impl FnMut(Fault, String)) {
    let line = match view.gateway.as_slice() {
        [] => {
            // A gateway that was killed could not tell; one that lives tells of all that reached it.
            let reached = matches!(view.sent.outcome, Outcome::Answered | Outcome::Refused | Outcome::Corrupted);
            if (reached || !view.role.is_empty()) && !allowed.missing_lines {
                found(Fault::NoLine, "no gateway logged it".to_owned());
            }
            return;
        }
        [line] => line,
        lines => return found(Fault::SeveralLines, format!("{} lines", lines.len())),
    };
    if let Some(id) = &view.sent.request_id
        && *id != line.request_id
    {
        found(Fault::WrongIds, format!("the gateway logged {}, the client was told {id}", line.request_id));
    }
    if let Some(problem) = told_otherwise(view, line) {
        found(Fault::WrongLine, problem);
    }
}

fn told_otherwise(view: &View<'_>, line: &AtGateway) -> Option<String> {
    let sent = view.sent;
    let due = match sent.outcome {
        Outcome::Answered => "answered",
        Outcome::Refused => "refused",
        // Of what broke off either end may know less than the other.
        _ => return None,
    };
    if *line.outcome != *due && !left_after_the_end(view, line) {
        return Some(format!("it says {}", line.outcome));
    }
    if line.status != sent.status || line.code != sent.code {
        return Some(format!("it says {} {}", line.status, line.code.as_deref().unwrap_or("without code")));
    }
    if due == "answered" && (line.answer_bytes, line.request_bytes) != (sent.answer_bytes, sent.body_length) {
        return Some(format!("it says {} bytes of body and {} of answer", line.request_bytes, line.answer_bytes));
    }
    None
}

/// A client that has every byte may leave before its gateway knows that the answer has ended: it says then that the
/// client has gone, of an answer that was whole. Counted apart.
fn left_after_the_end(view: &View<'_>, line: &AtGateway) -> bool {
    view.sent.outcome == Outcome::Answered && &*line.outcome == CLIENT_GONE
}

/// Told by the code of the refusal, or, once the answer had begun, by the gateway's line.
fn is_ended_by_drain(view: &View<'_>) -> bool {
    match view.sent.outcome {
        Outcome::Refused => view.sent.code.as_deref() == Some(ENDED_BY_DRAIN),
        Outcome::Cut => view.gateway.iter().any(|line| line.code.as_deref() == Some(ENDED_BY_DRAIN)),
        _ => false,
    }
}

/// Second times are counted by the programs (N2): there are not more of them than they say.
pub fn judge_second_times(views: &[View<'_>], sent_again: u64, verdict: &mut Verdict) {
    let again = |view: &&View<'_>| view.sent.kind.is_repeatable() && view.role.len() > 1;
    let second_times: u64 = views.iter().filter(again).map(|view| view.role.len() as u64 - 1).sum();
    verdict.second_times = second_times;
    if second_times > sent_again {
        let what = format!("{second_times} second times, {sent_again} counted");
        for view in views.iter().filter(again) {
            verdict.found(Fault::SentAgainUncounted, Example::of(view, what.clone()));
        }
    }
}

/// Logs may drop lines if they say so; what cannot be read is no account.
pub fn judge_missing_lines(counts: &Counts, verdict: &mut Verdict) {
    let without = verdict.count(Fault::NoLine);
    if without > 0 && without <= counts.gateways.dropped {
        verdict.without_line = without;
        verdict.faults.remove(&Fault::NoLine);
    }
    if counts.gateways.unreadable > 0 {
        let what = format!("{} lines of this run are not JSON", counts.gateways.unreadable);
        verdict.found(Fault::UnreadableLines, Example::only(what));
    }
}

fn detail(view: &View<'_>) -> String {
    view.sent.detail.as_deref().unwrap_or_default().to_owned()
}
