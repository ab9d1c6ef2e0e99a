//! `/api/v1/models/...`: the run engine: health, runs, schedules, warnings.

use crate::app::App;
use crate::engine::{self, ModelStatus};
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{Run, Schedule, Warning, WarningState};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::policy::WHOLE_CITY;

/// Runs or warnings of one list.
const MOST: u32 = 200;

/// Who may start and stop models: those who act on jobs.
fn must(app: &App, auth: &Auth) -> Result<()> {
    auth.must(app, "jobs")
}

/// Health, schedule and benefit of every model that runs
#[utoipa::path(get, path = "/api/v1/models/health", tag = "models", operation_id = "models_health",
    description = "健康：ok 与现有数据、规则一致，stale 有新数据或新规则，running，failing 上次失败，never 尚未运行，unavailable。效益：预警数及其中已确认、已否定、已消除的数量。",
    responses((status = 200, body = Vec<ModelStatus>), (status = 401, body = Problem)))]
pub async fn health(State(app): State<App>, _auth: Auth) -> Result<Json<Vec<ModelStatus>>> {
    Ok(Json(engine::status(&app).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRunIn {
    /// Parameters over the model's own, such as `{"as_of":"2026-03-01"}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RunOut {
    /// False: the same model, version, parameters and data had this run already.
    pub created: bool,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub run: Run,
}

/// Start a run of a model
#[utoipa::path(post, path = "/api/v1/models/{model}/runs", tag = "models", operation_id = "start_model_run",
    params(("model" = String, Path)), request_body = NewRunIn,
    description = "幂等：模型、规则版本、参数与各输入数据版本都相同的运行只有一次；已有的运行以 200 与 created=false 返回。中断的运行在程序重启后继续。",
    responses((status = 201, body = RunOut), (status = 200, body = RunOut), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn start(
    State(app): State<App>,
    auth: Auth,
    Path(model): Path<String>,
    ValidatedJson(body): ValidatedJson<NewRunIn>,
) -> Result<(StatusCode, Json<RunOut>)> {
    must(&app, &auth)?;
    let (run, created) = engine::start(&app, &model, &body.params, "manual", &auth.principal.user).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(RunOut { created, run })))
}

/// List the runs of a model, newest first
#[utoipa::path(get, path = "/api/v1/models/{model}/runs", tag = "models", operation_id = "list_model_runs", params(("model" = String, Path)),
    responses((status = 200, body = Vec<Object>), (status = 404, body = Problem)))]
pub async fn list(State(app): State<App>, _auth: Auth, Path(model): Path<String>) -> Result<Json<Vec<Run>>> {
    app.engine.model(&model)?;
    let mut out = Vec::new();
    for run in app.store.runs.list(Some(&model), MOST).await? {
        out.push(engine::with_progress(&app, run).await);
    }
    Ok(Json(out))
}

async fn one(app: &App, model: &str, id: i64) -> Result<Run> {
    let run = app.store.runs.get(id).await?;
    if run.model == model {
        return Ok(run);
    }
    Err(Error::not_found("models.run", format!("模型 '{model}' 没有运行 {id} (no such run)")))
}

/// Get a run with its progress, data versions and counts
#[utoipa::path(get, path = "/api/v1/models/{model}/runs/{id}", tag = "models", operation_id = "get_model_run",
    params(("model" = String, Path), ("id" = i64, Path)), responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn get(State(app): State<App>, _auth: Auth, Path((model, id)): Path<(String, i64)>) -> Result<Json<Run>> {
    let run = one(&app, &model, id).await?;
    Ok(Json(engine::with_progress(&app, run).await))
}

