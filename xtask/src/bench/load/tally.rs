//! What the connections of one job counted, put together.

use std::time::Duration;

use crate::bench::job::Outcome;

#[derive(Default)]
pub struct Tally {
    pub done: u64,
    pub resumed: u64,
    pub times: Vec<Duration>,
    pub errors: Vec<String>,
}

impl Tally {
    pub fn answered(&mut self, time: Duration) {
        self.done += 1;
        self.times.push(time);
    }

    pub fn add(&mut self, other: Tally) {
        self.done += other.done;
        self.resumed += other.resumed;
        self.times.extend(other.times);
        self.errors.extend(other.errors);
    }

    /// Nothing may go wrong before anything is counted.
    pub fn succeeded(self) -> anyhow::Result<()> {
        self.errors.into_iter().next().map_or(Ok(()), |error| Err(anyhow::Error::msg(error)))
    }

    pub fn outcome(mut self, took: Duration) -> Outcome {
        self.times.sort_unstable();
        Outcome {
            done: self.done,
            resumed: self.resumed,
            seconds: took.as_secs_f64(),
            p50_microseconds: self.percentile(50),
            p99_microseconds: self.percentile(99),
            errors: self.errors.len() as u64,
            first_error: self.errors.into_iter().next(),
        }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
