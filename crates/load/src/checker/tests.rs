//! Every rule: a clean run is clean, and each fault that is planted in it is found, and nothing else.

mod random_runs;
mod stops;

use std::time::Duration;

use super::*;
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::content::Content;
use crate::expected::{EMPTY_SHA256, hex};
use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::record::Sent;

/// Request 0 is sent in second 10, 1 in second 11 and so on, each for half a second.
fn at(number: u64) -> Duration {
    Duration::from_secs(10 + number)
}

/// The three counts of one request that was answered.
fn answered(number: u64, kind: Kind) -> (Sent, AtRole, AtGateway) {
    let body = (!kind.is_repeatable()).then_some(Content { seed: number, length: 10 });
    let sha256 = body.map(Content::sha256);
    let id: Box<str> = format!("{number:032x}").into();
    let status = if kind == Kind::Range { 206 } else { 200 };
    let body_length = body.map_or(0, |body| body.length);
    let sent = Sent {
        number,
        kind,
        http: 1,
        gateway: 0,
        began: at(number),
        ended: at(number) + Duration::from_millis(500),
        outcome: Outcome::Answered,
        status,
        code: None,
        request_id: Some(id.clone()),
        body_length,
        body_sha256: sha256,
        answer_bytes: 7,
        detail: None,
    };
    let role = AtRole {
        sequence: number,
        id: Some(id.clone()),
        test: Some(format!("run-{number}").into()),
        method: kind.method().into(),
        target: format!("/mp/run-{number}/_/echo").into(),
        body_length,
        body_sha256: sha256.map_or(EMPTY_SHA256.to_owned(), |hash| hex(&hash)).into(),
        body_complete: true,
        status: Some(status),
        answer: "complete".into(),
        answer_bytes: 7,
    };
    let gateway = AtGateway {
        request_id: id,
        method: kind.method().into(),
        path: format!("/mp/run-{number}/_/echo").into(),
        status,
        outcome: "answered".into(),
        code: None,
        request_bytes: body_length,
        answer_bytes: 7,
        connection_point: Some("cp1".into()),
        sent_again: None,
    };
    (sent, role, gateway)
}

/// Request 0 is a GET, 1 a POST, 2 a GET.
fn clean() -> Counts {
    let mut counts = Counts::default();
    counts.sender.run = "run".to_owned();
    for (number, kind) in [(0, Kind::Get), (1, Kind::Post), (2, Kind::Get)] {
        add(&mut counts, number, kind);
    }
    counts
}

fn add(counts: &mut Counts, number: u64, kind: Kind) {
    let (sent, role, gateway) = answered(number, kind);
    counts.sender.sent.push(sent);
    counts.role.seen.push(role);
    counts.gateways.lines.push(gateway);
}

/// Refused with this status, at sender and gateway; the role is left as it is.
fn refuse(counts: &mut Counts, number: usize, status: u16, code: &str) {
    let sent = &mut counts.sender.sent[number];
    (sent.outcome, sent.status, sent.code) = (Outcome::Refused, status, Some(code.into()));
    let line = &mut counts.gateways.lines[number];
    (line.outcome, line.status, line.code) = ("refused".into(), status, Some(code.into()));
}

/// What the worst scenario brings about.
const ANYTHING: Allowed = Allowed {
    codes: &["CMGService_TunnelLost", "CMGService_NoConnectionPoint"],
    reads: true,
    breaks: true,
    unconnected: true,
};
/// A scenario in which tunnels are lost and others carry on.
const TUNNELS_LOST: Allowed = Allowed { codes: &["CMGService_TunnelLost"], ..Allowed::NOTHING };

/// Plants something in a clean run; exactly these rules are broken then.
fn planted(plant: impl FnOnce(&mut Counts), expected: &[Fault]) {
    planted_where(Allowed::NOTHING, plant, expected);
}

