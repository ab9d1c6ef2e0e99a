//! Live data: the ticker that tells of new data versions, and the follower that carries sealed
//! changes of the records store into columns and index.

use crate::app::App;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use zonglan_catalog::traits::{QueryEngine, SearchIndex};
use zonglan_ingest::Follower;

/// Data version by dataset.
pub type Versions = BTreeMap<String, u64>;

/// The versions of the last tick. Streams wait for the next one.
pub struct Live {
    ticks: watch::Sender<Arc<Versions>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { ticks: watch::channel(Arc::default()).0 }
    }
}

impl Live {
    pub fn subscribe(&self) -> watch::Receiver<Arc<Versions>> {
        self.ticks.subscribe()
    }

    pub fn versions(&self) -> Arc<Versions> {
        self.ticks.borrow().clone()
    }
}

/// The versions that the stores hold now. A dataset's version moves when either store commits.
fn current(app: &App) -> Versions {
    let versions = app.catalogue();
    let of = |name: &str| QueryEngine::state(&app.columns, name).version + SearchIndex::state(&app.index, name).version;
    versions.datasets().map(|d| (d.name.clone(), of(&d.name))).collect()
}

/// Looks once a second whether data changed: more often would make every wall refresh more often.
pub async fn tick(app: App) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0u64;
    loop {
        count += 1;
        if count.is_multiple_of(60) {
            // Addresses that have not asked for a while need not be remembered.
            app.requests.retain_recent();
            app.requests.shrink_to_fit();
        }
        tokio::select! {
            _ = every.tick() => {}
            () = app.stopping.cancelled() => return,
        }
        let versions = current(&app);
        app.live.ticks.send_if_modified(|last| {
            let changed = **last != versions;
            if changed {
                *last = Arc::new(versions);
            }
            changed
        });
    }
}

/// Compares a random question to each rollup with the rows once a minute. The store reports a
/// difference as an error, counts it, and computes the rollup anew.
pub async fn check_rollups(app: App) {
    let mut tick = tokio::time::interval(Duration::from_secs(60));
    loop {
        tick.tick().await;
        let (store, seed) = (app.columns.clone(), app.clock.now() as u64);
        match tokio::task::spawn_blocking(move || store.check_rollups(seed)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "rollups could not be compared with their rows"),
            Err(error) => tracing::warn!(%error, "the comparison of rollups died"),
        }
    }
}

/// Looks once a minute what tasks have become due, and reminds.
pub async fn remind(app: App) {
    let mut failures = 0;
    let mut rounds = 0u64;
    while !app.stopping.is_cancelled() {
        // The walk over all records reads much; what is written meanwhile needs no walk.
        let walked = if rounds.is_multiple_of(60) { app.store.records.sync_tasks().await } else { Ok(0) };
        let outcome = match walked {
            Ok(_) => app.store.tasks.remind().await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => {
                failures = 0;
                rounds += 1;
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                    () = app.stopping.cancelled() => return,
                }
            }
            Err(error) => {
                failures += 1;
                back_off(&app, &error, failures).await;
            }
        }
    }
}

/// Looks every two seconds whether files of the catalogue's overlay folders changed.
pub async fn watch_catalogue(app: App, follower: Arc<Follower>) {
    if app.config.overlays.is_empty() {
        return;
    }
    let mut seen = stamps(&app);
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = app.stopping.cancelled() => return,
        }
        let now = stamps(&app);
        if now == seen {
            continue;
        }
        seen = now;
        match app.reload_catalogue().await {
            Ok(true) => {
                follower.set_catalogue(app.catalogue());
                if let Err(error) = crate::reindex::start(&app, &follower).await {
                    tracing::warn!(%error, "indexes are not checked against the new definitions");
                }
                tracing::info!(catalogue.version = app.catalogue().version(), "catalogue reloaded");
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %error, "catalogue files are broken, the last valid ones stay in force")
            }
        }
    }
}

/// Path, length and change time of every overlay file.
fn stamps(app: &App) -> Vec<(std::path::PathBuf, u64, Option<std::time::SystemTime>)> {
    fn walk(folder: &std::path::Path, found: &mut Vec<(std::path::PathBuf, u64, Option<std::time::SystemTime>)>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => walk(&path, found),
                Ok(meta) => found.push((path, meta.len(), meta.modified().ok())),
                Err(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    app.config.overlays.iter().for_each(|folder| walk(folder, &mut found));
    found.sort();
    found
}

/// Counts a follower's failure and waits longer after each one in a row.
pub(crate) async fn back_off(app: &App, error: &zonglan_catalog::Error, failures: u32) {
    app.metrics.follower_errors.fetch_add(1, Relaxed);
    tracing::error!(error = %error, follower.failures = failures, "changes could not be applied, trying again");
    let wait = Duration::from_millis(200u64 << failures.min(7));
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = app.stopping.cancelled() => {}
    }
}
