//! What a run amounts to: how many requests of each kind ended how, and every fault with some examples.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Counts;
use super::joined::View;
use super::met::StopMet;
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::expected::hex;
use crate::kind::Kind;
use crate::limits;
use crate::outcome::Outcome;

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    Lost,
    Doubled,
    Corrupted,
    RefusedAndExecuted,
    AnsweredAndNotExecuted,
    AnsweredHalf,
    WrongBodyAtRole,
    WrongAnswerAtRole,
    WrongIds,
    TimedOut,
    Cut,
    Refused,
    HandedBack,
    NotConnected,
    Unconnected,
    NobodyThere,
    ThroughTheDead,
    MetNothing,
    SentTooOften,
    SentAgainUnsaid,
    NobodySent,
    NoLine,
    SeveralLines,
    WrongLine,
    UnreadableLines,
}

impl Fault {
    pub const fn words(self) -> &'static str {
        match self {
            Fault::Lost => "lost: sent, and nobody said what became of it",
            Fault::Doubled => "doubled: not repeatable, and at the role more than once",
            Fault::Corrupted => "corrupted: the answer was not the right one",
            Fault::RefusedAndExecuted => "refused as surely not executed, and at the role",
            Fault::AnsweredAndNotExecuted => "answered, and never at the role",
            Fault::AnsweredHalf => "answered, and the role did not get the whole body",
            Fault::WrongBodyAtRole => "at the role as a whole request, and not the one that was sent",
            Fault::WrongAnswerAtRole => "answered, and not with what the role sent",
            Fault::WrongIds => "client, gateway and role do not name the same request id",
            Fault::TimedOut => "no outcome in time",
            Fault::Cut => "cut, where nothing was to break",
            Fault::Refused => "refused, where everything was to be served",
            Fault::SentTooOften => "repeatable, and at the role more than twice",
            Fault::HandedBack => "handed back, where no gateway was leaving",
            Fault::NotConnected => "no gateway took a connection for a minute",
            Fault::Unconnected => "a connection did not come about, where its gateway was to be there",
            Fault::NobodyThere => "no gateway took a connection, one after the other",
            Fault::ThroughTheDead => "at the role by a program that was gone",
            Fault::MetNothing => "a kill that met nothing",
            Fault::SentAgainUnsaid => "at the role a second time, and no program says so of it",
            Fault::NobodySent => "seen, and sent by nobody",
            Fault::NoLine => "no line in a gateway's log",
            Fault::SeveralLines => "several lines in the gateways' logs",
            Fault::WrongLine => "a gateway's line tells it otherwise",
            Fault::UnreadableLines => "lines of the logs cannot be read",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// One request as everybody saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    pub what: String,
    pub sender: String,
    pub gateways: Vec<String>,
    pub role: Vec<String>,
}

impl Example {
    pub fn of(view: &View<'_>, what: impl Into<String>) -> Self {
        let sent = view.sent;
        let mut sender = format!("{} {} HTTP/{} {}", sent.number, sent.kind, sent.http, sent.outcome.name());
        if sent.status > 0 {
            sender.push_str(&format!(" {}", sent.status));
        }
        for text in [sent.code.as_deref(), sent.request_id.as_deref(), sent.detail.as_deref()].into_iter().flatten() {
            sender.push_str(&format!(" {text}"));
        }
        let hash = sent.body_sha256.map(|hash| format!(" sha256 {}", hex(&hash))).unwrap_or_default();
        sender.push_str(&format!("; body {} bytes{hash}; {} bytes came", sent.body_length, sent.answer_bytes));
        Self {
            what: what.into(),
            sender,
            gateways: view.gateway.iter().map(|line| told_by_gateway(line)).collect(),
            role: view.role.iter().map(|seen| told_by_role(seen)).collect(),
        }
    }

    pub fn of_role(seen: &AtRole, what: &str) -> Self {
        Self { what: what.to_owned(), role: vec![told_by_role(seen)], ..Self::default() }
    }

