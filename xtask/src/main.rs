//! The project's own commands: `cargo xtask <command>`. What a developer or the CI runs is here and nowhere else.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod ci;
mod codegen;
mod containers;
mod demo;
mod docker;
mod faults;
mod fuzz;
mod images;
mod isolation;
mod load;
mod root;
mod run;
mod testing;
mod tidy;
mod walk;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate crates/core/src/tunnel/generated.rs from the proto file; no protoc needed
    Codegen(codegen::Arguments),
    /// Build everything, start it, walk a client through, and say what to try next
    Demo(demo::Arguments),
    /// Run every test; installs or names what the tests need
    Test(testing::Arguments),
    /// Build the programs as static binaries, each in an image of its own
    Images(images::Arguments),
    /// Start gateways, connection points and a site role in containers and prove that they work, and nothing else does
    Containers(containers::Arguments),
    /// Everything that a change must pass
    Ci,
    /// Measure against other programs that do the same work, and keep docs/performance.md
    Bench(bench::Arguments),
    /// Do harm to installations under load, one harm at a time, and hold each against what is promised
    Faults(faults::Arguments),
    /// Measure what one slow, dead, greedy or numerous party costs everybody else, and what idle costs
    Isolation(isolation::Arguments),
    /// Feed the parsers with inputs that coverage guides, each target for a while
    Fuzz(fuzz::Arguments),
    /// Send a load, restart programs under it, and account for every request by three counts
    Load(load::Arguments),
    /// Check the rules of this code base that no compiler checks
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Codegen(arguments) => codegen::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => testing::run(&arguments),
        Command::Images(arguments) => images::run(&arguments),
        Command::Containers(arguments) => containers::run(&arguments),
        Command::Ci => ci::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Faults(arguments) => faults::run(&arguments),
        Command::Isolation(arguments) => isolation::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