/// Stop a run
#[utoipa::path(delete, path = "/api/v1/models/{model}/runs/{id}", tag = "models", operation_id = "stop_model_run",
    params(("model" = String, Path), ("id" = i64, Path)),
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn stop(State(app): State<App>, auth: Auth, Path((model, id)): Path<(String, i64)>) -> Result<Json<Run>> {
    must(&app, &auth)?;
    one(&app, &model, id).await?;
    Ok(Json(engine::stop(&app, id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleIn {
    pub enabled: bool,
    /// How often the engine looks for new data, rules or a new day; 1 to 10,080.
    #[schema(minimum = 1, maximum = 10080)]
    pub every_minutes: u32,
}

/// Set when a model runs by itself
#[utoipa::path(put, path = "/api/v1/models/{model}/schedule", tag = "models", operation_id = "schedule_model",
    params(("model" = String, Path)), request_body = ScheduleIn,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn schedule(
    State(app): State<App>,
    auth: Auth,
    Path(model): Path<String>,
    ValidatedJson(body): ValidatedJson<ScheduleIn>,
) -> Result<StatusCode> {
    must(&app, &auth)?;
    app.engine.model(&model)?;
    if !(1..=10_080).contains(&body.every_minutes) {
        return Err(Error::user("models.schedule", "every_minutes 应在 1 与 10080（七天）之间"));
    }
    let schedule = Schedule { enabled: body.enabled, every_minutes: body.every_minutes };
    app.store.runs.set_schedule(&model, &schedule, &auth.principal.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct WarningsIn {
    /// `open`, `confirmed`, `dismissed`, `closed`; all where missing.
    pub state: Option<String>,
}

/// The regions whose warnings somebody sees: prefixes of region codes.
fn prefixes(auth: &Auth) -> Vec<String> {
    if auth.principal.regions.iter().any(|r| r == WHOLE_CITY) {
        return vec![String::new()];
    }
    auth.principal.regions.clone()
}

/// Whether somebody may see what a model writes, and so its warnings.
fn must_read(app: &App, auth: &Auth, model: &str) -> Result<()> {
    for name in app.engine.model(model)?.outputs() {
        crate::extract::readable(app, auth, name)?;
    }
    Ok(())
}

/// List the warnings that a model raised, newest first
#[utoipa::path(get, path = "/api/v1/models/{model}/warnings", tag = "models", operation_id = "list_model_warnings",
    params(("model" = String, Path), WarningsIn), responses((status = 200, body = Vec<Object>), (status = 404, body = Problem)))]
pub async fn warnings(
    State(app): State<App>,
    auth: Auth,
    Path(model): Path<String>,
    Params(asked): Params<WarningsIn>,
) -> Result<Json<Vec<Warning>>> {
    must_read(&app, &auth, &model)?;
    let state = asked.state.as_deref().map(parse).transpose()?;
    Ok(Json(app.store.runs.warnings(&model, state, &prefixes(&auth), MOST).await?))
}

fn parse(name: &str) -> Result<WarningState> {
    WarningState::parse(name).ok_or_else(|| {
        Error::user("models.warning_state", format!("没有状态 '{name}'")).hint("open、confirmed、dismissed、closed")
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeIn {
    /// `confirmed` or `dismissed`.
    pub state: String,
    /// What was found.
    #[serde(default)]
    pub note: String,
}

/// Say whether a warning was right
#[utoipa::path(patch, path = "/api/v1/models/{model}/warnings/{id}", tag = "models", operation_id = "judge_model_warning",
    params(("model" = String, Path), ("id" = i64, Path)), request_body = JudgeIn,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn judge(
    State(app): State<App>,
    auth: Auth,
    Path((model, id)): Path<(String, i64)>,
    ValidatedJson(body): ValidatedJson<JudgeIn>,
) -> Result<Json<Warning>> {
    must_read(&app, &auth, &model)?;
    let state = parse(&body.state)?;
    if !matches!(state, WarningState::Confirmed | WarningState::Dismissed) {
        return Err(Error::user("models.warning_state", "只能确认 (confirmed) 或否定 (dismissed) 预警"));
    }
    if state == WarningState::Dismissed && body.note.trim().is_empty() {
        return Err(Error::user("models.warning_note", "否定预警须说明理由 (say why)"));
    }
    let warning = app.store.runs.warning(id).await?;
    if warning.model != model || !prefixes(&auth).iter().any(|p| warning.region.starts_with(p.as_str())) {
        return Err(Error::not_found("models.warning", format!("没有编号为 {id} 的模型预警")));
    }
    let note: String = body.note.chars().take(500).collect();
    app.store.runs.judge(id, state, &note, &auth.principal.user).await?;
    // What was no warning is no work.
    if state == WarningState::Dismissed && app.catalogue().dataset(crate::store::TASKS).is_some() {
        app.store.tasks.over(vec![crate::store::task_key(&model, &warning.key)], true).await?;
    }
    Ok(Json(app.store.runs.warning(id).await?))
}
