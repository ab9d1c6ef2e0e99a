//! Addresses to places and back, one by one.

use super::transform::TransformInfo;
use super::{crs, problem};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::Auth;
use crate::geo::places::{Places, SURE};
use axum::Json;
use axum::extract::{Query as Params, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{Address, Crs, Match, OutOfArea, Transform};

/// Characters of an address that are looked at.
pub(super) const MOST_CHARACTERS: usize = 300;
/// An address farther away than this is not that of a point.
const REACH_M: f64 = 3_000.0;

/// A place found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Found {
    /// Standard address.
    pub address: String,
    pub district: String,
    pub street: String,
    pub road: String,
    /// Longitude or east, in the system asked for.
    pub lon: f64,
    /// Latitude or north.
    pub lat: f64,
    /// `number`, `crossing`, `interpolated`, `lane`, `road`, `street`, `district`.
    pub level: String,
    pub level_zh: &'static str,
    /// 0 to 1.
    pub confidence: f64,
    /// What agreed, what was corrected, what is missing.
    pub explanation: String,
}

impl Found {
    pub(super) fn new(found: Match, transform: &Transform) -> Result<Self> {
        let (x, y) = transform.point(found.lon, found.lat).map_err(|e| Error::user("geo.point", e.zh()))?;
        let level = serde_json::to_value(found.level).map_err(Error::internal)?;
        Ok(Self {
            level: level.as_str().unwrap_or_default().to_string(),
            level_zh: found.level.zh(),
            address: found.address,
            district: found.district,
            street: found.street,
            road: found.road,
            lon: rounded(x, transform),
            lat: rounded(y, transform),
            confidence: (found.confidence * 1_000.0).round() / 1_000.0,
            explanation: found.explanation,
        })
    }
}

/// To a centimetre or so: the gazetteer knows no more.
fn rounded(v: f64, transform: &Transform) -> f64 {
    let unit = if transform.to().is_geographic() { 1e7 } else { 1e3 };
    (v * unit).round() / unit
}

/// Which gazetteer answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GazetteerInfo {
    pub version: i64,
    pub source: String,
    pub addresses: usize,
    pub roads: usize,
}

impl GazetteerInfo {
    pub(super) fn of(places: &Places) -> Self {
        Self {
            version: places.version,
            source: places.source.clone(),
            addresses: places.gazetteer.len(),
            roads: places.gazetteer.roads(),
        }
    }
}

/// A part of an address as it was read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PartOut {
    pub kind: String,
    pub text: String,
}

fn parts(address: &Address) -> Vec<PartOut> {
    let kind = |k| serde_json::to_value(k).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default();
    let parts = address.parts.iter().filter(|p| !p.text.is_empty());
    parts.map(|p| PartOut { kind: kind(p.kind), text: p.text.clone() }).collect()
}

/// The address of a request, checked.
pub(super) fn address(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MOST_CHARACTERS {
        return Err(Error::user("geo.address", format!("请给出不超过 {MOST_CHARACTERS} 字的地址 (an address)")));
    }
    Ok(text)
}

/// From WGS-84 to the system asked for.
pub(super) fn out_of_wgs84(app: &App, name: Option<&str>) -> Result<Transform> {
    let to = crs("crs", name.unwrap_or("wgs84"))?;
    app.geo.transform(Crs::Wgs84, to, OutOfArea::Keep).map_err(|e| problem("crs", &e))
}

