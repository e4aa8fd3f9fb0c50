//! Keeps the site configuration in force in step with its source (S-02, S-04, S-06): looks every minute and
//! when told, judges what it finds as a whole, applies it or says everything that is wrong with it. The last good
//! one is kept on disk and is in force from the start, whether or not the source can be reached.

mod judging;
mod kept;
mod reader;
#[cfg(test)]
mod tests;
mod trial;

use std::sync::Arc;
use std::time::SystemTime;

use cmg_core::admin::ReloadRequest;
use cmg_core::configuration::Problems;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::point::ConnectionPoint;
use crate::site::Site;
use judging::{judge, read};
use kept::KeptCopy;
use reader::Found;
pub use reader::{SourceError, SourceReader};
pub use trial::{TrialFault, trial};

/// What is known of the source, for the status page.
#[derive(Clone, Debug, Default)]
pub struct SourceFacts {
    pub last_reached: Option<SystemTime>,
    pub out_of_reach_since: Option<SystemTime>,
    /// Why it could not be read the last time.
    pub unreadable: Option<String>,
    /// What is wrong with what it held when it was last read.
    pub problems: Vec<String>,
}

impl SourceFacts {
    pub fn all_problems(&self) -> Vec<String> {
        self.unreadable.iter().chain(&self.problems).cloned().collect()
    }
}

/// A wish that the source be looked at now.
pub struct Look {
    /// As the own file has it now.
    pub reader: SourceReader,
    /// Of somebody who waits for the outcome.
    pub answers: Option<ReloadRequest>,
}

pub struct SiteKeeper {
    point: Arc<ConnectionPoint>,
    reader: SourceReader,
    kept: KeptCopy,
    /// As last read, good or bad.
    text: Option<String>,
    /// What is in force and could not be kept yet.
    unkept: Option<String>,
}

impl SiteKeeper {
    /// Puts the copy of the last good configuration in force, if there is one.
    pub fn new(point: Arc<ConnectionPoint>) -> Result<Self, SourceError> {
        let settings = point.settings();
        let reader = SourceReader::new(&settings.source.source)?;
        let kept = KeptCopy::new(&settings.state_directory)?;
        let mut keeper = Self { point, reader, kept, text: None, unkept: None };
        keeper.restore();
        Ok(keeper)
    }

    /// Looks at once, then from time to time and when it is told to, until the process ends.
    pub async fn follow(mut self, mut looks: mpsc::Receiver<Look>) {
        let mut asked: Option<Look> = None;
        loop {
            let is_asked = asked.is_some();
            let answers = asked.take().and_then(|Look { reader, answers }| {
                self.reader = reader;
                answers
            });
            let outcome = self.look(is_asked).await;
            if let Some(request) = answers {
                request.answer(outcome);
            }
            asked = tokio::select! {
                () = sleep(self.point.settings().source.poll) => None,
                look = looks.recv() => match look {
                    Some(look) => Some(look),
                    None => return,
                },
            };
        }
    }

    fn restore(&mut self) {
        let name = self.kept.name();
        match self.kept.read() {
            Ok(None) => {}
            Ok(Some(text)) => match read(&self.point.settings(), &self.point.metrics, None, &text, &name) {
                Ok(site) => {
                    tracing::info!(version = site.version, "the last good site configuration is in force");
                    self.apply(site);
                    self.text = Some(text);
                }
                Err(problems) => {
                    for problem in problems.iter() {
                        tracing::warn!(%problem, "the copy of the last good site configuration cannot be used");
                    }
                }
            },
            Err(error) => {
                tracing::warn!(%error, file = name, "the copy of the last good site configuration was not read")
            }
        }
    }

    /// One look. Says what is in force now, or everything that was wrong.
    async fn look(&mut self, judges_again: bool) -> Result<String, String> {
        self.point.metrics.site_reads.increment();
        // The disk may take by now what it did not take at the last look.
        self.keep();
        let found = match self.reader.read().await {
            Ok(found) => found,
            Err(error) => return Err(self.out_of_reach(&error)),
        };
        let now = SystemTime::now();
        self.point.source.send_modify(|facts| {
            (facts.last_reached, facts.out_of_reach_since, facts.unreadable) = (Some(now), None, None);
        });
        let text = match found {
            Found::Text(text) if judges_again || self.text.as_ref() != Some(&text) => text,
            Found::Same | Found::Text(_) => match (judges_again, &self.text) {
                (true, Some(text)) => text.clone(),
                _ => return self.outcome(),
            },
        };
        let settings = self.point.settings();
        let name = settings.source.source.to_string();
        match judge(&settings, &self.point.metrics, self.point.site().as_deref(), &text, &name) {
            Ok(Some(site)) => self.take_over(site, &text),
            Ok(None) => self.point.source.send_modify(|facts| facts.problems.clear()),
            Err(problems) => self.refuse(&problems),
        }
        self.text = Some(text);
        self.outcome()
    }

    fn take_over(&mut self, site: Site, text: &str) {
        tracing::info!(version = site.version, roles = site.roles(), "a new site configuration is in force");
        self.point.source.send_modify(|facts| facts.problems.clear());
        self.apply(site);
        self.unkept = Some(text.to_owned());
        self.keep();
    }

    /// The data path goes on without the copy; only a restart without the source would miss it.
    fn keep(&mut self) {
        let Some(text) = &self.unkept else { return };
        match self.kept.write(text) {
            Ok(()) => self.unkept = None,
            Err(error) => {
                let file = self.kept.name();
                tracing::error!(%error, file, "the site configuration could not be kept on disk; the next look tries again");
            }
        }
    }

    fn apply(&self, site: Site) {
        for note in &site.notes {
            tracing::info!(note, "site configuration");
        }
        self.point.apply(site);
    }

    fn refuse(&self, problems: &Problems) {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        self.point.metrics.site_reads_failed.increment();
        if self.point.source.borrow().problems != problems {
            for problem in &problems {
                tracing::error!(problem, "the site configuration is refused; the one in force stays");
            }
        }
        self.point.source.send_modify(|facts| facts.problems = problems);
    }

    fn out_of_reach(&self, error: &SourceError) -> String {
        self.point.metrics.site_reads_failed.increment();
        let why = error.to_string();
        let is_news = self.point.source.borrow().unreadable.as_ref() != Some(&why);
        if is_news {
            tracing::warn!(why, "the source of the site configuration cannot be read; the one in force stays");
        }
        self.point.source.send_modify(|facts| {
            facts.out_of_reach_since.get_or_insert_with(SystemTime::now);
            facts.unreadable = Some(why.clone());
        });
        why
    }

    fn outcome(&self) -> Result<String, String> {
        let problems = self.point.source.borrow().all_problems().join("\n");
        match (&*self.point.site(), problems.is_empty()) {
            (Some(site), true) => Ok(format!("site configuration version {} is in force", site.version)),
            _ => Err(problems),
        }
    }
}
