//! Carries sealed changes of the records store into columns and index, one task a store, so that
//! one that lags does not hold up the other.

use crate::app::App;
use crate::live::back_off;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use zonglan_catalog::traits::{ChangeSource, RowSink};
use zonglan_ingest::Follower;

/// Blocks of one step.
const BLOCKS: usize = 200;

/// Follows the log for one store until the program stops.
pub async fn follow(app: App, follower: Arc<Follower>, sink: Arc<dyn RowSink>) {
    let mut sealed = app.store.log.sealed();
    let mut failures = 0;
    while !app.stopping.is_cancelled() {
        sealed.borrow_and_update();
        match step(&app, &follower, &sink).await {
            Ok(true) => failures = 0,
            Ok(false) => {
                failures = 0;
                tokio::select! {
                    changed = sealed.changed() => if changed.is_err() { return },
                    // A store that was away or a catalogue that changed may have something to catch up.
                    () = tokio::time::sleep(Duration::from_secs(30)) => {}
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

/// One step. True: there may be more at once.
async fn step(app: &App, follower: &Arc<Follower>, sink: &Arc<dyn RowSink>) -> Result<bool, zonglan_catalog::Error> {
    let after = {
        let (follower, sink) = (follower.clone(), sink.clone());
        blocking(move || follower.position(&*sink)).await?
    };
    let blocks = app.store.log.blocks_after(after, BLOCKS).await?;
    if blocks.is_empty() {
        return Ok(false);
    }
    let more = blocks.len() >= BLOCKS;
    let (follower, sink) = (follower.clone(), sink.clone());
    let applied = blocking(move || follower.apply(&*sink, &blocks)).await?;
    app.metrics.follower_blocks.fetch_add(applied.blocks as u64, Relaxed);
    Ok(more)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> zonglan_ingest::Result<T> + Send + 'static,
) -> Result<T, zonglan_catalog::Error> {
    tokio::task::spawn_blocking(work).await.map_err(zonglan_catalog::Error::internal)?.map_err(Into::into)
}

/// Applies all changes, also those that are about to be sealed, to all stores; for work without a
/// running server.
pub async fn catch_up(app: &App, follower: &Arc<Follower>) -> Result<(), zonglan_catalog::Error> {
    let mut sealed = app.store.log.sealed();
    loop {
        for sink in app.sinks() {
            while step(app, follower, &sink).await? {}
        }
        // The sealer works every tenth of a second while there is something to seal.
        if tokio::time::timeout(Duration::from_millis(500), sealed.changed()).await.is_err() {
            return Ok(());
        }
    }
}
