//! The gazetteer, and what people decided about unsure addresses.

use super::addresses::{GazetteerInfo, address};
use super::{crs, problem};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::geo::pipe::BodyReader;
use crate::geo::places::{Imported, Reviewed};
use axum::Json;
use axum::extract::{Query as Params, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use zonglan_geo::{Address, Crs, OutOfArea};

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
