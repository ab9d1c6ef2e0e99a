//! Long work in the background: imports, exports, model runs. Kept in a table, so that people see
//! progress and outcome, and a restart leaves nothing half-told.

use super::db::Db;
use super::error::db;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;
use tokio::sync::{Semaphore, watch};
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::traits::{Cancel, Clock};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
    /// The program stopped while it ran, and its kind cannot go on.
    Interrupted,
}

impl JobState {
    fn name(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
            JobState::Interrupted => "interrupted",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "queued" => JobState::Queued,
            "running" => JobState::Running,
            "done" => JobState::Done,
            "cancelled" => JobState::Cancelled,
            "interrupted" => JobState::Interrupted,
            _ => JobState::Failed,
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, JobState::Queued | JobState::Running)
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Job {
    pub id: i64,
    pub owner: String,
    pub kind: String,
    pub title: String,
    pub state: JobState,
    /// 0 to 1.
    pub progress: f64,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

/// Does the jobs of one kind.
#[async_trait]
pub trait JobHandler: Send + Sync {
    /// Blocking work belongs on threads of its own (`tokio::task::spawn_blocking`).
    async fn run(&self, job: JobContext, params: Json) -> Result<Json>;
    /// Whether an interrupted job may simply be run again.
    fn resumable(&self) -> bool {
        false
    }
}

/// A running job's line to the runner. Usable from any thread.
#[derive(Clone)]
pub struct JobContext {
    pub id: i64,
    pub owner: String,
    /// Set when somebody cancels the job; look at it between pieces of work.
    pub cancel: Cancel,
    live: Arc<Mutex<Live>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Live {
    progress: f64,
    message: String,
    told: Option<Instant>,
}

impl JobContext {
    /// Says how far the work is; cheap enough for every batch.
    pub fn progress(&self, part: f64, message: impl Into<String>) {
        let mut live = self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        live.progress = part.clamp(0.0, 1.0);
        live.message = message.into();
        // Pages need no more than a few ticks a second.
        if live.told.is_none_or(|at| at.elapsed().as_millis() >= 250) {
            live.told = Some(Instant::now());
            self.changes.send_modify(|n| *n += 1);
        }
    }
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    handlers: RwLock<HashMap<&'static str, Arc<dyn JobHandler>>>,
    running: Mutex<HashMap<i64, JobContext>>,
    slots: Arc<Semaphore>,
    changes: watch::Sender<u64>,
}

/// The runner. Clones share everything.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "id, owner, kind, title, state, progress, message, result, error, created_at, started_at, finished_at";

impl Jobs {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>, slots: usize) -> Self {
        let inner = Inner {
            db,
            clock,
            handlers: RwLock::default(),
            running: Mutex::default(),
            slots: Arc::new(Semaphore::new(slots.max(1))),
            changes: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Ticks when a job moves; lists are to be read again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    pub fn register(&self, kind: &'static str, handler: Arc<dyn JobHandler>) {
        self.inner.handlers.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(kind, handler);
    }

    fn handler(&self, kind: &str) -> Option<Arc<dyn JobHandler>> {
        self.inner.handlers.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(kind).cloned()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<i64, JobContext>> {
        self.inner.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes up what a stop of the program left: waiting jobs and those that may be run again
    /// start, others are told to be interrupted. Call once, after all kinds are registered.
    pub async fn start(&self) -> Result<()> {
        let rows = sqlx::query(
            "SELECT id, owner, kind, params, state FROM jobs WHERE state IN ('queued', 'running') ORDER BY id",
        )
        .fetch_all(self.inner.db.readers())
        .await
        .map_err(db)?;
        for row in rows {
            let (id, kind): (i64, &str) = (row.get("id"), row.get("kind"));
            if self.running().contains_key(&id) {
                continue;
            }
            let waiting = row.get::<&str, _>("state") == JobState::Queued.name();
            match self.handler(kind).filter(|h| waiting || h.resumable()) {
                Some(handler) => {
                    let params = serde_json::from_str(row.get("params")).map_err(Error::internal)?;
                    self.spawn(id, row.get("owner"), handler, params);
                }
                None => {
                    self.finish(id, JobState::Interrupted, None, Some("程序停止时任务尚未完成，请重新提交".into()))
                        .await?
                }
            }
        }
        Ok(())
    }

    /// Queues a job; it starts as soon as a slot is free.
    pub async fn submit(&self, owner: &str, kind: &str, title: &str, params: Json) -> Result<Job> {
        let handler = self.handler(kind).ok_or_else(|| Error::user("jobs.kind", format!("没有任务类型 '{kind}'")))?;
        let now = self.inner.clock.now();
        let (o, k, t, p) = (owner.to_string(), kind.to_string(), title.to_string(), params.to_string());
        let id: i64 = self
            .inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query_scalar("INSERT INTO jobs (owner, kind, title, params, state, created_at) VALUES (?, ?, ?, ?, 'queued', ?) RETURNING id")
                        .bind(o)
                        .bind(k)
                        .bind(t)
                        .bind(p)
                        .bind(now)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)
                })
            })
            .await?;
        self.spawn(id, owner.to_string(), handler, params);
        self.get(id).await
    }

    fn spawn(&self, id: i64, owner: String, handler: Arc<dyn JobHandler>, params: Json) {
        let context = JobContext {
            id,
            owner,
            cancel: Cancel::default(),
            live: Arc::default(),
            changes: self.inner.changes.clone(),
        };
        self.running().insert(id, context.clone());
        let this = self.clone();
        tokio::spawn(async move {
            let outcome = this.run(&context, handler, params).await;
            let cancelled = context.cancel.is_cancelled();
            let (state, result, error) = match outcome {
                // Finished work is done, even where the cancel came while it ended.
                Ok(result) => (JobState::Done, Some(result), None),
                Err(_) if cancelled => (JobState::Cancelled, None, None),
                Err(error) => {
                    tracing::warn!(id, %error, "job failed");
                    // What went wrong inside is for the log, not for the page.
                    let text = if error.class == ErrorClass::Internal {
                        format!("内部错误，任务编号 {id}")
                    } else {
                        error.to_string()
                    };
                    (JobState::Failed, None, Some(text))
                }
            };
            if let Err(error) = this.finish(id, state, result, error).await {
                tracing::error!(id, %error, "a job's outcome was not saved");
            }
        });
    }

    async fn run(&self, context: &JobContext, handler: Arc<dyn JobHandler>, params: Json) -> Result<Json> {
        let stopped = || Error::user("jobs.cancelled", "任务已取消");
        let _slot = self.inner.slots.clone().acquire_owned().await.map_err(Error::internal)?;
        if context.cancel.is_cancelled() {
            return Err(stopped());
        }
        let (id, now) = (context.id, self.inner.clock.now());
        self.inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("UPDATE jobs SET state = 'running', started_at = ? WHERE id = ?")
                        .bind(now)
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await?;
        self.inner.changes.send_modify(|n| *n += 1);
        // A task of its own, so that a panic is this job's failure only.
        let context = context.clone();
        tokio::spawn(async move { handler.run(context, params).await }).await.map_err(Error::internal)?
    }

    async fn finish(&self, id: i64, state: JobState, result: Option<Json>, error: Option<String>) -> Result<()> {
        let now = self.inner.clock.now();
        let last = self.running().get(&id).map(|c| {
            let live = c.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (live.progress, live.message.clone())
        });
        let (progress, message) = last.unwrap_or_default();
        let progress = if state == JobState::Done { 1.0 } else { progress };
        let result = result.map(|r| r.to_string());
        let outcome = self
            .inner
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("UPDATE jobs SET state = ?, progress = ?, message = ?, result = ?, error = ?, finished_at = ? WHERE id = ?")
                        .bind(state.name())
                        .bind(progress)
                        .bind(message)
                        .bind(result)
                        .bind(error)
                        .bind(now)
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await;
        self.running().remove(&id);
        self.inner.changes.send_modify(|n| *n += 1);
        outcome
    }

    pub async fn get(&self, id: i64) -> Result<Job> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?");
        let row = sqlx::query(&sql).bind(id).fetch_optional(self.inner.db.readers()).await.map_err(db)?;
        row.map(|row| self.read(&row)).ok_or_else(|| Error::not_found("jobs.not_found", format!("没有任务 {id}")))
    }