#[derive(Deserialize, IntoParams)]
pub struct GeocodeParams {
    /// The address.
    pub q: String,
    /// The system of the answer; `wgs84` unless given.
    pub crs: Option<String>,
    /// Answers at most, 1 to 10.
    pub limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub struct GeocodeOut {
    pub query: String,
    /// The address in standard form, as far as it was understood.
    pub standard: String,
    pub parts: Vec<PartOut>,
    /// The likeliest first; empty if nothing was found.
    pub matches: Vec<Found>,
    /// True if a person should look at it.
    pub review: bool,
    pub crs: String,
    pub transform: TransformInfo,
    pub gazetteer: GazetteerInfo,
}

/// Find the place of an address
#[utoipa::path(get, path = "/api/v1/geo/geocode", tag = "geo", operation_id = "geocode", params(GeocodeParams),
    responses((status = 200, body = GeocodeOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn geocode(
    State(app): State<App>,
    _auth: Auth,
    Params(params): Params<GeocodeParams>,
) -> Result<Json<GeocodeOut>> {
    let query = address(&params.q)?;
    let places = app.geo.places()?;
    let transform = out_of_wgs84(&app, params.crs.as_deref())?;
    let mut found = app.geo.geocode(&places, query);
    found.truncate(params.limit.unwrap_or(5).clamp(1, 10));
    let parsed = Address::parse(query);
    let matches: Vec<Found> = found.into_iter().map(|m| Found::new(m, &transform)).collect::<Result<_>>()?;
    Ok(Json(GeocodeOut {
        query: query.to_string(),
        standard: parsed.to_string(),
        parts: parts(&parsed),
        review: matches.first().is_none_or(|m| m.confidence < SURE),
        matches,
        crs: transform.to().to_string(),
        transform: TransformInfo::of(&transform),
        gazetteer: GazetteerInfo::of(&places),
    }))
}

#[derive(Deserialize, IntoParams)]
pub struct ReverseParams {
    /// Longitude, or east.
    pub lon: f64,
    /// Latitude, or north.
    pub lat: f64,
    /// The system of the point and of the answer; `wgs84` unless given.
    pub crs: Option<String>,
    /// Regions of this day; today unless given.
    #[param(value_type = Option<String>)]
    pub date: Option<chrono::NaiveDate>,
}

#[derive(Serialize, ToSchema)]
pub struct ReverseOut {
    /// The nearest standard address; null if none is near.
    pub address: Option<String>,
    pub district: String,
    pub street: String,
    pub road: String,
    /// Of the address, in the system of the request.
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub distance_m: Option<f64>,
    /// In words, such as 漕溪北路8号东北约30米.
    pub description: String,
    pub regions: Vec<super::regions::RegionBrief>,
    pub crs: String,
    pub transform: TransformInfo,
}

/// Eight directions from an address to a point.
fn direction(from: (f64, f64), to: (f64, f64)) -> &'static str {
    let (east, north) = ((to.0 - from.0) * from.1.to_radians().cos(), to.1 - from.1);
    let eighth = (north.atan2(east).to_degrees() / 45.0).round().rem_euclid(8.0) as usize;
    ["东", "东北", "北", "西北", "西", "西南", "南", "东南"][eighth.min(7)]
}

/// Find the address of a point
#[utoipa::path(get, path = "/api/v1/geo/reverse", tag = "geo", operation_id = "reverse_geocode", params(ReverseParams),
    responses((status = 200, body = ReverseOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn reverse(
    State(app): State<App>,
    _auth: Auth,
    Params(params): Params<ReverseParams>,
) -> Result<Json<ReverseOut>> {
    let transform = out_of_wgs84(&app, params.crs.as_deref())?;
    let here = app.geo.to_wgs84(transform.to(), params.lon, params.lat)?;
    let places = app.geo.places()?;
    let day = params.date.unwrap_or_else(|| crate::geo::today(app.clock.now()));
    let history = app.geo.regions();
    let regions: Vec<_> = history
        .locate(here.0, here.1, day)
        .into_iter()
        .map(|(_, region)| super::regions::RegionBrief::of(region))
        .collect();
    let name = |level: &str| regions.iter().find(|r| r.level == level).map(|r| r.name.clone());
    let near = places.gazetteer.reverse(here.0, here.1).filter(|n| n.distance_m <= REACH_M);
    let mut out = ReverseOut {
        address: None,
        district: name("district").unwrap_or_default(),
        street: name("street").unwrap_or_default(),
        road: String::new(),
        lon: None,
        lat: None,
        distance_m: None,
        description: String::new(),
        regions,
        crs: transform.to().to_string(),
        transform: TransformInfo::of(&transform),
    };
    if let Some(near) = near {
        let (x, y) = transform.point(near.lon, near.lat).map_err(|e| Error::user("geo.point", e.zh()))?;
        out.description = if near.distance_m < 5.0 {
            near.address.clone()
        } else {
            format!("{}{}约{:.0}米", near.address, direction((near.lon, near.lat), here), near.distance_m)
        };
        // Surveyed borders know better than the nearest house.
        if out.district.is_empty() {
            out.district = near.district;
        }
        if out.street.is_empty() {
            out.street = near.street;
        }
        out.road = near.road;
        out.address = Some(near.address);
        out.distance_m = Some((near.distance_m * 10.0).round() / 10.0);
        (out.lon, out.lat) = (Some(rounded(x, &transform)), Some(rounded(y, &transform)));
    } else {
        out.description = format!("{}{}（附近没有标准地址）", out.district, out.street);
    }
    Ok(Json(out))
}

#[derive(Deserialize, IntoParams)]
pub struct FusedParams {
    pub q: String,
}

/// An address with its place in the city's own system.
#[derive(Serialize, ToSchema)]
pub struct FusedOut {
    pub query: String,
    pub standard_address: String,
    /// 上海2000坐标系: east and north in metres (surveyors write X = north, Y = east).
    pub east: f64,
    pub north: f64,
    pub crs: &'static str,
    pub lon: f64,
    pub lat: f64,
    pub level: String,
    pub level_zh: &'static str,
    pub confidence: f64,
    pub explanation: String,
    pub review: bool,
    pub transform: TransformInfo,
}

/// 融合地址: the standard address and the 上海2000 coordinates of an address
#[utoipa::path(get, path = "/api/v1/geo/fused", tag = "geo", operation_id = "fused_address", params(FusedParams),
    responses((status = 200, body = FusedOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn fused(State(app): State<App>, _auth: Auth, Params(params): Params<FusedParams>) -> Result<Json<FusedOut>> {
    let query = address(&params.q)?;
    let places = app.geo.places()?;
    let best = app.geo.geocode(&places, query).into_iter().next();
    let best = best.ok_or_else(|| Error::not_found("geo.no_match", format!("没有找到地址「{query}」(not found)")))?;
    let transform = out_of_wgs84(&app, Some("sh2000"))?;
    let (lon, lat) = (best.lon, best.lat);
    let found = Found::new(best, &transform)?;
    Ok(Json(FusedOut {
        query: query.to_string(),
        standard_address: found.address,
        east: found.lon,
        north: found.lat,
        crs: "sh2000",
        lon,
        lat,
        level: found.level,
        level_zh: found.level_zh,
        review: found.confidence < SURE,
        confidence: found.confidence,
        explanation: found.explanation,
        transform: TransformInfo::of(&transform),
    }))
}
