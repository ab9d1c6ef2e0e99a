//! Every route of the program: its table of contents.

use crate::app::App;
use crate::middleware;
use crate::routes::{
    assets, board_documents, boards, briefings, case_file, cases, datasets, drafts, events, explore, exports, files,
    geo, grants, health, imports, jobs, model_helpers, model_pages, model_runs, models, notices, openapi, pages, query,
    records, search, search_exports, searches, session, signatures, tasks, timeline, tokens, users, views,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::LazyLock;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zonglan_catalog::Catalogue;

/// The whole service.
pub fn router(app: &App) -> Router {
    let (streams, _) = streams().split_for_parts();
    let (uploads, _) = uploads(app.config.server.import_mb).split_for_parts();
    let (places, _) = places().split_for_parts();
    let (answers, _) = answers().split_for_parts();
    let timed = answers.merge(html()).layer(from_fn_with_state(app.clone(), middleware::limit_time));
    middleware::apply(timed.merge(streams).merge(uploads).merge(places).fallback(pages::missing), app)
}

/// Answers that are over soon: they have a time limit.
fn answers() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(session::create, session::get, session::change_password, session::delete))
        .routes(routes!(tokens::create))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::patch))
        .routes(routes!(query::run))
        .routes(routes!(query::drills))
        .routes(routes!(query::explain))
        .routes(routes!(explore::chart))
        .routes(routes!(explore::feed))
        .routes(routes!(views::list, views::create))
        .routes(routes!(views::get, views::replace, views::delete))
        .routes(routes!(search::run))
        .routes(routes!(search::similar))
        .routes(routes!(search::suggest))
        .routes(routes!(search::correct))
        .routes(routes!(search::parse))
        .routes(routes!(search::numbers))
        .routes(routes!(searches::list, searches::save))
        .routes(routes!(searches::forget))
        .routes(routes!(searches::history))
        .routes(routes!(cases::get))
        .routes(routes!(case_file::file))
        .routes(routes!(case_file::party))
        .routes(routes!(case_file::confirm))
        .routes(routes!(case_file::pending))
        .routes(routes!(grants::list, grants::apply))
        .routes(routes!(grants::decide))
        .routes(routes!(grants::withdraw))
        .routes(routes!(timeline::get))
        .routes(routes!(datasets::list))
        .routes(routes!(datasets::get))
        .routes(routes!(boards::list))
        .routes(routes!(boards::image))
        .routes(routes!(board_documents::get))
        .routes(routes!(records::list, records::create))
        .routes(routes!(records::get, records::patch))
        .routes(routes!(records::act))
        .routes(routes!(drafts::get, drafts::put, drafts::delete))
        .routes(routes!(drafts::template))
        .routes(routes!(records::history))
        .routes(routes!(signatures::of_record))
        .routes(routes!(signatures::of_export))
        .routes(routes!(files::get, files::remove))
        .routes(routes!(records::children, records::create_child))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::batch))
        .routes(routes!(tasks::people))
        .routes(routes!(tasks::hand_over))
        .routes(routes!(tasks::end_hand_over))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::act))
        .routes(routes!(notices::list))
        .routes(routes!(notices::read))
        .routes(routes!(imports::quarantine))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get, jobs::cancel))
        .routes(routes!(geo::systems))
        .routes(routes!(geo::addresses::geocode))
        .routes(routes!(geo::addresses::reverse))
        .routes(routes!(geo::addresses::fused))
        .routes(routes!(geo::gazetteer::review))
        .routes(routes!(geo::regions::list))
        .routes(routes!(geo::regions::get))
        .routes(routes!(geo::regions::tile))
        .routes(routes!(geo::boundaries::boundaries))
        .routes(routes!(geo::boundaries::withdraw))
        .routes(routes!(geo::boundaries::create_area))
        .routes(routes!(geo::boundaries::delete_area))
        .routes(routes!(geo::fits::list, geo::fits::create))
        .routes(routes!(geo::fits::decide))
        .routes(routes!(models::list))
        .routes(routes!(model_runs::health))
        .routes(routes!(model_runs::start, model_runs::list))
        .routes(routes!(model_runs::get, model_runs::stop))
        .routes(routes!(model_runs::schedule))
        .routes(routes!(model_runs::warnings))
        .routes(routes!(model_runs::judge))
        .routes(routes!(models::deadline))
        .routes(routes!(models::security_index))
        .routes(routes!(models::wci))
        .routes(routes!(models::bci))
        .routes(routes!(models::sentiment))
        .routes(routes!(models::discretion))
        .routes(routes!(briefings::list))
        .routes(routes!(briefings::write))
        .routes(routes!(model_helpers::opinion))
        .routes(routes!(model_helpers::case_check))
        .routes(routes!(model_helpers::cause_hint))
        .routes(routes!(model_helpers::prior_penalty))
        .routes(routes!(model_helpers::association))
        .routes(routes!(model_helpers::shop_risk))
        .route("/api/v1/models/{model}/evaluate", post(models::unknown))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::get))
}