    pub fn of_gateway(line: &AtGateway, what: &str) -> Self {
        Self { what: what.to_owned(), gateways: vec![told_by_gateway(line)], ..Self::default() }
    }

    pub fn only(what: String) -> Self {
        Self { what, ..Self::default() }
    }
}

fn told_by_gateway(line: &AtGateway) -> String {
    format!(
        "{} {} {} {} by {}: {} bytes of body, {} of answer; {} {}",
        line.outcome,
        line.status,
        line.code.as_deref().unwrap_or("-"),
        line.request_id,
        line.connection_point.as_deref().unwrap_or("nobody"),
        line.request_bytes,
        line.answer_bytes,
        line.method,
        line.path,
    )
}

fn told_by_role(seen: &AtRole) -> String {
    format!(
        "{} {} {} answer {} of {} bytes; body {} bytes{} sha256 {}; {} {}",
        seen.sequence,
        seen.id.as_deref().unwrap_or("-"),
        seen.status.map_or("-".to_owned(), |status| status.to_string()),
        seen.answer,
        seen.answer_bytes,
        seen.body_length,
        if seen.body_complete { "" } else { " so far" },
        seen.body_sha256,
        seen.method,
        seen.target,
    )
}

/// How often a rule was broken.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// The whole account of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    pub run: String,
    pub requests: u64,
    /// Tries that made no request: nobody took the connection.
    pub not_connected: u64,
    pub at_role: u64,
    pub gateway_lines: u64,
    pub partial_lines: u64,
    pub dropped_lines: u64,
    /// Requests that were at the role a second time, and those that a gateway sent to a second connection point.
    pub second_times: u64,
    pub sent_again: u64,
    /// Requests that connection points sent to a role a second time.
    pub sent_again_to_role: u64,
    /// What was done to programs, and what it met.
    pub stops: Vec<StopMet>,
    /// Requests without a line, of which the logs say that lines are missing.
    pub without_line: u64,
    /// Answers that came whole to a client which left at once, logged as "client gone".
    pub left_after_the_end: u64,
    /// Those that outlasted the deadline of a planned stop.
    pub ended_by_drain: u64,
    #[serde(serialize_with = "by_name")]
    pub outcomes: BTreeMap<Kind, BTreeMap<Outcome, u64>>,
    pub codes: BTreeMap<String, u64>,
    pub body_bytes: u64,
    pub answer_bytes: u64,
    pub faults: BTreeMap<Fault, Found>,
}

fn by_name<S: serde::Serializer>(
    outcomes: &BTreeMap<Kind, BTreeMap<Outcome, u64>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(outcomes.iter().map(|(kind, outcomes)| (kind.name(), outcomes)))
}

impl Verdict {
    pub(super) fn of(counts: &Counts) -> Self {
        let mut verdict = Self {
            run: counts.sender.run.clone(),
            requests: counts.sender.sent.len() as u64,
            not_connected: counts.sender.unsent.len() as u64,
            at_role: counts.role.seen.len() as u64,
            gateway_lines: counts.gateways.lines.len() as u64,
            partial_lines: counts.gateways.partial,
            dropped_lines: counts.gateways.dropped,
            ..Self::default()
        };
        for sent in &counts.sender.sent {
            *verdict.outcomes.entry(sent.kind).or_default().entry(sent.outcome).or_default() += 1;
            if let Some(code) = &sent.code {
                *verdict.codes.entry(format!("{} {code}", sent.status)).or_default() += 1;
            }
            verdict.body_bytes += sent.body_length;
            verdict.answer_bytes += sent.answer_bytes;
        }
        verdict
    }

    pub(super) fn found(&mut self, fault: Fault, example: Example) {
        let found = self.faults.entry(fault).or_default();
        found.count += 1;
        if found.examples.len() < limits::EXAMPLES {
            found.examples.push(example);
        }
    }

    /// Whether every request is accounted for.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).map_or(0, |found| found.count)
    }

    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        self.outcomes.values().filter_map(|outcomes| outcomes.get(&outcome)).sum()
    }
}
