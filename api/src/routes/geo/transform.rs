//! Conversion of coordinates: points as JSON, files of any length as streams, large files as jobs.

use super::{crs, problem};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, parse_json};
use crate::geo::convert::{self, Columns, Input, Kind};
use crate::geo::jobs::{self, Conversion};
use crate::geo::pipe::BodyReader;
use crate::geo::sign::{self, Hashing, Signature};
use crate::store::crypto::{hex, sm3};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query as Params, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{BadRow, OutOfArea, StreamSummary, Transform, transform_geojson};

/// Points of one JSON request. The tender's 300,000 are one call.
const MOST_POINTS: usize = 500_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformIn {
    /// `wgs84`, `cgcs2000`, `gcj02`, `bd09`, `bd09-mercator`, `web-mercator`, `sh2000`, `shcity` or `epsg:NNNN`.
    pub from: String,
    pub to: String,
    /// `[x, y]`: longitude and latitude, or east and north. What is no such pair is reported in `errors`.
    #[schema(value_type = Vec<Vec<f64>>)]
    #[serde(default)]
    pub points: Vec<Point>,
    /// A GeoJSON object of any type, converted whole.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    pub geometry: Option<serde_json::Value>,
    /// Points outside the area of GCJ-02 and BD-09: `keep` (default) leaves them, `error` reports them.
    #[serde(default)]
    pub out_of_area: Outside,
    /// With a signature over the answer; refused for systems that are not verified.
    #[serde(default)]
    pub signed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    #[default]
    Keep,
    Error,
}

impl From<Outside> for OutOfArea {
    fn from(outside: Outside) -> Self {
        match outside {
            Outside::Keep => Self::Keep,
            Outside::Error => Self::Error,
        }
    }
}

/// A pair of numbers; NaN where the text had something else, so that one bad point spoils no request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point(pub [f64; 2]);

/// A number, a text that is one, or NaN.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = f64;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E>(self, v: f64) -> Result<f64, E> {
                Ok(v)
            }
            fn visit_i64<E>(self, v: i64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_u64<E>(self, v: u64) -> Result<f64, E> {
                Ok(v as f64)
            }
            fn visit_str<E>(self, v: &str) -> Result<f64, E> {
                Ok(v.trim().parse().unwrap_or(f64::NAN))
            }
            fn visit_bool<E>(self, _: bool) -> Result<f64, E> {
                Ok(f64::NAN)
            }
            fn visit_unit<E>(self) -> Result<f64, E> {
                Ok(f64::NAN)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<f64, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(f64::NAN)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<f64, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(f64::NAN)
            }
        }
        d.deserialize_any(Any).map(Number)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Point;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("two numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
                let mut next = || Ok(seq.next_element::<Number>()?.map_or(f64::NAN, |n| n.0));
                let point = Point([next()?, next()?]);
                // A height stays behind.
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(point)
            }
            fn visit_unit<E>(self) -> Result<Point, E> {
                Ok(Point([f64::NAN; 2]))
            }
            fn visit_str<E>(self, _: &str) -> Result<Point, E> {
                Ok(Point([f64::NAN; 2]))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Point, E> {
                Ok(Point([f64::NAN; 2]))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Point, E> {
                Ok(Point([f64::NAN; 2]))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Point, E> {
                Ok(Point([f64::NAN; 2]))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Point, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(Point([f64::NAN; 2]))
            }
        }
        d.deserialize_any(Pair)
    }
}

#[derive(Serialize, ToSchema)]
pub struct TransformOut {
    /// In the order of the input; null where there is an error.
    #[schema(value_type = Vec<Option<Vec<f64>>>)]
    pub points: Vec<Option<[f64; 2]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub geometry: Option<serde_json::Value>,
    pub errors: Vec<TransformError>,
    pub transform: TransformInfo,
    /// Over the SM3 of `points` as they stand here, then of `geometry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

#[derive(Serialize, ToSchema)]
pub struct TransformError {
    pub index: usize,
    pub reason: String,
    pub code: &'static str,
}

#[derive(Clone, Serialize, ToSchema)]
pub struct TransformInfo {
    pub version: String,
    /// `verified` or `未经官方确认`.
    #[schema(value_type = String)]
    pub status: zonglan_geo::Status,
    pub accuracy_m: Option<f64>,
}

impl TransformInfo {
    pub fn of(transform: &Transform) -> Self {
        let info = transform.info();
        Self { version: info.version.clone(), status: info.status, accuracy_m: info.accuracy_m }
    }
}

/// Needed for files; a JSON body says the same itself.
#[derive(Deserialize, IntoParams)]
pub struct TransformParams {
    pub from: Option<String>,
    pub to: Option<String>,
    /// Column of longitude or east; the usual names are found without it.
    pub x: Option<String>,
    pub y: Option<String>,
    #[param(inline)]
    pub out_of_area: Option<Outside>,
    /// `true`: the answer carries a signature; refused for systems that are not verified.
    pub signed: Option<bool>,
    /// `true`: the file is converted behind; the answer is 202 with the job.
    pub background: Option<bool>,
}

/// Convert coordinates: JSON points, or a file as it comes (CSV, TSV, GeoJSON, Parquet)
///
/// A file has its content type (`text/csv`, `text/tab-separated-values`, `application/geo+json`,
/// `application/vnd.apache.parquet`) and the systems in the address; it may be of any length and is
/// converted while it comes. Rows that cannot be converted keep their place, with a reason in the last
/// column (CSV, Parquet) or in the member `errors` (GeoJSON).
#[utoipa::path(post, path = "/api/v1/geo/transform", tag = "geo", operation_id = "transform_points", request_body = TransformIn, params(TransformParams),
    responses((status = 200, body = TransformOut), (status = 202, body = Object, description = "Running as a job"),
        (status = 400, body = Problem), (status = 409, body = Problem)))]
