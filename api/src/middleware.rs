//! All layers of the service, outermost first in [`apply`].

use crate::app::App;
use crate::error::{Error, REQUEST_ID};
use crate::extract::Client;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use zonglan_catalog::error::ErrorClass;

/// Requests counted by the client's address.
pub type AddressLimiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No inline script or style, nothing from elsewhere, in no frame.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
                   worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// Puts the layers around the routes.
pub fn apply(routes: Router<App>, app: &App) -> Router {
    let small = DefaultPredicate::new()
        .and(NotForContentType::new("application/octet-stream"))
        .and(NotForContentType::new("application/vnd.openxmlformats"));
    routes
        .layer(axum::extract::DefaultBodyLimit::max(app.config.server.body_mb << 20))
        .layer(CompressionLayer::new().compress_when(small))
        .layer(from_fn_with_state(app.clone(), limit_rate))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), secure))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app.clone())
}

/// A limiter of `count` requests a minute or second for each address.
pub fn limiter(quota: fn(NonZeroU32) -> Quota, count: u32) -> AddressLimiter {
    RateLimiter::hashmap(quota(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)))
}

/// Gives the request an id, serves it, writes one log line and counts it.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let given = request.headers().get(&X_REQUEST_ID).and_then(|v| v.to_str().ok());
    let usable = |id: &&str| (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let id = given.filter(usable).map_or_else(new_id, str::to_string);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_string();
    let start = Instant::now();
    let mut response = REQUEST_ID.scope(id.clone(), next.run(request)).await;
    let took = start.elapsed();
    let status = response.status().as_u16();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    app.metrics.request(method.as_str(), &route, status, took);
    // The path is left out on purpose: queries and ids of persons do not belong in logs.
    let milliseconds = took.as_secs_f64() * 1000.0;
    if route.starts_with("/assets") || route == "/healthz" {
        tracing::debug!(request.id = %id, http.method = %method, http.route = %route, http.status = status, duration_ms = milliseconds, "request served");
    } else {
        tracing::info!(request.id = %id, http.method = %method, http.route = %route, http.status = status, duration_ms = milliseconds, "request served");
    }
    response
}

fn new_id() -> String {
    let mut bytes = [0u8; 12];
    // Without randomness the id is still good enough to find the line by its time.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&chrono::Utc::now().timestamp_micros().to_le_bytes());
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Security headers, on errors too.
async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The city's tile service is the one other place that images come from.
    if let Some(policy) = app.config.map.origin().and_then(|origin| {
        HeaderValue::from_str(&CSP.replace("img-src 'self'", &format!("img-src 'self' {origin}"))).ok()
    }) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if app.config.server.behind_proxy {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Refuses addresses that ask too fast. Assets are free: one page needs several.
async fn limit_rate(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/assets/") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let client = Client::of(&app, &parts);
    if app.requests.check_key(&client.0).is_err() {
        return Error::new(ErrorClass::Busy, "rate.requests", "请求过于频繁 (too many requests)")
            .hint("请稍后再试")
            .into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
        .to_string();
    Error::internal(format!("panic: {text}")).into_response()
}

/// Gives up a request that takes longer than `server.timeout_s`. On routes without streams.
pub async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.config.timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let mut response =
                Error::new(ErrorClass::Unavailable, "request.timeout", "请求超时 (the request took too long)")
                    .hint("请缩小范围后再试")
                    .into_response();
            *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
            response
        }
    }
}
