//! Sends a run: loops that each send a request, wait for its end and send the next. Bounded in rate and number, by count
//! and by time. The same seed sends the same requests. Clients that only wait are apart, so that they slow nobody.

mod line;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::at_role;
use crate::error::LoadError;
use crate::holding::Held;
use crate::kind::{Kind, Mix};
use crate::limits;
use crate::progress::Progress;
use crate::record::{Record, RecordFile, Sent, Unsent};
use crate::site::Site;
use crate::wording::{Worded, Wording, poll_gate, wait_gate};

use line::{Line, Shared};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first part of every id: no two runs at one installation may share it.
    pub run: String,
    /// From when all times of the run are counted.
    pub begun: Instant,
    pub seed: u64,
    pub mix: Mix,
    /// At most so many requests, not counting those of the clients that only wait.
    pub requests: Option<u64>,
    /// For at most so long.
    pub duration: Option<Duration>,
    /// At most so many a second.
    pub rate: Option<u64>,
    /// Requests under way at a time.
    pub clients: usize,
    /// Clients that only wait, each for this long unless the run ends before.
    pub waiters: usize,
    pub wait: Duration,
    /// Requests that are held at a gate while harm is done.
    pub held: Option<Held>,
    /// How long anybody waits for the end of an answer.
    pub patience: Duration,
    /// Where the record is written, a line for each request.
    pub record: Option<PathBuf>,
}

impl Plan {
    /// So many requests, as fast as they go; everything else as it is usual.
    pub fn new(run: &str, requests: u64) -> Self {
        Self {
            run: run.to_owned(),
            begun: Instant::now(),
            seed: 1,
            mix: Mix::default(),
            requests: Some(requests),
            duration: None,
            rate: None,
            clients: DEFAULT_CLIENTS,
            waiters: DEFAULT_WAITERS,
            wait: DEFAULT_WAIT,
            held: None,
            patience: DEFAULT_PATIENCE,
            record: None,
        }
    }
}

const DEFAULT_CLIENTS: usize = 64;
const DEFAULT_WAITERS: usize = 4;
/// Longer than a drain's deadline, so that some waits outlast it.
const DEFAULT_WAIT: Duration = Duration::from_secs(45);
const DEFAULT_PATIENCE: Duration = Duration::from_secs(120);

/// What every loop shares.
struct Run {
    plan: Plan,
    site: Site,
    /// When the first turn was due.
    begun: Instant,
    next: AtomicU64,
    /// Turns that were taken, which the plan's rate and number bound. Clients that only wait take none.
    turns: AtomicU64,
    is_over: AtomicBool,
    stop: watch::Receiver<bool>,
    teller: Teller,
}

/// What loops tell of.
enum Told {
    Sent(Sent),
    Unsent(Unsent),
    WithStrays(u64),
    FoundNobody(Duration),
}

/// Tells the collector, and the time.
pub struct Teller {
    begun: Instant,
    records: mpsc::Sender<Told>,
}

impl Teller {
    /// Since the run began.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub async fn unsent(&self, unsent: Unsent) {
        self.tell(Told::Unsent(unsent)).await;
    }

    pub async fn with_strays(&self, number: u64) {
        self.tell(Told::WithStrays(number)).await;
    }

    pub async fn found_nobody(&self) {
        self.tell(Told::FoundNobody(self.now())).await;
    }

    async fn tell(&self, told: Told) {
        // The collector stays until every loop has ended.
        let _ = self.records.send(told).await;
    }
}

/// Sends all of a plan, or until `stop` says true, and waits for every answer. Tells the progress once a second.
pub async fn run(
    plan: &Plan,
    site: &Site,
    stop: watch::Receiver<bool>,
    mut tell: impl FnMut(&Progress),
) -> Result<Record, LoadError> {
    let (records, kept) = mpsc::channel(limits::RECORDS_UNDER_WAY);
    let shared = Arc::new(Run {
        plan: plan.clone(),
        site: site.clone(),
        begun: Instant::now(),
        next: AtomicU64::new(0),
        turns: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        stop,
        teller: Teller { begun: plan.begun, records },
    });
    let file = plan.record.as_deref().map(RecordFile::create).transpose()?;
    let lines = lines(plan, site)?;
    let held = held_lines(plan, site)?;
    let (record, ()) = tokio::join!(collect(kept, file, &mut tell), drive(shared, lines, held));
    Ok(Record { run: plan.run.clone(), ..record? })
}

/// One line for each loop: groups take turns between HTTP/1.1, a connection each, and one of HTTP/2 for all of them.
fn lines(plan: &Plan, site: &Site) -> Result<(Vec<Line>, Vec<Line>), LoadError> {
    let mut lines = Vec::with_capacity(plan.clients);
    for group in 0..plan.clients.div_ceil(limits::STREAMS) {
        let size = limits::STREAMS.min(plan.clients - lines.len());
        let shared = (group % 2 == 1).then(|| Shared::new(site, group)).transpose()?;
        for member in 0..size {
            lines.push(match &shared {
                Some(shared) => Line::shared(shared),
                None => Line::own(site, group + member)?,
            });
        }
    }
    let waiting = (0..plan.waiters).map(|device| Line::own(site, device)).collect::<Result<_, _>>()?;
    Ok((lines, waiting))
}

/// One line for each request that is held.
fn held_lines(plan: &Plan, site: &Site) -> Result<Vec<(Line, Held)>, LoadError> {
    let Some(held) = &plan.held else { return Ok(Vec::new()) };
    (0..limits::HELD).map(|place| Ok((Line::own(site, place)?, held.clone()))).collect()
}

