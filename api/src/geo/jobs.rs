//! Conversion of large files behind: progress while it runs, a report and a file at its end.

use super::convert::{self, Columns, Input, Kind};
use super::sign::{self, Hashing, Signature};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{JobContext, JobHandler};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zonglan_geo::{BadRow, Crs, OutOfArea};

/// The name of these jobs.
pub const TRANSFORM: &str = "geo_transform";

/// Days that results are kept.
const KEPT_DAYS: u64 = 7;
/// Bad rows that a report shows.
const SHOWN: usize = 1_000;

/// What a conversion needs to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversion {
    /// In the spool; removed when the job is over.
    pub file: PathBuf,
    pub kind: Kind,
    pub from: Crs,
    pub to: Crs,
    pub columns: Columns,
    pub outside_is_error: bool,
    pub signed: bool,
}

impl Conversion {
    pub fn out_of_area(&self) -> OutOfArea {
        if self.outside_is_error { OutOfArea::Error } else { OutOfArea::Keep }
    }
}

/// What a job tells at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Report {
    rows: u64,
    converted: u64,
    bad: u64,
    errors: Vec<Json>,
    transform: Json,
    /// Where the file is fetched.
    url: String,
    name: String,
    content_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<Signature>,
}

/// Registers the handler.
pub fn register(app: &App) {
    app.store.jobs.register(TRANSFORM, Arc::new(Handler { app: app.clone() }));
}

/// Removes results of earlier weeks. What cannot be removed now can be at the next start.
pub fn forget_old(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir.join("results")) else { return };
    let limit = SystemTime::now() - Duration::from_secs(KEPT_DAYS * 86_400);
    for entry in entries.flatten() {
        if entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| at < limit) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The file that a job made.
pub fn result_file(app: &App, id: i64) -> Result<PathBuf> {
    Ok(app.geo.folder("results")?.join(id.to_string()))
}

struct Handler {
    app: App,
}

#[async_trait]
impl JobHandler for Handler {
    async fn run(&self, context: JobContext, params: Json) -> zonglan_catalog::Result<Json> {
        let job: Conversion = serde_json::from_value(params).map_err(zonglan_catalog::Error::internal)?;
        let app = self.app.clone();
        let work = move || {
            let outcome = run(&app, &context, &job);
            // The spool is only a way in.
            let _ = std::fs::remove_file(&job.file);
            outcome
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::internal(panic))).map_err(|e| *e.0)
    }

    fn resumable(&self) -> bool {
        false
    }
}

fn run(app: &App, context: &JobContext, job: &Conversion) -> Result<Json> {
    let transform = app.geo.transform(job.from, job.to, job.out_of_area()).map_err(|e| super::problem("to", &e))?;
    if job.signed {
        sign::permitted(&transform)?;
    }
    let total = job.file.metadata().map_err(Error::internal)?.len().max(1);
    let path = result_file(app, context.id)?;
    let part = path.with_extension("part");
    let mut output = Hashing::new(std::fs::File::create(&part).map_err(Error::internal)?);
    let mut errors: Vec<Json> = Vec::new();
    let mut bad = 0u64;
    let note = |row: &BadRow| {
        bad += 1;
        if errors.len() < SHOWN {
            errors.push(serde_json::to_value(row).unwrap_or_default());
        }
    };
    let read = std::sync::atomic::AtomicU64::new(0);
    let share = || read.load(std::sync::atomic::Ordering::Relaxed) as f64 / total as f64;
    let summary = {
        let input = match job.kind {
            Kind::Parquet => Input::File(&job.file),
            _ => Input::Stream(Box::new(Counting {
                file: std::fs::File::open(&job.file).map_err(Error::internal)?,
                read: &read,
            })),
        };
        let go_on = |rows: u64| {
            if rows > 0 {
                context.progress(0.5, format!("{rows} 行"));
            } else {
                context.progress(share().min(0.99), format!("{:.0}%", share() * 100.0));
            }
            !context.cancel.is_cancelled()
        };
        let output = std::io::BufWriter::with_capacity(1 << 20, &mut output);
        convert::run(job.kind, &transform, &job.columns, input, output, note, go_on)
    };
    let summary = summary.inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })?;
    let (file, sm3) = output.finish();
    file.sync_all().map_err(Error::internal)?;
    std::fs::rename(&part, &path).map_err(Error::internal)?;
    let report = Report {
        rows: summary.rows,
        converted: summary.converted,
        bad: summary.bad,
        errors,
        transform: serde_json::to_value(transform.info()).map_err(Error::internal)?,
        url: format!("/api/v1/geo/results/{}", context.id),
        name: format!("{}.{}", job.to.to_string().replace(':', "-"), job.kind.extension()),
        content_type: job.kind.content_type().into(),
        signature: job.signed.then(|| sign::sign(app, &sm3, &transform, &context.owner)),
    };
    serde_json::to_value(report).map_err(Error::internal)
}

/// Counts what was read, for the progress.
struct Counting<'a> {
    file: std::fs::File,
    read: &'a std::sync::atomic::AtomicU64,
}

impl std::io::Read for Counting<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(into)?;
        self.read.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(n)
    }
}
