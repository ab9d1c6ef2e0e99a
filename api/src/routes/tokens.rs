//! `/api/v1/tokens`: bearer tokens for programs.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Client, ValidatedJson};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenIn {
    pub username: String,
    pub password: String,
    /// What the token may do: `read`, `write`, `query`, `search`, `import`, `records`, `exports`.
    /// Empty: what its user may.
    #[serde(default)]
    pub scopes: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenOut {
    /// Shown this once. Send it as `Authorization: Bearer`.
    pub token: String,
    pub id: String,
    /// Milliseconds since 1970 UTC.
    pub expires_at: i64,
}

/// Issue a bearer token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "session", operation_id = "create_token", request_body = TokenIn,
    responses((status = 200, body = TokenOut), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    client: Client,
    ValidatedJson(body): ValidatedJson<TokenIn>,
) -> Result<Json<TokenOut>> {
    let days = app.config.session.token_days;
    let token = app
        .store
        .identity
        .issue_token(&body.username, &body.password, &body.scopes, days, client.0)
        .await
        .inspect_err(|_| {
            app.metrics.sign_ins_failed.fetch_add(1, Relaxed);
        })?;
    Ok(Json(TokenOut { token: token.token, id: token.id, expires_at: token.expires_at }))
}
