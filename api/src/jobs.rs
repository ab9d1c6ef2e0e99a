//! The kinds of jobs that the program runs.

use crate::app::App;
use crate::error::{Error, Result};
use crate::imports;
use crate::routes::imports::ImportOut;
use crate::store::{JobContext, JobHandler};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use zonglan_catalog::Principal;
use zonglan_ingest::{ImportReport, Mapping};

/// The name of import jobs.
pub const IMPORT: &str = "import";

/// What an import job needs to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportJob {
    pub dataset: String,
    /// In the spool; removed when the import is over.
    pub file: PathBuf,
    pub file_name: String,
    pub mapping: Mapping,
}

/// Who waits for which file's outcome.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<PathBuf, Waiter>>);

struct Waiter {
    /// The importer as bound to the request: the operator has no account.
    principal: Principal,
    done: oneshot::Sender<Result<ImportReport>>,
}

/// Registers the handlers; after this [`crate::store::Jobs::start`] may be called.
pub fn register(app: &App) {
    app.store.jobs.register(IMPORT, Arc::new(ImportHandler { app: app.clone() }));
    crate::geo::jobs::register(app);
    crate::reindex::register(app);
    crate::engine::register(app);
}

/// Submits an import and returns the job's id and its outcome to come.
pub async fn submit_import(
    app: &App,
    principal: &Principal,
    job: ImportJob,
) -> Result<(i64, oneshot::Receiver<Result<ImportReport>>)> {
    let (done, outcome) = oneshot::channel();
    let title = format!("导入 {} → {}", job.file_name, job.dataset);
    let file = job.file.clone();
    let params = serde_json::to_value(&job).map_err(Error::internal)?;
    let waiter = Waiter { principal: principal.clone(), done };
    app.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file, waiter);
    let submitted = app.store.jobs.submit(&principal.user, IMPORT, &title, params).await?;
    Ok((submitted.id, outcome))
}

struct ImportHandler {
    app: App,
}

#[async_trait]
impl JobHandler for ImportHandler {
    async fn run(&self, context: JobContext, params: Json) -> zonglan_catalog::Result<Json> {
        let job: ImportJob = serde_json::from_value(params).map_err(zonglan_catalog::Error::internal)?;
        let waiter = self.app.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.file);
        let (principal, done) = match waiter {
            Some(waiter) => (waiter.principal, Some(waiter.done)),
            None => (self.app.store.identity.principal(&context.owner)?, None),
        };
        let app = self.app.clone();
        let name = job.dataset.clone();
        let outcome = tokio::task::spawn_blocking(move || run(&app, &context, job, &principal))
            .await
            .unwrap_or_else(|panic| Err(Error::internal(panic)));
        let told = match &outcome {
            Ok(report) => Ok(serde_json::to_value(ImportOut::new(&name, report.clone())).unwrap_or_default()),
            Err(error) => Err(copy(&error.0)),
        };
        if let Some(done) = done {
            // Nobody waits any more: the job's record has the outcome too.
            let _ = done.send(outcome);
        }
        told
    }
}

fn run(app: &App, context: &JobContext, job: ImportJob, principal: &Principal) -> Result<ImportReport> {
    let catalogue = app.catalogue();
    let dataset = catalogue
        .dataset(&job.dataset)
        .ok_or_else(|| Error::not_found("dataset.unknown", format!("没有数据集 '{}'", job.dataset)))?;
    let progress = |p: zonglan_ingest::Progress| {
        let share = if p.bytes_total == 0 { 0.0 } else { p.bytes_done as f64 / p.bytes_total as f64 };
        context.progress(share.min(0.99), format!("{} 行，隔离 {} 行", p.rows, p.quarantined));
    };
    let load = imports::Load { file: &job.file, file_name: &job.file_name, dataset, mapping: job.mapping, principal };
    let outcome = imports::load(app, load, &progress, &context.cancel);
    let unfinished = outcome.is_err()
        && imports::journal(app)?
            .unfinished()?
            .iter()
            .any(|record| record.file.ends_with(job.file.file_name().unwrap_or_default()));
    crate::memory::give_back();
    if !unfinished {
        imports::forget(&job.file);
    }
    outcome
}

fn copy(error: &zonglan_catalog::Error) -> zonglan_catalog::Error {
    let mut copy = zonglan_catalog::Error::new(error.class, error.code, error.message.clone());
    copy.hint.clone_from(&error.hint);
    copy.fields.clone_from(&error.fields);
    copy
}
