//! What programs that are stopped or killed excuse, and what not.

use super::*;
use crate::record::Unsent;

/// A stop in good order from then on; its process ended and it was back after half and all of so many seconds, and what
/// lasted longer than a second of it was ended.
fn asked(program: Stopped, from: Duration, seconds: u64) -> Stop {
    let (gone, back) = (from + Duration::from_millis(500 * seconds), from + Duration::from_secs(seconds));
    let how = How::Asked { deadline: Duration::from_secs(1) };
    Stop { program, how, from, gone, noticed: gone, back }
}

/// A kill at the begin of this second; the process had ended 10 ms later, everybody had noticed after 100 ms, and it was
/// back after 3 s.
fn killed(program: Stopped, second: u64) -> Stop {
    let after = |milliseconds| at(second) + Duration::from_millis(milliseconds);
    Stop { program, how: How::Killed, from: after(0), gone: after(10), noticed: after(100), back: after(3000) }
}

fn cp1() -> Stopped {
    Stopped::ConnectionPoint("cp1".to_owned())
}

/// Requests 0 to 2 as ever; the kill of second 20 meets request 10, a GET, and 11, a POST.
fn with_kill(counts: &mut Counts, program: Stopped) {
    counts.stops.push(killed(program, 10));
    for (number, kind) in [(10, Kind::Get), (11, Kind::Post)] {
        add(counts, number, kind);
        let sent = counts.sender.sent.last_mut().unwrap();
        (sent.began, sent.ended) = (at(9), at(11));
    }
}

const GET: usize = 3;
const POST: usize = 4;

/// What has been begun and ended at these milliseconds after the kill.
fn when(counts: &mut Counts, number: usize, began: i64, ended: i64) {
    let moment = |milliseconds: i64| Duration::from_millis((20_000 + milliseconds) as u64);
    (counts.sender.sent[number].began, counts.sender.sent[number].ended) = (moment(began), moment(ended));
}

/// Plants something beside a kill that meets two requests as it should.
fn beside_kill(program: Stopped, plant: impl FnOnce(&mut Counts), expected: &[Fault]) {
    planted(
        |counts| {
            with_kill(counts, program);
            plant(counts);
        },
        expected,
    );
}

/// One more request of this kind, which the kill met too.
fn more(counts: &mut Counts, kind: Kind) -> usize {
    add(counts, 12, kind);
    when(counts, 5, -100, 500);
    5
}

fn lose(counts: &mut Counts, number: usize, outcome: Outcome, status: u16) {
    refuse(counts, number, status, "CMGService_TunnelLost");
    if outcome == Outcome::Cut {
        counts.sender.sent[number].outcome = Outcome::Cut;
        counts.sender.sent[number].code = None;
        counts.gateways.lines[number].outcome = "cut".into();
    }
}

#[test]
fn what_outlasts_a_drain_is_excused_and_counted() {
    let outlast = |counts: &mut Counts, kind, outcome| {
        counts.sender.sent[0].kind = kind;
        refuse(counts, 0, 502, "CMGService_EndedByDrain");
        if outcome == Outcome::Cut {
            counts.sender.sent[0].outcome = outcome;
            counts.gateways.lines[0].outcome = "cut".into();
        }
        // The drain begins 100 ms after the request, and its deadline comes a second later.
        counts.stops.push(asked(cp1(), at(0) + Duration::from_millis(100), 3));
        counts.sender.sent[0].ended = at(1) + Duration::from_millis(100);
    };
    for (outcome, fault) in [(Outcome::Refused, Fault::Refused), (Outcome::Cut, Fault::Cut)] {
        let mut counts = clean();
        outlast(&mut counts, Kind::Wait, outcome);
        let verdict = check(&counts, Allowed::NOTHING);
        assert!(verdict.is_clean() && verdict.ended_by_drain == 1, "{verdict}");
        // Everything else ends long before, and nothing is ended before the deadline or by another's drain.
        planted(|counts| outlast(counts, Kind::Get, outcome), &[fault]);
        let plants: [fn(&mut Counts); 3] = [
            |counts| counts.sender.sent[0].ended -= Duration::from_millis(1),
            |counts| counts.stops[0].program = Stopped::ConnectionPoint("cp2".to_owned()),
            |counts| counts.stops.clear(),
        ];
        for plant in plants {
            planted(
                |counts| {
                    outlast(counts, Kind::Wait, outcome);
                    plant(counts);
                },
                &[fault],
            );
        }
    }
}

