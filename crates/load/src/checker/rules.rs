//! The rules, each over one request in all three counts. Every outcome says how often the role may have seen it and what
//! the gateway must have written of it.

use super::joined::View;
use super::stops::{Met, Stop};
use super::verdict::{Example, Fault, Verdict};
use super::{Allowed, Counts};
use crate::at_connection_point::SentAgainToRole;
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::expected::{EMPTY_SHA256, hex};
use crate::outcome::Outcome;
use crate::record::Unsent;

/// The code of what outlasted the deadline of a planned stop.
pub const ENDED_BY_DRAIN: &str = "CMGService_EndedByDrain";
/// The code of what was under way on a tunnel that broke.
pub const TUNNEL_LOST: &str = "CMGService_TunnelLost";
const CLIENT_GONE: &str = "client gone";
const CUT: &str = "cut";

pub fn judge(view: &View<'_>, (counts, allowed): (&Counts, Allowed), verdict: &mut Verdict) {
    let stops = &counts.stops;
    let mut found = |fault: Fault, what: String| verdict.found(fault, Example::of(view, what));
    judge_times_at_role(view, &counts.sent_again_to_role, &mut found);
    judge_bodies_at_role(view, &mut found);
    match view.sent.outcome {
        Outcome::Answered => judge_answered(view, &mut found),
        Outcome::Refused => judge_refused(view, (stops, allowed), &mut found),
        Outcome::Cut => judge_cut(view, (stops, allowed), &mut found),
        Outcome::HandedBack => judge_handed_back(view, stops, &mut found),
        Outcome::NotConnected => judge_unstarted(view, Fault::NotConnected, &mut found),
        Outcome::Lost => found(Fault::Lost, detail(view)),
        Outcome::Corrupted => found(Fault::Corrupted, detail(view)),
        Outcome::TimedOut => found(Fault::TimedOut, detail(view)),
    }
    if matches!(view.sent.outcome, Outcome::Refused | Outcome::Cut) {
        judge_late(view, stops, &mut found);
    }
    judge_line(view, stops, &mut found);
    verdict.second_times += u64::from(view.sent.kind.is_repeatable() && view.role.len() > 1);
    verdict.sent_again += u64::from(view.gateway.iter().any(|line| line.sent_again.is_some()));
    verdict.sent_again_to_role += u64::from(is_again_to_role(view, &counts.sent_again_to_role));
    verdict.left_after_the_end += u64::from(view.gateway.iter().any(|line| left_after_the_end(view, line)));
    verdict.ended_by_drain += u64::from(is_ended_by_drain(view));
}

/// At most once; twice if it may be repeated (N2, N3) and a program says that it repeated it.
fn judge_times_at_role(view: &View<'_>, again: &SentAgainToRole, found: &mut impl FnMut(Fault, String)) {
    let told = format!("{} times at the role", view.role.len());
    match (view.role.len(), view.sent.kind.is_repeatable()) {
        (2.., false) => found(Fault::Doubled, told),
        (3.., true) => found(Fault::SentTooOften, told),
        (2, true) if !view.was_moved() && !is_again_to_role(view, again) => found(Fault::SentAgainUnsaid, told),
        _ => {}
    }
}

/// A connection point says of its id that it went to a role a second time.
fn is_again_to_role(view: &View<'_>, again: &SentAgainToRole) -> bool {
    view.role.iter().any(|seen| seen.id.as_ref().is_some_and(|id| again.0.contains(id)))
}

/// A body that the role took for whole is the one that was sent, whatever its sender was told (N5).
fn judge_bodies_at_role(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    if let Some(other) = view.role.iter().find(|seen| *seen.method != *view.sent.kind.method()) {
        found(Fault::WrongBodyAtRole, format!("the role saw the method {}", other.method));
    }
    if view.role.iter().any(|seen| seen.body_complete && !has_body(seen, view)) {
        found(Fault::WrongBodyAtRole, "the role took another body for whole".to_owned());
    }
}