fn planted_where(allowed: Allowed, plant: impl FnOnce(&mut Counts), expected: &[Fault]) {
    let mut counts = clean();
    plant(&mut counts);
    let verdict = check(&counts, allowed);
    let found: Vec<Fault> = verdict.faults.keys().copied().collect();
    assert_eq!(found, expected, "{verdict}");
}

#[test]
fn a_clean_run_is_clean() {
    planted(|_| {}, &[]);
    assert!(check(&clean(), Allowed::NOTHING).to_string().contains("every request is accounted for"));
}

#[test]
fn what_is_lost_is_a_fault_in_every_scenario() {
    let lose = |counts: &mut Counts| {
        counts.sender.sent[1].outcome = Outcome::Lost;
        counts.role.seen.remove(1);
        counts.gateways.lines.remove(1);
    };
    planted(lose, &[Fault::Lost]);
    planted_where(ANYTHING, lose, &[Fault::Lost]);
    for (outcome, fault) in [(Outcome::Corrupted, Fault::Corrupted), (Outcome::TimedOut, Fault::TimedOut)] {
        planted_where(ANYTHING, |counts| counts.sender.sent[1].outcome = outcome, &[fault]);
    }
}

#[test]
fn a_post_is_never_at_the_role_twice() {
    let double = |counts: &mut Counts| counts.role.seen.push(answered(1, Kind::Post).1);
    planted(double, &[Fault::Doubled]);
    planted_where(ANYTHING, double, &[Fault::Doubled]);
    let cut_and_doubled = |counts: &mut Counts| {
        double(counts);
        counts.sender.sent[1].outcome = Outcome::Cut;
        counts.gateways.lines[1].outcome = "cut".into();
    };
    planted_where(ANYTHING, cut_and_doubled, &[Fault::Doubled]);
}

/// The gateway's line says that it sent a request to a second connection point.
fn sent_again(counts: &mut Counts, number: usize, why: &str) {
    counts.gateways.lines[number].sent_again = Some(why.into());
}

#[test]
fn a_get_may_come_twice_if_its_line_says_so_and_never_three_times() {
    let again = |counts: &mut Counts| counts.role.seen.push(answered(0, Kind::Get).1);
    planted(again, &[Fault::SentAgainUnsaid]);
    planted(
        |counts| {
            again(counts);
            sent_again(counts, 0, "repeatable");
        },
        &[],
    );
    // What another line says, or a reason for which no role can have seen the first try, is no excuse.
    for (number, why) in [(2, "repeatable"), (0, "unwritten")] {
        planted(
            |counts| {
                again(counts);
                sent_again(counts, number, why);
            },
            &[Fault::SentAgainUnsaid],
        );
    }
    planted(
        |counts| {
            again(counts);
            counts.sent_again_to_role.0.insert(format!("{:032x}", 0).into());
        },
        &[],
    );
    planted(
        |counts| {
            again(counts);
            again(counts);
            sent_again(counts, 0, "repeatable");
        },
        &[Fault::SentTooOften],
    );
}

#[test]
fn the_time_that_was_cut_needs_no_whole_answer() {
    planted(
        |counts| {
            let mut first = answered(0, Kind::Get).1;
            (first.answer, first.answer_bytes) = ("cut".into(), 3);
            counts.role.seen.push(first);
            sent_again(counts, 0, "repeatable");
        },
        &[],
    );
}

