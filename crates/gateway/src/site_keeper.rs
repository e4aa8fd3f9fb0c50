//! Keeps the site configurations in force (S-04): judges what a connection point pushes, writes it to disk,
//! then puts it in force and says so. One after another, on the main thread; a kill at any moment leaves the old
//! configuration or the new one, never half of one.

mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use cmg_core::limits;
use cmg_core::shutdown::Tasks;
use cmg_core::site::{Publication, Reasons, SitePermissions, overlaps};
use cmg_core::tls::chain::ClientChains;
use cmg_core::tunnel::control::ConfigurationVerdict;
use cmg_core::tunnel::publication::{self, Digest};
use tokio::sync::{mpsc, oneshot, watch};

use crate::published::{Published, SiteInForce};
use store::Store;
pub use store::StoreError;

/// Hands configurations to the one task that judges them.
#[derive(Clone)]
pub struct SiteKeeper {
    orders: mpsc::Sender<Order>,
    changes: watch::Sender<()>,
}

enum Order {
    Apply { site: String, version: u64, publication: Bytes, answer: oneshot::Sender<ConfigurationVerdict> },
    Forget { site: String, answer: oneshot::Sender<Result<(), String>> },
}

impl SiteKeeper {
    /// Reads what was in force when the process last ended, and starts the task.
    pub fn start(
        state_directory: &Path,
        permissions: Vec<SitePermissions>,
        published: Arc<ArcSwap<Published>>,
        on_verdict: impl Fn(&ConfigurationVerdict) + Send + 'static,
        on_change: impl Fn(&Published) + Send + 'static,
        tasks: &Tasks,
    ) -> Result<Self, StoreError> {
        let store = Store::open(state_directory)?;
        let changes = watch::Sender::default();
        let (told, on_change) = (changes.clone(), Box::new(on_change));
        let mut keeping = Keeping { store, kept: BTreeMap::new(), permissions, published, on_change, changes: told };
        keeping.restore()?;
        let (orders, mut queue) = mpsc::channel(limits::CONFIGURATION_QUEUE);
        let run = async move {
            while let Some(order) = queue.recv().await {
                // Whoever asked may have gone meanwhile.
                match order {
                    Order::Apply { site, version, publication, answer } => {
                        let verdict = keeping.apply(&site, version, publication);
                        on_verdict(&verdict);
                        let _ = answer.send(verdict);
                    }
                    Order::Forget { site, answer } => {
                        let _ = answer.send(keeping.forget(&site));
                    }
                }
            }
        };
        tasks.spawn("site keeper", run).detach();
        Ok(Self { orders, changes })
    }

    /// Tells of every change of what is in force, of any site.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Judges a configuration that a connection point of `site` has pushed.
    pub async fn apply(&self, site: &str, version: u64, publication: Bytes) -> ConfigurationVerdict {
        let (answer, verdict) = oneshot::channel();
        let order = Order::Apply { site: site.to_owned(), version, publication, answer };
        let stopping = || ConfigurationVerdict {
            version,
            applied: false,
            problems: vec!["this gateway is stopping".to_owned()],
            version_in_force: 0,
            digest_in_force: Vec::new(),
        };
        if self.orders.send(order).await.is_err() {
            return stopping();
        }
        verdict.await.unwrap_or_else(|_| stopping())
    }

    /// Drops the stored configuration of a site, so that a lower version may come into force.
    pub async fn forget(&self, site: &str) -> Result<(), String> {
        let (answer, done) = oneshot::channel();
        let stopping = "this gateway is stopping".to_owned();
        if self.orders.send(Order::Forget { site: site.to_owned(), answer }).await.is_err() {
            return Err(stopping);
        }
        done.await.unwrap_or(Err(stopping))
    }
}

/// The task's own.
struct Keeping {
    store: Store,
    /// Version and digest of what is on disk of each site, whether or not it is in force.
    kept: BTreeMap<String, (u64, Digest)>,
    permissions: Vec<SitePermissions>,
    published: Arc<ArcSwap<Published>>,
    on_change: Box<dyn Fn(&Published) + Send>,
    changes: watch::Sender<()>,
}

impl Keeping {
    /// A stored configuration that may no longer be in force is named and left out, not deleted: the gateway's
    /// file may have been changed by mistake.
    fn restore(&mut self) -> Result<(), StoreError> {
        let mut sites: Vec<Arc<SiteInForce>> = Vec::new();
        for stored in self.store.read_all()? {
            let kept = (stored.version, publication::digest(&stored.publication));
            self.kept.insert(stored.site.clone(), kept);
            match self.judge(&stored.site, stored.version, &stored.publication, &sites) {
                Ok(site) => sites.push(Arc::new(site)),
                Err(problems) => {
                    let site = stored.site;
                    tracing::error!(
                        site,
                        ?problems,
                        "a stored site configuration is no longer allowed and not in force"
                    );
                }
            }
        }
        self.publish(sites);
        Ok(())
    }

