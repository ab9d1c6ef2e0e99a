//! Regions by date: lists and shapes, the regions of points, the points of a region, tiles.

use super::transform::Point;
use super::{crs, problem};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, parse_json};
use axum::Json;
use axum::extract::{Path, Query as Params, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{Crs, Level, OutOfArea, Region, RegionSet};

/// Points of one request.
const MOST_POINTS: usize = 500_000;

/// A region in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RegionBrief {
    pub code: String,
    pub name: String,
    pub name_en: String,
    /// `city`, `district`, `street`, `neighbourhood_committee`, `grid_cell`, `area`.
    pub level: &'static str,
}

impl RegionBrief {
    pub fn of(region: &Region) -> Self {
        Self {
            code: region.code.clone(),
            name: region.name.clone(),
            name_en: region.name_en.clone(),
            level: region.level.id(),
        }
    }
}

pub(super) fn level(text: Option<&String>) -> Result<Level> {
    let id = text.map_or("district", String::as_str);
    Level::from_id(id).ok_or_else(|| {
        Error::user("geo.level", format!("没有级别 '{id}' (no such level)")).hint(Level::ALL.map(Level::id).join(", "))
    })
}

fn day(app: &App, date: Option<NaiveDate>) -> NaiveDate {
    date.unwrap_or_else(|| crate::geo::today(app.clock.now()))
}

/// The regions of a level on a day.
fn set_at(app: &App, level: Level, day: NaiveDate) -> Result<std::sync::Arc<RegionSet>> {
    if level == Level::Area {
        return Ok(app.geo.areas());
    }
    let history = app.geo.regions();
    let version = history.at(level, day).ok_or_else(|| {
        Error::not_found("geo.no_regions", format!("{day} 没有{}级的边界 (no boundaries of this level)", level.zh()))
            .hint("导入官方边界：POST /api/v1/geo/regions/import")
    })?;
    Ok(version.set.clone())
}

/// All regions of all levels that hold a point on a day, drawn areas too.
fn regions_of(app: &App, lon: f64, lat: f64, day: NaiveDate) -> Vec<RegionBrief> {
    let (history, areas) = (app.geo.regions(), app.geo.areas());
    let mut found: Vec<RegionBrief> =
        history.locate(lon, lat, day).into_iter().map(|(_, r)| RegionBrief::of(r)).collect();
    found.extend(areas.containing(lon, lat).into_iter().filter(|r| r.valid_on(day)).map(RegionBrief::of));
    found
}

#[derive(Deserialize, IntoParams)]
pub struct RegionParams {
    /// With `lat`: only the regions of this point.
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    /// The system of the point; `wgs84` unless given.
    pub crs: Option<String>,
    /// `district` unless given.
    pub level: Option<String>,
    /// The day; today unless given.
    #[param(value_type = Option<String>)]
    pub date: Option<NaiveDate>,
    /// Metres by which borders may move for fewer corners; common borders stay common.
    pub simplify: Option<f64>,
}

/// The regions of a level with shapes, as GeoJSON; or the regions of a point
#[utoipa::path(get, path = "/api/v1/geo/regions", tag = "geo", operation_id = "list_regions", params(RegionParams),
    responses((status = 200, body = Object, content_type = "application/geo+json"), (status = 404, body = Problem)))]