#[test]
fn a_body_that_the_role_took_for_whole_is_whole_whatever_the_sender_was_told() {
    let half = |counts: &mut Counts, place: usize| {
        counts.role.seen[place].body_length = 9;
        counts.role.seen[place].body_sha256 = EMPTY_SHA256.into();
    };
    for outcome in [Outcome::Cut, Outcome::Refused] {
        let plant = |counts: &mut Counts| {
            refuse(counts, 1, 502, "CMGService_TunnelLost");
            counts.sender.sent[1].outcome = outcome;
        };
        planted_where(ANYTHING, plant, &[]);
        let with_half = |counts: &mut Counts| {
            plant(counts);
            half(counts, 1);
        };
        planted_where(ANYTHING, with_half, &[Fault::WrongBodyAtRole]);
        let known_to_be_half = |counts: &mut Counts| {
            with_half(counts);
            counts.role.seen[1].body_complete = false;
        };
        planted_where(ANYTHING, known_to_be_half, &[]);
    }
    // One good run of a repeated request does not hide the other.
    planted(
        |counts| {
            let mut first = answered(0, Kind::Get).1;
            (first.body_length, first.answer) = (3, "cut".into());
            counts.role.seen.push(first);
            sent_again(counts, 0, "repeatable");
        },
        &[Fault::WrongBodyAtRole],
    );
}

#[test]
fn an_answer_was_executed_with_the_body_that_was_sent() {
    planted(|counts| drop(counts.role.seen.remove(1)), &[Fault::AnsweredAndNotExecuted]);
    planted(|counts| counts.role.seen[1].body_length = 9, &[Fault::WrongBodyAtRole]);
    planted(|counts| counts.role.seen[1].body_complete = false, &[Fault::AnsweredHalf]);
    planted(|counts| counts.role.seen[1].body_sha256 = EMPTY_SHA256.into(), &[Fault::WrongBodyAtRole]);
    planted(|counts| counts.role.seen[1].method = "PUT".into(), &[Fault::WrongBodyAtRole]);
}

#[test]
fn an_answer_is_the_one_that_the_role_sent() {
    planted(|counts| counts.role.seen[1].status = Some(500), &[Fault::WrongAnswerAtRole]);
    planted(|counts| counts.role.seen[1].answer_bytes = 8, &[Fault::WrongAnswerAtRole]);
    planted(|counts| counts.role.seen[1].answer = "cut".into(), &[Fault::WrongAnswerAtRole]);
    planted(|counts| counts.role.seen[1].id = Some("other".into()), &[Fault::WrongIds]);
    planted(|counts| counts.gateways.lines[1].request_id = "other".into(), &[Fault::WrongIds]);
}

#[test]
fn a_promise_that_nothing_was_executed_holds() {
    for (status, code) in
        [(503, "CMGService_Draining"), (429, "CMGService_Throttled"), (404, "CMGService_NotPublished")]
    {
        let refuse = |counts: &mut Counts| refuse(counts, 1, status, code);
        planted(refuse, &[Fault::RefusedAndExecuted, Fault::Refused]);
        let unexecuted = |counts: &mut Counts| {
            refuse(counts);
            counts.role.seen.remove(1);
        };
        planted(unexecuted, &[Fault::Refused]);
    }
    for status in [502, 504, 408, 413] {
        planted_where(ANYTHING, |counts| refuse(counts, 1, status, "CMGService_TunnelLost"), &[]);
    }
}

#[test]
fn what_must_be_refused_is_no_fault() {
    planted(
        |counts| {
            counts.sender.sent[2].kind = Kind::Unpublished;
            refuse(counts, 2, 404, "CMGService_NotPublished");
            counts.role.seen.remove(2);
        },
        &[],
    );
}

#[test]
fn a_refusal_is_allowed_with_the_codes_of_the_harm_only() {
    planted_where(TUNNELS_LOST, |counts| refuse(counts, 1, 502, "CMGService_TunnelLost"), &[]);
    for (status, code) in [(404, "CMGService_NotPublished"), (503, "CMGService_NoConnectionPoint")] {
        let plant = |counts: &mut Counts| {
            refuse(counts, 1, status, code);
            counts.role.seen.remove(1);
        };
        planted_where(TUNNELS_LOST, plant, &[Fault::Refused]);
    }
    // What only reads is served by somebody else, unless there is nobody.
    let read = |counts: &mut Counts| refuse(counts, 0, 502, "CMGService_TunnelLost");
    planted_where(TUNNELS_LOST, read, &[Fault::Refused]);
    planted_where(Allowed { reads: true, ..TUNNELS_LOST }, read, &[]);
}

