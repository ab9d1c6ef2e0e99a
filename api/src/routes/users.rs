//! `/api/v1/users`: accounts, for those with the action `users`.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{NewUser, UserInfo, UserPatch};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// List accounts
#[utoipa::path(get, path = "/api/v1/users", tag = "users", operation_id = "list_users", responses((status = 200, body = Vec<Object>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<Vec<UserInfo>>> {
    auth.must(&app, "users")?;
    Ok(Json(app.store.identity.users()))
}

fn known_roles(app: &App, roles: &[String]) -> Result<()> {
    let catalogue = app.catalogue();
    match roles.iter().find(|role| catalogue.policy().role(role).is_none()) {
        None => Ok(()),
        Some(role) => {
            let known: Vec<&str> = catalogue.policy().roles().iter().map(|r| r.name.as_str()).collect();
            Err(Error::user("users.role", format!("没有角色 '{role}' (no such role)")).hint(known.join(", ")))
        }
    }
}

/// Add an account: `{"username","name","password","roles","regions","must_change"}`
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "create_user", request_body = Object,
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(new): ValidatedJson<NewUser>,
) -> Result<(StatusCode, Json<UserInfo>)> {
    auth.must(&app, "users")?;
    known_roles(&app, &new.roles)?;
    Ok((StatusCode::CREATED, Json(app.store.identity.create_user(&auth.principal.user, new).await?)))
}

/// Changes of an account; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    pub name: Option<String>,
    pub roles: Option<Vec<String>>,
    pub regions: Option<Vec<String>>,
    pub disabled: Option<bool>,
    /// A new password; all sessions of the account end.
    pub password: Option<String>,
    /// With `password`: it must be changed at the next sign-in; true unless given.
    pub must_change: Option<bool>,
}

/// Change an account
#[utoipa::path(patch, path = "/api/v1/users/{username}", tag = "users", operation_id = "patch_user", params(("username" = String, Path)), request_body = UserChange,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn patch(
    State(app): State<App>,
    auth: Auth,
    Path(username): Path<String>,
    ValidatedJson(body): ValidatedJson<UserChange>,
) -> Result<Json<UserInfo>> {
    auth.must(&app, "users")?;
    known_roles(&app, body.roles.as_deref().unwrap_or_default())?;
    let identity = &app.store.identity;
    let actor = &auth.principal.user;
    if let Some(password) = &body.password {
        identity.set_password(actor, &username, password, body.must_change.unwrap_or(true)).await?;
    }
    let patch = UserPatch { name: body.name, roles: body.roles, regions: body.regions, disabled: body.disabled };
    Ok(Json(identity.update_user(actor, &username, patch).await?))
}