pub async fn list(State(app): State<App>, _auth: Auth, Params(params): Params<RegionParams>) -> Result<Response> {
    let level = level(params.level.as_ref())?;
    let day = day(&app, params.date);
    if let (Some(x), Some(y)) = (params.lon, params.lat) {
        let (lon, lat) = app.geo.to_wgs84(crs("crs", params.crs.as_deref().unwrap_or("wgs84"))?, x, y)?;
        let regions = regions_of(&app, lon, lat, day);
        let here = regions.iter().find(|r| r.level == level.id());
        let here = here.ok_or_else(|| {
            Error::not_found("geo.outside", format!("该点不在任何{}内 (outside all regions)", level.zh()))
        })?;
        let mut answer = serde_json::to_value(here).map_err(Error::internal)?;
        answer["regions"] = serde_json::to_value(&regions).map_err(Error::internal)?;
        answer["date"] = json!(day);
        return Ok(Json(answer).into_response());
    }
    let set = set_at(&app, level, day)?;
    let tolerance = params.simplify.unwrap_or(0.0);
    let text = tokio::task::spawn_blocking(move || {
        if tolerance > 0.0 { set.simplified(tolerance.min(5_000.0)).map(|s| s.geojson()) } else { Ok(set.geojson()) }
    })
    .await
    .map_err(Error::internal)?
    .map_err(|e| Error::internal(e.to_string()))?;
    // Boundaries of the present may be replaced by an import.
    // Drawn areas come and go while somebody looks.
    let keep = if level == Level::Area { "private, no-cache" } else { "private, max-age=60" };
    let headers = [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, keep)];
    Ok((headers, text).into_response())
}

