//! Boundaries by date, their import and withdrawal; drawn areas.

use super::crs;
use super::regions::level;
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::geo::regions::{Import, Imported};
use crate::geo::versions::{self, Kind, Version};
use axum::Json;
use axum::extract::{Path, Query as Params, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::Level;

/// The boundaries that were and are in force, the newest first
#[utoipa::path(get, path = "/api/v1/geo/boundaries", tag = "geo", operation_id = "list_boundaries", responses((status = 200, body = Vec<Object>)))]
pub async fn boundaries(State(app): State<App>, _auth: Auth) -> Result<Json<Value>> {
    let history = app.geo.regions();
    let in_force: Vec<_> = Level::ALL.into_iter().flat_map(|l| history.versions(l).to_vec()).collect();
    let in_force: Vec<Value> = in_force
        .iter()
        .map(|v| {
            json!({"level": v.level, "level_zh": v.level.zh(), "valid_from": v.valid_from, "version": v.version, "source": v.source, "regions": v.set.len()})
        })
        .collect();
    let mut imports = versions::list(&app.store, Kind::Regions).await?;
    imports.reverse();
    Ok(Json(json!({"in_force": in_force, "imports": imports})))
}

#[derive(Deserialize, IntoParams)]
pub struct ImportParams {
    /// Needed where the length of the codes does not tell it.
    pub level: Option<String>,
    /// The day from which the borders hold; without it since ever.
    #[param(value_type = Option<String>)]
    pub valid_from: Option<NaiveDate>,
    pub crs: Option<String>,
    pub source: Option<String>,
    pub licence: Option<String>,
    /// `true`: only the check.
    pub dry_run: Option<bool>,
    /// `true`: in force in spite of what the check found.
    pub accept_problems: Option<bool>,
}

/// Import boundaries (GeoJSON): checked against those in force, then in their place
#[utoipa::path(post, path = "/api/v1/geo/regions/import", tag = "geo", operation_id = "import_regions", params(ImportParams),
    request_body(content = Object, content_type = "application/geo+json"),
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Object, description = "The check found what stands in the way; nothing was changed")))]
pub async fn import(
    State(app): State<App>,
    auth: Auth,
    Params(params): Params<ImportParams>,
    request: Request,
) -> Result<Response> {
    auth.must(&app, "geo_import")?;
    let how = Import {
        level: params.level.as_ref().map(|l| level(Some(l))).transpose()?,
        valid_from: params.valid_from,
        source: params.source.unwrap_or_default(),
        licence: params.licence.unwrap_or_default(),
        crs: crs("crs", params.crs.as_deref().unwrap_or("wgs84"))?,
        accept_problems: params.accept_problems.unwrap_or(false),
        dry_run: params.dry_run.unwrap_or(false),
    };
    let body = super::body(request).await?;
    let imported: Imported = app.geo.import_regions(&app.store, &body, how, &auth.principal.user).await?;
    if !imported.blocked {
        return Ok(Json(imported).into_response());
    }
    // The report, and what a problem says too.
    let mut answer = serde_json::to_value(&imported).map_err(Error::internal)?;
    answer["code"] = json!("geo.regions_blocked");
    answer["detail"] = json!(format!("检查未通过，没有导入 (check failed)：{}", imported.summary.join("；")));
    answer["hint"] = json!("核对文件；确认无误时用 accept_problems=true 导入");
    Ok((StatusCode::CONFLICT, Json(answer)).into_response())
}

/// Take imported boundaries out of force
#[utoipa::path(delete, path = "/api/v1/geo/boundaries/{id}", tag = "geo", operation_id = "withdraw_regions", params(("id" = i64, Path)),
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn withdraw(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<Json<Version>> {
    auth.must(&app, "geo_import")?;
    Ok(Json(app.geo.withdraw_regions(&app.store, id, &auth.principal.user, "").await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AreaIn {
    pub name: String,
    /// GeoJSON Polygon or MultiPolygon.
    #[schema(value_type = Object)]
    pub geometry: Value,
    #[serde(default)]
    pub crs: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub valid_from: Option<NaiveDate>,
    /// The first day on which it no longer holds.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub valid_to: Option<NaiveDate>,
}

/// Keep a drawn area
#[utoipa::path(post, path = "/api/v1/geo/areas", tag = "geo", operation_id = "create_area", request_body = AreaIn,
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn create_area(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<AreaIn>,
) -> Result<(StatusCode, Json<Version>)> {
    auth.must(&app, "geo_area")?;
    let from = crs("crs", body.crs.as_deref().unwrap_or("wgs84"))?;
    let days = (body.valid_from, body.valid_to);
    let version = app.geo.add_area(&app.store, &body.name, body.geometry, from, days, &auth.principal.user).await?;
    Ok((StatusCode::CREATED, Json(version)))
}

/// Take a drawn area out of force
#[utoipa::path(delete, path = "/api/v1/geo/areas/{code}", tag = "geo", operation_id = "delete_area", params(("code" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn delete_area(State(app): State<App>, auth: Auth, Path(code): Path<String>) -> Result<StatusCode> {
    auth.must(&app, "geo_area")?;
    let any = app.catalogue().policy().may(&auth.principal, "geo_import");
    app.geo.drop_area(&app.store, &code, &auth.principal.user, any).await?;
    Ok(StatusCode::NO_CONTENT)
}
