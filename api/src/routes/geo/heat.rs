//! Densities for maps: hexagons, kernel density, clusters; of given points, or of the rows of a dataset
//! that the asker may list.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, parse_json};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use zonglan_catalog::Query;
use zonglan_catalog::query::MAX_LIMIT;

/// Rows of a dataset that are looked at.
const MOST_ROWS: usize = 100_000;
/// Points of a request.
const MOST_POINTS: usize = 500_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Counts in hexagons of `size_m` from side to side.
    Hex,
    /// Kernel density with the bandwidth `size_m`.
    Density,
    /// Points not farther than `size_m` from the middle of their cluster.
    Clusters,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeatIn {
    pub method: Method,
    /// Metres, 20 to 20,000.
    pub size_m: f64,
    /// `[lon, lat]` or `[lon, lat, weight]` in WGS-84.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<Vec<f64>>,
    /// Or a dataset with its field of places; `where` and `range` as in a query.
    #[serde(default)]
    pub dataset: Option<String>,
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default, rename = "where")]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub range: Option<Value>,
    /// Code of a region or a drawn area: only what lies in it.
    #[serde(default)]
    pub area: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct HeatOut {
    pub method: Method,
    pub size_m: f64,
    pub points: usize,
    /// True if there are more rows than were looked at.
    pub truncated: bool,
    /// For hexagons: `{at, count, weight, ring}`, the heaviest first.
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<zonglan_geo::HexBin>,
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<zonglan_geo::Cluster>,
    /// For density: a grid, row by row from the south-west, weight in a square kilometre.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<zonglan_geo::DensityGrid>,
}

/// Density of points as hexagons, kernel density or clusters
#[utoipa::path(post, path = "/api/v1/geo/heat", tag = "geo", operation_id = "point_density", request_body = HeatIn,
    responses((status = 200, body = HeatOut), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn heat(State(app): State<App>, auth: Auth, request: Request) -> Result<Json<HeatOut>> {
    let body = super::body(request).await?;
    let input: HeatIn = parse_json(&body)?;
    if !(20.0..=20_000.0).contains(&input.size_m) {
        return Err(Error::user("geo.size", "size_m 须在 20 到 20000 米之间 (metres)"));
    }
    let (points, truncated) = match &input.dataset {
        Some(dataset) => rows(&app, &auth, dataset, &input).await?,
        None => {
            if input.points.len() > MOST_POINTS {
                return Err(Error::user("geo.points", format!("一次最多 {MOST_POINTS} 个点 (points in one request)")));
            }
            let weighted = |p: &Vec<f64>| match p[..] {
                [lon, lat] => [lon, lat, 1.0],
                [lon, lat, weight, ..] => [lon, lat, weight],
                _ => [f64::NAN; 3],
            };
            (input.points.iter().map(weighted).collect(), false)
        }
    };
    let limits = match &input.area {
        Some(code) => {
            let set = super::regions::find_set(&app, code, crate::geo::today(app.clock.now()))?;
            Some((set, code.clone()))
        }
        None => None,
    };
    let (method, size_m) = (input.method, input.size_m);
    let work = move || {
        let mut points = points;
        if let Some(region) = limits.as_ref().and_then(|(set, code)| set.get(code)) {
            points.retain(|p| region.contains(p[0], p[1]));
        }
        let mut out =
            HeatOut { method, size_m, points: points.len(), truncated, bins: vec![], clusters: vec![], grid: None };
        match method {
            Method::Hex => out.bins = zonglan_geo::hex_bins(&points, size_m, zonglan_geo::HEX_ANCHOR),
            Method::Clusters => out.clusters = zonglan_geo::clusters(&points, size_m),
            Method::Density => out.grid = zonglan_geo::density(&points, size_m, 200),
        }
        out
    };
    Ok(Json(tokio::task::spawn_blocking(work).await.map_err(Error::internal)?))
}

/// The places of a dataset's rows, page by page under the asker's rights.
async fn rows(app: &App, auth: &Auth, dataset: &str, input: &HeatIn) -> Result<(Vec<[f64; 3]>, bool)> {
    let field = input.field.as_deref().unwrap_or("location");
    let mut text = json!({"dataset": dataset, "rows": [field], "limit": MAX_LIMIT});
    for (key, value) in [("where", &input.filter), ("range", &input.range)] {
        if let Some(value) = value {
            text[key] = value.clone();
        }
    }
    let mut query: Query =
        serde_json::from_value(text).map_err(|e| Error::user("request.json", format!("条件不符合要求: {e}")))?;
    let mut points = Vec::new();
    loop {
        let bound = app.bind(&auth.principal, &query)?;
        let table = app.answer_uncached(&bound, false).await?;
        crate::routes::query::note_personal_read(app, &auth.principal, &bound, table.rows.len());
        points.extend(table.rows.iter().filter_map(|row| match row.first() {
            Some(zonglan_catalog::Value::Point(lon, lat)) => Some([*lon, *lat, 1.0]),
            _ => None,
        }));
        query.cursor.clone_from(&table.meta.cursor);
        if table.meta.cursor.is_none() || table.rows.is_empty() {
            return Ok((points, false));
        }
        if points.len() >= MOST_ROWS {
            return Ok((points, true));
        }
    }
}