    /// Jobs of an owner (of everybody where `None`), newest first.
    pub async fn list(&self, owner: Option<&str>, limit: u32) -> Result<Vec<Job>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE ?1 IS NULL OR owner = ?1 ORDER BY id DESC LIMIT ?2");
        let rows = sqlx::query(&sql)
            .bind(owner)
            .bind(limit.min(1_000))
            .fetch_all(self.inner.db.readers())
            .await
            .map_err(db)?;
        Ok(rows.iter().map(|row| self.read(row)).collect())
    }

    fn read(&self, row: &SqliteRow) -> Job {
        let json = |text: Option<&str>| text.and_then(|t| serde_json::from_str(t).ok());
        let mut job = Job {
            id: row.get("id"),
            owner: row.get("owner"),
            kind: row.get("kind"),
            title: row.get("title"),
            state: JobState::parse(row.get("state")),
            progress: row.get("progress"),
            message: row.get("message"),
            result: json(row.get("result")),
            error: row.get("error"),
            created_at: row.get("created_at"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
        };
        // Progress of running jobs is in memory only.
        if let Some(context) = self.running().get(&job.id).filter(|_| job.state == JobState::Running) {
            let live = context.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            job.progress = live.progress;
            job.message.clone_from(&live.message);
        }
        job
    }

    /// Asks a job to stop. Whether it is the caller's to stop is the caller's question.
    pub async fn cancel(&self, id: i64) -> Result<Job> {
        let context = self.running().get(&id).cloned();
        if let Some(context) = context {
            context.cancel.cancel();
        }
        self.get(id).await
    }

    /// Asks every job to stop, as the program does before it ends; resumable ones stay as they are
    /// in the table and go on at the next start.
    pub fn cancel_all(&self) {
        self.running().values().for_each(|c| c.cancel.cancel());
    }
}
