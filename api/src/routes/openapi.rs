//! The OpenAPI document of this program.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(title = "Zonglan 纵览", description = "Analytics and records of a city government. Errors are problem details (RFC 9457) with a stable `code`."),
    components(schemas(super::schemas::Query, super::schemas::Table, super::schemas::SearchRequest, super::schemas::SearchPage, crate::error::Problem)),
    modifiers(&Security),
    tags((name = "session"), (name = "users"), (name = "query"), (name = "views"), (name = "search"), (name = "boards"), (name = "datasets"), (name = "records"), (name = "tasks"), (name = "import"),
        (name = "exports"), (name = "grants"), (name = "jobs"), (name = "geo"), (name = "models"), (name = "live"), (name = "operation"))
)]
pub struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        let cookie = ApiKeyValue::with_description(
            crate::extract::SESSION_COOKIE,
            "POST /api/v1/session; unsafe methods also need the header x-csrf-token",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let either = |name: &str| utoipa::openapi::security::SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
        document.security = Some(vec![either("session"), either("token")]);
    }
}

/// The OpenAPI document
#[utoipa::path(get, path = "/api/openapi.json", tag = "operation", operation_id = "get_openapi", responses((status = 200, body = Object)))]
pub async fn get() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")],
        crate::router::openapi_json(),
    )
        .into_response()
}