#[derive(Deserialize, IntoParams)]
pub struct OneParams {
    #[param(value_type = Option<String>)]
    pub date: Option<NaiveDate>,
    /// `true`: with the shape.
    pub shape: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct RegionOut {
    #[serde(flatten)]
    pub brief: RegionBrief,
    /// Longitude and latitude where a label has most room.
    pub label: (f64, f64),
    /// West, south, east, north.
    pub bbox: [f64; 4],
    /// Of the shape, on the ellipsoid; water within the border counts.
    pub drawn_area_km2: f64,
    /// Official; 0 if not known.
    pub land_area_km2: f64,
    pub population_2020: u64,
    #[schema(value_type = Option<String>)]
    pub valid_from: Option<NaiveDate>,
    #[schema(value_type = Option<String>)]
    pub valid_to: Option<NaiveDate>,
    pub note: String,
    /// Codes and names that are now part of it.
    #[schema(value_type = Vec<Object>)]
    pub predecessors: Vec<zonglan_geo::Predecessor>,
    /// Longest common border first.
    #[schema(value_type = Vec<Object>)]
    pub neighbours: Vec<zonglan_geo::Neighbour>,
    /// Standard addresses within, by the gazetteer in force.
    pub addresses: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub geometry: Option<Value>,
}

/// Borders that come so near to each other are common: the shipped shapes are coarse.
const COMMON_M: f64 = 120.0;

/// One region by its code, present or former, with neighbours, area, dates
#[utoipa::path(get, path = "/api/v1/geo/regions/{code}", tag = "geo", operation_id = "get_region", params(("code" = String, Path), OneParams),
    responses((status = 200, body = RegionOut), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    _auth: Auth,
    Path(code): Path<String>,
    Params(params): Params<OneParams>,
) -> Result<Json<RegionOut>> {
    let day = day(&app, params.date);
    let set = find_set(&app, &code, day)?;
    let work = move || {
        let region = set.get(&code).or_else(|| set.resolve(&code)).ok_or_else(|| unknown(&code))?;
        let b = region.bbox();
        let round = |v: f64| (v * 1e6).round() / 1e6;
        let places = app.geo.places().ok();
        let addresses =
            places.map_or(0, |p| p.gazetteer.within(b).filter(|(lon, lat)| region.contains(*lon, *lat)).count());
        let geometry = params
            .shape
            .unwrap_or(false)
            .then(|| json!({"type": "MultiPolygon", "coordinates": region.rings().collect::<Vec<_>>()}));
        Ok::<_, Error>(RegionOut {
            brief: RegionBrief::of(region),
            label: (round(region.label.0), round(region.label.1)),
            bbox: [b.west, b.south, b.east, b.north].map(round),
            drawn_area_km2: (region.drawn_area_km2() * 1e4).round() / 1e4,
            land_area_km2: region.land_area_km2,
            population_2020: region.population_2020,
            valid_from: region.valid_from,
            valid_to: region.valid_to,
            note: region.note.clone(),
            predecessors: region.predecessors.clone(),
            neighbours: if region.level == Level::Area {
                vec![]
            } else {
                set.neighbours(&region.code, COMMON_M).unwrap_or_default()
            },
            addresses,
            geometry,
        })
    };
    Ok(Json(tokio::task::spawn_blocking(work).await.map_err(Error::internal)??))
}

fn unknown(code: &str) -> Error {
    Error::not_found("geo.region", format!("没有区划 {code} (no such region)"))
}

/// The set that holds a code on a day.
pub(super) fn find_set(app: &App, code: &str, day: NaiveDate) -> Result<std::sync::Arc<RegionSet>> {
    let history = app.geo.regions();
    let sets: Vec<_> =
        history.levels().filter_map(|l| history.at(l, day)).map(|v| v.set.clone()).chain([app.geo.areas()]).collect();
    let exact = sets.iter().find(|s| s.get(code).is_some());
    exact.or_else(|| sets.iter().find(|s| s.resolve(code).is_some())).cloned().ok_or_else(|| unknown(code))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocateIn {
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<Point>,
    #[serde(default)]
    pub crs: Option<String>,
    #[serde(default)]
    pub level: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub date: Option<NaiveDate>,
    /// Only points within a shape; otherwise those just outside all (banks, slivers) go to the nearest.
    #[serde(default)]
    pub exact: bool,
}

#[derive(Serialize, ToSchema)]
pub struct LocateOut {
    /// Codes in the order of the points; null outside.
    pub codes: Vec<Option<String>>,
    pub names: std::collections::BTreeMap<String, String>,
    pub outside: usize,
    #[schema(value_type = String)]
    pub date: NaiveDate,
    /// The version of the boundaries.
    pub boundaries: String,
}

/// The points of a request in WGS-84; NaN where one cannot be converted.
fn wgs84(app: &App, points: &[Point], name: Option<&str>) -> Result<Vec<[f64; 2]>> {
    if points.len() > MOST_POINTS {
        return Err(Error::user("geo.points", format!("一次最多 {MOST_POINTS} 个点 (points in one request)")));
    }
    let mut points: Vec<[f64; 2]> = points.iter().map(|p| p.0).collect();
    let transform = app
        .geo
        .transform(crs("crs", name.unwrap_or("wgs84"))?, Crs::Wgs84, OutOfArea::Keep)
        .map_err(|e| problem("crs", &e))?;
    for (i, _) in transform.points_in_place(&mut points) {
        points[i] = [f64::NAN; 2];
    }
    Ok(points)
}

/// The regions of many points on a day
#[utoipa::path(post, path = "/api/v1/geo/locate", tag = "geo", operation_id = "locate_points", request_body = LocateIn,
    responses((status = 200, body = LocateOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn locate(State(app): State<App>, _auth: Auth, request: Request) -> Result<Json<LocateOut>> {
    let body = super::body(request).await?;
    let work = move || {
        let input: LocateIn = parse_json(&body)?;
        let (level, day) = (level(input.level.as_ref())?, day(&app, input.date));
        let points = wgs84(&app, &input.points, input.crs.as_deref())?;
        let set = set_at(&app, level, day)?;
        let mut names = std::collections::BTreeMap::new();
        let mut codes = Vec::with_capacity(points.len());
        for [lon, lat] in points {
            let region = if input.exact { set.locate_exact(lon, lat) } else { set.locate(lon, lat) };
            let region = region.filter(|r| r.valid_on(day));
            if let Some(region) = region
                && !names.contains_key(&region.code)
            {
                names.insert(region.code.clone(), region.name.clone());
            }
            codes.push(region.map(|r| r.code.clone()));
        }
        let outside = codes.iter().filter(|c| c.is_none()).count();
        let history = app.geo.regions();
        let boundaries = history.at(level, day).map_or_else(|| "drawn".into(), |v| v.version.clone());
        Ok(Json(LocateOut { codes, names, outside, date: day, boundaries }))
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithinIn {
    /// The code of a region or drawn area.
    #[serde(default)]
    pub region: Option<String>,
    /// Or a GeoJSON (multi)polygon, in the system of the points.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub geometry: Option<Value>,
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<Point>,
    #[serde(default)]
    pub crs: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub date: Option<NaiveDate>,
}

#[derive(Serialize, ToSchema)]
pub struct WithinOut {
    /// Which of the points lie within, from 0.
    pub indices: Vec<usize>,
    pub count: usize,
}

/// Which points lie within a region, a drawn area or a polygon
#[utoipa::path(post, path = "/api/v1/geo/within", tag = "geo", operation_id = "points_within", request_body = WithinIn,
    responses((status = 200, body = WithinOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn within(State(app): State<App>, _auth: Auth, request: Request) -> Result<Json<WithinOut>> {
    let body = super::body(request).await?;
    let work = move || {
        let input: WithinIn = parse_json(&body)?;
        let points = wgs84(&app, &input.points, input.crs.as_deref())?;
        let set = match (&input.region, input.geometry) {
            (Some(code), None) => find_set(&app, code, day(&app, input.date))?,
            (None, Some(mut geometry)) => {
                let from = crs("crs", input.crs.as_deref().unwrap_or("wgs84"))?;
                let transform = app.geo.transform(from, Crs::Wgs84, OutOfArea::Keep).map_err(|e| problem("crs", &e))?;
                zonglan_geo::transform_geojson(&transform, &mut geometry)
                    .map_err(|e| Error::user("geo.geometry", e.zh()))?;
                let feature =
                    json!({"type": "Feature", "properties": {"code": "0", "name": "-"}, "geometry": geometry});
                let text = json!({"type": "FeatureCollection", "features": [feature]}).to_string();
                std::sync::Arc::new(RegionSet::from_geojson(&text).map_err(|e| Error::user("geo.geometry", e.zh()))?)
            }
            _ => return Err(Error::user("geo.within", "请给出 region 或 geometry 之一 (give one of them)")),
        };
        let code = input.region.as_deref().unwrap_or("0");
        let region = set.get(code).or_else(|| set.resolve(code)).ok_or_else(|| unknown(code))?;
        let inside = |p: &&(usize, [f64; 2])| region.contains(p.1[0], p.1[1]);
        let all: Vec<(usize, [f64; 2])> = points.into_iter().enumerate().collect();
        let indices: Vec<usize> = all.iter().filter(inside).map(|p| p.0).collect();
        Ok(Json(WithinOut { count: indices.len(), indices }))
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

#[derive(Deserialize, IntoParams)]
pub struct TileParams {
    #[param(value_type = Option<String>)]
    pub date: Option<NaiveDate>,
}

/// A vector tile (MVT) of the regions of a level
#[utoipa::path(get, path = "/api/v1/geo/tiles/{level}/{z}/{x}/{y}", tag = "geo", operation_id = "get_region_tile",
    params(("level" = String, Path), ("z" = u8, Path), ("x" = u32, Path), ("y" = String, Path), TileParams),
    responses((status = 200, body = Vec<u8>, content_type = "application/vnd.mapbox-vector-tile"), (status = 404, body = Problem)))]
pub async fn tile(
    State(app): State<App>,
    _auth: Auth,
    Path((name, z, x, y)): Path<(String, u8, u32, String)>,
    Params(params): Params<TileParams>,
) -> Result<Response> {
    let level = level(Some(&name))?;
    let missing = || Error::not_found("geo.tile", "没有这个瓦片 (no such tile)");
    // Map libraries ask for y.mvt or y.pbf.
    let y: u32 = y.split('.').next().and_then(|y| y.parse().ok()).ok_or_else(missing)?;
    let day = day(&app, params.date);
    let work = move || {
        let set = set_at(&app, level, day)?;
        // A unit of a tile of 4096 at this depth, in metres at the city's latitude.
        let unit = 40_075_016.0 / f64::from(1u32 << z.min(22)) / 4096.0 * 0.857;
        let coarse =
            if z < 11 { Some(set.simplified(unit * 4.0).map_err(|e| Error::internal(e.to_string()))?) } else { None };
        coarse.as_ref().unwrap_or(&set).tile(z, x, y).ok_or_else(missing)
    };
    let tile = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.mapbox-vector-tile")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60")),
    ];
    Ok((headers, tile).into_response())
}
