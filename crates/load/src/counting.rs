//! Takes the counts of a run once everything has been written down.

use std::path::PathBuf;

use tokio::time::{Instant, sleep};

use crate::at_connection_point::SentAgainToRole;
use crate::at_gateway::read_logs;
use crate::at_role::ask_role;
use crate::checker::Counts;
use crate::error::LoadError;
use crate::limits;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::site::Site;

/// The log files of an installation, those of programs that have ended too.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    pub gateways: Vec<PathBuf>,
    pub connection_points: Vec<PathBuf>,
}

impl Counts {
    /// The counts of a run that has ended: what the role saw from `since` on, and what these logs say. Waits for lines
    /// that are still on their way to the logs.
    pub async fn take(sender: Record, site: &Site, since: u64, logs: &Logs) -> Result<Self, LoadError> {
        let role = ask_role(site.role_admin, since).await?;
        let told = sender.sent.iter().filter(|sent| matches!(sent.outcome, Outcome::Answered | Outcome::Refused));
        let lines = told.count();
        let patience = Instant::now() + limits::LOG;
        let gateways = loop {
            let count = read_logs(&logs.gateways, &sender.run)?;
            if count.lines.len() >= lines || Instant::now() > patience {
                break count;
            }
            sleep(limits::LOOK).await;
        };
        let sent_again_to_role = SentAgainToRole::read(&logs.connection_points)?;
        Ok(Self { sender, role, gateways, sent_again_to_role, stops: Vec::new() })
    }
}
