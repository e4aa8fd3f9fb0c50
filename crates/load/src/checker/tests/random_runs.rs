//! Random runs: whatever honest ends they bring, they are clean.

use proptest::prelude::*;

use super::*;

fn faults(counts: &Counts) -> Vec<Fault> {
    check(counts, ANYTHING).faults.into_keys().collect()
}

/// How one request of a random honest run ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnsweredAtSecondTime,
    RefusedUnexecuted,
    Unknown,
    Cut,
}

fn fate() -> impl Strategy<Value = (Fate, usize)> {
    let fates = [Fate::Answered, Fate::AnsweredAtSecondTime, Fate::RefusedUnexecuted, Fate::Unknown, Fate::Cut];
    (proptest::sample::select(fates.to_vec()), 0..Kind::ALL.len() - 1)
}

/// A run in which every request met such an end, with everybody's honest count of it.
fn run_of(fates: &[(Fate, usize)]) -> Counts {
    let mut counts = Counts::default();
    counts.sender.run = "run".to_owned();
    for (number, (fate, kind)) in fates.iter().enumerate() {
        let (mut sent, role, mut line) = answered(number as u64, Kind::ALL[*kind].0);
        let is_repeatable = sent.kind.is_repeatable();
        let mut refuse = |status, code: &str| {
            (sent.outcome, sent.status, sent.code) = (Outcome::Refused, status, Some(code.into()));
            (line.outcome, line.status, line.code) = ("refused".into(), status, Some(code.into()));
        };
        let times = match fate {
            Fate::AnsweredAtSecondTime if is_repeatable => (line.sent_again = Some("repeatable".into()), 2).1,
            Fate::Answered | Fate::AnsweredAtSecondTime => 1,
            Fate::RefusedUnexecuted => (refuse(503, "CMGService_NoConnectionPoint"), 0).1,
            Fate::Unknown => (refuse(502, "CMGService_TunnelLost"), 1).1,
            Fate::Cut => (sent.outcome = Outcome::Cut, 1).1,
        };
        counts.sender.sent.push(sent);
        counts.role.seen.extend(std::iter::repeat_n(role, times));
        counts.gateways.lines.push(line);
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
        prop_assert_eq!(faults(&counts), vec![]);
        let lost = at.index(fates.len());
        counts.sender.sent[lost].outcome = Outcome::Lost;
        prop_assert_eq!(faults(&counts), vec![Fault::Lost]);
    }
}
