//! What a program has in common with the others where it meets its command line: problems and failures are told to
//! people on stderr, and how it ends is told to scripts by its exit code (O-07).

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime;

use crate::configuration::{Problems, Reading};
use crate::logs::{LogError, LogSettings, Logs};
use crate::shutdown::{ExitCode, Signals};

/// Why not even the log and the signals of a process could be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("signals cannot be received: {0}")]
    Signals(#[from] io::Error),
}

/// Runs a program on the thread that started it. It ends with the program, whatever still blocks: a look-up of a name
/// may hang for as long as the resolver likes.
pub fn run(program: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed("cmg", format_args!("the program cannot begin: {error}"), ExitCode::RunTimeFailure);
        }
    };
    let code = runtime.block_on(program);
    runtime.shutdown_background();
    code
}

/// The log from now on, and the signals: none of them ends the process by itself any more.
pub fn logs_and_signals(settings: &LogSettings) -> Result<(Arc<Logs>, Signals), ProcessError> {
    Ok((Arc::new(Logs::start(settings)?), Signals::install()?))
}

/// Prints everything that is wrong with a file.
pub fn report(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    if problems.certificates_only() { ExitCode::Certificate } else { ExitCode::Configuration }
}

/// The file has been read without a problem.
pub fn no_problem(file: &Path, reading: &Reading, print: bool) {
    if print {
        for setting in reading.settings() {
            println!("{setting}");
        }
    }
    println!("{}: no problem found", file.display());
}

/// Prints why the program failed.
pub fn failed(program: &str, why: impl Display, code: ExitCode) -> ExitCode {
    eprintln!("{program}: {why}");
    code
}

/// The same of a start. The log tells it too, so its owner must not be gone yet: nobody else would wait for the line.
pub fn could_not_start(program: &str, why: impl Display, code: ExitCode, logs: &Logs) -> ExitCode {
    tracing::error!(error = %why, "{program} could not start");
    logs.flush();
    failed(program, why, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn what_blocks_keeps_no_program_from_ending() {
        let ((release, blocked), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
        let (ends, ended) = mpsc::channel();
        thread::spawn(move || {
            let code = run(async move {
                tokio::task::spawn_blocking(move || {
                    let _ = begins.send(());
                    let _ = blocked.recv();
                });
                let _ = begun.recv();
                ExitCode::Fine
            });
            let _ = ends.send(code);
        });
        assert_eq!(ended.recv_timeout(limits::TUNNEL_ESTABLISH), Ok(ExitCode::Fine), "it waits for what blocks");
        drop(release);
    }
}
