//! Addresses: to places and back, one by one, in batches, with review of the unsure; the gazetteer.

use super::transform::TransformInfo;
use super::{crs, problem};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson, parse_json};
use crate::geo::pipe::BodyReader;
use crate::geo::places::{Imported, Places, Reviewed, SURE};
use axum::Json;
use axum::body::Body;
use axum::extract::{Query as Params, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::io::{BufReader, BufWriter, Seek};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{Address, Column, Crs, Match, OutOfArea, Transform, append_columns};

/// Addresses of one JSON request; a CSV may have any number.
const MOST_ADDRESSES: usize = 50_000;
/// Characters of an address that are looked at.
const MOST_CHARACTERS: usize = 300;
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
    fn new(found: Match, transform: &Transform) -> Result<Self> {
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
    fn of(places: &Places) -> Self {
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
fn address(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MOST_CHARACTERS {
        return Err(Error::user("geo.address", format!("请给出不超过 {MOST_CHARACTERS} 字的地址 (an address)")));
    }
    Ok(text)
}

/// From WGS-84 to the system asked for.
fn out_of_wgs84(app: &App, name: Option<&str>) -> Result<Transform> {
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchIn {
    pub addresses: Vec<String>,
    #[serde(default)]
    pub crs: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchRow {
    pub index: usize,
    pub query: String,
    /// The likeliest; null if nothing was found.
    pub best: Option<Found>,
    /// True if a person should look at it.
    pub review: bool,
    /// For rows to be reviewed: the next likeliest.
    pub others: Vec<Found>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchOut {
    pub results: Vec<BatchRow>,
    pub found: usize,
    pub review: usize,
    pub not_found: usize,
    pub crs: String,
    pub transform: TransformInfo,
    pub gazetteer: GazetteerInfo,
}

#[derive(Deserialize, IntoParams)]
pub struct BatchParams {
    /// For CSV: the system of the new columns; `wgs84` unless given.
    pub crs: Option<String>,
    /// For CSV: the column of the address; `address` or 地址 unless given.
    pub column: Option<String>,
}

/// Find many addresses: JSON, or a CSV of any length that comes back with more columns
#[utoipa::path(post, path = "/api/v1/geo/geocode", tag = "geo", operation_id = "geocode_batch", request_body = BatchIn, params(BatchParams),
    responses((status = 200, body = BatchOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn batch(
    State(app): State<App>,
    _auth: Auth,
    Params(params): Params<BatchParams>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/csv") {
        return csv(app, params, request).await;
    }
    let body = super::body(request).await?;
    let input: BatchIn = parse_json(&body)?;
    if input.addresses.len() > MOST_ADDRESSES {
        return Err(Error::user(
            "geo.addresses",
            format!("一次最多 {MOST_ADDRESSES} 个地址 (addresses in one request)"),
        )
        .hint("更多的地址请作为 text/csv 上传，没有上限"));
    }
    let places = app.geo.places()?;
    let transform = out_of_wgs84(&app, input.crs.as_deref())?;
    let out = tokio::task::spawn_blocking(move || {
        let mut out = BatchOut {
            results: Vec::with_capacity(input.addresses.len()),
            found: 0,
            review: 0,
            not_found: 0,
            crs: transform.to().to_string(),
            transform: TransformInfo::of(&transform),
            gazetteer: GazetteerInfo::of(&places),
        };
        for (index, query) in input.addresses.into_iter().enumerate() {
            let text: String = query.chars().take(MOST_CHARACTERS).collect();
            let found = app.geo.geocode(&places, &text);
            let found = found.into_iter().take(4).map(|m| Found::new(m, &transform));
            let mut found = found.collect::<Result<Vec<_>>>()?.into_iter();
            let best = found.next();
            let review = best.as_ref().is_none_or(|b| b.confidence < SURE);
            out.found += usize::from(best.is_some());
            out.not_found += usize::from(best.is_none());
            out.review += usize::from(review && best.is_some());
            let others = if review { found.collect() } else { vec![] };
            out.results.push(BatchRow { index, query, best, review, others });
        }
        Ok::<_, Error>(out)
    })
    .await
    .map_err(Error::internal)??;
    Ok(Json(out).into_response())
}

async fn csv(app: App, params: BatchParams, request: Request) -> Result<Response> {
    let places = app.geo.places()?;
    let transform = out_of_wgs84(&app, params.crs.as_deref())?;
    let reader = BodyReader::new(request.into_body());
    let spool = app.folder("spool").map_err(Error::internal)?;
    let work = move || {
        let mut file = tempfile::tempfile_in(&spool).map_err(Error::internal)?;
        let writer = BufWriter::with_capacity(1 << 18, &mut file);
        let to = transform.to();
        let names = [
            "standard_address".into(),
            format!("x_{to}"),
            format!("y_{to}"),
            "level".into(),
            "confidence".into(),
            "review".into(),
            "explanation".into(),
        ];
        let row = |cells: &[String]| {
            let text: String = cells[0].chars().take(MOST_CHARACTERS).collect();
            let found = app.geo.geocode(&places, &text).into_iter().next().and_then(|m| Found::new(m, &transform).ok());
            match found {
                Some(f) => vec![
                    f.address,
                    f.lon.to_string(),
                    f.lat.to_string(),
                    f.level,
                    format!("{:.3}", f.confidence),
                    u8::from(f.confidence < SURE).to_string(),
                    f.explanation,
                ],
                None => {
                    let empty = String::new;
                    vec![empty(), empty(), empty(), empty(), "0".into(), "1".into(), "没有找到".into()]
                }
            }
        };
        let mut input = BufReader::with_capacity(1 << 17, reader);
        let column = column_of(&mut input, params.column)?;
        append_columns(input, writer, b',', &[column], &names, row)
            .map_err(|e| Error::user("geo.columns", e.to_string()))?;
        file.rewind().map_err(Error::internal)?;
        Ok::<_, Error>(file)
    };
    // Many clients do not read before they have sent all: the answer waits in the spool.
    let file = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"))];
    Ok((kind, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)))).into_response())
}

/// The column of addresses: as asked for, or by its usual names.
fn column_of(input: &mut impl std::io::BufRead, asked: Option<String>) -> Result<Column> {
    if let Some(name) = asked {
        return Ok(Column::Name(name));
    }
    let ahead = input.fill_buf().map_err(Error::internal)?;
    let line = String::from_utf8_lossy(ahead.split(|b| *b == b'\n').next().unwrap_or_default()).into_owned();
    let header: Vec<&str> = line.split(',').map(|h| h.trim().trim_matches(['"', '\u{feff}'])).collect();
    ["address", "地址", "详细地址", "标准地址", "事发地址", "发生地址"]
        .into_iter()
        .find(|name| header.iter().any(|h| h.eq_ignore_ascii_case(name)))
        .map(|name| Column::Name(name.into()))
        .ok_or_else(|| {
            Error::user("geo.columns", format!("请用 column 指明地址所在的列 (column): {}", header.join(", ")))
        })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewIn {
    /// The address as it was asked.
    pub query: String,
    /// The standard address that it means.
    pub address: String,
    /// A place for an address that the gazetteer does not have, with its system.
    #[serde(default)]
    pub lon: Option<f64>,
    #[serde(default)]
    pub lat: Option<f64>,
    #[serde(default)]
    pub crs: Option<String>,
}

/// Decide what an address means; the next time it is found at once
#[utoipa::path(post, path = "/api/v1/geo/reviews", tag = "geo", operation_id = "review_address", request_body = ReviewIn,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn review(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<ReviewIn>,
) -> Result<StatusCode> {
    auth.must(&app, "geo_review")?;
    let (query, wanted) = (address(&body.query)?.to_string(), address(&body.address)?.to_string());
    let by = auth.principal.user.clone();
    let decided = match (body.lon, body.lat) {
        (Some(x), Some(y)) => {
            let (lon, lat) = app.geo.to_wgs84(crs("crs", body.crs.as_deref().unwrap_or("wgs84"))?, x, y)?;
            let parsed = Address::parse(&wanted);
            let part = |p: Option<String>| p.unwrap_or_default();
            Reviewed {
                district: part(parsed.district),
                street: part(parsed.street),
                road: part(parsed.road),
                address: wanted,
                lon,
                lat,
                by,
            }
        }
        _ => {
            let places = app.geo.places()?;
            let found = places.gazetteer.geocode(&wanted).into_iter().find(|m| m.address == wanted);
            let m = found.ok_or_else(|| {
                Error::user("geo.address", format!("地名地址库里没有「{wanted}」(not in the gazetteer)"))
                    .hint("从候选中选择，或同时给出 lon 和 lat")
            })?;
            Reviewed {
                address: m.address,
                district: m.district,
                street: m.street,
                road: m.road,
                lon: m.lon,
                lat: m.lat,
                by,
            }
        }
    };
    app.geo.review(&app.store, &query, decided).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The gazetteer in force
#[utoipa::path(get, path = "/api/v1/geo/gazetteer", tag = "geo", operation_id = "get_gazetteer",
    responses((status = 200, body = GazetteerInfo), (status = 404, body = Problem)))]
pub async fn gazetteer(State(app): State<App>, _auth: Auth) -> Result<Json<GazetteerInfo>> {
    Ok(Json(GazetteerInfo::of(&*app.geo.places()?)))
}

#[derive(Deserialize, IntoParams)]
pub struct GazetteerParams {
    /// The system of the places; `wgs84` unless given.
    pub crs: Option<String>,
    /// Where the addresses come from.
    pub source: Option<String>,
}

/// Put a gazetteer in force: a CSV with address (or district, street, road, lane, number), lon, lat
#[utoipa::path(post, path = "/api/v1/geo/gazetteer", tag = "geo", operation_id = "import_gazetteer", params(GazetteerParams),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn import_gazetteer(
    State(app): State<App>,
    auth: Auth,
    Params(params): Params<GazetteerParams>,
    request: Request,
) -> Result<Json<Imported>> {
    auth.must(&app, "geo_import")?;
    let from = crs("crs", params.crs.as_deref().unwrap_or("wgs84"))?;
    let transform = app.geo.transform(from, Crs::Wgs84, OutOfArea::Keep).map_err(|e| problem("crs", &e))?;
    let spool = app.folder("spool").map_err(Error::internal)?;
    let mut reader = BodyReader::new(request.into_body());
    let file = tokio::task::spawn_blocking(move || {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile_in(&spool).map_err(Error::internal)?;
        std::io::copy(&mut reader, &mut file)
            .map_err(|e| Error::user("import.upload", format!("上传中断 (upload broke off): {e}")))?;
        Ok::<_, Error>(file)
    })
    .await
    .map_err(Error::internal)??;
    let source = params.source.unwrap_or_default();
    Ok(Json(app.geo.import_places(&app.store, file.path(), transform, &source, &auth.principal.user).await?))
}
