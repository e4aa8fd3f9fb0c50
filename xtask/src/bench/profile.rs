//! Where the CPU of ours goes in one row, by `perf` where it works. Help for whoever makes it faster; no part of the figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::contestants::Contestant;
use super::measurement::{self, Load, Scale};
use super::process::{Farewell, Owned};
use super::rows::Row;

/// How many are listed; what follows is noise.
const SYMBOLS: usize = 35;
/// Long enough for some ten thousand samples.
const SCALE: Scale = Scale { seconds: 4.0, bulk_bytes: 4 << 30, idle_connections: 0 };

/// Samples on the clock, because virtual machines rarely have the hardware counters.
pub fn print(row: Row, contestant: &Contestant, folder: &Path) -> Result<()> {
    for (part, processes) in [("gateway", &contestant.edge), ("connection point", &contestant.inner)] {
        let data = folder.join("perf.data");
        record(row, contestant, processes, &data)?;
        println!("{}, {part}: share of samples", row.name());
        report(&data)?;
    }
    Ok(())
}

fn record(row: Row, contestant: &Contestant, processes: &[u32], data: &Path) -> Result<()> {
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut load = Load::prepare(&contestant.target, measurement::work(row, SCALE))?;
    let mut command = Command::new("perf");
    command.args(["record", "--quiet", "-e", "cpu-clock", "-F", "4999", "-p", &processes.join(","), "-o"]).arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let recording = Owned::start("perf", &mut command, Farewell::Interrupt).context("apt-get install linux-perf")?;
    load.go()?;
    drop(recording);
    Ok(())
}

/// Shares by owner, then the symbols themselves.
fn report(data: &Path) -> Result<()> {
    let mut command = Command::new("perf");
    command.args(["report", "--stdio", "--no-children", "--sort", "symbol", "-i"]).arg(data);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let symbols: Vec<(f64, &str)> = text.lines().filter_map(share_and_symbol).collect();
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for (share, symbol) in &symbols {
        *shares.entry(owner(symbol)).or_default() += share;
    }
    let mut shares: Vec<(String, f64)> = shares.into_iter().filter(|(_, share)| *share >= 0.5).collect();
    shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    for (owner, share) in shares {
        println!("{share:8.1} %  {owner}");
    }
    println!();
    for (share, symbol) in symbols.iter().take(SYMBOLS) {
        println!("{share:8.2} %  {symbol}");
    }
    println!();
    Ok(())
}

/// A line such as `4.84%  [k] finish_task_switch`.
fn share_and_symbol(line: &str) -> Option<(f64, &str)> {
    let (share, symbol) = line.trim().split_once('%')?;
    Some((share.parse().ok()?, symbol.trim()))
}

/// What the symbols of aws-lc have in their names; much of it is assembly without a prefix.
const CIPHERS: [&str; 5] = ["aws_lc", "ecp_nistz256", "curve25519", "x25519", "sha256_block"];

/// Whose code a symbol is: the kernel, the crate, or for our own the module.
fn owner(symbol: &str) -> String {
    let Some(name) = symbol.strip_prefix("[.] ") else { return "kernel".to_owned() };
    if name.starts_with("_rjem") {
        return "allocator".to_owned();
    }
    if CIPHERS.iter().any(|part| name.contains(part)) {
        return "ciphers".to_owned();
    }
    let path = name.trim_start_matches(['<', '&', '_']);
    let mut parts = path.split("::");
    match (parts.next().unwrap_or(path), parts.next()) {
        ("core" | "alloc" | "std", _) => "standard library".to_owned(),
        (crate_name, Some(module)) if crate_name.starts_with("cmg_") => {
            format!("{crate_name}::{}", module.split([' ', '<', '>']).next().unwrap_or(module))
        }
        (crate_name, Some(_)) => crate_name.to_owned(),
        (name, None) if name.contains("mem") => "memory copies".to_owned(),
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{owner, share_and_symbol};

    #[test]
    fn symbols_have_owners() {
        let line = "     4.84%  [k] finish_task_switch.isra.0   ";
        assert_eq!(share_and_symbol(line), Some((4.84, "[k] finish_task_switch.isra.0")));
        assert_eq!(share_and_symbol("# Overhead  Symbol"), None);
        for (symbol, expected) in [
            ("[k] tcp_ack", "kernel"),
            ("[.] _rjem_malloc", "allocator"),
            ("[.] aws_lc_0_47_0_aes_gcm_encrypt_avx512", "ciphers"),
            ("[.] __ecp_nistz256_mul_montx", "ciphers"),
            ("[.] h2::frame::headers::HeaderBlock::into_encoding", "h2"),
            ("[.] <h2::share::RecvStream as core::ops::drop::Drop>::drop", "h2"),
            ("[.] <cmg_core::logs::line::Escaping as core::fmt::Write>::write_str", "cmg_core::logs"),
            ("[.] <core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll", "standard library"),
            ("[.] __memmove_avx512_unaligned_erms", "memory copies"),
        ] {
            assert_eq!(owner(symbol), expected, "{symbol}");
        }
    }
}
