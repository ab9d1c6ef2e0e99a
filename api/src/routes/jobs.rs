//! `/api/v1/jobs`: long work that runs behind.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::Auth;
use crate::store::Job;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

/// Jobs of one list.
const MOST_JOBS: u32 = 200;

fn sees_all(app: &App, auth: &Auth) -> bool {
    app.catalogue().policy().may(&auth.principal, "jobs")
}

/// List one's jobs, newest first; with the action `jobs`, everybody's
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", operation_id = "list_jobs", responses((status = 200, body = Vec<Object>)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<Vec<Job>>> {
    let owner = (!sees_all(&app, &auth)).then_some(auth.principal.user.as_str());
    Ok(Json(app.store.jobs.list(owner, MOST_JOBS).await?))
}

async fn own(app: &App, auth: &Auth, id: i64) -> Result<Job> {
    let job = app.store.jobs.get(id).await?;
    if job.owner == auth.principal.user || sees_all(app, auth) {
        return Ok(job);
    }
    Err(Error::not_found("jobs.unknown", format!("没有任务 '{id}' (no such job)")))
}

/// Get a job with its progress and result
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "get_job", params(("id" = i64, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn get(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<Json<Job>> {
    Ok(Json(own(&app, &auth, id).await?))
}

/// Stop a job
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "cancel_job", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn cancel(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<StatusCode> {
    let job = own(&app, &auth, id).await?;
    app.store.jobs.cancel(job.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
