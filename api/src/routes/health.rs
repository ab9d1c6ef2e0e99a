//! `/healthz`, `/readyz`, `/metrics`: for those who run the program.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::Auth;
use crate::metrics::resident_bytes;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use zonglan_catalog::traits::QueryEngine;

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "check_health", responses((status = 200, body = String)))]
pub async fn live() -> &'static str {
    "ok\n"
}

/// The program can serve: stores open, catalogue valid, not stopping
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "check_ready", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn ready(State(app): State<App>) -> Response {
    let stopping = app.stopping.is_cancelled();
    let broken = app.catalogue_problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some();
    let status = if stopping { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // A broken edit of the catalogue does not stop the service; it is said here for the operator.
    let body = serde_json::json!({"ready": !stopping, "catalogue": app.catalogue().version(), "catalogue_edit_broken": broken});
    (status, Json(body)).into_response()
}

/// Counters in the Prometheus text form; needs the action `metrics`
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "get_metrics",
    responses((status = 200, body = String), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn metrics(State(app): State<App>, auth: Auth) -> Result<Response> {
    auth.must(&app, "metrics")?;
    let catalogue = app.catalogue();
    let states: Vec<_> = catalogue
        .datasets()
        .map(|d| (format!("dataset=\"{}\"", d.name), QueryEngine::state(&app.columns, &d.name)))
        .collect();
    let mut gauges: Vec<(&str, String, f64)> = Vec::new();
    gauges.extend(states.iter().map(|(labels, state)| ("zonglan_dataset_rows", labels.clone(), state.rows as f64)));
    gauges
        .extend(states.iter().map(|(labels, state)| ("zonglan_dataset_version", labels.clone(), state.version as f64)));
    let (checks, differences) = app.columns.rollup_checks();
    gauges.push(("zonglan_rollup_checks", String::new(), checks as f64));
    gauges.push(("zonglan_rollup_differences", String::new(), differences as f64));
    gauges.push(("zonglan_answers_cache_bytes", String::new(), app.answers.bytes() as f64));
    gauges.push(("process_resident_memory_bytes", String::new(), resident_bytes() as f64));
    let text = app.metrics.text(&gauges);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
