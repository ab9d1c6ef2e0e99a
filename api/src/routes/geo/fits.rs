//! Control points over HTTP: try a fit, keep it, sign it off, withdraw it.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::geo::fits::{self, Fit, FitIn};
use crate::geo::versions::{self, Kind, Version};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
pub struct FitParams {
    /// `true`: only the report, nothing is kept.
    pub dry_run: Option<bool>,
}

/// Fit control points: the report with residuals, and a draft to be signed off by somebody else
#[utoipa::path(post, path = "/api/v1/geo/fits", tag = "geo", operation_id = "create_fit", request_body = FitIn, params(FitParams),
    responses((status = 200, body = Object, description = "The report of a dry run"), (status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    Params(params): Params<FitParams>,
    ValidatedJson(input): ValidatedJson<FitIn>,
) -> Result<Response> {
    let dry = params.dry_run.unwrap_or(false);
    if !dry {
        auth.must(&app, "geo_fit")?;
    }
    let fit: Fit = tokio::task::spawn_blocking(move || fits::solve(input)).await.map_err(Error::internal)??;
    if dry {
        return Ok(Json(fit).into_response());
    }
    let version = app.geo.keep_fit(&app.store, &fit, &auth.principal.user).await?;
    Ok((StatusCode::CREATED, Json(version)).into_response())
}

/// All fits, the newest first, with who made and who decided
#[utoipa::path(get, path = "/api/v1/geo/fits", tag = "geo", operation_id = "list_fits", responses((status = 200, body = Vec<Object>)))]
pub async fn list(State(app): State<App>, _auth: Auth) -> Result<Json<Vec<Version>>> {
    let mut all = versions::list(&app.store, Kind::Fit).await?;
    all.reverse();
    Ok(Json(all))
}

/// What is done with a fit.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Put in force, by another person than the one who made it.
    Sign,
    /// Reject a draft, or withdraw what is in force.
    Drop,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionIn {
    pub decision: Decision,
    #[serde(default)]
    pub remark: String,
}

/// Sign a fit off, or drop it
#[utoipa::path(post, path = "/api/v1/geo/fits/{id}/decision", tag = "geo", operation_id = "decide_fit", params(("id" = i64, Path)), request_body = DecisionIn,
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn decide(
    State(app): State<App>,
    auth: Auth,
    Path(id): Path<i64>,
    ValidatedJson(body): ValidatedJson<DecisionIn>,
) -> Result<Json<Version>> {
    auth.must(&app, "geo_sign")?;
    let by = &auth.principal.user;
    Ok(Json(match body.decision {
        Decision::Sign => app.geo.sign_fit(&app.store, id, by, &body.remark).await?,
        Decision::Drop => app.geo.drop_fit(&app.store, id, by, &body.remark).await?,
    }))
}
