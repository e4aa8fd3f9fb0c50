//! What the programs hold: descriptors and memory, before a fault and when it is long over.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cmg_e2e::{Stack, until};

/// What more may be open than before: connections to roles are kept for a minute, as many as there were clients.
const MORE_DESCRIPTORS: usize = 128;
/// What more may be in memory than before: the allocator keeps some of what it once had.
const MORE_MEMORY: u64 = 64 << 20;

#[derive(Clone, Copy, Debug)]
struct Footprint {
    descriptors: usize,
    memory: u64,
}

/// By the program's name, which those that are started again keep.
pub struct Footprints(BTreeMap<String, Footprint>);

impl Footprints {
    pub fn of(stack: &Stack) -> Result<Self> {
        let programs = stack.gateways.iter().chain(&stack.connection_points);
        let footprint = |program: &cmg_e2e::program::Program| {
            let held = Footprint { descriptors: program.descriptors()?, memory: program.memory()? };
            Ok((program.name.clone(), held))
        };
        programs.map(footprint).collect::<Result<_>>().map(Self)
    }

    /// Waits until every program holds about as much as before; what it holds then, in words.
    pub async fn settled(&self, stack: &Stack) -> Result<Vec<String>> {
        let mut now = Self::of(stack)?;
        let settling = until(async || {
            now = Self::of(stack)?;
            Ok(self.more_than_before(&now).is_empty())
        });
        let settled = settling.await;
        settled.with_context(|| format!("held beyond the budget: {}", self.more_than_before(&now).join("; ")))?;
        Ok(now.0.iter().filter_map(|(name, held)| Some(compared(name, self.0.get(name)?, held))).collect())
    }

    fn more_than_before(&self, now: &Self) -> Vec<String> {
        let is_more = |before: &Footprint, held: &Footprint| {
            held.descriptors > before.descriptors + MORE_DESCRIPTORS || held.memory > before.memory + MORE_MEMORY
        };
        let pairs = now.0.iter().filter_map(|(name, held)| Some((name, self.0.get(name)?, held)));
        pairs
            .filter(|(_, before, held)| is_more(before, held))
            .map(|(name, before, held)| compared(name, before, held))
            .collect()
    }
}

fn compared(name: &str, before: &Footprint, now: &Footprint) -> String {
    let mib = |bytes: u64| bytes >> 20;
    format!(
        "{name}: descriptors {} before, {} after; memory {} MiB before, {} MiB after",
        before.descriptors,
        now.descriptors,
        mib(before.memory),
        mib(now.memory)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprints(descriptors: usize, memory: u64) -> Footprints {
        Footprints(BTreeMap::from([("gateway-1".to_owned(), Footprint { descriptors, memory })]))
    }

    #[test]
    fn what_is_held_beyond_the_budget_is_named() {
        let before = footprints(30, 10 << 20);
        assert!(before.more_than_before(&footprints(30 + MORE_DESCRIPTORS, 10 << 20)).is_empty());
        for now in [footprints(31 + MORE_DESCRIPTORS, 10 << 20), footprints(30, (11 << 20) + MORE_MEMORY)] {
            let more = before.more_than_before(&now);
            assert!(more.len() == 1 && more[0].starts_with("gateway-1: descriptors 30 before"), "{more:?}");
        }
    }
}
