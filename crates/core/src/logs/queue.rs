//! Between those who log and the one thread that writes: a bounded buffer of whole lines. A push copies
//! under a short lock and wakes the writer only when it sleeps; while it rests between two writes lines
//! gather, so that under load one system call carries many. Never blocks who logs.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{DROPPED, dropped_line};
use crate::limits;
use crate::shutdown::start_thread;

pub struct Queue {
    state: Mutex<State>,
    /// Tells the writer that there is something to write.
    filled: Condvar,
    /// Tells who flushes that all is written.
    written: Condvar,
    bound: usize,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    writer_sleeps: bool,
    /// The writer holds lines that it has not written yet.
    writing: bool,
    flushing: bool,
}

impl Queue {
    pub fn new(bound: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), written: Condvar::new(), bound }
    }

    /// Queues a line; false when there is no room for it.
    pub fn push(&self, line: &[u8]) -> bool {
        let mut state = self.state();
        if state.lines.len() + line.len() > self.bound {
            return false;
        }
        state.lines.extend_from_slice(line);
        let wake = std::mem::replace(&mut state.writer_sleeps, false);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until everything pushed before is written, or for `at_most`.
    pub fn flush(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = self.state();
        while !state.lines.is_empty() || state.writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state.flushing = true;
            self.filled.notify_one();
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Swaps the queued lines into `lines`, which comes back empty; waits until there are some.
    fn take(&self, lines: &mut Vec<u8>) {
        lines.clear();
        let mut state = self.state();
        state.writing = false;
        if state.lines.is_empty() {
            state.flushing = false;
            self.written.notify_all();
        }
        while state.lines.is_empty() {
            state.writer_sleeps = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer_sleeps = false;
        std::mem::swap(&mut state.lines, lines);
        state.writing = true;
    }

    /// The writer's pause after a write, cut short by a flush.
    fn rest(&self, pause: Duration) {
        let state = self.state();
        let over = self.filled.wait_timeout_while(state, pause, |state| !state.flushing);
        drop(over.unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock leaves a whole state, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that writes for the life of the process.
pub fn start_writer(queue: Arc<Queue>, mut to: impl Write + Send + 'static) -> io::Result<()> {
    start_thread("log", move || {
        let (mut lines, mut told) = (Vec::new(), 0);
        loop {
            queue.take(&mut lines);
            let dropped = DROPPED.get();
            if dropped > told {
                lines.extend_from_slice(dropped_line(dropped - told).as_bytes());
                told = dropped;
            }
            // Nobody is left to tell when the log itself cannot be written.
            let _ = to.write_all(&lines);
            if lines.capacity() > limits::LOG_QUEUE / 4 {
                lines = Vec::new();
            }
            queue.rest(limits::LOG_PAUSE);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Channel(mpsc::SyncSender<Vec<u8>>);

    impl Write for Channel {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_in_order_and_flush_waits_for_them() {
        let queue = Arc::new(Queue::new(1024));
        let (sender, written) = mpsc::sync_channel(100);
        start_writer(queue.clone(), Channel(sender)).unwrap();
        for number in 0..10 {
            assert!(queue.push(format!("line {number}\n").as_bytes()));
        }
        queue.flush(Duration::from_secs(10));
        let all: Vec<u8> = written.try_iter().flatten().collect();
        let expected: String = (0..10).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), expected);
    }

    #[test]
    fn a_stuck_reader_never_blocks_who_logs() {
        let queue = Arc::new(Queue::new(64));
        let (sender, written) = mpsc::sync_channel(0);
        start_writer(queue.clone(), Channel(sender)).unwrap();
        let refused = (0..100).filter(|_| !queue.push(&[b'x'; 16])).count();
        assert!(refused > 0);
        drop(written.recv().unwrap());
        assert!(queue.state().lines.len() <= 64);
    }
}
