//! What the programs hold: descriptors and memory, before a fault and when it is long over.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cmg_client::Request;
use cmg_e2e::admin::Admin;
use cmg_e2e::program::Program;
use cmg_e2e::{Stack, until};

use super::ECHO;

/// What more may be open than before: a look at the admin pages, or a name that is being resolved.
const MORE_DESCRIPTORS: usize = 4;
/// What more may be in memory than before: the allocator keeps some of what it once had.
const MORE_MEMORY: u64 = 16 << 20;

/// On each of the connections that are made to whoever still holds more.
const QUESTIONS: usize = 50;

#[derive(Clone, Copy, Debug)]
struct Footprint {
    /// Without connections to roles, which are kept for a minute, as many as there were requests at a time.
    descriptors: usize,
    memory: u64,
}

impl Footprint {
    /// As soon as nothing runs and nobody is connected: a program closes what clients have left a moment later.
    async fn of(program: &Program) -> Result<Self> {
        let admin = Admin::of(program)?;
        let at_rest = admin.wait_for_metrics("that nothing runs", |metrics| metrics.still_running().is_empty()).await?;
        let to_roles = at_rest.sum("cmg_role_connections", &[]) as usize;
        Ok(Self { descriptors: program.descriptors()?.saturating_sub(to_roles), memory: program.memory()? })
    }
}

/// By the program's name, which those that are started again keep.
pub struct Footprints(BTreeMap<String, Footprint>);

impl Footprints {
    pub async fn of(stack: &Stack) -> Result<Self> {
        let mut all = BTreeMap::new();
        for program in stack.gateways.iter().chain(&stack.connection_points) {
            all.insert(program.name.clone(), Footprint::of(program).await?);
        }
        Ok(Self(all))
    }

    /// Waits until every program holds about as much as before; what it holds then, in words. Asks them something
    /// meanwhile: the allocator gives back what is not needed while it works, not while it rests.
    pub async fn settled(&self, stack: &Stack) -> Result<Vec<String>> {
        let mut now = Self::of(stack).await?;
        let settling = until(async || {
            if self.more_than_before(&now).is_empty() {
                return Ok(true);
            }
            for gateway in 0..stack.gateways.len() {
                let mut connection = stack.client_of(gateway, Some(&stack.pki.clients[0]))?.connect().await?;
                for _ in 0..QUESTIONS {
                    connection.send(Request::get(ECHO)).await?.whole().await?;
                }
            }
            now = Self::of(stack).await?;
            Ok(false)
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
