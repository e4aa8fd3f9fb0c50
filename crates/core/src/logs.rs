//! Log lines on stderr: for people on a terminal, JSON otherwise, `cmtrace` on request (O-04). A line
//! is put together in its thread and handed to one writer thread; who logs never waits for who reads, lines
//! that find no room are dropped and counted. [`exchange`] is the cheap way for the one line per exchange.
//! Never a secret, token or body.

mod format;
mod layer;
mod line;
mod queue;
mod settings;
mod timestamp;

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, reload};

pub use crate::configuration::sections::{LogFormat, LogSettings};
pub use line::Line;
pub use settings::{LevelError, LogError, parse_level};
pub use timestamp::Timestamp;

use format::Style;
use layer::LineLayer;
use queue::Queue;

use crate::limits;
use crate::metrics::StaticCounter;

/// Lines that found no room: `cmg_log_lines_dropped_total`.
pub static DROPPED: StaticCounter = StaticCounter::new();

/// The target of the one line per exchange; `exchange=off` in the level silences it.
pub const EXCHANGE: &str = "exchange";

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// What threads need to write a line.
struct Output {
    queue: Arc<Queue>,
    style: AtomicU8,
    colour: AtomicBool,
    /// How many levels, from error on, exchange lines are taken of.
    exchanges: AtomicU8,
}

/// Owner of the log: changes its level and format, and writes what is queued when dropped.
#[derive(Debug)]
pub struct Logs {
    level: reload::Handle<Targets, Registry>,
    from_environment: Option<String>,
}

impl Logs {
    /// Starts logging. `CMG_LOG` stands above the configured level. Once per process.
    pub fn start(settings: &LogSettings) -> Result<Self, LogError> {
        let from_environment = std::env::var("CMG_LOG").ok().filter(|level| !level.trim().is_empty());
        let level = from_environment.as_deref().unwrap_or(&settings.level);
        let targets = parse_level(level)?;
        let queue = Arc::new(Queue::new(limits::LOG_QUEUE));
        queue::start_writer(queue.clone(), std::io::stderr())?;
        let output = Output {
            queue,
            style: AtomicU8::new(0),
            colour: AtomicBool::new(std::io::stderr().is_terminal()),
            exchanges: AtomicU8::new(exchange_levels(&targets)),
        };
        OUTPUT.set(output).map_err(|_| LogError::StartedTwice)?;
        let (filter, handle) = reload::Layer::new(targets);
        let subscriber = Registry::default().with(LineLayer.with_filter(filter));
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::StartedTwice)?;
        install_panic_hook();
        let logs = Self { level: handle, from_environment };
        logs.set_format(settings.format);
        Ok(logs)
    }

    /// Takes over format and level of a configuration, the level only if the environment names none.
    pub fn apply(&self, settings: &LogSettings) -> Result<(), LevelError> {
        self.set_format(settings.format);
        match self.from_environment {
            Some(_) => Ok(()),
            None => self.set_level(&settings.level),
        }
    }

    /// Changes the level at run time, for example to `info,h2=debug`.
    pub fn set_level(&self, level: &str) -> Result<(), LevelError> {
        let targets = parse_level(level)?;
        if let Some(output) = OUTPUT.get() {
            output.exchanges.store(exchange_levels(&targets), Relaxed);
        }
        // It fails only when the subscriber is gone, and the global one never goes.
        let _ = self.level.reload(targets);
        Ok(())
    }

    fn set_format(&self, format: LogFormat) {
        if let Some(output) = OUTPUT.get() {
            output.style.store(Style::of(format, output.colour.load(Relaxed)) as u8, Relaxed);
        }
    }

    /// Waits until what was logged before is written, a second at most.
    pub fn flush(&self) {
        if let Some(output) = OUTPUT.get() {
            output.queue.flush(limits::LAST_WORDS);
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes the one line of an exchange: `logs::exchange(Level::INFO, |line| { line.number("status", 200); })`.
/// It costs no allocation and seldom a system call, and nothing at all when the level leaves it out.
pub fn exchange(level: Level, fields: impl FnOnce(&mut Line<'_>)) {
    if let Some(output) = OUTPUT.get()
        && place(level) < output.exchanges.load(Relaxed)
    {
        output.write(level, EXCHANGE, |line| {
            line.message(format_args!("exchange"));
            fields(line);
        });
    }
}

impl Output {
    /// Puts a line together in this thread and queues it.
    fn write(&self, level: Level, target: &str, fields: impl FnOnce(&mut Line<'_>)) {
        thread_local!(static TEXT: RefCell<String> = const { RefCell::new(String::new()) });
        TEXT.with(|text| {
            // A value whose Display logs by itself would come here twice: its own line is left out.
            let Ok(mut text) = text.try_borrow_mut() else { return DROPPED.increment() };
            text.clear();
            let style = Style::from_number(self.style.load(Relaxed));
            let mut line = Line::begin(&mut text, style, SystemTime::now(), level, target);
            fields(&mut line);
            line.end();
            if !self.queue.push(text.as_bytes()) {
                DROPPED.increment();
            }
            if text.capacity() > limits::LOG_LINE {
                *text = String::new();
            }
        });
    }
}

/// From error, 0, to trace, 4.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

fn place(level: Level) -> u8 {
    LEVELS.iter().take_while(|other| **other != level).count() as u8
}

fn exchange_levels(targets: &Targets) -> u8 {
    LEVELS.iter().take_while(|level| targets.would_enable(EXCHANGE, level)).count() as u8
}

/// What the writer says where lines are missing.
fn dropped_line(count: u64) -> String {
    let mut text = String::new();
    let style = OUTPUT.get().map_or(Style::Json, |output| Style::from_number(output.style.load(Relaxed)));
    let mut line = Line::begin(&mut text, style, SystemTime::now(), Level::WARN, module_path!());
    line.message(format_args!("log lines were dropped here because the reader of the log was too slow"));
    line.number("dropped", count);
    line.end();
    text
}

/// A panic is a log line with its place; its message only if it is fixed text, because a formatted one may
/// hold input.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let why = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message left out)");
        tracing::error!(place, why, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_lines_have_their_own_level() {
        let levels = |text| exchange_levels(&parse_level(text).unwrap());
        assert_eq!(levels("info"), place(Level::DEBUG));
        assert_eq!(levels("info,exchange=off"), 0);
        assert_eq!(levels("info,exchange=error"), place(Level::WARN));
        assert_eq!(levels("trace"), 5);
    }
}
