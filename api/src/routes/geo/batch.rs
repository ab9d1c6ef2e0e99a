//! Many addresses at once: JSON, or CSV of any length; the unsure are marked for review.

use super::addresses::{Found, GazetteerInfo, MOST_CHARACTERS, out_of_wgs84};
use super::transform::TransformInfo;
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, parse_json};
use crate::geo::pipe::BodyReader;
use crate::geo::places::SURE;
use axum::Json;
use axum::body::Body;
use axum::extract::{Query as Params, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::io::{BufReader, BufWriter, Seek};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{Column, append_columns};

/// Addresses of one JSON request; a CSV may have any number.
const MOST_ADDRESSES: usize = 50_000;

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
