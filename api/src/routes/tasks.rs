//! `/api/v1/tasks`: the task centre. Who may do what with a task is the task store's.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{
    Delegation, HandedOver, HistoryEntry, NewTask, Step, StepInput, Task, TaskCounts, TaskFilter, TaskView,
};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TaskParams {
    /// `mine` (default), `sent`, `done`, `region`.
    #[param(value_type = Option<String>)]
    pub view: Option<TaskView>,
    pub kind: Option<String>,
    /// `open`, `acknowledged`, `reported`, `done`, `cancelled`.
    pub status: Option<String>,
    /// `none`, `on_track`, `due_soon`, `overdue`.
    pub timeliness: Option<String>,
    pub dataset: Option<String>,
    pub record: Option<String>,
    /// Words of the title, or a task's number.
    pub q: Option<String>,
    pub offset: Option<u64>,
    /// At most 200; 50 unless given.
    pub limit: Option<u64>,
    pub lang: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct TaskList {
    #[schema(value_type = Vec<Object>)]
    pub tasks: Vec<Task>,
    pub total: u64,
    #[schema(value_type = Object)]
    pub counts: TaskCounts,
    /// The server's clock, milliseconds since 1970 UTC, for countdowns.
    pub now: i64,
}

/// List tasks
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", operation_id = "list_tasks", params(TaskParams),
    responses((status = 200, body = TaskList), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, auth: Auth, Params(params): Params<TaskParams>) -> Result<Json<TaskList>> {
    let filter = TaskFilter {
        view: params.view.unwrap_or_default(),
        kind: params.kind,
        status: params.status,
        timeliness: params.timeliness,
        dataset: params.dataset,
        record: params.record,
        q: params.q,
        offset: params.offset.unwrap_or(0),
        limit: params.limit.unwrap_or(50),
    };
    let (tasks, total) = app.store.tasks.list(&auth.principal, &filter).await?;
    let counts = app.store.tasks.counts(&auth.principal).await?;
    Ok(Json(TaskList { tasks, total, counts, now: app.clock.now() }))
}

/// A task that somebody gives.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskIn {
    pub title: String,
    #[serde(default)]
    pub detail: Option<String>,
    /// `supervision` unless given; also `handle`, `other`.
    #[serde(default)]
    pub kind: Option<String>,
    /// What it is about: a record, or a page such as a board with its choice.
    #[serde(default)]
    pub dataset: Option<String>,
    #[serde(default)]
    pub record: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
    /// A user, or else a role of a district.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub district: Option<String>,
    /// With zone.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub due_at: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// `normal`, `urgent`, `critical`.
    #[serde(default)]
    pub urgency: Option<String>,
}

/// Give somebody a task (督办, 交办), or note one for oneself
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", operation_id = "create_task", request_body = TaskIn,
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<TaskIn>,
) -> Result<(StatusCode, Json<Task>)> {
    let bad = |message: &str| crate::error::Error::user("tasks.invalid", message.to_string());
    let title = body.title.trim().to_string();
    if title.is_empty() || title.chars().count() > 200 {
        return Err(bad("请填写任务名称，最多 200 个字"));
    }
    let kind = body.kind.unwrap_or_else(|| "supervision".into());
    if !["supervision", "handle", "other"].contains(&kind.as_str()) {
        return Err(bad("类型须为 supervision、handle 或 other"));
    }
    let urgency = body.urgency.unwrap_or_else(|| "normal".into());
    if !["normal", "urgent", "critical"].contains(&urgency.as_str()) {
        return Err(bad("紧急程度须为 normal、urgent 或 critical"));
    }
    let link = body.link.filter(|l| !l.is_empty());
    if link.as_ref().is_some_and(|l| !l.starts_with('/') || l.starts_with("//") || l.contains('\\') || l.len() > 1000) {
        return Err(bad("页面须为本系统的路径"));
    }
    let new = NewTask {
        kind,
        title,
        detail: body.detail,
        dataset: body.dataset,
        record: body.record,
        link,
        district: body.district,
        owner: body.owner,
        role: body.role,
        due_at: body.due_at.map(|at| at.timestamp_millis()),
        urgency,
        ..NewTask::default()
    };
    Ok((StatusCode::CREATED, Json(app.store.tasks.give(&auth.principal, new).await?)))
}

#[derive(Serialize, ToSchema)]
pub struct TaskOut {
    #[schema(value_type = Object)]
    pub task: Task,
    #[schema(value_type = Vec<Object>)]
    pub history: Vec<HistoryEntry>,
    pub now: i64,
}

/// Get a task with its steps
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", operation_id = "get_task", params(("id" = String, Path)),
    responses((status = 200, body = TaskOut), (status = 404, body = Problem)))]
