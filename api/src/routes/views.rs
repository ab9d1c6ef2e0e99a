//! `/api/v1/views`: queries of the explore page that people keep and share with roles.
//!
//! A view holds a question, never an answer: whoever opens it is answered by their own rights.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{AuditEvent, SavedView};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zonglan_catalog::Query;
use zonglan_catalog::dataset::Sensitivity;

#[derive(Serialize, ToSchema)]
pub struct ViewOut {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub view: SavedView,
    /// One's own: may be changed and removed.
    pub own: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewIn {
    pub name: String,
    #[serde(default)]
    pub note: String,
    #[schema(value_type = super::schemas::Query)]
    pub query: Query,
    /// Kind of chart; without, as fits the query.
    #[serde(default)]
    pub chart: Option<String>,
    /// Roles whose holders may open it.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// List the views that one keeps or that are shared with one's roles, where one may ask their query
#[utoipa::path(get, path = "/api/v1/views", tag = "views", operation_id = "list_views", responses((status = 200, body = Vec<ViewOut>)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<Vec<ViewOut>>> {
    let views = app.store.views.of(&auth.principal.user, &auth.principal.roles).await?;
    let may = views.into_iter().filter(|view| app.bind(&auth.principal, &view.query).is_ok());
    Ok(Json(may.map(|view| out(view, &auth)).collect()))
}

/// One view
#[utoipa::path(get, path = "/api/v1/views/{id}", tag = "views", operation_id = "get_view", params(("id" = i64, Path)),
    responses((status = 200, body = ViewOut), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn get(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<Json<ViewOut>> {
    let view = app.store.views.get(id, &auth.principal.user, &auth.principal.roles).await?;
    app.bind(&auth.principal, &view.query)?;
    Ok(Json(out(view, &auth)))
}

/// Keep a view
#[utoipa::path(post, path = "/api/v1/views", tag = "views", operation_id = "create_view", request_body = ViewIn,
    responses((status = 201, body = ViewOut), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<ViewIn>,
) -> Result<(StatusCode, Json<ViewOut>)> {
    let view = checked(&app, &auth, body, 0).await?;
    let view = app.store.views.add(view).await?;
    Ok((StatusCode::CREATED, Json(out(view, &auth))))
}

/// Replace a view of one's own
#[utoipa::path(put, path = "/api/v1/views/{id}", tag = "views", operation_id = "replace_view", params(("id" = i64, Path)), request_body = ViewIn,
    responses((status = 200, body = ViewOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn replace(
    State(app): State<App>,
    auth: Auth,
    Path(id): Path<i64>,
    ValidatedJson(body): ValidatedJson<ViewIn>,
) -> Result<Json<ViewOut>> {
    let mut view = checked(&app, &auth, body, id).await?;
    view.created_at = app.store.views.get(id, &auth.principal.user, &[]).await?.created_at;
    let view = app.store.views.replace(view).await?;
    Ok(Json(out(view, &auth)))
}

/// Forget a view of one's own
#[utoipa::path(delete, path = "/api/v1/views/{id}", tag = "views", operation_id = "delete_view", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<StatusCode> {
    app.store.views.remove(&auth.principal.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn out(view: SavedView, auth: &Auth) -> ViewOut {
    ViewOut { own: view.owner == auth.principal.user, view }
}

/// A view may hold what its keeper may ask, and no question about a person.
async fn checked(app: &App, auth: &Auth, body: ViewIn, id: i64) -> Result<SavedView> {
    let name: String = body.name.trim().chars().take(60).collect();
    if name.is_empty() {
        return Err(Error::user("view.name", "请给视图起个名字 (give it a name)"));
    }
    let mut query = body.query;
    query.cursor = None;
    let bound = app.bind(&auth.principal, &query)?;
    for field in query.filter.fields() {
        let personal =
            bound.dataset().field(field).is_some_and(|f| f.sensitivity >= Sensitivity::Personal || f.person_key);
        if personal {
            return Err(Error::forbidden(
                "view.personal",
                format!("视图不能带个人信息字段 '{field}' 的条件 (no conditions on persons)"),
            )
            .hint("请去掉这个条件后再保存"));
        }
    }
    let catalogue = app.catalogue();
    if let Some(role) = body.roles.iter().find(|role| catalogue.policy().role(role).is_none()) {
        return Err(Error::user("view.role", format!("没有角色 '{role}' (no such role)")));
    }
    if !body.roles.is_empty() {
        let event = AuditEvent::new(&auth.principal.user, "view_shared")
            .dataset(&query.dataset)
            .detail(serde_json::json!({"name": name, "roles": body.roles, "query": query}));
        app.store.log.audit(event).await?;
    }
    Ok(SavedView {
        id,
        owner: auth.principal.user.clone(),
        name,
        note: body.note.trim().chars().take(300).collect(),
        query,
        chart: body.chart.filter(|c| c.len() <= 20),
        roles: body.roles,
        created_at: 0,
        updated_at: 0,
    })
}
