//! Every rule: a clean run is clean, and each fault that is planted in it is found, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::content::Content;
use crate::expected::{EMPTY_SHA256, hex};
use crate::kind::Kind;
use crate::outcome::Outcome;
use crate::record::Sent;

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

fn faults(counts: &Counts, allowed: Allowed) -> Vec<Fault> {
    check(counts, allowed).faults.into_keys().collect()
}

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
    planted_where(Allowed::FAILURES, lose, &[Fault::Lost]);
    for (outcome, fault) in [(Outcome::Corrupted, Fault::Corrupted), (Outcome::TimedOut, Fault::TimedOut)] {
        planted_where(Allowed::FAILURES, |counts| counts.sender.sent[1].outcome = outcome, &[fault]);
    }
}

#[test]
fn a_post_is_never_at_the_role_twice() {
    let double = |counts: &mut Counts| counts.role.seen.push(answered(1, Kind::Post).1);
    planted(double, &[Fault::Doubled]);
    planted_where(Allowed::FAILURES, double, &[Fault::Doubled]);
    let cut_and_doubled = |counts: &mut Counts| {
        double(counts);
        counts.sender.sent[1].outcome = Outcome::Cut;
        counts.gateways.lines[1].outcome = "cut".into();
    };
    planted_where(Allowed::FAILURES, cut_and_doubled, &[Fault::Doubled]);
}

#[test]
fn a_get_may_come_twice_if_that_is_counted_and_never_three_times() {
    let again = |counts: &mut Counts| counts.role.seen.push(answered(0, Kind::Get).1);
    planted(again, &[Fault::SentAgainUncounted]);
    planted(
        |counts| {
            again(counts);
            counts.sent_again = 1;
        },
        &[],
    );
    planted(
        |counts| {
            again(counts);
            again(counts);
            counts.sent_again = 2;
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
            counts.sent_again = 1;
        },
        &[],
    );
}

