//! What a reader gets: the table, the JSON, and the part of docs/performance.md between its markers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

use super::contestants::Name;
use super::results::{RowResult, Spread, Verdict};
use super::rows::{Goal, Row};

const BEGIN: &str = "<!-- bench: begin; written by `cargo xtask bench` -->";
const END: &str = "<!-- bench: end -->";

/// Others that use more than this disturb what is measured.
pub const QUIET_PERCENT: f64 = 5.0;

/// Everything about one run.
#[derive(Serialize)]
pub struct Run {
    pub command: String,
    pub date: String,
    pub machine: Machine,
    pub workers: usize,
    pub rounds: usize,
    /// Of all processors, by others, just before the run.
    pub busy_percent: f64,
    pub versions: BTreeMap<Name, String>,
    pub rows: Vec<Line>,
}

#[derive(Serialize)]
pub struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    system: String,
}

#[derive(Serialize)]
pub struct Line {
    name: &'static str,
    meaning: &'static str,
    unit: &'static str,
    figures: BTreeMap<Name, Spread>,
    ratios_to_nginx: BTreeMap<Name, Spread>,
    target_ratio: Option<f64>,
    verdict: Verdict,
    goal: Option<String>,
    goal_verdict: Verdict,
    rounds: Vec<BTreeMap<Name, f64>>,
    troubles: BTreeMap<Name, String>,
}

impl Line {
    pub fn new(row: Row, result: RowResult) -> Line {
        let names = [Name::Ours, Name::Nginx, Name::Haproxy];
        let ratio = |of: Name| Some((of, result.ratio(of, Name::Nginx)?));
        Line {
            name: row.name(),
            meaning: row.meaning(),
            unit: row.unit(),
            figures: names.iter().filter_map(|name| Some((*name, result.figure(*name)?))).collect(),
            ratios_to_nginx: [Name::Ours, Name::Haproxy].into_iter().filter_map(ratio).collect(),
            target_ratio: row.target(),
            verdict: Verdict::on_target(row, &result),
            goal: match row.goal() {
                Goal::None => None,
                Goal::Ratio(most) => Some(format!("{most:.2}x")),
                Goal::Figure(most) => Some(format!("{most} {}", row.unit())),
            },
            goal_verdict: Verdict::on_goal(row, &result),
            rounds: result.rounds,
            troubles: result.troubles,
        }
    }

    fn cells(&self) -> Vec<String> {
        let figure = |name| self.figures.get(&name).map_or_else(|| self.absence(name), |spread| show(*spread, ""));
        let ratio = |name| self.ratios_to_nginx.get(&name).map_or("-".to_owned(), |spread| show(*spread, "x"));
        let judged = |verdict| match verdict {
            Verdict::Met => " met",
            Verdict::Missed => " **missed**",
            Verdict::None => "",
        };
        let target = self.target_ratio.map_or("-".to_owned(), |most| format!("{most:.2}x{}", judged(self.verdict)));
        let goal = self.goal.clone().map_or("-".to_owned(), |goal| format!("{goal}{}", judged(self.goal_verdict)));
        vec![
            self.name.to_owned(),
            self.unit.to_owned(),
            figure(Name::Ours),
            figure(Name::Nginx),
            figure(Name::Haproxy),
            ratio(Name::Ours),
            ratio(Name::Haproxy),
            target,
            goal,
        ]
    }

    fn absence(&self, name: Name) -> String {
        if self.troubles.contains_key(&name) { "void".to_owned() } else { "-".to_owned() }
    }
}

fn show(spread: Spread, unit: &str) -> String {
    let digits = if unit == "x" || spread.median < 10.0 { 2 } else { usize::from(spread.median < 1000.0) };
    format!("{:.digits$}{unit} ({:.digits$}-{:.digits$})", spread.median, spread.low, spread.high)
}

