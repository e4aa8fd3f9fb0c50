//! The kinds of work: what each prepares before it says "ready", and what it does on "go".

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{Connection, Dialler, Http1, SmallRequest};
use super::tally::Tally;
use crate::bench::job::{Job, Method, Outcome, Target, Version, Work};

/// Connections being opened at once: enough to keep two cores busy, too few to fill a listen queue.
const OPENING_AT_ONCE: usize = 16;
/// Before anything is counted: connections between the hops stand, tickets are there, code and caches are warm.
const WARM_UP: Duration = Duration::from_millis(300);
/// What a stalled reader asks for: more than all buffers on the way can hold.
const STALLED_BODY: u64 = 1 << 30;
/// Time for the buffers on the way to fill up behind stalled readers.
const STALLING: Duration = Duration::from_millis(700);

pub enum Prepared {
    Closed {
        connections: Vec<Connection>,
        request: Arc<SmallRequest>,
        time: Duration,
    },
    Bulk {
        connection: Box<Http1>,
        target: Target,
        upload: bool,
        bytes: u64,
    },
    Handshakes {
        slots: Vec<Dialler>,
        request: Arc<SmallRequest>,
        time: Duration,
    },
    Idle {
        connections: Vec<Connection>,
        request: Arc<SmallRequest>,
    },
    Paced {
        connections: Vec<Connection>,
        request: Arc<SmallRequest>,
        interval: Duration,
        time: Duration,
        _stalled: Vec<Http1>,
    },
}

impl Prepared {
    pub async fn for_job(job: &Job) -> Result<Prepared> {
        let target = &job.target;
        let get = Arc::new(SmallRequest::new(target, Method::Get)?);
        match job.work {
            Work::Requests { method, version, connections, seconds } => {
                let request = Arc::new(SmallRequest::new(target, method)?);
                let connections = open(target, version, connections).await?;
                let connections = warm_up(connections, &request).await?;
                Ok(Prepared::Closed { connections, request, time: Duration::from_secs_f64(seconds) })
            }
            Work::Download { bytes } => Prepared::bulk(target, false, bytes).await,
            Work::Upload { bytes } => Prepared::bulk(target, true, bytes).await,
            Work::Handshakes { resumed, slots, seconds } => {
                let slots: Vec<Dialler> =
                    (0..slots).map(|_| Dialler::new(target, Version::Http1, resumed)).collect::<Result<_>>()?;
                for slot in &slots {
                    handshake(slot, &get).await.context("warming up")?;
                }
                Ok(Prepared::Handshakes { slots, request: get, time: Duration::from_secs_f64(seconds) })
            }
            Work::Idle { connections } => {
                let connections = open(target, Version::Http1, connections).await?;
                tokio::time::sleep(WARM_UP).await;
                Ok(Prepared::Idle { connections, request: get })
            }
            Work::Paced { connections, per_second, seconds, stalled } => {
                let stalled = stall(target, stalled).await?;
                let connections = open(target, Version::Http1, connections).await?;
                let interval = Duration::from_secs_f64(connections.len() as f64 / per_second);
                let (connections, tally) = at_pace(connections, &get, interval, WARM_UP).await;
                tally.succeeded().context("warming up")?;
                let time = Duration::from_secs_f64(seconds);
                Ok(Prepared::Paced { connections, request: get, interval, time, _stalled: stalled })
            }
        }
    }

    async fn bulk(target: &Target, upload: bool, bytes: u64) -> Result<Prepared> {
        let mut connection = Http1::new(Dialler::new(target, Version::Http1, false)?.connect().await?);
        transfer(&mut connection, target, upload, bytes / 16).await.context("warming up")?;
        Ok(Prepared::Bulk { connection: Box::new(connection), target: target.clone(), upload, bytes })
    }

    pub async fn run(&mut self) -> Outcome {
        let start = Instant::now();
        let tally = match self {
            Prepared::Closed { connections, request, time } => {
                let end = start + *time;
                each(std::mem::take(connections), |connection| closed_loop(connection, Arc::clone(request), end))
                    .await
                    .1
            }
            Prepared::Bulk { connection, target, upload, bytes } => {
                let mut tally = Tally::default();
                match transfer(connection, target, *upload, *bytes).await {
                    Ok(()) => tally.answered(start.elapsed()),
                    Err(error) => tally.errors.push(format!("{error:#}")),
                }
                tally
            }
            Prepared::Handshakes { slots, request, time } => {
                let end = start + *time;
                each(std::mem::take(slots), |slot| handshakes(slot, Arc::clone(request), end)).await.1
            }
            Prepared::Idle { connections, request } => {
                let (kept, tally) = one_each(std::mem::take(connections), request).await;
                *connections = kept;
                tally
            }
            Prepared::Paced { connections, request, interval, time, .. } => {
                at_pace(std::mem::take(connections), request, *interval, *time).await.1
            }
        };
        tally.outcome(start.elapsed())
    }
}