#[test]
fn what_was_handed_back_or_never_sent_left_no_trace() {
    for (outcome, fault) in [(Outcome::HandedBack, Fault::HandedBack), (Outcome::NotConnected, Fault::NotConnected)] {
        let untouched = |counts: &mut Counts| {
            counts.sender.sent[0].outcome = outcome;
            counts.role.seen.remove(0);
            counts.gateways.lines.remove(0);
        };
        planted(untouched, &[fault]);
        planted_where(ANYTHING, untouched, &[fault]);
    }
    let leaving = |counts: &mut Counts| {
        counts.sender.sent[0].outcome = Outcome::HandedBack;
        counts.stops.push(asked(Stopped::Gateway(0), at(0), 1));
    };
    planted(leaving, &[Fault::RefusedAndExecuted, Fault::WrongLine]);
    let others = [
        asked(Stopped::Gateway(1), at(0), 1),
        asked(Stopped::Gateway(0), at(5), 1),
        asked(cp1(), at(0), 1),
        Stop { how: How::Killed, ..asked(Stopped::Gateway(0), at(0), 1) },
    ];
    for stop in others {
        let mut counts = clean();
        leaving(&mut counts);
        counts.stops = vec![stop];
        assert!(check(&counts, Allowed::NOTHING).count(Fault::HandedBack) == 1, "{:?}", counts.stops);
    }
    planted(
        |counts| {
            leaving(counts);
            counts.role.seen.remove(0);
            counts.gateways.lines.remove(0);
        },
        &[],
    );
}

#[test]
fn connections_fail_only_while_their_gateway_is_away() {
    let unsent = |counts: &mut Counts, gateway, when| {
        counts.sender.unsent.push(Unsent { gateway, began: when, ended: when });
    };
    planted(|counts| unsent(counts, 0, at(3)), &[Fault::Unconnected]);
    planted_where(ANYTHING, |counts| unsent(counts, 0, at(3)), &[]);
    let stopped = |gateway, when| {
        move |counts: &mut Counts| {
            counts.stops.push(asked(Stopped::Gateway(0), at(3), 5));
            unsent(counts, gateway, when);
        }
    };
    planted(stopped(0, at(4)), &[]);
    planted(stopped(1, at(4)), &[Fault::Unconnected]);
    planted(stopped(0, at(2)), &[Fault::Unconnected]);
    planted(stopped(0, at(9)), &[Fault::Unconnected]);
    planted(|counts| counts.sender.found_nobody.push(at(1)), &[Fault::NobodyThere]);
}

#[test]
fn a_kill_has_to_meet_requests_of_both_sorts() {
    for program in [Stopped::Gateway(0), cp1()] {
        beside_kill(program.clone(), |_| {}, &[]);
        beside_kill(program.clone(), |counts| when(counts, POST, -900, -1), &[Fault::MetNothing]);
        beside_kill(program, |counts| when(counts, GET, 1, 900), &[Fault::MetNothing]);
    }
    beside_kill(Stopped::Gateway(1), |_| {}, &[Fault::MetNothing]);
    // What another connection point answered in the end was there when it happened.
    beside_kill(
        cp1(),
        |counts| {
            sent_again(counts, GET, "repeatable");
            counts.gateways.lines[GET].connection_point = Some("cp2".into());
        },
        &[],
    );
}

