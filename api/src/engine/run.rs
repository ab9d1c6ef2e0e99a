//! Starting, doing, stopping and watching runs.

use super::{Model, Running};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{JobContext, JobHandler, NewRun, Run, RunCounts, RunState, Schedule};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use utoipa::ToSchema;
use zonglan_catalog::traits::{Notice, Notifier, QueryEngine};
use zonglan_catalog::{Batch, Value};

/// The name of the jobs that do runs.
pub const MODEL_RUN: &str = "model_run";

/// The dataset of finished runs.
const RUNS: &str = "model_run";

/// Who runs what the schedule starts.
const SCHEDULER: &str = "schedule";

/// How often the schedule is looked at.
const TICK: Duration = Duration::from_secs(20);

/// The registered models and when each was looked at last.
pub struct Engine {
    models: Vec<Arc<dyn Model>>,
    looked: Mutex<HashMap<&'static str, i64>>,
}

/// How a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Its results are those of the data and rules in force.
    Ok,
    /// Data or rules changed since its last good run.
    Stale,
    Running,
    /// Its last run failed.
    Failing,
    /// It never ran.
    Never,
    /// A dataset that it needs is not declared in this instance.
    Unavailable,
}

/// A model with its schedule, health and benefit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelStatus {
    pub name: &'static str,
    pub label: String,
    pub label_en: String,
    pub health: Health,
    /// Why, in a sentence.
    pub reason: String,
    pub version: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<&'static str>,
    pub params: Json,
    pub enabled: bool,
    pub every_minutes: u32,
    /// Warnings raised, and how many of them people confirmed, dismissed, or that are over.
    pub warnings: u64,
    pub confirmed: u64,
    pub dismissed: u64,
    pub closed: u64,
    #[schema(value_type = Object)]
    pub last: Option<Run>,
    /// The last run that ended well.
    #[schema(value_type = Object)]
    pub last_good: Option<Run>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { models: super::models(), looked: Mutex::default() }
    }
}

impl Engine {
    pub fn models(&self) -> &[Arc<dyn Model>] {
        &self.models
    }

    pub fn model(&self, name: &str) -> Result<&Arc<dyn Model>> {
        self.models.iter().find(|m| m.name() == name).ok_or_else(|| {
            let known: Vec<_> = self.models.iter().map(|m| m.name()).collect();
            Error::not_found("models.unknown", format!("没有可运行的模型 '{name}' (no such model)"))
                .hint(format!("可运行的模型：{}", known.join("、")))
        })
    }
}

/// Whether every dataset of a model is declared; else the first that is not.
fn undeclared(app: &App, model: &dyn Model) -> Option<String> {
    let catalogue = app.catalogue();
    let reads = model.reads(&catalogue);
    if reads.is_empty() {
        return Some("streams/*.toml".into());
    }
    let writes = model.outputs().into_iter().map(String::from);
    reads.into_iter().chain(writes).find(|name| catalogue.dataset(name).is_none())
}

fn versions(app: &App, model: &dyn Model) -> BTreeMap<String, u64> {
    let version = |name: &str| QueryEngine::state(&app.columns, name).version;
    model.reads(&app.catalogue()).into_iter().map(|name| (name.clone(), version(&name))).collect()
}

fn key(model: &str, version: &str, params: &Json, inputs: &BTreeMap<String, u64>) -> String {
    let text = json!([model, version, params, inputs]).to_string();
    blake3::hash(text.as_bytes()).to_hex()[..32].to_string()
}

/// The parameters of a run: the model's own, with those of the caller over them.
fn merged(model: &dyn Model, app: &App, given: &Json) -> Result<Json> {
    let mut params = model.params(app);
    let (Some(own), Some(given)) = (params.as_object_mut(), given.as_object()) else {
        return if given.is_null() {
            Ok(params)
        } else {
            Err(Error::user("models.params", "params 应为对象 (params must be an object)"))
        };
    };
    for (name, value) in given {
        if !own.contains_key(name) {
            let known: Vec<_> = own.keys().cloned().collect();
            return Err(Error::user("models.params", format!("没有参数 '{name}'"))
                .hint(format!("可用的参数：{}", known.join("、"))));
        }
        own.insert(name.clone(), value.clone());
    }
    Ok(params)
}

