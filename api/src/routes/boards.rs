//! `/api/v1/boards`: the list, the data of all panels in one stream, and panels as images.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, Language};
use crate::frames::{Sent, View, frame, may_see};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use zonglan_catalog::{Query, Table};
use zonglan_dashboards::board;
use zonglan_dashboards::palette::Theme;
use zonglan_dashboards::render::plotters::{self, Ground, Size};
use zonglan_geo::Level;

#[derive(Serialize, ToSchema)]
pub struct BoardOut {
    pub name: String,
    pub title: String,
    pub modules: Vec<String>,
    pub datasets: Vec<String>,
}

/// List the boards that one may see
#[utoipa::path(get, path = "/api/v1/boards", tag = "boards", operation_id = "list_boards", responses((status = 200, body = Vec<BoardOut>)))]
pub async fn list(State(app): State<App>, auth: Auth, language: Language) -> Json<Vec<BoardOut>> {
    let catalogue = app.catalogue();
    let mut boards: Vec<_> = catalogue.boards().filter(|b| may_see(&catalogue, &auth.principal, b)).collect();
    boards.sort_by_key(|board| (board.order, board.name.clone()));
    let out = boards.into_iter().map(|found| BoardOut {
        name: found.name.clone(),
        title: language.0.pick(&found.title).to_string(),
        modules: found.modules.clone(),
        datasets: board::datasets(found).into_iter().collect(),
    });
    Json(out.collect())
}

/// All panels of a board, one JSON line each as they are ready; parameters are its variables
#[utoipa::path(get, path = "/api/v1/boards/{name}/data", tag = "boards", operation_id = "get_board_data", params(("name" = String, Path)),
    responses((status = 200, body = Object, content_type = "application/x-ndjson"), (status = 304), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn data(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path(name): Path<String>,
    Params(params): Params<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response> {
    let view = View::open(&app, &auth.principal, &name, &params, language.0)?;
    let etag = HeaderValue::from_str(&format!("\"{}\"", view.etag())).map_err(Error::internal)?;
    let common = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, etag.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let gzip = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    Ok(match frame(&app, view).await {
        Sent::Whole(frame) if gzip => {
            (common, [(header::CONTENT_ENCODING, "gzip")], frame.gzip.clone()).into_response()
        }
        Sent::Whole(frame) => (common, frame.plain.clone()).into_response(),
        Sent::Lines(lines) => (common, Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>))).into_response(),
    })
}

/// One panel as an image: `{panel}.png` or `{panel}.svg`; parameters are the board's variables
#[utoipa::path(get, path = "/api/v1/boards/{name}/panels/{file}", tag = "boards", operation_id = "get_panel_image",
    params(("name" = String, Path), ("file" = String, Path), ("width" = Option<u32>, Query), ("height" = Option<u32>, Query)),
    responses((status = 200, body = Vec<u8>, content_type = "image/png"), (status = 404, body = Problem)))]
pub async fn image(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path((name, file)): Path<(String, String)>,
    Params(params): Params<BTreeMap<String, String>>,
) -> Result<Response> {
    let (panel, kind) = file
        .rsplit_once('.')
        .filter(|(_, kind)| matches!(*kind, "png" | "svg"))
        .ok_or_else(|| Error::not_found("board.image", "图像是 {面板}.png 或 {面板}.svg (no such image)"))?;
    let pixels = |key: &str, usual: u32| params.get(key).and_then(|v| v.parse().ok()).unwrap_or(usual);
    let scale = params.get("scale").and_then(|v| v.parse().ok()).unwrap_or(1.0);
    let usual = Size::default();
    let size = Size { width: pixels("width", usual.width), height: pixels("height", usual.height), scale }.clamped();
    let theme = if params.get("theme").is_some_and(|t| t == "dark") { Theme::Dark } else { Theme::Light };
    let view = View::open(&app, &auth.principal, &name, &params, language.0)?;
    let answers = view.answers(&app, panel).await?;
    let (panel, svg) = (panel.to_string(), kind == "svg");
    let bytes = tokio::task::spawn_blocking(move || draw_image(&app, &view, &panel, &answers, svg, size, theme))
        .await
        .map_err(Error::internal)??;
    let kind = if svg { "image/svg+xml" } else { "image/png" };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, no-cache")], bytes).into_response())
}

fn draw_image(
    app: &App,
    view: &View,
    panel: &str,
    answers: &BTreeMap<String, (Query, Arc<Table>)>,
    svg: bool,
    size: Size,
    theme: Theme,
) -> Result<Vec<u8>> {
    let find = |name: &str| answers.get(name).map(|(query, table)| (query, &**table));
    let input = board::input(&view.catalogue, &view.board, &view.vars, panel, view.lang, &find)?;
    let (query, table) = input.main.ok_or_else(|| {
        Error::not_found("board.no_image", format!("面板 '{panel}' 没有图像 (the panel has no image)"))
    })?;
    let spec = input.spec(query, table)?;
    let credit = app.config.map.credit(view.lang);
    let history = app.geo.regions();
    let day = crate::geo::today(app.clock.now());
    let mut ground = Ground { credit: &credit, ..Ground::default() };
    if let Some(districts) = history.at(Level::District, day) {
        ground.regions = &districts.set;
    }
    Ok(if svg {
        plotters::svg(&spec, size, theme, &ground)?.into_bytes()
    } else {
        plotters::png(&spec, size, theme, &ground)?
    })
}