#[test]
fn an_answer_was_executed_with_the_body_that_was_sent() {
    planted(|counts| drop(counts.role.seen.remove(1)), &[Fault::AnsweredAndNotExecuted]);
    planted(|counts| counts.role.seen[1].body_length = 9, &[Fault::WrongBodyAtRole]);
    planted(|counts| counts.role.seen[1].body_complete = false, &[Fault::WrongBodyAtRole]);
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
        planted_where(Allowed::FAILURES, refuse, &[Fault::RefusedAndExecuted]);
        let unexecuted = |counts: &mut Counts| {
            refuse(counts);
            counts.role.seen.remove(1);
        };
        planted_where(Allowed::FAILURES, unexecuted, &[]);
        planted(unexecuted, &[Fault::Refused]);
    }
    for status in [502, 504, 408, 413] {
        planted_where(Allowed::FAILURES, |counts| refuse(counts, 1, status, "CMGService_TunnelLost"), &[]);
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
fn a_cut_is_allowed_where_something_was_to_break() {
    let cut = |counts: &mut Counts| {
        counts.sender.sent[1].outcome = Outcome::Cut;
        counts.role.seen[1].answer = "cut".into();
        counts.gateways.lines[1].outcome = "cut".into();
    };
    planted(cut, &[Fault::Cut]);
    planted_where(Allowed::RESTARTS, cut, &[Fault::Cut]);
    planted_where(Allowed::FAILURES, cut, &[]);
}

#[test]
fn what_outlasts_a_drain_is_counted_apart() {
    let refused = |counts: &mut Counts| refuse(counts, 0, 502, "CMGService_EndedByDrain");
    let cut = |counts: &mut Counts| {
        counts.sender.sent[0].outcome = Outcome::Cut;
        counts.gateways.lines[0].outcome = "cut".into();
        counts.gateways.lines[0].code = Some("CMGService_EndedByDrain".into());
    };
    planted(refused, &[Fault::Refused]);
    planted(cut, &[Fault::Cut]);
    let plants: [&dyn Fn(&mut Counts); 2] = [&refused, &cut];
    for plant in plants {
        let mut counts = clean();
        plant(&mut counts);
        let verdict = check(&counts, Allowed::RESTARTS);
        assert!(verdict.is_clean() && verdict.ended_by_drain == 1, "{verdict}");
    }
}

#[test]
fn what_was_handed_back_left_no_trace() {
    let hand_back = |counts: &mut Counts| counts.sender.sent[0].outcome = Outcome::HandedBack;
    planted(hand_back, &[Fault::RefusedAndExecuted, Fault::WrongLine]);
    for outcome in [Outcome::HandedBack, Outcome::NotConnected] {
        planted(
            |counts| {
                counts.sender.sent[0].outcome = outcome;
                counts.role.seen.remove(0);
                counts.gateways.lines.remove(0);
            },
            &[],
        );
    }
}

#[test]
fn every_request_has_one_line_that_tells_the_same() {
    let unlogged = |counts: &mut Counts| drop(counts.gateways.lines.remove(1));
    planted(unlogged, &[Fault::NoLine]);
    planted_where(Allowed::FAILURES, unlogged, &[]);
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

/// How one request of a random clean run ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnsweredAtSecondTime,
    RefusedUnexecuted,
    Unknown,
    Cut,
    HandedBack,
    NotConnected,
    EndedByDrain,
}

fn fate() -> impl Strategy<Value = (Fate, usize)> {
    let fates = [
        Fate::Answered,
        Fate::AnsweredAtSecondTime,
        Fate::RefusedUnexecuted,
        Fate::Unknown,
        Fate::Cut,
        Fate::HandedBack,
        Fate::NotConnected,
        Fate::EndedByDrain,
    ];
    (proptest::sample::select(fates.to_vec()), 0..Kind::ALL.len() - 1)
}

/// A run in which every request met such an end, with everybody's honest count of it.
fn run_of(fates: &[(Fate, usize)]) -> Counts {
    let mut counts = Counts::default();
    counts.sender.run = "run".to_owned();
    for (number, (fate, kind)) in fates.iter().enumerate() {
        let (mut sent, role, mut line) = answered(number as u64, Kind::ALL[*kind].0);
        let mut refuse = |status, code: &str| {
            (sent.outcome, sent.status, sent.code) = (Outcome::Refused, status, Some(code.into()));
            (line.outcome, line.status, line.code) = ("refused".into(), status, Some(code.into()));
        };
        let (times, lines) = match fate {
            Fate::Answered => (1, 1),
            Fate::AnsweredAtSecondTime if sent.kind.is_repeatable() => (2, 1),
            Fate::AnsweredAtSecondTime => (1, 1),
            Fate::RefusedUnexecuted => (refuse(503, "CMGService_NoConnectionPoint"), (0, 1)).1,
            Fate::Unknown => (refuse(502, "CMGService_TunnelLost"), (1, 1)).1,
            Fate::EndedByDrain => (refuse(502, "CMGService_EndedByDrain"), (1, 1)).1,
            Fate::Cut => (sent.outcome = Outcome::Cut, (1, 1)).1,
            Fate::HandedBack => (sent.outcome = Outcome::HandedBack, (0, 0)).1,
            Fate::NotConnected => (sent.outcome = Outcome::NotConnected, (0, 0)).1,
        };
        counts.sent_again += u64::from(times == 2);
        counts.sender.sent.push(sent);
        counts.role.seen.extend(std::iter::repeat_n(role, times));
        counts.gateways.lines.extend(std::iter::repeat_n(line, lines));
    }
    counts.role.seen.reverse();
    counts
}

proptest! {
    /// Whatever honest ends a run brings, in whatever order the counts are written, it is clean; and one request that is
    /// lost among them is found.
    #[test]
    fn a_random_honest_run_is_clean_and_one_loss_in_it_is_found(
        fates in proptest::collection::vec(fate(), 1..60), at in any::<proptest::sample::Index>()
    ) {
        let mut counts = run_of(&fates);
        prop_assert_eq!(faults(&counts, Allowed::FAILURES), vec![]);
        let lost = at.index(fates.len());
        counts.sender.sent[lost].outcome = Outcome::Lost;
        prop_assert_eq!(faults(&counts, Allowed::FAILURES), vec![Fault::Lost]);
    }
}