    /// From here on these sites are in force.
    fn publish(&self, sites: impl IntoIterator<Item = Arc<SiteInForce>>) {
        let published = Arc::new(Published::new(sites));
        (self.on_change)(&published);
        self.published.store(published);
        self.changes.send_replace(());
    }

    fn apply(&mut self, site: &str, version: u64, publication: Bytes) -> ConfigurationVerdict {
        let in_force = self.published.load().site(site).cloned();
        let outcome = match (&in_force, self.kept.get(site)) {
            (_, Some((kept, _))) if version < *kept => Err(vec![lower(site, version, *kept, in_force.is_some())]),
            (_, Some(kept)) if version == kept.0 && publication::digest(&publication) != kept.1 => {
                Err(vec![two_contents(version, in_force.is_some())])
            }
            (Some(current), _) if version == current.version => Ok(()),
            (Some(_) | None, _) => self.put_in_force(site, version, publication),
        };
        let now = self.published.load().site(site).cloned();
        let verdict = ConfigurationVerdict {
            version,
            applied: outcome.is_ok(),
            problems: outcome.err().unwrap_or_default(),
            version_in_force: now.as_ref().map_or(0, |site| site.version),
            digest_in_force: now.map(|site| site.digest.to_vec()).unwrap_or_default(),
        };
        log(site, &verdict, in_force.map(|site| site.version));
        verdict
    }

    fn put_in_force(&mut self, site: &str, version: u64, publication: Bytes) -> Result<(), Vec<String>> {
        let others = self.others(site);
        let next = self.judge(site, version, &publication, &others)?;
        let stored = self.store.write(site, version, publication);
        stored.map_err(|error| vec![format!("the gateway could not keep it: {error}")])?;
        self.kept.insert(site.to_owned(), (version, next.digest));
        self.publish(others.into_iter().chain([Arc::new(next)]));
        Ok(())
    }

    fn forget(&mut self, site: &str) -> Result<(), String> {
        if !self.kept.contains_key(site) {
            return Err(format!("no configuration of site {site} is kept here"));
        }
        self.store.remove(site).map_err(|error| error.to_string())?;
        self.kept.remove(site);
        self.publish(self.others(site));
        tracing::warn!(site, "the stored site configuration was forgotten");
        Ok(())
    }

    fn others(&self, site: &str) -> Vec<Arc<SiteInForce>> {
        self.published.load().sites().filter(|other| other.code != site).cloned().collect()
    }

    /// Everything that is wrong with it, or the site as it will be in force.
    fn judge(
        &self,
        site: &str,
        version: u64,
        bytes: &[u8],
        others: &[Arc<SiteInForce>],
    ) -> Result<SiteInForce, Vec<String>> {
        let publication = publication::decode(bytes)?;
        let permissions = self.permissions.iter().find(|permissions| permissions.site.as_str() == site);
        let permissions = permissions
            .ok_or_else(|| vec![format!("site {site} is not in this gateway's configuration; add it to [[sites]]")])?;
        let mut problems = permissions.judge(&publication);
        problems.append(overlaps(&publication, others.iter().map(|other| &other.publication)));
        let trust = trust_of(&publication, &mut problems);
        match trust {
            Some(trust) if problems.is_empty() => {
                let digest: Digest = publication::digest(bytes);
                Ok(SiteInForce { code: site.to_owned(), version, digest, publication, trust })
            }
            Some(_) | None => Err(problems.into_words()),
        }
    }
}

fn trust_of(publication: &Publication, problems: &mut Reasons) -> Option<ClientChains> {
    let trust = &publication.client_trust;
    let chains = ClientChains::new(trust.roots(), trust.intermediates().to_vec());
    chains.map_err(|faults| faults.iter().for_each(|fault| problems.add(|| fault.to_string()))).ok()
}

fn lower(site: &str, version: u64, kept: u64, is_in_force: bool) -> String {
    let how = if is_in_force { "in force" } else { "kept here, which may not come into force (the log says why)" };
    format!(
        "version {version} is lower than version {kept} {how}; publish the content under a higher number, or run \
         `cmg-gateway site forget {site}`"
    )
}

fn two_contents(version: u64, is_in_force: bool) -> String {
    let how = if is_in_force { "in force" } else { "kept here" };
    format!(
        "version {version} is {how} with another content; two connection points have different files, or one was \
         changed without a higher version number"
    )
}

fn log(site: &str, verdict: &ConfigurationVerdict, before: Option<u64>) {
    let ConfigurationVerdict { version, applied, problems, .. } = verdict;
    if !applied {
        tracing::error!(site, version, ?problems, "a site configuration was refused; the one in force stays");
    } else if before != Some(*version) {
        tracing::info!(site, version, before, "a site configuration is in force");
    }
}

#[cfg(test)]
mod tests;
