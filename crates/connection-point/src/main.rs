//! The connection point's process: command line, then five beats: settings, logs, start, run, drain.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use cmg_connection_point::settings::{ConnectionPointSettings, ENVIRONMENT, ProxyVariables};
use cmg_connection_point::{PROGRAM, commands, program, reload::OwnFile};
use cmg_core::build_info::BUILD;
use cmg_core::command_line::{self, could_not_start, failed, logs_and_signals, report};
use cmg_core::configuration::{Overrides, key_and_value};
use cmg_core::shutdown::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Dials out to every gateway instance and forwards what they admit to the site's roles.
#[derive(Parser)]
#[command(name = PROGRAM, version = BUILD.version)]
struct Arguments {
    /// The connection point's file.
    #[arg(long, short, global = true, default_value = "/etc/cmg/connection-point.toml")]
    config: PathBuf,
    /// Set a key, above the environment and the file; may be given more than once.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve; the same as no command.
    Run,
    /// Read the file, the site configuration and everything that they name, and report every problem.
    Check {
        /// Show the settings in effect and where each came from.
        #[arg(long)]
        print: bool,
    },
}

fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is then this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    command_line::run(obey(Arguments::parse()))
}

async fn obey(arguments: Arguments) -> ExitCode {
    let overrides = Overrides::from_environment(ENVIRONMENT).sets(&arguments.set);
    let settings = match ConnectionPointSettings::load(&arguments.config, overrides, &ProxyVariables::of_process()) {
        Ok(settings) => settings,
        Err(problems) => return report(&problems),
    };
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run(OwnFile { path: arguments.config, set: arguments.set }, settings).await,
        Command::Check { print } => commands::check(&arguments.config, settings, print).await,
    }
}

async fn run(own_file: OwnFile, settings: ConnectionPointSettings) -> ExitCode {
    let (logs, mut signals) = match logs_and_signals(&settings.log) {
        Ok(had) => had,
        Err(error) => return failed(PROGRAM, error, ExitCode::RunTimeFailure),
    };
    let mut running = match program::start(own_file, settings, &logs).await {
        Ok(running) => running,
        Err(error) => return could_not_start(PROGRAM, &error, error.exit_code(), &logs),
    };
    running.until_stopped(&mut signals).await;
    running.drain(&mut signals).await.exit_code()
}
