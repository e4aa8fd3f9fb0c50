//! Those who disturb: each begins, goes on until it is told to end, and says how much it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Client, Protocol, Request};
use cmg_e2e::full_queue::FullQueue;
use cmg_e2e::stack::Builder;
use cmg_e2e::{Stack, mp};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Disturbance {
    StalledReaders,
    RoleSwallows,
    RoleDropsSyn,
    BulkTransfer,
    Flood,
    WaitingPolls,
}

const READERS: usize = 64;
const SWALLOWED: usize = 64;
const POLLS: usize = 10_000;
/// As many as the gateway lets one connection of HTTP/2 have.
const POLLS_PER_CONNECTION: usize = 100;
const FLOODING: usize = 64;
/// More than all buffers on the way hold.
const LARGE: u64 = 1 << 30;
/// Bytes of the bulk transfer in a tick: a line of 1 Gbit/s. Without a bound it takes every processor of a small machine
/// on which all programs and their clients run, and what is measured is the scheduler.
const LINE_PER_TICK: u64 = 125_000;
/// Of one connection of the flood, between two requests: five times what an identity may ask, and no more than the
/// machine bears, for the same reason.
const FLOOD_PACE: Duration = Duration::from_micros(1_000_000 * FLOODING as u64 / 5000);
const TICK: Duration = Duration::from_millis(1);

impl Disturbance {
    pub const ALL: [Disturbance; 6] = [
        Disturbance::StalledReaders,
        Disturbance::RoleSwallows,
        Disturbance::RoleDropsSyn,
        Disturbance::BulkTransfer,
        Disturbance::Flood,
        Disturbance::WaitingPolls,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Disturbance::StalledReaders => "stalled readers",
            Disturbance::RoleSwallows => "a role that swallows",
            Disturbance::RoleDropsSyn => "a role that drops SYN",
            Disturbance::BulkTransfer => "one bulk transfer",
            Disturbance::Flood => "one flooding client",
            Disturbance::WaitingPolls => "waiting polls",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Disturbance::StalledReaders => "64 clients have asked for 1 GiB each and read nothing",
            Disturbance::RoleSwallows => "64 requests at a role that reads them and never answers",
            Disturbance::RoleDropsSyn => "64 clients ask, again and again, for a role whose host takes no connection",
            Disturbance::BulkTransfer => "another device downloads by a line of 1 Gbit/s",
            Disturbance::Flood => "another device asks 5,000 times a second on 64 connections; 429 for most of it",
            Disturbance::WaitingPolls => "10,000 long polls wait, 100 on each connection",
        }
    }

    /// What the installation needs for it, beside a role at `deaf`.
    pub fn prepare(self, builder: Builder, deaf: &FullQueue) -> Builder {
        match self {
            Disturbance::RoleDropsSyn => builder.site(&format!(
                "\n[[roles]]\nid = 20\nkind = \"custom\"\ninternal_url = \"https://{}\"\n\n\
                 [[roles.custom]]\nname = \"deaf\"\nexternal_prefix = \"/extra/\"\nmethods = [\"GET\"]\n",
                deaf.address
            )),
            // Between what those who are timed ask for and what the flooding one does.
            Disturbance::Flood => builder
                .gateway_setting("LIMITS__IDENTITY_REQUESTS_PER_SECOND", "1000")
                .gateway_setting("LIMITS__IDENTITY_BURST", "1000"),
            _ => builder,
        }
    }

    pub async fn begin(self, stack: &Stack) -> Result<Disturbing> {
        let other = stack.client_of(0, Some(&stack.pki.clients[1]))?;
        let mut disturbing = Disturbing::default();
        match self {
            Disturbance::StalledReaders => {
                for _ in 0..READERS {
                    disturbing.hold(&other, format!("SMS_MP/_/huge?bytes={LARGE}")).await?;
                }
            }
            Disturbance::RoleSwallows => {
                for _ in 0..SWALLOWED {
                    disturbing.ask(&other, mp("CCM_System/_/never")).await?;
                }
                stack.wait_at_role("never", "begun", SWALLOWED).await?;
            }
            Disturbance::RoleDropsSyn => {
                for _ in 0..SWALLOWED {
                    disturbing.ask_again_and_again(&other, "/extra/x".to_owned(), TICK).await?;
                }
            }
            Disturbance::BulkTransfer => disturbing.download_again_and_again(&other).await?,
            Disturbance::Flood => {
                for _ in 0..FLOODING {
                    disturbing.ask_again_and_again(&other, mp("SMS_MP/flood"), FLOOD_PACE).await?;
                }
            }
            Disturbance::WaitingPolls => {
                disturbing.wait(&other.speaking(Protocol::Http2)).await?;
                stack.wait_at_gate("isolation", POLLS).await?;
            }
        }
        Ok(disturbing)
    }
}

