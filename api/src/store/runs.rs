//! Records of model runs, their schedules and the warnings that they raised.

use super::db::Db;
use super::error::db;
use super::txn::Txn;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::Clock;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Queued,
    Running,
    Done,
    Failed,
    Stopped,
}

impl RunState {
    pub fn name(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::Failed => "failed",
            RunState::Stopped => "stopped",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "queued" => RunState::Queued,
            "running" => RunState::Running,
            "done" => RunState::Done,
            "stopped" => RunState::Stopped,
            _ => RunState::Failed,
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, RunState::Queued | RunState::Running)
    }
}

/// What a run did, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Rows of the inputs read.
    pub read: u64,
    /// Units computed: cases, scores, texts.
    pub evaluated: u64,
    /// Result rows inserted or changed.
    pub written: u64,
    /// Result rows that no longer hold.
    pub removed: u64,
    /// Warnings raised for the first time.
    pub warnings: u64,
}

/// A run as recorded.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub id: i64,
    pub model: String,
    /// Version of the model's rules.
    pub version: String,
    pub params: Json,
    /// Data version of each dataset read.
    pub inputs: BTreeMap<String, u64>,
    /// `manual`, `schedule`.
    pub cause: String,
    pub owner: String,
    pub state: RunState,
    pub job: Option<i64>,
    /// How often it was started: more than once where the program stopped meanwhile.
    pub attempts: i64,
    /// 0 to 1.
    pub progress: f64,
    pub message: String,
    #[serde(flatten)]
    pub counts: RunCounts,
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

/// A run to be recorded.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub model: String,
    pub version: String,
    pub key: String,
    pub params: Json,
    pub inputs: BTreeMap<String, u64>,
    pub cause: &'static str,
    pub owner: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub enabled: bool,
    /// How often the engine looks whether there is something new to compute.
    pub every_minutes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningState {
    Open,
    /// Somebody found it true.
    Confirmed,
    /// Somebody found it wrong.
    Dismissed,
    /// What it warned of is over.
    Closed,
}

impl WarningState {
    pub fn name(self) -> &'static str {
        match self {
            WarningState::Open => "open",
            WarningState::Confirmed => "confirmed",
            WarningState::Dismissed => "dismissed",
            WarningState::Closed => "closed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Confirmed, Self::Dismissed, Self::Closed].into_iter().find(|s| s.name() == name)
    }
}