/// Starts a run, or returns the one that is the same. `true`: it is new.
pub async fn start(app: &App, name: &str, given: &Json, cause: &'static str, owner: &str) -> Result<(Run, bool)> {
    let model = app.engine.model(name)?.clone();
    if let Some(missing) = undeclared(app, &*model) {
        return Err(Error::user("models.unavailable", format!("本实例没有模型所需的数据集 '{missing}'"))
            .hint("在配置的 packs 中启用声明该数据集的系统"));
    }
    let params = merged(&*model, app, given)?;
    let version = model.version(app)?;
    let inputs = versions(app, &*model);
    let key = key(name, &version, &params, &inputs);
    let new = NewRun { model: name.into(), version, key, params, inputs, cause, owner: owner.into() };
    let (run, fresh) = app.store.runs.create(new).await?;
    if fresh {
        submit(app, &run).await?;
        return Ok((app.store.runs.get(run.id).await?, true));
    }
    Ok((run, false))
}

/// Starts a run by the machine itself and waits for its end.
pub async fn run_to_end(app: &App, name: &str) -> Result<Run> {
    let mut changes = app.store.runs.changes();
    let (mut run, _) = start(app, name, &Json::Null, "schedule", SCHEDULER).await?;
    while !run.state.is_over() {
        // The end of a run ticks; the pause is for a tick that came in between.
        let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        run = app.store.runs.get(run.id).await?;
    }
    Ok(run)
}

async fn submit(app: &App, run: &Run) -> Result<()> {
    let label = app.engine.model(&run.model)?.label().zh;
    let job =
        app.store.jobs.submit(&run.owner, MODEL_RUN, &format!("模型运行 {label}"), json!({"run": run.id})).await?;
    Ok(app.store.runs.set_job(run.id, job.id).await?)
}

/// Asks a run to stop. What it has written stays.
pub async fn stop(app: &App, id: i64) -> Result<Run> {
    let run = app.store.runs.get(id).await?;
    if run.state.is_over() {
        return Err(Error::user("models.over", format!("运行 {id} 已结束 ({})", run.state.name())));
    }
    if let Some(job) = run.job {
        app.store.jobs.cancel(job).await?;
    }
    // A job ends when its model looks; one that waits for a slot never gets to look.
    if run.state == RunState::Queued {
        app.store.runs.finish(id, RunState::Stopped, RunCounts::default(), String::new(), None).await?;
    }
    Ok(app.store.runs.get(id).await?)
}

/// A run with the progress of its job.
pub async fn with_progress(app: &App, mut run: Run) -> Run {
    if run.state == RunState::Running
        && let Some(job) = run.job
        && let Ok(job) = app.store.jobs.get(job).await
    {
        run.progress = job.progress.max(run.progress);
        run.message = job.message;
    }
    run
}

struct Handler {
    app: App,
}

#[async_trait]
impl JobHandler for Handler {
    async fn run(&self, context: JobContext, params: Json) -> zonglan_catalog::Result<Json> {
        let runs = &self.app.store.runs;
        let id = params["run"].as_i64().unwrap_or_default();
        let record = runs.get(id).await?;
        if record.state.is_over() {
            return Ok(json!({"run": id, "state": record.state}));
        }
        runs.start(id).await?;
        let resumed = runs.checkpoint(id).await?;
        let model = self.app.engine.model(&record.model).map_err(|e| *e.0)?.clone();
        let running = Arc::new(Running::new(&self.app, runs.get(id).await?, resumed, context.clone()));
        let work = running.clone();
        let outcome = tokio::task::spawn_blocking(move || model.run(&work))
            .await
            .unwrap_or_else(|panic| Err(Error::internal(panic)));
        let (counts, note) = running.outcome();
        let ended = match &outcome {
            Ok(()) => Some(RunState::Done),
            Err(_) if self.app.stopping.is_cancelled() => None,
            Err(_) if context.cancel.is_cancelled() => Some(RunState::Stopped),
            Err(_) => Some(RunState::Failed),
        };
        if let Some(state) = ended {
            let running = running.clone();
            let now = self.app.clock.now();
            let told = tokio::task::spawn_blocking(move || row(&running, state, now)).await;
            if let Ok(Err(error)) = told {
                tracing::warn!(run = id, error = %error.0, "the run is not in the dataset of runs");
            }
        }
        match outcome {
            Ok(()) => {
                runs.finish(id, RunState::Done, counts, note, None).await?;
                Ok(json!({"run": id, "counts": counts}))
            }
            // The program ends: the run stays as it is and goes on at the next start.
            Err(error) if self.app.stopping.is_cancelled() => Err(*error.0),
            Err(error) if context.cancel.is_cancelled() => {
                runs.finish(id, RunState::Stopped, counts, note, None).await?;
                Err(*error.0)
            }
            Err(error) => {
                tracing::warn!(model = record.model, run = id, error = %error.0, "model run failed");
                let text = if error.class() == zonglan_catalog::error::ErrorClass::Internal {
                    format!("内部错误，运行编号 {id}，详见日志")
                } else {
                    error.0.to_string()
                };
                runs.finish(id, RunState::Failed, counts, note, Some(text.clone())).await?;
                alert(&self.app, &running, &text).await;
                Err(*error.0)
            }
        }
    }
}

