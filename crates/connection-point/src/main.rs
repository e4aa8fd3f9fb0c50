//! The connection point's process: command line, then five beats: settings, logs, start, run, drain.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use cmg_connection_point::settings::{ConnectionPointSettings, ENVIRONMENT};
use cmg_connection_point::{commands, program, program::StartError, reload::OwnFile};
use cmg_core::build_info::BUILD;
use cmg_core::configuration::{Overrides, key_and_value};
use cmg_core::logs::Logs;
use cmg_core::shutdown::Signals;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Dials out to every gateway instance and forwards what they admit to the site's roles.
#[derive(Parser)]
#[command(name = "cmg-connection-point", version = BUILD.version)]
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is then this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    let settings =
        ConnectionPointSettings::load(&arguments.config, Overrides::from_environment(ENVIRONMENT).sets(&arguments.set));
    match (settings, arguments.command.unwrap_or(Command::Run)) {
        (Err(problems), _) => commands::report(&problems),
        (Ok(settings), Command::Run) => {
            let own_file = OwnFile { path: arguments.config, set: arguments.set };
            run(own_file, settings).await.unwrap_or_else(|error| commands::failed(&error))
        }
        (Ok(settings), Command::Check { print }) => commands::check(&arguments.config, settings, print).await,
    }
}

async fn run(own_file: OwnFile, settings: ConnectionPointSettings) -> Result<ExitCode, StartError> {
    let logs = Arc::new(Logs::start(&settings.log).map_err(StartError::process)?);
    let mut signals = Signals::install().map_err(StartError::process)?;
    let mut running = program::start(own_file, settings, &logs).await?;
    running.until_stopped(&mut signals).await;
    Ok(running.drain(&mut signals).await.exit_code().into())
}