#[test]
fn a_killed_gateway_excuses_what_was_in_flight_there() {
    let breaking = |counts: &mut Counts, number: usize| {
        let sent = &mut counts.sender.sent[number];
        (sent.outcome, sent.status) = (Outcome::Cut, 0);
        counts.role.seen[number].answer = "cut".into();
        counts.gateways.lines.remove(number);
    };
    let gateway = || Stopped::Gateway(0);
    beside_kill(gateway(), |counts| breaking(counts, POST), &[]);
    let breaks_another = |counts: &mut Counts, gateway, began, ended| {
        let number = more(counts, Kind::Post);
        breaking(counts, number);
        counts.sender.sent[number].gateway = gateway;
        when(counts, number, began, ended);
    };
    beside_kill(gateway(), |counts| breaks_another(counts, 0, -100, 500), &[]);
    beside_kill(gateway(), |counts| breaks_another(counts, 1, -100, 500), &[Fault::Cut, Fault::NoLine]);
    beside_kill(gateway(), |counts| breaks_another(counts, 0, -900, -1), &[Fault::Cut]);
    beside_kill(gateway(), |counts| breaks_another(counts, 0, 3001, 3500), &[Fault::Cut, Fault::NoLine]);
}

#[test]
fn nobody_runs_what_is_sent_to_somebody_who_is_gone() {
    let late = |counts: &mut Counts| {
        let number = more(counts, Kind::Post);
        lose(counts, number, Outcome::Refused, 502);
        when(counts, number, 50, 60);
    };
    beside_kill(cp1(), late, &[Fault::ThroughTheDead]);
    beside_kill(
        cp1(),
        |counts| {
            late(counts);
            counts.role.seen.pop();
        },
        &[],
    );
    // By then its gateway knew.
    beside_kill(
        cp1(),
        |counts| {
            late(counts);
            when(counts, 5, 101, 200);
        },
        &[Fault::Refused],
    );
}

#[test]
fn a_killed_gateway_takes_its_last_lines_with_it() {
    let unlogged = |began, ended| {
        move |counts: &mut Counts| {
            let number = more(counts, Kind::Get);
            when(counts, number, began, ended);
            counts.gateways.lines.remove(number);
        }
    };
    beside_kill(Stopped::Gateway(0), unlogged(-500, -400), &[]);
    beside_kill(Stopped::Gateway(0), unlogged(-1500, -1400), &[Fault::NoLine]);
    beside_kill(Stopped::Gateway(0), unlogged(3001, 3002), &[Fault::NoLine]);
    beside_kill(cp1(), unlogged(-500, -400), &[Fault::NoLine]);
    // One that ends in good order writes all of them.
    planted(
        |counts| {
            counts.stops.push(asked(Stopped::Gateway(0), at(0), 1));
            counts.gateways.lines.remove(0);
        },
        &[Fault::NoLine],
    );
}

#[test]
fn a_killed_connection_point_excuses_what_must_not_run_twice() {
    let losing = |kind, outcome, status| {
        move |counts: &mut Counts| {
            let number = more(counts, kind);
            lose(counts, number, outcome, status);
        }
    };
    beside_kill(cp1(), losing(Kind::Post, Outcome::Refused, 502), &[]);
    beside_kill(cp1(), losing(Kind::Post, Outcome::Cut, 200), &[]);
    beside_kill(cp1(), losing(Kind::Get, Outcome::Cut, 200), &[]);
    // What only reads is answered by the other one, and whoever lives says what is wrong.
    beside_kill(cp1(), losing(Kind::Get, Outcome::Refused, 502), &[Fault::Refused]);
    beside_kill(cp1(), losing(Kind::Post, Outcome::Cut, 0), &[Fault::Cut]);
    let otherwise: [fn(&mut Counts); 3] = [
        |counts| counts.gateways.lines[5].connection_point = Some("cp2".into()),
        |counts| {
            counts.sender.sent[5].code = Some("CMGService_TunnelTimeout".into());
            counts.gateways.lines[5].code = Some("CMGService_TunnelTimeout".into());
        },
        |counts| when(counts, 5, -900, -1),
    ];
    for plant in otherwise {
        beside_kill(
            cp1(),
            |counts| {
                losing(Kind::Post, Outcome::Refused, 502)(counts);
                plant(counts);
            },
            &[Fault::Refused],
        );
    }
}