/// Runs every loop to its end.
async fn drive(run: Arc<Run>, (lines, waiting): (Vec<Line>, Vec<Line>), held: Vec<(Line, Held)>) {
    let mut waiters = JoinSet::new();
    for line in waiting {
        waiters.spawn(send_waits(run.clone(), line));
    }
    for (place, (line, held)) in held.into_iter().enumerate() {
        waiters.spawn(send_held(run.clone(), line, held, place));
    }
    let mut releaser = JoinSet::new();
    releaser.spawn(release(run.clone()));
    let mut workers = JoinSet::new();
    for line in lines {
        workers.spawn(send_requests(run.clone(), line));
    }
    finish(workers).await;
    run.is_over.store(true, Relaxed);
    if let Some(held) = &run.plan.held {
        held.over();
    }
    // What is not released ends by itself, only later.
    let gate = wait_gate(&run.plan.run);
    let _ = at_role::release(run.site.role_admin, &gate, run.plan.waiters).await;
    finish(waiters).await;
}

async fn finish(mut loops: JoinSet<()>) {
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            resume_unwind(error.into_panic());
        }
    }
}

async fn send_requests(run: Arc<Run>, mut line: Line) {
    while let Some(number) = run.turn().await {
        let worded = run.wording().request(number);
        run.send(&mut line, worded).await;
    }
    line.close(&run.teller).await;
}

async fn send_waits(run: Arc<Run>, mut line: Line) {
    while !run.is_over.load(Relaxed) {
        let number = run.next.fetch_add(1, Relaxed);
        let worded = run.wording().wait(number);
        run.send(&mut line, worded).await;
        // One that is refused at once does not ask as fast as it can.
        sleep(limits::WAIT_PAUSE).await;
    }
    line.close(&run.teller).await;
}

/// Sends a request in each round, on a fresh connection to always the same gateway: each has some of both sorts.
async fn send_held(run: Arc<Run>, mut line: Line, mut held: Held, place: usize) {
    let reads = (place / run.site.addresses.len()).is_multiple_of(2);
    while held.next().await {
        line.begin_anew(place, &run.teller).await;
        let number = run.next.fetch_add(1, Relaxed);
        let worded = run.wording().held(number, if reads { Kind::HeldGet } else { Kind::HeldPost });
        run.send(&mut line, worded).await;
        held.ended();
    }
    held.left();
}

/// Lets one of those through that wait at the gate, again and again, until it is dropped.
async fn release(run: Arc<Run>) {
    let mut pause = tokio::time::interval(limits::RELEASE_PAUSE);
    let gate = poll_gate(&run.plan.run);
    while !run.is_over.load(Relaxed) {
        pause.tick().await;
        // Those that are not released end by themselves.
        let _ = at_role::release_waiting(run.site.role_admin, &gate, 1).await;
    }
}

impl Run {
    fn wording(&self) -> Wording<'_> {
        let Plan { run, seed, mix, wait, .. } = &self.plan;
        Wording { run, seed: *seed, mix, site: &self.site, wait: wait.as_millis() as u64 }
    }

    /// The number of the next request when its time has come; none at the end of the run.
    async fn turn(&self) -> Option<u64> {
        let turn = self.turns.fetch_add(1, Relaxed);
        if let Some(rate) = self.plan.rate {
            let due = self.begun + Duration::from_secs(1) * (turn / rate) as u32 + part(turn % rate, rate);
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.stopped() => {}
            }
        }
        let is_over = *self.stop.borrow()
            || self.plan.requests.is_some_and(|requests| turn >= requests)
            || self.plan.duration.is_some_and(|duration| self.begun.elapsed() >= duration);
        (!is_over).then(|| self.next.fetch_add(1, Relaxed))
    }

    /// Waits until somebody stops the run, which may be never.
    async fn stopped(&self) {
        if self.stop.clone().wait_for(|stop| *stop).await.is_err() {
            std::future::pending().await
        }
    }

    async fn send(&self, line: &mut Line, worded: Worded) {
        let sent = line.send(&worded, self.plan.patience, &self.teller).await;
        self.teller.tell(Told::Sent(sent)).await;
    }
}

fn part(number: u64, of: u64) -> Duration {
    Duration::from_secs_f64(number as f64 / of as f64)
}

/// Keeps what comes until every loop has ended.
async fn collect(
    mut records: mpsc::Receiver<Told>,
    mut file: Option<RecordFile>,
    tell: &mut impl FnMut(&Progress),
) -> Result<Record, LoadError> {
    let mut kept = Record::default();
    let mut progress = Progress::default();
    let mut second = tokio::time::interval(limits::PROGRESS);
    second.tick().await;
    loop {
        tokio::select! {
            told = records.recv() => match told {
                Some(Told::Sent(sent)) => {
                    progress.count(&sent);
                    if let Some(file) = &mut file {
                        file.write(&sent)?;
                    }
                    kept.sent.push(sent);
                }
                Some(Told::Unsent(unsent)) => kept.unsent.push(unsent),
                Some(Told::WithStrays(number)) => kept.with_strays.push(number),
                Some(Told::FoundNobody(when)) => kept.found_nobody.push(when),
                None => break,
            },
            _ = second.tick() => {
                progress.seconds += 1;
                tell(&progress);
                progress.per_second = 0;
            }
        }
    }
    tell(&progress);
    file.map(RecordFile::close).transpose()?;
    kept.sent.sort_unstable_by_key(|sent| sent.number);
    Ok(kept)
}
