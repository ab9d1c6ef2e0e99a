//! `/api/v1/geo`: conversion of coordinates, and the districts.

use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use axum::Json;
use axum::extract::Query as Params;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::error::FieldError;
use zonglan_geo::{Crs, GeoError, RegionSet, Transform};

/// Points of one request.
const MOST_POINTS: usize = 100_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformIn {
    /// `wgs84`, `cgcs2000`, `gcj02`, `bd09`, `web-mercator`, `sh2000`, `shcity` or `epsg:NNNN`.
    pub from: String,
    pub to: String,
    /// `[x, y]`: longitude and latitude, or east and north.
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<[f64; 2]>,
}

#[derive(Serialize, ToSchema)]
pub struct TransformOut {
    /// In the order of the input; null where there is an error.
    #[schema(value_type = Vec<Option<Vec<f64>>>)]
    pub points: Vec<Option<[f64; 2]>>,
    pub errors: Vec<TransformError>,
    pub transform: TransformInfo,
}

#[derive(Serialize, ToSchema)]
pub struct TransformError {
    pub index: usize,
    pub reason: String,
    pub code: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct TransformInfo {
    pub version: String,
    /// `verified` or `unverified`.
    #[schema(value_type = String)]
    pub status: zonglan_geo::Status,
    pub accuracy_m: Option<f64>,
}

pub fn crs(field: &str, text: &str) -> Result<Crs> {
    Crs::from_str(text).map_err(|error| problem(field, &error))
}

pub fn problem(field: &str, error: &GeoError) -> Error {
    if error.is_user_error() {
        let known: Vec<String> = Crs::NAMED.iter().map(ToString::to_string).collect();
        Error::user("geo.crs", error.zh())
            .hint(format!("{} 或 epsg:NNNN", known.join(", ")))
            .fields(vec![FieldError { field: field.into(), message: error.to_string() }])
    } else {
        Error::internal(error.to_string())
    }
}

/// Convert coordinates
#[utoipa::path(post, path = "/api/v1/geo/transform", tag = "geo", operation_id = "transform_points", request_body = TransformIn,
    responses((status = 200, body = TransformOut), (status = 400, body = Problem)))]
pub async fn transform(_auth: Auth, ValidatedJson(body): ValidatedJson<TransformIn>) -> Result<Json<TransformOut>> {
    if body.points.len() > MOST_POINTS {
        return Err(Error::user("geo.points", format!("一次最多 {MOST_POINTS} 个点 (points in one request)")));
    }
    let (from, to) = (crs("from", &body.from)?, crs("to", &body.to)?);
    // PROJ may have to open its database, and a full request takes some milliseconds.
    let (batch, info) = tokio::task::spawn_blocking(move || {
        let transform = Transform::new(from, to)?;
        Ok::<_, GeoError>((transform.points(&body.points), transform.info().clone()))
    })
    .await
    .map_err(Error::internal)?
    .map_err(|error| problem("to", &error))?;
    let errors = batch
        .errors
        .iter()
        .map(|(index, error)| TransformError { index: *index, reason: error.zh(), code: error.code() })
        .collect();
    let transform = TransformInfo { version: info.version, status: info.status, accuracy_m: info.accuracy_m };
    Ok(Json(TransformOut { points: batch.points, errors, transform }))
}

#[derive(Deserialize, IntoParams)]
pub struct RegionParams {
    /// With `lat`: only the region of this point (WGS-84).
    pub lon: Option<f64>,
    pub lat: Option<f64>,
}

/// The districts with shapes and facts, as GeoJSON; or the one of a point
#[utoipa::path(get, path = "/api/v1/geo/regions", tag = "geo", operation_id = "list_regions", params(RegionParams),
    responses((status = 200, body = Object, content_type = "application/geo+json"), (status = 404, body = Problem)))]
pub async fn regions(_auth: Auth, Params(params): Params<RegionParams>) -> Result<Response> {
    let set = RegionSet::shanghai();
    if let (Some(lon), Some(lat)) = (params.lon, params.lat) {
        let region = set
            .locate(lon, lat)
            .ok_or_else(|| Error::not_found("geo.outside", "该点不在任何区内 (outside all districts)"))?;
        return Ok(Json(serde_json::json!({"code": region.code, "name": region.name, "name_en": region.name_en, "level": region.level})).into_response());
    }
    let headers = [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, "private, max-age=86400")];
    Ok((headers, set.geojson()).into_response())
}