/// A disturbance that goes on.
#[derive(Default)]
pub struct Disturbing {
    tasks: JoinSet<Result<()>>,
    /// Requests that were begun: an answer may take longer than the disturbance lasts.
    asked: Arc<AtomicU64>,
}

impl Disturbing {
    /// Ends it. One that had ended by itself disturbed nobody.
    pub async fn end(mut self) -> Result<()> {
        ensure!(self.asked.load(Relaxed) > 0, "nothing disturbed anybody");
        if let Some(ended) = self.tasks.try_join_next() {
            ended??;
            bail!("a disturbance was over too soon");
        }
        self.tasks.shutdown().await;
        Ok(())
    }

    /// Asks, and reads nothing of the answer but its head.
    async fn hold(&mut self, client: &Client, rest: String) -> Result<()> {
        let mut connection = client.connect().await?;
        self.asked.fetch_add(1, Relaxed);
        let reply = connection.send(Request::get(&mp(&rest))).await?;
        self.tasks.spawn(async move {
            let _held = (connection, reply);
            std::future::pending().await
        });
        Ok(())
    }

    /// Asks, and waits for an answer that does not come.
    async fn ask(&mut self, client: &Client, target: String) -> Result<()> {
        let (mut connection, asked) = (client.connect().await?, Arc::clone(&self.asked));
        self.tasks.spawn(async move {
            asked.fetch_add(1, Relaxed);
            connection.send(Request::new("POST", &target)).await?;
            Ok(())
        });
        Ok(())
    }

    /// One request after the other, not faster than this.
    async fn ask_again_and_again(&mut self, client: &Client, target: String, pace: Duration) -> Result<()> {
        let (client, mut connection, asked) = (client.clone(), client.connect().await?, Arc::clone(&self.asked));
        self.tasks.spawn(async move {
            let mut pace = ticks(pace);
            loop {
                pace.tick().await;
                asked.fetch_add(1, Relaxed);
                let reply = connection.send(Request::get(&target)).await?;
                reply.whole().await?;
                if connection.is_closed() {
                    connection = client.connect().await?;
                }
            }
        });
        Ok(())
    }

    async fn download_again_and_again(&mut self, client: &Client) -> Result<()> {
        let (mut connection, asked) = (client.connect().await?, Arc::clone(&self.asked));
        self.tasks.spawn(async move {
            let mut line = ticks(TICK);
            loop {
                asked.fetch_add(1, Relaxed);
                let mut reply = connection.send(Request::get(&mp(&format!("SMS_MP/_/huge?bytes={LARGE}")))).await?;
                let mut due = 0;
                while let Some(data) = reply.next().await? {
                    due += data.len() as u64;
                    while due >= LINE_PER_TICK {
                        line.tick().await;
                        due -= LINE_PER_TICK;
                    }
                }
            }
        });
        Ok(())
    }

    async fn wait(&mut self, client: &Client) -> Result<()> {
        for _ in 0..POLLS / POLLS_PER_CONNECTION {
            let connection = client.connect().await?;
            for _ in 0..POLLS_PER_CONNECTION {
                let mut hand = connection.another().context("HTTP/2 has as many hands as one likes")?;
                let asked = Arc::clone(&self.asked);
                self.tasks.spawn(async move {
                    asked.fetch_add(1, Relaxed);
                    hand.send(Request::get(&mp("BGB/_/poll?key=isolation"))).await?;
                    Ok(())
                });
            }
        }
        Ok(())
    }
}

/// Time that was missed is not made up for.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
