//! `/api/v1/geo`: coordinates, addresses, regions, control points, densities.

pub mod addresses;
pub mod batch;
pub mod boundaries;
pub mod fits;
pub mod gazetteer;
pub mod heat;
pub mod regions;
pub mod transform;

pub use crate::geo::problem;

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::Auth;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use zonglan_catalog::error::ErrorClass;
use zonglan_geo::{Crs, CrsDefinition};

/// Megabytes of a JSON body: half a million points, a city's boundaries.
const BODY_MB: usize = 96;

/// A system named by a field of the request.
pub fn crs(field: &str, text: &str) -> Result<Crs> {
    text.parse().map_err(|error| problem(field, &error))
}

/// A whole body, up to [`BODY_MB`].
async fn body(request: Request) -> Result<Bytes> {
    axum::body::to_bytes(request.into_body(), BODY_MB << 20).await.map_err(|_| {
        Error::new(ErrorClass::TooLarge, "request.too_large", format!("请求体超过 {BODY_MB} MB (body too large)"))
            .hint("大文件请用 text/csv、application/geo+json 或 Parquet 上传")
    })
}

/// The coordinate systems in force, with definition, status, source and bounds
#[utoipa::path(get, path = "/api/v1/geo/systems", tag = "geo", operation_id = "list_coordinate_systems",
    responses((status = 200, body = Vec<Object>), (status = 401, body = Problem)))]
pub async fn systems(State(app): State<App>, _auth: Auth) -> Json<Vec<CrsDefinition>> {
    Json(app.geo.registry().iter().cloned().collect())
}