pub async fn transform(
    State(app): State<App>,
    auth: Auth,
    Params(params): Params<TransformParams>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        let body = super::body(request).await?;
        return Ok(points(app, auth, body).await?.into_response());
    }
    let kind = Kind::of_content_type(kind).ok_or_else(|| {
        Error::user("request.content_type", format!("不支持的类型 '{kind}' (content type)"))
            .hint("application/json, text/csv, text/tab-separated-values, application/geo+json, application/vnd.apache.parquet")
    })?;
    let needed = |name: &str, value: Option<&String>| {
        value.cloned().ok_or_else(|| Error::user("geo.crs", format!("请在地址里给出 {name} (give {name}=)")))
    };
    let from = crs("from", &needed("from", params.from.as_ref())?)?;
    let to = crs("to", &needed("to", params.to.as_ref())?)?;
    let outside = params.out_of_area.unwrap_or_default();
    let job = Conversion {
        file: PathBuf::new(),
        kind,
        from,
        to,
        columns: Columns { x: params.x, y: params.y },
        outside_is_error: outside == Outside::Error,
        signed: params.signed.unwrap_or(false),
    };
    let maker = app.clone();
    let transform = tokio::task::spawn_blocking(move || maker.geo.transform(from, to, outside.into()))
        .await
        .map_err(Error::internal)?
        .map_err(|e| problem("to", &e))?;
    if job.signed {
        sign::permitted(&transform)?;
    }
    let body = request.into_body();
    if params.background.unwrap_or(false) {
        return background(app, auth, job, body).await;
    }
    converted(app, auth, job, transform, body).await
}

async fn points(app: App, auth: Auth, body: axum::body::Bytes) -> Result<Json<TransformOut>> {
    // PROJ may have to open its database, and a full request takes some tenths of a second.
    tokio::task::spawn_blocking(move || {
        // The fast way first; the slow one knows where an error lies.
        let input: TransformIn = match serde_json::from_slice(&body) {
            Ok(input) => input,
            Err(_) => parse_json(&body)?,
        };
        if input.points.len() > MOST_POINTS {
            return Err(Error::user("geo.points", format!("一次最多 {MOST_POINTS} 个点 (points in one request)"))
                .hint("更多的点请作为 text/csv 上传，没有上限"));
        }
        let (from, to) = (crs("from", &input.from)?, crs("to", &input.to)?);
        let transform = app.geo.transform(from, to, input.out_of_area.into()).map_err(|e| problem("to", &e))?;
        if input.signed {
            sign::permitted(&transform)?;
        }
        let mut points: Vec<[f64; 2]> = input.points.iter().map(|p| p.0).collect();
        let mut errors = Vec::new();
        let failed = transform.points_in_place(&mut points);
        let mut points: Vec<Option<[f64; 2]>> = points.into_iter().map(Some).collect();
        for (index, error) in failed {
            points[index] = None;
            errors.push(TransformError { index, reason: error.zh(), code: error.code() });
        }
        let mut geometry = input.geometry;
        if let Some(object) = geometry.as_mut() {
            transform_geojson(&transform, object).map_err(|e| Error::user("geo.geometry", e.zh()))?;
        }
        let signature = if input.signed {
            let mut content = serde_json::to_vec(&points).map_err(Error::internal)?;
            if let Some(geometry) = &geometry {
                content.extend(serde_json::to_vec(geometry).map_err(Error::internal)?);
            }
            Some(sign::sign(&app, &sm3(&[&content]), &transform, &auth.principal.user))
        } else {
            None
        };
        Ok(Json(TransformOut { points, geometry, errors, transform: TransformInfo::of(&transform), signature }))
    })
    .await
    .map_err(Error::internal)?
}

/// What a file's answer says in its head.
fn head(kind: Kind, transform: &Transform) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    let name =
        format!("attachment; filename=\"{}.{}\"", transform.to().to_string().replace(':', "-"), kind.extension());
    let info = transform.info();
    let status = if info.status == zonglan_geo::Status::Verified { "verified" } else { "unverified" };
    let values = [
        (header::CONTENT_DISPOSITION, name),
        (HeaderName::from_static("x-transform-version"), info.version.clone()),
        (HeaderName::from_static("x-transform-status"), status.to_string()),
        (
            HeaderName::from_static("x-transform-accuracy-m"),
            info.accuracy_m.map_or_else(|| "unknown".into(), |m| m.to_string()),
        ),
    ];
    for (key, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(key, value);
        }
    }
    headers
}