/// Request 1 is cut, with the gateway's line and this status of the answer that had begun.
fn cut(counts: &mut Counts, status: u16) {
    let sent = &mut counts.sender.sent[1];
    (sent.outcome, sent.status) = (Outcome::Cut, status);
    counts.role.seen[1].answer = "cut".into();
    let line = &mut counts.gateways.lines[1];
    (line.outcome, line.status, line.code) = ("cut".into(), status, Some("CMGService_TunnelLost".into()));
}

#[test]
fn a_cut_is_allowed_where_an_answer_was_to_break_off() {
    planted(|counts| cut(counts, 200), &[Fault::Cut]);
    planted_where(TUNNELS_LOST, |counts| cut(counts, 200), &[]);
    // Before an answer has begun a gateway that lives says what is wrong.
    planted_where(TUNNELS_LOST, |counts| cut(counts, 0), &[Fault::Cut]);
    planted_where(Allowed { breaks: true, ..Allowed::NOTHING }, |counts| cut(counts, 0), &[]);
}

#[test]
fn bytes_that_nobody_asked_for_are_a_fault_everywhere() {
    planted_where(ANYTHING, |counts| counts.sender.with_strays.push(1), &[Fault::Corrupted]);
}

#[test]
fn every_request_has_one_line_that_tells_the_same() {
    let unlogged = |counts: &mut Counts| drop(counts.gateways.lines.remove(1));
    planted(unlogged, &[Fault::NoLine]);
    planted_where(ANYTHING, unlogged, &[Fault::NoLine]);
    planted(
        |counts| {
            unlogged(counts);
            counts.gateways.dropped = 1;
        },
        &[],
    );
    planted(|counts| counts.gateways.lines.push(answered(1, Kind::Post).2), &[Fault::SeveralLines]);
    planted(|counts| counts.gateways.lines[1].outcome = "cut".into(), &[Fault::WrongLine]);
    let left = |counts: &mut Counts| counts.gateways.lines[1].outcome = "client gone".into();
    planted(left, &[]);
    planted(
        |counts| {
            left(counts);
            counts.gateways.lines[1].answer_bytes = 6;
        },
        &[Fault::WrongLine],
    );
    planted(|counts| counts.gateways.lines[1].status = 201, &[Fault::WrongLine]);
    planted(|counts| counts.gateways.lines[1].answer_bytes = 6, &[Fault::WrongLine]);
    planted(|counts| counts.gateways.lines[1].request_bytes = 6, &[Fault::WrongLine]);
    planted(|counts| counts.gateways.unreadable = 1, &[Fault::UnreadableLines]);
}

#[test]
fn what_nobody_sent_is_a_fault() {
    planted(|counts| counts.role.seen.push(answered(9, Kind::Get).1), &[Fault::NobodySent]);
    planted(|counts| counts.gateways.lines.push(answered(9, Kind::Get).2), &[Fault::NobodySent]);
    planted(
        |counts| {
            let mut nameless = answered(9, Kind::Get).1;
            nameless.test = None;
            counts.role.seen.push(nameless);
        },
        &[Fault::NobodySent],
    );
}

#[test]
fn a_report_shows_some_examples_from_all_sides() {
    let mut counts = clean();
    for number in 10..50 {
        add(&mut counts, number, Kind::Put);
        counts.role.seen.push(answered(number, Kind::Put).1);
    }
    let verdict = check(&counts, Allowed::NOTHING);
    let found = &verdict.faults[&Fault::Doubled];
    assert_eq!((found.count, found.examples.len()), (40, crate::limits::EXAMPLES));
    let example = &found.examples[0];
    assert_eq!((example.gateways.len(), example.role.len()), (1, 2));
    assert!(example.sender.starts_with("10 put HTTP/1 answered 200"), "{example:?}");
    assert!(verdict.to_string().contains("FAULT doubled"));
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["faults"]["doubled"]["count"], 40);
}