/// The run as a row of the dataset of runs, for boards and queries.
fn row(running: &Running, state: RunState, now: i64) -> Result<()> {
    let Some(dataset) = running.catalogue.dataset(RUNS).cloned() else { return Ok(()) };
    let run = &running.record;
    let (counts, _) = running.outcome();
    let text = |t: &str| Value::Text(t.to_string());
    let int = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let started = run.started_at.unwrap_or(run.created_at);
    let inputs: Vec<String> = run.inputs.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    let label = running.app.engine.model(&run.model).map(|m| m.label().zh).unwrap_or_default();
    let fields = BTreeMap::from([
        ("id".to_string(), Value::Int(run.id)),
        ("model".to_string(), text(&run.model)),
        ("label".to_string(), Value::Text(label)),
        ("version".to_string(), text(&run.version)),
        ("state".to_string(), text(state.name())),
        ("cause".to_string(), text(&run.cause)),
        ("started_at".to_string(), Value::Instant(started)),
        ("seconds".to_string(), Value::Decimal { units: now - started, scale: 3 }),
        ("rows_read".to_string(), int(counts.read)),
        ("evaluated".to_string(), int(counts.evaluated)),
        ("written".to_string(), int(counts.written)),
        ("removed".to_string(), int(counts.removed)),
        ("warnings".to_string(), int(counts.warnings)),
        ("inputs".to_string(), Value::Text(inputs.join(", "))),
    ]);
    let mut batch = Batch::new(&dataset);
    batch.push_fields(&dataset, &fields);
    running.put(&dataset, &[batch], &[])?;
    Ok(())
}

/// Tells those who may act on jobs, and who started it, that a run failed.
async fn alert(app: &App, running: &Running, text: &str) {
    let run = &running.record;
    let label = app.engine.model(&run.model).map(|m| m.label().zh).unwrap_or_default();
    let catalogue = app.catalogue();
    let acts = |roles: &[String]| {
        roles.iter().any(|r| catalogue.policy().role(r).is_some_and(|r| r.actions.iter().any(|a| a == "jobs")))
    };
    let users = app.store.identity.users();
    let mut told: Vec<String> = users
        .into_iter()
        .filter(|u| !u.disabled && (u.username == run.owner || acts(&u.roles)))
        .map(|u| u.username)
        .collect();
    told.sort();
    told.dedup();
    for to in told {
        let notice = Notice {
            to,
            title: format!("模型「{label}」运行失败"),
            body: text.to_string(),
            link: Some(format!("/models?model={}", run.model)),
            key: format!("model_run:{}:failed", run.id),
        };
        if let Err(error) = app.store.notices.notify(&notice).await {
            tracing::error!(%error, "nobody could be told of a failed model run");
        }
    }
}

/// Registers the jobs; before [`crate::store::Jobs::start`].
pub fn register(app: &App) {
    app.store.jobs.register(MODEL_RUN, Arc::new(Handler { app: app.clone() }));
}

/// Takes up runs that the program's end interrupted. After [`crate::store::Jobs::start`].
pub async fn resume(app: &App) -> Result<()> {
    for run in app.store.runs.unfinished().await? {
        let live = match run.job {
            Some(job) => app.store.jobs.get(job).await.is_ok_and(|job| !job.state.is_over()),
            None => false,
        };
        if live {
            continue;
        }
        match app.engine.model(&run.model) {
            Ok(_) => submit(app, &run).await?,
            Err(error) => {
                let text = Some(error.0.to_string());
                app.store.runs.finish(run.id, RunState::Failed, RunCounts::default(), String::new(), text).await?;
            }
        }
    }
    Ok(())
}

/// When a model runs by itself.
fn schedule_of(model: &dyn Model, set: &BTreeMap<String, Schedule>) -> Schedule {
    set.get(model.name()).cloned().unwrap_or(Schedule {
        enabled: model.every_minutes().is_some(),
        every_minutes: model.every_minutes().unwrap_or(60),
    })
}

