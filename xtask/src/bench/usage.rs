//! What processes have used, as the kernel counts it: CPU time in nanoseconds and memory as proportional set size.
//! Only reads /proc; never touches the processes.

use std::path::Path;

use anyhow::{Context, Result};

/// One clock tick of /proc/PID/stat (USER_HZ is 100 on every Linux that we run on).
const TICK_NANOSECONDS: u64 = 10_000_000;

/// CPU time so far, counted twice: exactly but for living threads only, and in ticks with those that have ended.
#[derive(Clone, Copy, Default)]
pub struct CpuTime {
    exact: u64,
    ticks: u64,
    processes: u64,
}

impl CpuTime {
    pub fn of(processes: &[u32]) -> Result<CpuTime> {
        let mut sum = CpuTime { processes: processes.len() as u64, ..CpuTime::default() };
        for process in processes {
            let folder = format!("/proc/{process}");
            sum.ticks += ticks(&folder).with_context(|| format!("process {process} is gone"))? * TICK_NANOSECONDS;
            for thread in std::fs::read_dir(format!("{folder}/task"))? {
                sum.exact += exact(&thread?.path());
            }
        }
        Ok(sum)
    }

    /// Nanoseconds of CPU since `before`; the tick count only where the exact one is missing or a thread has ended.
    pub fn since(self, before: CpuTime) -> u64 {
        let exact = self.exact.saturating_sub(before.exact);
        let ticks = self.ticks.saturating_sub(before.ticks);
        let tolerance = 3 * TICK_NANOSECONDS * self.processes;
        if ticks > exact + tolerance { ticks } else { exact }
    }
}

/// First field of schedstat: nanoseconds on a CPU, user and system together.
fn exact(thread: &Path) -> u64 {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn ticks(folder: &str) -> Result<u64> {
    let fields = stat(folder)?;
    let field = |number: usize| fields.get(number).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(field(11) + field(12))
}

/// The fields of stat that follow the command's name, which may itself hold spaces.
fn stat(folder: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("{folder}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("stat has no command name")?;
    Ok(rest.split(' ').map(str::to_owned).collect())
}

/// Percentage of all processors that is busy, watched for a second.
pub fn busy_percent() -> Result<f64> {
    let (busy_before, all_before) = machine_ticks()?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (busy, all) = machine_ticks()?;
    let passed = all.saturating_sub(all_before).max(1) as f64;
    Ok(busy.saturating_sub(busy_before) as f64 / passed * 100.0)
}

/// Ticks that all processors have been busy, and ticks that have passed.
fn machine_ticks() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user already.
    let fields: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all = fields.iter().sum::<u64>();
    Ok((all - fields.iter().skip(3).take(2).sum::<u64>(), all))
}

/// Proportional set size in KiB: pages shared between processes are counted once.
pub fn memory_kib(processes: &[u32]) -> Result<f64> {
    let mut sum = 0.0;
    for process in processes {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss line")?;
        sum += line.trim().trim_end_matches(" kB").parse::<f64>()?;
    }
    Ok(sum)
}

/// A process and all that it has started, in that order.
pub fn with_descendants(process: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child: u32| Some((child, stat(&format!("/proc/{child}")).ok()?.get(1)?.parse().ok()?)))
        .collect();
    let mut family = vec![process];
    let mut seen = 0;
    while let Some(&parent) = family.get(seen) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        seen += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cpu_time_grows_with_work() {
        let own = [std::process::id()];
        let before = CpuTime::of(&own).unwrap();
        let mut sum = 0_u64;
        while CpuTime::of(&own).unwrap().since(before) < 1_000_000 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        assert!(memory_kib(&own).unwrap() > 0.0);
    }

    #[test]
    fn a_child_is_a_descendant() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let family = with_descendants(std::process::id());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert!(family.contains(&child.id()), "{family:?}");
    }
}