/// Executed, with the body that was sent, and answered with what the role sent.
fn judge_answered(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    if view.role.is_empty() {
        return found(Fault::AnsweredAndNotExecuted, "an answer came from nowhere".to_owned());
    }
    if !view.role.iter().any(|seen| seen.body_complete) {
        return found(Fault::AnsweredHalf, "no time at the role had the whole body".to_owned());
    }
    if !view.role.iter().any(|seen| seen.body_complete && has_answer(seen, view)) {
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
fn judge_refused(view: &View<'_>, (stops, allowed): (&[Stop], Allowed), found: &mut impl FnMut(Fault, String)) {
    let sent = view.sent;
    let told = format!("{} {}", sent.status, sent.code.as_deref().unwrap_or_default());
    if promises_not_executed(sent.status) && !view.role.is_empty() {
        found(Fault::RefusedAndExecuted, format!("{told}, and the role saw it"));
    }
    let is_due = sent.kind.must_be_refused() && sent.status == 404;
    let is_allowed = is_allowed(sent.code.as_deref(), allowed) && (allowed.reads || !sent.kind.is_repeatable());
    if !is_due && !is_allowed && !stops.iter().any(|stop| stop.excuses_refusal(view)) {
        found(Fault::Refused, told);
    }
}

/// 408 and 413 may come after the body began; 500, 502 and 504 say that nobody knows.
fn promises_not_executed(status: u16) -> bool {
    !matches!(status, 408 | 413 | 500 | 502 | 504)
}

fn is_allowed(code: Option<&str>, allowed: Allowed) -> bool {
    code.is_some_and(|code| allowed.codes.contains(&code))
}

fn judge_cut(view: &View<'_>, (stops, allowed): (&[Stop], Allowed), found: &mut impl FnMut(Fault, String)) {
    let is_allowed = has_begun(view) && is_allowed(view.logged_code(), allowed);
    if !is_allowed && !allowed.breaks && !stops.iter().any(|stop| stop.excuses_cut(view)) {
        found(Fault::Cut, detail(view));
    }
}

/// The head of an answer was passed on, whether or not it arrived.
pub fn has_begun(view: &View<'_>) -> bool {
    view.sent.status > 0 || view.gateway.iter().any(|line| &*line.outcome == CUT && line.status > 0)
}

/// Nobody runs a request that comes when nobody is there any more.
fn judge_late(view: &View<'_>, stops: &[Stop], found: &mut impl FnMut(Fault, String)) {
    let is_excused_by = |met| stops.iter().filter(|stop| stop.is_kill()).any(|stop| stop.met(view) == met);
    if is_excused_by(Met::Late) && !is_excused_by(Met::InFlight) && !view.role.is_empty() {
        found(Fault::ThroughTheDead, "sent when its program was gone, and the role saw it".to_owned());
    }
}

fn judge_handed_back(view: &View<'_>, stops: &[Stop], found: &mut impl FnMut(Fault, String)) {
    match stops.iter().any(|stop| stop.excuses_handing_back(view)) {
        true => leaves_no_trace(view, found),
        false => judge_unstarted(view, Fault::HandedBack, found),
    }
    if !view.gateway.is_empty() {
        found(Fault::WrongLine, "handed back as not looked at, and logged".to_owned());
    }
}

fn judge_unstarted(view: &View<'_>, fault: Fault, found: &mut impl FnMut(Fault, String)) {
    found(fault, detail(view));
    leaves_no_trace(view, found);
}

/// What never existed, or was handed back untouched.
fn leaves_no_trace(view: &View<'_>, found: &mut impl FnMut(Fault, String)) {
    if !view.role.is_empty() {
        found(Fault::RefusedAndExecuted, format!("{}, and the role saw it", view.sent.outcome.name()));
    }
}

/// One line for what reached a gateway, and it tells what the client saw.
fn judge_line(view: &View<'_>, stops: &[Stop], found: &mut impl FnMut(Fault, String)) {
    let line = match view.gateway.as_slice() {
        [] => {
            // A gateway that was killed could not tell; one that lives tells of all that reached it.
            let reached = matches!(view.sent.outcome, Outcome::Answered | Outcome::Refused | Outcome::Corrupted);
            let is_excused = stops.iter().any(|stop| stop.excuses_missing_line(view));
            if (reached || !view.role.is_empty()) && !is_excused {
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

/// Connections fail only where nobody can listen, and somebody always listens. What comes on them was asked for.
pub fn judge_connections(counts: &Counts, allowed: Allowed, verdict: &mut Verdict) {
    let sender = &counts.sender;
    let unexcused = |unsent: &&Unsent| !counts.stops.iter().any(|stop| stop.excuses_unsent(unsent));
    if !allowed.unconnected {
        for unsent in sender.unsent.iter().filter(unexcused) {
            let (gateway, after) = (unsent.gateway + 1, unsent.began.as_secs_f64());
            let what = format!("gateway {gateway} took no connection or no head on it, {after:.3} s after the begin");
            verdict.found(Fault::Unconnected, Example::only(what));
        }
        for when in &sender.found_nobody {
            let what = format!("no gateway took a connection, {:.3} s after the begin", when.as_secs_f64());
            verdict.found(Fault::NobodyThere, Example::only(what));
        }
    }
    for number in &sender.with_strays {
        let what = format!("bytes came behind the answer of request {number}");
        verdict.found(Fault::Corrupted, Example::only(what));
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