/// Looks at each model when its time has come, until the program stops. Nothing runs where data,
/// rules and parameters are those of a run that is done.
pub async fn scheduler(app: App) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = app.stopping.cancelled() => return,
        }
        if let Err(error) = tick(&app).await {
            tracing::warn!(error = %error.0, "the schedule of models was not looked at");
        }
    }
}

async fn tick(app: &App) -> Result<()> {
    let set = app.store.runs.schedules().await?;
    let now = app.clock.now();
    for model in app.engine.models() {
        let schedule = schedule_of(&**model, &set);
        if !schedule.enabled || undeclared(app, &**model).is_some() || is_busy(app, model.name()).await? {
            continue;
        }
        {
            let mut looked = app.engine.looked.lock().unwrap_or_else(PoisonError::into_inner);
            // The first look is a whole interval after the start, when the data has settled.
            let last = *looked.entry(model.name()).or_insert(now);
            if now - last < i64::from(schedule.every_minutes) * 60_000 {
                continue;
            }
            looked.insert(model.name(), now);
        }
        let empty = versions(app, &**model).values().all(|v| *v == 0);
        if !empty && let Err(error) = start(app, model.name(), &Json::Null, "schedule", SCHEDULER).await {
            tracing::warn!(model = model.name(), error = %error.0, "scheduled run not started");
        }
    }
    Ok(())
}

async fn is_busy(app: &App, model: &str) -> Result<bool> {
    Ok(app.store.runs.unfinished().await?.iter().any(|run| run.model == model))
}

/// Every model with schedule, health and benefit.
pub async fn status(app: &App) -> Result<Vec<ModelStatus>> {
    let set = app.store.runs.schedules().await?;
    let benefit = app.store.runs.benefit().await?;
    let mut out = Vec::new();
    for model in app.engine.models() {
        let name = model.name();
        let last = app.store.runs.list(Some(name), 1).await?.into_iter().next();
        let last = match last {
            Some(run) => Some(with_progress(app, run).await),
            None => None,
        };
        let last_good = app.store.runs.last(name, RunState::Done).await?;
        let version = model.version(app);
        let params = model.params(app);
        let (health, reason) = match (&last, undeclared(app, &**model), &version) {
            (_, Some(missing), _) => (Health::Unavailable, format!("本实例没有数据集 {missing}")),
            (_, _, Err(error)) => (Health::Failing, error.0.to_string()),
            (Some(run), _, _) if !run.state.is_over() => (Health::Running, format!("运行 {} 进行中", run.id)),
            (Some(run), _, _) if run.state == RunState::Failed => {
                (Health::Failing, run.error.clone().unwrap_or_default())
            }
            (_, _, Ok(version)) => fresh(app, &**model, version, &params, last_good.as_ref()),
        };
        let schedule = schedule_of(&**model, &set);
        let counts = benefit.get(name);
        let count = |state: &str| counts.and_then(|c| c.get(state)).copied().unwrap_or(0);
        out.push(ModelStatus {
            name,
            label: model.label().zh,
            label_en: model.label().en,
            health,
            reason,
            version: version.unwrap_or_default(),
            inputs: model.reads(&app.catalogue()),
            outputs: model.outputs(),
            params,
            enabled: schedule.enabled,
            every_minutes: schedule.every_minutes,
            warnings: counts.map_or(0, |c| c.values().sum()),
            confirmed: count("confirmed"),
            dismissed: count("dismissed"),
            closed: count("closed"),
            last,
            last_good,
        });
    }
    Ok(out)
}

/// Whether the last good run is of the rules, data and parameters in force.
fn fresh(app: &App, model: &dyn Model, version: &str, params: &Json, good: Option<&Run>) -> (Health, String) {
    let Some(run) = good else { return (Health::Never, "尚未运行".into()) };
    let now = versions(app, model);
    let changed: Vec<&str> =
        now.iter().filter(|(name, v)| run.inputs.get(*name) != Some(v)).map(|(name, _)| name.as_str()).collect();
    if run.version != version {
        (Health::Stale, format!("规则已更新：{} → {version}", run.version))
    } else if !changed.is_empty() {
        (Health::Stale, format!("数据已更新：{}", changed.join("、")))
    } else if run.params != *params {
        (Health::Stale, "计算参数已变化".into())
    } else {
        (Health::Ok, "结果与现有数据、规则一致".into())
    }
}