/// Answers that come bit by bit, as long as somebody reads them.
fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(query::batch))
        .routes(routes!(boards::data))
        .routes(routes!(events::watch))
        .routes(routes!(exports::create, exports::get))
        .routes(routes!(search_exports::create))
}

/// Coordinates and places: half a million points in a body, files of any length. Handlers limit what
/// they keep in memory themselves.
fn places() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(geo::transform::transform))
        .routes(routes!(geo::transform::result))
        .routes(routes!(geo::batch::batch))
        .routes(routes!(geo::gazetteer::gazetteer, geo::gazetteer::import_gazetteer))
        .routes(routes!(geo::regions::locate))
        .routes(routes!(geo::regions::within))
        .routes(routes!(geo::boundaries::import))
        .routes(routes!(geo::heat::heat))
        .layer(DefaultBodyLimit::disable())
}

/// The largest file that a register may let be attached, in MB.
const ATTACHED_MB: usize = 100;

/// Files to import: large, and as slow as the line they come over.
fn uploads(megabytes: u64) -> OpenApiRouter<App> {
    let bytes = usize::try_from(megabytes << 20).unwrap_or(usize::MAX);
    let attached = OpenApiRouter::default()
        .routes(routes!(files::list, files::add))
        .layer(DefaultBodyLimit::max(ATTACHED_MB << 20));
    OpenApiRouter::default().routes(routes!(imports::create)).layer(DefaultBodyLimit::max(bytes)).merge(attached)
}

fn html() -> Router<App> {
    Router::new()
        .route("/", get(pages::home))
        .route("/login", get(pages::login))
        .route("/boards/{name}", get(pages::board))
        .route("/boards/{name}/layout.css", get(pages::board_style))
        .route("/explore", get(pages::explore))
        .route("/cases", get(pages::cases))
        .route("/cases/pending", get(pages::pending))
        .route("/cases/{id}", get(pages::case))
        .route("/cases/{dataset}/{id}", get(pages::case_file))
        .route("/grants", get(pages::grants))
        .route("/geo", get(pages::geo))
        .route("/import", get(pages::import))
        .route("/records", get(pages::registers))
        .route("/models", get(model_pages::models))
        .route("/indices/{name}", get(model_pages::index))
        .route("/records/{dataset}", get(pages::records))
        .route("/records/{dataset}/new", get(pages::record_new))
        .route("/records/{dataset}/{id}", get(pages::record))
        .route("/records/{dataset}/{id}/edit", get(pages::record_edit))
        .route("/records/{dataset}/{id}/print", get(pages::record_print))
        .route("/tasks", get(pages::tasks))
        .route("/indicators", get(pages::indicators))
        .route("/indicators/{dataset}/{measure}", get(pages::indicator))
        .route("/datasets", get(pages::datasets))
        .route("/datasets/{name}", get(pages::dataset))
        .route("/api", get(pages::api_docs))
        .route("/api/docs", get(pages::api_docs))
        .route("/assets/{*name}", get(assets::get))
}

/// The OpenAPI document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = answers().merge(streams()).merge(places()).merge(uploads(0)).into_openapi();
    // The document is that of the program: of the files it carries.
    if let Ok(catalogue) = Catalogue::builtin() {
        models::describe(&mut document, &catalogue);
    }
    document
}

/// The document as it is served.
pub fn openapi_json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| openapi().to_pretty_json().unwrap_or_default());
    &JSON
}
