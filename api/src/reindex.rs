//! Fills indexes anew in the background where their format or definitions have changed or rows are
//! missing: imported datasets from the columns, registers by following their log from its start.
//! Searches are answered all the while; see `zonglan_search::Indexes::outdated`.

use crate::app::App;
use crate::store::{JobContext, JobHandler};
use async_trait::async_trait;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use zonglan_catalog::Dataset;
use zonglan_catalog::dataset::Source;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::{QueryEngine, RowSink};
use zonglan_ingest::Follower;

/// The name of the jobs.
pub const REINDEX: &str = "reindex";

/// Rows handed over at a time.
const BATCH: usize = 500;
/// Rows of one commit: new rows of others wait for it.
const COMMIT: u64 = 5_000;
/// Passes over rows that change meanwhile; what changes after them comes in the usual way.
const PASSES: usize = 5;

pub fn register(app: &App) {
    app.store.jobs.register(REINDEX, Arc::new(Handler { app: app.clone() }));
}

/// Starts what is to be done. Call once, before imports and after unfinished ones are resumed.
pub async fn start(app: &App, follower: &Arc<Follower>) -> Result<()> {
    for dataset in app.catalogue().datasets().filter(|d| d.source == Source::Import && app.index.accepts(d)) {
        let (index, dataset) = (app.index.clone(), dataset.clone());
        let stored = QueryEngine::state(&app.columns, &dataset.name).rows;
        let (of, check) = (dataset.clone(), move |d: &Dataset| index.outdated(d, stored));
        if tokio::task::spawn_blocking(move || check(&of)).await.map_err(Error::internal)?? {
            let title = format!("重建全文索引：{}", dataset.label.zh);
            app.store.jobs.submit("system", REINDEX, &title, json!({"dataset": dataset.name})).await?;
        }
    }
    let register = app.catalogue().datasets().find(|d| d.source == Source::Records && app.index.accepts(d)).cloned();
    if let Some(register) = register.filter(|d| app.index.serves_older(d)) {
        tokio::spawn(registers(app.clone(), follower.clone(), register));
    }
    Ok(())
}

/// Lets go of the older index of the registers once the new one has all that the log had.
async fn registers(app: App, follower: Arc<Follower>, any: Arc<Dataset>) {
    let head = *app.store.log.sealed().borrow();
    while !app.stopping.is_cancelled() {
        let (index, follower) = (app.index.clone(), follower.clone());
        let done = tokio::task::spawn_blocking(move || follower.position(&index)).await;
        if matches!(done, Ok(Ok(position)) if position >= head) {
            let (index, any) = (app.index.clone(), any.clone());
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || index.rebuilt(&any)).await {
                tracing::warn!(%error, "the index of the registers is rebuilt, but the older one stays");
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

struct Handler {
    app: App,
}

#[async_trait]
impl JobHandler for Handler {
    async fn run(&self, job: JobContext, params: Json) -> Result<Json> {
        let name = params["dataset"].as_str().unwrap_or_default().to_string();
        let app = self.app.clone();
        tokio::task::spawn_blocking(move || rebuild(&app, &job, &name)).await.map_err(Error::internal)?
    }
}

/// Writes all rows of the columns into the index until nothing changes meanwhile.
fn rebuild(app: &App, job: &JobContext, name: &str) -> Result<Json> {
    let catalogue = app.catalogue();
    let unknown = || Error::not_found("dataset.unknown", format!("没有数据集 '{name}'"));
    let dataset = catalogue.dataset(name).ok_or_else(unknown)?;
    let mut written = 0;
    for _ in 0..PASSES {
        let state = QueryEngine::state(&app.columns, name);
        let (mut read, mut since) = (0u64, 0u64);
        let mut open = None;
        let stopped = || job.cancel.is_cancelled() || app.stopping.is_cancelled();
        app.columns.batches(dataset, BATCH, &mut |batch| {
            let mut txn = match open.take() {
                Some(txn) => txn,
                None => app.index.begin(dataset)?,
            };
            txn.upsert(batch)?;
            read += batch.len() as u64;
            since += batch.len() as u64;
            if since >= COMMIT {
                let done = txn.commit(None)?;
                written += done.inserted + done.updated;
                since = 0;
            } else {
                open = Some(txn);
            }
            job.progress(read as f64 / state.rows.max(1) as f64 * 0.99, format!("{read} / {} 行", state.rows));
            Ok(!stopped())
        })?;
        if let Some(txn) = open {
            let done = txn.commit(None)?;
            written += done.inserted + done.updated;
        }
        if stopped() {
            return Err(Error::user("jobs.cancelled", "重建已中断，下次启动时继续"));
        }
        if QueryEngine::state(&app.columns, name).version == state.version {
            break;
        }
    }
    app.index.rebuilt(dataset)?;
    Ok(json!({"dataset": name, "written": written}))
}