/// A warning that a model raises; one with a key that is there already is the same warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWarning {
    pub key: String,
    pub title: String,
    /// Region code that decides who sees it.
    pub region: String,
    /// Where in the program it leads.
    pub link: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    pub id: i64,
    pub model: String,
    pub key: String,
    pub run: i64,
    pub title: String,
    pub region: String,
    pub link: String,
    pub state: WarningState,
    pub note: String,
    pub raised_at: i64,
    pub judged_by: Option<String>,
    pub judged_at: Option<i64>,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Runs {
    db: Db,
    clock: Arc<dyn Clock>,
    changes: watch::Sender<u64>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

const COLUMNS: &str = "id, model, version, params, inputs, cause, owner, state, job, attempts, progress, message, \
    read, evaluated, written, removed, warnings, note, error, created_at, started_at, finished_at";

/// Warnings written in one transaction, so that other writers are not held up.
const CHUNK: usize = 500;

impl Runs {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, changes: watch::Sender::new(0) }
    }

    /// Ticks when a run begins or ends.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Records a run. Where one with the same key is queued, running or done, that one is returned
    /// with `false`.
    pub async fn create(&self, new: NewRun) -> Result<(Run, bool)> {
        let now = self.clock.now();
        let (id, fresh): (i64, bool) = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let same: Option<i64> = sqlx::query_scalar(
                        "SELECT id FROM model_run WHERE run_key = ? AND state IN ('queued', 'running', 'done')",
                    )
                    .bind(&new.key)
                    .fetch_optional(&mut *txn.conn())
                    .await
                    .map_err(db)?;
                    if let Some(id) = same {
                        return Ok((id, false));
                    }
                    let inputs = serde_json::to_string(&new.inputs).map_err(Error::internal)?;
                    let id = sqlx::query_scalar("INSERT INTO model_run (model, version, run_key, params, inputs, cause, owner, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?) RETURNING id")
                        .bind(new.model)
                        .bind(new.version)
                        .bind(new.key)
                        .bind(new.params.to_string())
                        .bind(inputs)
                        .bind(new.cause)
                        .bind(new.owner)
                        .bind(now)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)?;
                    Ok((id, true))
                })
            })
            .await?;
        self.changes.send_modify(|n| *n += 1);
        Ok((self.get(id).await?, fresh))
    }

    pub async fn get(&self, id: i64) -> Result<Run> {
        let row = sqlx::query(&format!("SELECT {COLUMNS} FROM model_run WHERE id = ?"))
            .bind(id)
            .fetch_optional(self.db.readers())
            .await
            .map_err(db)?;
        row.as_ref().map(read_run).ok_or_else(|| Error::not_found("models.run", format!("没有模型运行记录 {id}")))
    }

    /// Runs of a model (of all where `None`), newest first.
    pub async fn list(&self, model: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM model_run WHERE ?1 IS NULL OR model = ?1 ORDER BY id DESC LIMIT ?2");
        let rows =
            sqlx::query(&sql).bind(model).bind(limit.min(1_000)).fetch_all(self.db.readers()).await.map_err(db)?;
        Ok(rows.iter().map(read_run).collect())
    }

    /// Runs that are not over, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM model_run WHERE state IN ('queued', 'running') ORDER BY id");
        let rows = sqlx::query(&sql).fetch_all(self.db.readers()).await.map_err(db)?;
        Ok(rows.iter().map(read_run).collect())
    }

    /// The last run of a model in a state.
    pub async fn last(&self, model: &str, state: RunState) -> Result<Option<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM model_run WHERE model = ? AND state = ? ORDER BY id DESC LIMIT 1");
        let row =
            sqlx::query(&sql).bind(model).bind(state.name()).fetch_optional(self.db.readers()).await.map_err(db)?;
        Ok(row.as_ref().map(read_run))
    }

    /// Says which job does the run.
    pub async fn set_job(&self, id: i64, job: i64) -> Result<()> {
        self.execute("UPDATE model_run SET job = ?1 WHERE id = ?2", move |q| q.bind(job).bind(id)).await
    }

    pub async fn start(&self, id: i64) -> Result<()> {
        let now = self.clock.now();
        self.execute(
            "UPDATE model_run SET state = 'running', started_at = coalesce(started_at, ?1), attempts = attempts + 1 WHERE id = ?2",
            move |q| q.bind(now).bind(id),
        )
        .await
    }

    /// Where a run goes on when it is interrupted, and how far it is.
    pub async fn save(&self, id: i64, checkpoint: Json, progress: f64) -> Result<()> {
        self.execute("UPDATE model_run SET checkpoint = ?1, progress = ?2 WHERE id = ?3", move |q| {
            q.bind(checkpoint.to_string()).bind(progress).bind(id)
        })
        .await
    }

    pub async fn checkpoint(&self, id: i64) -> Result<Option<Json>> {
        let text: Option<Option<String>> = sqlx::query_scalar("SELECT checkpoint FROM model_run WHERE id = ?")
            .bind(id)
            .fetch_optional(self.db.readers())
            .await
            .map_err(db)?;
        Ok(text.flatten().and_then(|t| serde_json::from_str(&t).ok()))
    }

    /// Records the end of a run.
    pub async fn finish(
        &self,
        id: i64,
        state: RunState,
        counts: RunCounts,
        note: String,
        error: Option<String>,
    ) -> Result<()> {
        let now = self.clock.now();
        let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.execute(
            "UPDATE model_run SET state = ?1, read = ?2, evaluated = ?3, written = ?4, removed = ?5, warnings = ?6, note = ?7, error = ?8, \
             finished_at = ?9, progress = CASE ?1 WHEN 'done' THEN 1 ELSE progress END, checkpoint = NULL WHERE id = ?10",
            move |q| {
                q.bind(state.name())
                    .bind(n(counts.read))
                    .bind(n(counts.evaluated))
                    .bind(n(counts.written))
                    .bind(n(counts.removed))
                    .bind(n(counts.warnings))
                    .bind(note)
                    .bind(error)
                    .bind(now)
                    .bind(id)
            },
        )
        .await
    }

    async fn execute<F>(&self, sql: &'static str, bind: F) -> Result<()>
    where
        F: for<'q> FnOnce(
                sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments<'q>>,
            ) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments<'q>>
            + Send
            + 'static,
    {
        self.db
            .write(move |txn| {
                Box::pin(async move { bind(sqlx::query(sql)).execute(txn.conn()).await.map(|_| ()).map_err(db) })
            })
            .await?;
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }

    pub async fn schedules(&self) -> Result<BTreeMap<String, Schedule>> {
        let rows = sqlx::query("SELECT model, enabled, every_minutes FROM model_schedule")
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        let read = |row: &SqliteRow| {
            let every: i64 = row.get("every_minutes");
            let every_minutes = u32::try_from(every).unwrap_or(u32::MAX);
            (row.get("model"), Schedule { enabled: row.get("enabled"), every_minutes })
        };
        Ok(rows.iter().map(read).collect())
    }

    pub async fn set_schedule(&self, model: &str, schedule: &Schedule, by: &str) -> Result<()> {
        let (model, by, now) = (model.to_string(), by.to_string(), self.clock.now());
        let (enabled, every) = (schedule.enabled, i64::from(schedule.every_minutes));
        self.execute(
            "INSERT INTO model_schedule (model, enabled, every_minutes, changed_by, changed_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (model) DO UPDATE SET enabled = ?2, every_minutes = ?3, changed_by = ?4, changed_at = ?5",
            move |q| q.bind(model).bind(enabled).bind(every).bind(by).bind(now),
        )
        .await
    }

    /// Records warnings of a run; those that are there stay as they are. Returns how many are new.
    pub async fn warn(&self, model: &str, run: i64, warnings: Vec<NewWarning>) -> Result<u64> {
        let now = self.clock.now();
        let mut fresh = 0;
        let mut left = warnings.into_iter().peekable();
        while left.peek().is_some() {
            let chunk: Vec<NewWarning> = left.by_ref().take(CHUNK).collect();
            let model = model.to_string();
            fresh += self
                .db
                .write(move |txn| {
                    Box::pin(async move {
                        let mut fresh = 0;
                        for w in chunk {
                            let done = sqlx::query("INSERT INTO model_warning (model, key, run, title, region, link, state, raised_at) VALUES (?, ?, ?, ?, ?, ?, 'open', ?) ON CONFLICT DO NOTHING")
                                .bind(&model)
                                .bind(w.key)
                                .bind(run)
                                .bind(w.title)
                                .bind(w.region)
                                .bind(w.link)
                                .bind(now)
                                .execute(&mut *txn.conn())
                                .await
                                .map_err(db)?;
                            fresh += done.rows_affected();
                        }
                        Ok(fresh)
                    })
                })
                .await?;
        }
        Ok(fresh)
    }

    /// Closes open warnings whose reason is over.
    pub async fn close_warnings(&self, model: &str, keys: Vec<String>) -> Result<()> {
        let now = self.clock.now();
        for chunk in keys.chunks(CHUNK) {
            let (model, keys) = (model.to_string(), chunk.to_vec());
            self.db
                .write(move |txn| {
                    Box::pin(async move {
                        for key in keys {
                            sqlx::query("UPDATE model_warning SET state = 'closed', judged_at = ?1 WHERE model = ?2 AND key = ?3 AND state = 'open'")
                                .bind(now)
                                .bind(&model)
                                .bind(key)
                                .execute(&mut *txn.conn())
                                .await
                                .map_err(db)?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    /// Keys of the warnings of a model that nobody has judged and that are not over.
    pub async fn open_warnings(&self, model: &str) -> Result<Vec<String>> {
        sqlx::query_scalar("SELECT key FROM model_warning WHERE model = ? AND state = 'open'")
            .bind(model)
            .fetch_all(self.db.readers())
            .await
            .map_err(db)
    }

    /// Warnings of a model in a state (all where `None`) in regions that begin with one of the
    /// prefixes, newest first.
    pub async fn warnings(
        &self,
        model: &str,
        state: Option<WarningState>,
        regions: &[String],
        limit: u32,
    ) -> Result<Vec<Warning>> {
        let prefixes = serde_json::to_string(regions).map_err(Error::internal)?;
        let rows = sqlx::query(
            "SELECT w.* FROM model_warning w WHERE model = ?1 AND (?2 IS NULL OR state = ?2) \
             AND EXISTS (SELECT 1 FROM json_each(?3) p WHERE substr(w.region, 1, length(p.value)) = p.value) ORDER BY id DESC LIMIT ?4",
        )
        .bind(model)
        .bind(state.map(WarningState::name))
        .bind(prefixes)
        .bind(limit.min(1_000))
        .fetch_all(self.db.readers())
        .await
        .map_err(db)?;
        Ok(rows.iter().map(read_warning).collect())
    }

    pub async fn warning(&self, id: i64) -> Result<Warning> {
        let row = sqlx::query("SELECT * FROM model_warning WHERE id = ?")
            .bind(id)
            .fetch_optional(self.db.readers())
            .await
            .map_err(db)?;
        row.as_ref()
            .map(read_warning)
            .ok_or_else(|| Error::not_found("models.warning", format!("没有编号为 {id} 的模型预警")))
    }

    /// Says whether a warning was right.
    pub async fn judge(&self, id: i64, state: WarningState, note: &str, by: &str) -> Result<()> {
        let (note, by, now) = (note.to_string(), by.to_string(), self.clock.now());
        self.execute(
            "UPDATE model_warning SET state = ?1, note = ?2, judged_by = ?3, judged_at = ?4 WHERE id = ?5",
            move |q| q.bind(state.name()).bind(note).bind(by).bind(now).bind(id),
        )
        .await
    }

    /// Number of warnings of each model by state: its benefit.
    pub async fn benefit(&self) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
        let rows = sqlx::query("SELECT model, state, count(*) AS n FROM model_warning GROUP BY model, state")
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        let mut out: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for row in rows {
            let n: i64 = row.get("n");
            out.entry(row.get("model")).or_default().insert(row.get("state"), u64::try_from(n).unwrap_or(0));
        }
        Ok(out)
    }
}

fn read_run(row: &SqliteRow) -> Run {
    let n = |name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap_or(0);
    Run {
        id: row.get("id"),
        model: row.get("model"),
        version: row.get("version"),
        params: serde_json::from_str(row.get("params")).unwrap_or_default(),
        inputs: serde_json::from_str(row.get("inputs")).unwrap_or_default(),
        cause: row.get("cause"),
        owner: row.get("owner"),
        state: RunState::parse(row.get("state")),
        job: row.get("job"),
        attempts: row.get("attempts"),
        progress: row.get("progress"),
        message: row.get("message"),
        counts: RunCounts {
            read: n("read"),
            evaluated: n("evaluated"),
            written: n("written"),
            removed: n("removed"),
            warnings: n("warnings"),
        },
        note: row.get("note"),
        error: row.get("error"),
        created_at: row.get("created_at"),
        started_at: row.get("started_at"),
        finished_at: row.get("finished_at"),
    }
}

fn read_warning(row: &SqliteRow) -> Warning {
    Warning {
        id: row.get("id"),
        model: row.get("model"),
        key: row.get("key"),
        run: row.get("run"),
        title: row.get("title"),
        region: row.get("region"),
        link: row.get("link"),
        state: WarningState::parse(row.get("state")).unwrap_or(WarningState::Open),
        note: row.get("note"),
        raised_at: row.get("raised_at"),
        judged_by: row.get("judged_by"),
        judged_at: row.get("judged_at"),
    }
}

/// The key of the task that a warning of a model gives.
pub fn task_key(model: &str, warning: &str) -> String {
    format!("{model}:{warning}")
}

/// What came of a task of a model says whether its warning was right. Warnings that are judged or over stay so.
pub(super) async fn judge_in(txn: &mut Txn, task_key: &str, state: WarningState, note: &str, by: &str) -> Result<()> {
    let Some((model, key)) = task_key.split_once(':') else { return Ok(()) };
    let now = txn.now();
    sqlx::query(
        "UPDATE model_warning SET state = ?1, note = ?2, judged_by = ?3, judged_at = ?4 \
         WHERE model = ?5 AND key = ?6 AND state = 'open'",
    )
    .bind(state.name())
    .bind(note.chars().take(500).collect::<String>())
    .bind(by)
    .bind(now)
    .bind(model)
    .bind(key)
    .execute(&mut *txn.conn())
    .await
    .map_err(db)?;
    Ok(())
}