impl Run {
    /// The table as aligned Markdown, then what went wrong, then what the rows mean.
    pub fn table(&self) -> String {
        let heads = ["row", "unit", "ours", "nginx", "haproxy", "ours/nginx", "haproxy/nginx", "target", "goal"];
        let mut lines = vec![heads.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(Line::cells));
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| lines.iter().filter_map(|cells| Some(cells.get(column)?.len())).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for (number, cells) in lines.iter().enumerate() {
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(text, "| {cell:width$} ");
            }
            text.push_str("|\n");
            if number == 0 {
                text.extend(widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))));
                text.push_str("|\n");
            }
        }
        text.push('\n');
        for line in &self.rows {
            let _ = writeln!(text, "- *{}*: {}", line.name, line.meaning);
        }
        for ((name, trouble), rows) in self.troubles() {
            let _ = writeln!(text, "- **{name} has no figure** in {}: {trouble}", rows.join(", "));
        }
        text
    }

    /// What went wrong, each once, with the rows that it cost.
    pub fn troubles(&self) -> BTreeMap<(Name, &str), Vec<&'static str>> {
        let mut troubles: BTreeMap<(Name, &str), Vec<&'static str>> = BTreeMap::new();
        for line in &self.rows {
            for (name, trouble) in &line.troubles {
                troubles.entry((*name, trouble)).or_default().push(line.name);
            }
        }
        troubles
    }

    /// True if every row has its ratio of ours to nginx, and the third contestant was there.
    pub fn is_whole(&self) -> bool {
        let haproxy = self.rows.iter().any(|line| line.figures.contains_key(&Name::Haproxy));
        let judged = |line: &Line| line.ratios_to_nginx.contains_key(&Name::Ours);
        haproxy && self.rows.len() == Row::ALL.len() && self.rows.iter().all(judged)
    }

    fn heading(&self) -> String {
        let Machine { processor, processors, memory_gib, system } = &self.machine;
        let versions: Vec<&str> = self.versions.values().map(String::as_str).collect();
        let mut text = format!(
            "Made on {} by `{}`: {} rounds, {} workers in each program, on {processors} x {processor}, {memory_gib} GiB, \
             {system}. {}.\nMedian (lowest to highest round); a ratio is the median of the rounds' own ratios.\n",
            self.date,
            self.command,
            self.rounds,
            self.workers,
            versions.join("; ")
        );
        if self.busy_percent > QUIET_PERCENT {
            let busy = self.busy_percent;
            let _ =
                writeln!(text, "**The machine was busy**: others used {busy:.0} % of its processors before the run.");
        }
        text
    }

    pub fn text(&self) -> String {
        format!("{}\n{}", self.heading(), self.table())
    }

    pub fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    pub fn write_documentation(&self, path: &Path) -> Result<()> {
        let old = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let new = between_markers(&old, &self.text()).with_context(|| format!("{} lost a marker", path.display()))?;
        std::fs::write(path, new).with_context(|| format!("writing {}", path.display()))
    }
}

fn between_markers(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n{END}{after}", text))
}

impl Machine {
    pub fn this() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let release = read("/proc/sys/kernel/osrelease");
        let release: Vec<&str> = release.split(['.', '-']).take(2).collect();
        Machine {
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.div_ceil(1 << 20),
            system: format!("Linux {}", release.join(".")),
        }
    }
}

pub fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(|_| "unknown day".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(row: Row, ours: f64, nginx: f64) -> Run {
        let rounds = vec![BTreeMap::from([(Name::Ours, ours), (Name::Nginx, nginx)])];
        let troubles =
            BTreeMap::from([(Name::Haproxy, "haproxy is not installed: apt-get install haproxy".to_owned())]);
        Run {
            command: "cargo xtask bench".to_owned(),
            date: "2026-01-02".to_owned(),
            machine: Machine::this(),
            workers: 2,
            rounds: 1,
            busy_percent: 50.0,
            versions: BTreeMap::new(),
            rows: vec![Line::new(row, RowResult { rounds, troubles })],
        }
    }

    #[test]
    fn a_row_that_misses_stays_and_says_so() {
        let table = run_with(Row::GetH1, 95.0, 100.0).table();
        assert!(table.contains("| 0.95x (0.95-0.95) "), "{table}");
        assert!(table.contains("0.90x **missed**"), "{table}");
        assert!(run_with(Row::GetH1, 1.0, 1.0).text().contains("others used 50 %"));
        assert!(table.contains("void") && table.contains("apt-get install haproxy"), "{table}");
    }

    #[test]
    fn documentation_changes_between_its_markers_only() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(between_markers(&old, "new\n").unwrap(), format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(between_markers("no markers", "new"), None);
    }

    #[test]
    fn the_kept_documentation_has_its_markers() {
        let text = include_str!("../../../docs/performance.md");
        assert!(between_markers(text, "").is_some());
    }
}
