//! `/api/v1/session`: signing in and out, who one is, changing one's password.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, Client, Credential, SESSION_COOKIE, ValidatedJson};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;
use utoipa::ToSchema;
use zonglan_catalog::Principal;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub username: String,
    pub password: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionOut {
    /// The user's name for signing in.
    pub user: String,
    /// To be sent as `x-csrf-token` with unsafe methods; empty with a bearer token.
    pub csrf: String,
    pub name: String,
    pub roles: Vec<String>,
    /// Region codes; `310000` is the whole city.
    pub regions: Vec<String>,
    /// Milliseconds since 1970 UTC.
    pub expires_at: Option<i64>,
    /// The password must be changed before anything else.
    pub must_change: bool,
    /// Everything here is generated.
    pub demo: bool,
}

impl SessionOut {
    fn new(app: &App, principal: &Principal, csrf: &str, expires_at: Option<i64>, must_change: bool) -> Self {
        Self {
            user: principal.user.clone(),
            csrf: csrf.to_string(),
            name: principal.name.clone(),
            roles: principal.roles.clone(),
            regions: principal.regions.clone(),
            expires_at,
            must_change,
            demo: app.demo,
        }
    }
}

fn session_cookie(app: &App, token: &str, seconds: i64) -> Result<HeaderValue> {
    let secure = if app.config.server.behind_proxy { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

/// Sign in
#[utoipa::path(post, path = "/api/v1/session", tag = "session", operation_id = "create_session", request_body = SignIn,
    responses((status = 200, body = SessionOut, description = "Signed in; the cookie holds the session"),
        (status = 401, body = Problem, description = "Wrong name or password, or the account is locked for a while"),
        (status = 429, body = Problem, description = "Too many attempts from this address")))]
pub async fn create(
    State(app): State<App>,
    client: Client,
    ValidatedJson(body): ValidatedJson<SignIn>,
) -> Result<Response> {
    let session = app.store.identity.login(&body.username, &body.password, client.0).await.inspect_err(|_| {
        app.metrics.sign_ins_failed.fetch_add(1, Relaxed);
    })?;
    let known = app.store.identity.session(&session.token)?;
    let seconds = (session.expires_at - app.clock.now()) / 1000;
    let cookie = session_cookie(&app, &session.token, seconds)?;
    let out = SessionOut::new(&app, &known.principal, &session.csrf, Some(session.expires_at), known.must_change);
    Ok(([(header::SET_COOKIE, cookie)], Json(out)).into_response())
}

/// Who is signed in
#[utoipa::path(get, path = "/api/v1/session", tag = "session", operation_id = "get_session",
    responses((status = 200, body = SessionOut), (status = 401, body = Problem)))]
pub async fn get(State(app): State<App>, auth: Auth) -> Json<SessionOut> {
    let (expires_at, must_change) = match &auth.by {
        Credential::Session { expires_at, must_change, .. } => (Some(*expires_at), *must_change),
        Credential::Bearer { .. } => (None, false),
    };
    Json(SessionOut::new(&app, &auth.principal, auth.csrf(), expires_at, must_change))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    pub old: String,
    pub new: String,
}

/// Change one's own password
#[utoipa::path(patch, path = "/api/v1/session", tag = "session", operation_id = "change_password", request_body = PasswordChange,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub async fn change_password(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<PasswordChange>,
) -> Result<StatusCode> {
    let keep = match &auth.by {
        Credential::Session { key, .. } => Some(*key),
        Credential::Bearer { .. } => None,
    };
    app.store.identity.change_password(&auth.principal.user, &body.old, &body.new, keep).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", operation_id = "delete_session",
    responses((status = 204, description = "Signed out; the cookie is gone"), (status = 403, body = Problem)))]
pub async fn delete(State(app): State<App>, auth: Auth) -> Result<Response> {
    if let Credential::Session { token, .. } = &auth.by {
        app.store.identity.logout(token).await?;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, session_cookie(&app, "", 0)?);
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}