/// Converts the file while it comes, into a file of the spool, and then sends that: many clients do not
/// read before they have sent all, and what is wrong with the file has its status.
async fn converted(app: App, auth: Auth, job: Conversion, transform: Transform, body: Body) -> Result<Response> {
    let spool = app.folder("spool").map_err(Error::internal)?;
    let reader = BodyReader::new(body);
    let mut headers = head(job.kind, &transform);
    let work = move || {
        let mut output = Hashing::new(tempfile::tempfile_in(&spool).map_err(Error::internal)?);
        let out = std::io::BufWriter::with_capacity(1 << 18, &mut output);
        let run =
            |input: Input| convert::run(job.kind, &transform, &job.columns, input, out, |_: &BadRow| (), |_| true);
        // Parquet is read from its end.
        let summary = if job.kind == Kind::Parquet {
            let given = take(&spool, reader)?;
            run(Input::File(given.path()))?
        } else {
            run(Input::Stream(Box::new(reader)))?
        };
        let (mut file, sm3) = output.finish();
        file.rewind().map_err(Error::internal)?;
        let signature = job.signed.then(|| sign::sign(&app, &sm3, &transform, &auth.principal.user));
        Ok::<_, Error>((file, sm3, summary, signature))
    };
    let (file, sm3, summary, signature): (_, _, StreamSummary, Option<Signature>) =
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
    let mut values = vec![
        ("x-content-sm3", hex(&sm3)),
        ("x-rows", summary.rows.to_string()),
        ("x-rows-bad", summary.bad.to_string()),
    ];
    if let Some(signature) = signature {
        values.extend([
            ("x-signature-statement", signature.statement),
            ("x-signature-sm2", signature.value),
            ("x-signature-key", signature.public_key),
        ]);
    }
    for (key, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(key), value);
        }
    }
    Ok((headers, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)))).into_response())
}

/// A body as a file of the spool.
fn take(spool: &std::path::Path, mut reader: impl Read) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("geo-").tempfile_in(spool).map_err(Error::internal)?;
    let length = std::io::copy(&mut reader, &mut file)
        .map_err(|e| Error::user("import.upload", format!("上传中断 (upload broke off): {e}")))?;
    if length == 0 {
        return Err(Error::user("import.empty", "文件是空的 (the file is empty)"));
    }
    file.flush().map_err(Error::internal)?;
    Ok(file)
}

async fn background(app: App, auth: Auth, mut job: Conversion, body: Body) -> Result<Response> {
    let spool = app.folder("spool").map_err(Error::internal)?;
    let reader = BodyReader::new(body);
    let taken = tokio::task::spawn_blocking(move || take(&spool, reader)).await.map_err(Error::internal)??;
    // From here on the job owns the file.
    job.file = taken.into_temp_path().keep().map_err(Error::internal)?;
    let title = format!("坐标转换 {} → {}", job.from, job.to);
    let params = serde_json::to_value(&job).map_err(Error::internal)?;
    let submitted = app.store.jobs.submit(&auth.principal.user, jobs::TRANSFORM, &title, params).await?;
    let place = format!("/api/v1/jobs/{}", submitted.id);
    let location = HeaderValue::from_str(&place).map_err(Error::internal)?;
    let answer = Json(serde_json::json!({"job": submitted.id, "url": place}));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], answer).into_response())
}

/// The file that a conversion behind has made; to its owner, for a week
#[utoipa::path(get, path = "/api/v1/geo/results/{id}", tag = "geo", operation_id = "get_geo_result", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
pub async fn result(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<Response> {
    let missing = || Error::not_found("geo.result", "没有这个结果，或已过期 (no such result)");
    let job = app.store.jobs.get(id).await.map_err(|_| missing())?;
    let report = job.result.filter(|_| job.kind == jobs::TRANSFORM && job.owner == auth.principal.user);
    let report = report.ok_or_else(missing)?;
    let text = |key: &str| report[key].as_str().unwrap_or_default().to_string();
    let file = tokio::fs::File::open(jobs::result_file(&app, id)?).await.map_err(|_| missing())?;
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", text("name"))).map_err(Error::internal)?;
    let kind = HeaderValue::from_str(&text("content_type")).map_err(Error::internal)?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_are_none_do_not_spoil_the_others() {
        let text = r#"{"from":"wgs84","to":"gcj02","points":[[121.4,31.2],[1],null,["121.5","31.1",4],"x",[{},[]],7,{"a":1}]}"#;
        let input: TransformIn = serde_json::from_str(text).expect("parses");
        assert_eq!(input.points.len(), 8);
        assert_eq!(input.points[3], Point([121.5, 31.1]));
        assert!([1, 2, 4, 5, 6, 7].iter().all(|i| input.points[*i].0[1].is_nan()));
        assert!(serde_json::from_str::<TransformIn>(r#"{"from":"a","to":"b","points":5}"#).is_err());
    }
}