pub async fn get(State(app): State<App>, auth: Auth, Path(id): Path<String>) -> Result<Json<TaskOut>> {
    let task = app.store.tasks.get(&auth.principal, &id).await?;
    let history = app.store.tasks.history(&auth.principal, &id).await?;
    Ok(Json(TaskOut { task, history, now: app.clock.now() }))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepIn {
    /// What was done, or why.
    pub note: Option<String>,
    /// `reassign`: the user who takes it.
    pub to: Option<String>,
    /// `extend`: the new end, with zone.
    #[schema(value_type = Option<String>)]
    pub due_at: Option<chrono::DateTime<chrono::FixedOffset>>,
}

impl From<StepIn> for StepInput {
    fn from(body: StepIn) -> Self {
        Self { note: body.note, to: body.to, due_at: body.due_at.map(|at| at.timestamp_millis()) }
    }
}

/// Take a step: acknowledge, report, complete, confirm, return, explain, escalate, extend, reassign, urge, cancel
#[utoipa::path(post, path = "/api/v1/tasks/{id}/actions/{action}", tag = "tasks", operation_id = "act_on_task",
    params(("id" = String, Path), ("action" = String, Path)), request_body = StepIn,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn act(
    State(app): State<App>,
    auth: Auth,
    Path((id, action)): Path<(String, String)>,
    ValidatedJson(body): ValidatedJson<StepIn>,
) -> Result<Json<Task>> {
    let step: Step = action.parse()?;
    Ok(Json(app.store.tasks.act(&auth.principal, &id, step, body.into()).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchIn {
    pub ids: Vec<String>,
    pub action: String,
    #[serde(default)]
    pub step: StepIn,
}

#[derive(Serialize, ToSchema)]
pub struct BatchOut {
    pub done: Vec<String>,
    /// Those that were not, and why.
    pub failed: Vec<BatchFailure>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchFailure {
    pub id: String,
    pub message: String,
}

/// Take the same step with many tasks, each for itself
#[utoipa::path(post, path = "/api/v1/tasks/batch", tag = "tasks", operation_id = "act_on_tasks", request_body = BatchIn,
    responses((status = 200, body = BatchOut), (status = 400, body = Problem)))]
pub async fn batch(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<BatchIn>,
) -> Result<Json<BatchOut>> {
    let step: Step = body.action.parse()?;
    if body.ids.len() > 200 {
        return Err(crate::error::Error::user("tasks.batch", "一次最多处理 200 项任务"));
    }
    let input: StepInput = body.step.into();
    let mut out = BatchOut { done: Vec::new(), failed: Vec::new() };
    for id in body.ids {
        match app.store.tasks.act(&auth.principal, &id, step, input.clone()).await {
            Ok(_) => out.done.push(id),
            Err(error) if error.class == zonglan_catalog::ErrorClass::Internal => return Err(error.into()),
            Err(error) => out.failed.push(BatchFailure { id, message: error.message }),
        }
    }
    Ok(Json(out))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOverIn {
    pub to: String,
    /// Somebody else's work; for leaders and administrators.
    #[serde(default)]
    pub from: Option<String>,
    /// Until when new work goes there too, with zone; left out: for good.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub until: Option<chrono::DateTime<chrono::FixedOffset>>,
    pub reason: String,
}

/// Hand over all of a person's work (工作移交)
#[utoipa::path(post, path = "/api/v1/tasks/handover", tag = "tasks", operation_id = "hand_over_work", request_body = HandOverIn,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn hand_over(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<HandOverIn>,
) -> Result<Json<HandedOver>> {
    let until = body.until.map(|at| at.timestamp_millis());
    let tasks = &app.store.tasks;
    Ok(Json(tasks.hand_over(&auth.principal, body.from.as_deref(), &body.to, until, &body.reason).await?))
}

/// End a hand-over
#[utoipa::path(delete, path = "/api/v1/tasks/handover/{id}", tag = "tasks", operation_id = "end_hand_over", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn end_hand_over(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<StatusCode> {
    app.store.tasks.end_delegation(&auth.principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub struct PeopleOut {
    pub people: Vec<Person>,
    /// Hand-overs in force from and to the asker.
    #[schema(value_type = Vec<Object>)]
    pub handovers: Vec<Delegation>,
}

#[derive(Serialize, ToSchema)]
pub struct Person {
    pub username: String,
    pub name: String,
    pub roles: Vec<String>,
    pub regions: Vec<String>,
}

/// Colleagues who may be given work
#[utoipa::path(get, path = "/api/v1/tasks/people", tag = "tasks", operation_id = "list_people", responses((status = 200, body = PeopleOut)))]
pub async fn people(State(app): State<App>, auth: Auth) -> Result<Json<PeopleOut>> {
    let people = app.store.tasks.people(&auth.principal);
    let people =
        people.into_iter().map(|(username, name, roles, regions)| Person { username, name, roles, regions }).collect();
    Ok(Json(PeopleOut { people, handovers: app.store.tasks.delegations(&auth.principal.user).await? }))
}
