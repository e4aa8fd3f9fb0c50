//! `cmg-mock-site-role --config site-role.toml`: telemetry, settings, bind, run, drain.

use std::path::PathBuf;

use clap::Parser;
use cmg_core::build_info::BUILD;
use cmg_core::command_line::{failed, report};
use cmg_core::logs::{LogSettings, Logs};
use cmg_core::shutdown::{ExitCode, Signals};
use cmg_mock_site_role::program::{Running, StartError};
use cmg_mock_site_role::settings::Settings;

const PROGRAM: &str = "cmg-mock-site-role";

/// Plays a site and its roles, for tests and demonstrations.
#[derive(Parser)]
#[command(version = BUILD.version, after_long_help = include_str!("../README.md"))]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return failed(PROGRAM, "another crypto provider is installed", ExitCode::RunTimeFailure);
    }
    let logs = match Logs::start(&LogSettings::default()) {
        Ok(logs) => logs,
        Err(error) => return failed(PROGRAM, error, ExitCode::Configuration),
    };
    let settings = match Settings::load(&arguments.config) {
        Ok(settings) => settings,
        Err(problems) => return report(&problems),
    };
    if let Err(error) = logs.apply(&settings.log) {
        return failed(PROGRAM, error, ExitCode::Configuration);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(PROGRAM, error, ExitCode::RunTimeFailure),
    };
    match runtime.block_on(run(settings)) {
        Ok(code) => code,
        Err(error) => failed(PROGRAM, error, ExitCode::RunTimeFailure),
    }
}

async fn run(settings: Settings) -> Result<ExitCode, StartError> {
    let signals = Signals::install().map_err(StartError::Signals)?;
    let running = Running::start(settings).await?;
    running.announce()?;
    Ok(running.until_stopped(signals).await.exit_code())
}