/// One task per item; gives the items back, with what all of them counted.
async fn each<T, F>(items: Vec<T>, start: impl FnMut(T) -> F) -> (Vec<T>, Tally)
where
    T: Send + 'static,
    F: Future<Output = (T, Tally)> + Send + 'static,
{
    let mut tasks: JoinSet<(T, Tally)> = items.into_iter().map(start).collect();
    let (mut kept, mut sum) = (Vec::new(), Tally::default());
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((item, tally)) => {
                kept.push(item);
                sum.add(tally);
            }
            Err(panic) => sum.errors.push(panic.to_string()),
        }
    }
    (kept, sum)
}

async fn open(target: &Target, version: Version, count: usize) -> Result<Vec<Connection>> {
    let dialler = Dialler::new(target, version, false)?;
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let dialler = dialler.clone();
        opening.spawn(async move { Connection::open(&dialler, version).await });
        if number >= OPENING_AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            open.push(opened??);
        }
    }
    while let Some(opened) = opening.join_next().await {
        open.push(opened??);
    }
    Ok(open)
}

async fn warm_up(connections: Vec<Connection>, request: &Arc<SmallRequest>) -> Result<Vec<Connection>> {
    let end = Instant::now() + WARM_UP;
    let (connections, tally) = each(connections, |connection| closed_loop(connection, Arc::clone(request), end)).await;
    tally.succeeded().context("warming up")?;
    Ok(connections)
}

/// Each connection at this interval, one after the other within it.
async fn at_pace(
    connections: Vec<Connection>,
    request: &Arc<SmallRequest>,
    interval: Duration,
    time: Duration,
) -> (Vec<Connection>, Tally) {
    let (start, count) = (Instant::now(), connections.len().max(1) as u32);
    let mut first = start;
    each(connections, |connection| {
        first += interval / count;
        paced(connection, Arc::clone(request), first, interval, start + time)
    })
    .await
}

async fn closed_loop(mut connection: Connection, request: Arc<SmallRequest>, end: Instant) -> (Connection, Tally) {
    let mut tally = Tally::default();
    loop {
        let start = Instant::now();
        if start >= end {
            break;
        }
        match connection.ask(&request).await {
            Ok(()) => tally.answered(start.elapsed()),
            Err(error) => {
                tally.errors.push(format!("{error:#}"));
                break;
            }
        }
    }
    (connection, tally)
}

/// A request that is due while the one before it is still running counts from when it was due.
async fn paced(
    mut connection: Connection,
    request: Arc<SmallRequest>,
    first: Instant,
    interval: Duration,
    end: Instant,
) -> (Connection, Tally) {
    let mut tally = Tally::default();
    let mut due = first;
    while due < end {
        let late = Instant::now() > due;
        tokio::time::sleep_until(due).await;
        let start = if late { due } else { Instant::now() };
        match connection.ask(&request).await {
            Ok(()) => tally.answered(start.elapsed()),
            Err(error) => {
                tally.errors.push(format!("{error:#}"));
                break;
            }
        }
        due += interval;
    }
    (connection, tally)
}

/// One request on each connection, few at a time: what stays allocated afterwards is each connection's own.
async fn one_each(connections: Vec<Connection>, request: &Arc<SmallRequest>) -> (Vec<Connection>, Tally) {
    let mut sum = Tally::default();
    let mut kept = Vec::with_capacity(connections.len());
    for mut connection in connections {
        let start = Instant::now();
        match connection.ask(request).await {
            Ok(()) => sum.answered(start.elapsed()),
            Err(error) => sum.errors.push(format!("{error:#}")),
        }
        kept.push(connection);
    }
    (kept, sum)
}

async fn handshakes(slot: Dialler, request: Arc<SmallRequest>, end: Instant) -> (Dialler, Tally) {
    let mut tally = Tally::default();
    loop {
        let start = Instant::now();
        if start >= end {
            break;
        }
        match handshake(&slot, &request).await {
            Ok(resumed) => {
                tally.resumed += u64::from(resumed);
                tally.answered(start.elapsed());
            }
            Err(error) => {
                tally.errors.push(format!("{error:#}"));
                break;
            }
        }
    }
    (slot, tally)
}

/// The answer proves that the server has accepted the certificate, and carries the tickets for the next time.
async fn handshake(slot: &Dialler, request: &SmallRequest) -> Result<bool> {
    let mut connection = Http1::new(slot.connect().await?);
    let resumed = connection.was_resumed();
    connection.ask(request).await?;
    connection.close().await;
    Ok(resumed)
}

async fn transfer(connection: &mut Http1, target: &Target, upload: bool, bytes: u64) -> Result<()> {
    if upload { connection.upload(target, bytes).await } else { connection.download(target, bytes).await }
}

async fn stall(target: &Target, count: usize) -> Result<Vec<Http1>> {
    let dialler = Dialler::new(target, Version::Http1, false)?;
    let mut stalled = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Http1::new(dialler.connect().await?);
        connection.begin_download(target, STALLED_BODY).await.context("starting a reader that stalls")?;
        stalled.push(connection);
    }
    if count > 0 {
        tokio::time::sleep(STALLING).await;
    }
    Ok(stalled)
}
