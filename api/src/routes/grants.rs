//! `/api/v1/grants`: query rights (查询权限), applied for with a purpose and decided by others.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{GrantRequest, GrantScope, NewRequest};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zonglan_catalog::policy::WHOLE_CITY;
use zonglan_catalog::traits::{Notice, Notifier};
use zonglan_catalog::{Dataset, Principal};

/// The action of those who decide on applications.
pub const DECIDES: &str = "grants";

#[derive(Serialize, ToSchema)]
pub struct GrantsOut {
    /// Own applications, newest first.
    #[schema(value_type = Vec<Object>)]
    pub own: Vec<GrantRequest>,
    /// Applications of others that the asker may decide on or withdraw.
    #[schema(value_type = Vec<Object>)]
    pub others: Vec<GrantRequest>,
    pub decides: bool,
}

/// Whether somebody may decide on an application: holds the action, reads the dataset, and has the
/// regions asked for. Nobody gives what is not theirs.
fn may_decide(app: &App, principal: &Principal, request: &GrantRequest) -> bool {
    let catalogue = app.catalogue();
    let policy = catalogue.policy();
    let Some(dataset) = catalogue.dataset(&request.dataset) else { return false };
    let whole = principal.regions.iter().any(|r| r == WHOLE_CITY);
    let has = |code: &String| whole || principal.regions.iter().any(|r| code.starts_with(r.as_str()));
    let regions = request.scope.regions.iter().all(has);
    // Rows by key lie in some region that is not known here: only the whole city covers it.
    let records = request.scope.records.is_empty() || whole;
    request.user != principal.user
        && policy.may(principal, DECIDES)
        && policy.may_read(principal, dataset)
        && regions
        && records
}

/// List one's applications and those to decide on
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", operation_id = "list_grants", responses((status = 200, body = GrantsOut)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<GrantsOut>> {
    let decides = app.catalogue().policy().may(&auth.principal, DECIDES);
    let own = app.store.grants.list(Some(&auth.principal.user), 200).await?;
    let others = if decides { app.store.grants.list(None, 500).await? } else { Vec::new() };
    let others = others.into_iter().filter(|r| may_decide(&app, &auth.principal, r)).collect();
    Ok(Json(GrantsOut { own, others, decides }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyIn {
    pub dataset: String,
    /// Region codes.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Keys of rows, such as case numbers of the dataset.
    #[serde(default)]
    pub records: Vec<String>,
    /// Fields to see in clear.
    #[serde(default)]
    pub fields: Vec<String>,
    pub purpose: String,
    /// 1 to 180.
    pub days: i64,
}

fn check(app: &App, dataset: &Dataset, body: &ApplyIn) -> Result<()> {
    for name in &body.fields {
        let field = dataset.field(name).filter(|f| !f.person_key);
        if field.is_none() {
            return Err(Error::user("grants.field", format!("数据集「{}」没有字段 '{name}'", dataset.label.zh)));
        }
    }
    if !body.regions.is_empty() && dataset.region.is_none() {
        return Err(Error::user("grants.region", format!("数据集「{}」不按区域授权", dataset.label.zh)));
    }
    let catalogue = app.catalogue();
    let known =
        |code: &String| code == WHOLE_CITY || catalogue.codes("region").is_some_and(|list| list.get(code).is_some());
    if let Some(code) = body.regions.iter().find(|c| !known(c)) {
        return Err(Error::user("grants.region", format!("没有区域代码 '{code}' (no such region)")));
    }
    if !body.records.is_empty() && dataset.key.len() != 1 {
        return Err(Error::user("grants.records", format!("数据集「{}」不能按单件授权", dataset.label.zh)));
    }
    if body.records.len() > 100 || body.regions.len() > 20 || body.fields.len() > 30 {
        return Err(Error::user("grants.many", "一次申请的范围过大，请分开申请"));
    }
    Ok(())
}

/// Apply for a right to see more, with a purpose and an end
#[utoipa::path(post, path = "/api/v1/grants", tag = "grants", operation_id = "apply_for_grant", request_body = ApplyIn,
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn apply(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<ApplyIn>,
) -> Result<(StatusCode, Json<GrantRequest>)> {
    let catalogue = app.catalogue();
    let dataset = catalogue
        .dataset(&body.dataset)
        .ok_or_else(|| Error::not_found("dataset.unknown", format!("没有数据集 '{}'", body.dataset)))?;
    check(&app, dataset, &body)?;
    let new = NewRequest {
        user: auth.principal.user.clone(),
        dataset: body.dataset,
        scope: GrantScope { regions: body.regions, records: body.records, fields: body.fields },
        purpose: body.purpose,
        days: body.days,
    };
    let request = app.store.grants.request(new).await?;
    for user in app.store.identity.users() {
        let Ok(principal) = app.store.identity.principal(&user.username) else { continue };
        if may_decide(&app, &principal, &request) {
            let notice = Notice {
                to: user.username,
                title: format!("{} 申请查看「{}」", auth.principal.name, dataset.label.zh),
                body: request.purpose.clone(),
                link: Some("/grants".into()),
                key: format!("grant-{}", request.id),
            };
            app.store.notices.notify(&notice).await?;
        }
    }
    Ok((StatusCode::CREATED, Json(request)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionIn {
    pub approve: bool,
    pub reason: Option<String>,
}

/// Approve or refuse an application of somebody else
#[utoipa::path(post, path = "/api/v1/grants/{id}/decision", tag = "grants", operation_id = "decide_grant", params(("id" = i64, Path)), request_body = DecisionIn,
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn decide(
    State(app): State<App>,
    auth: Auth,
    Path(id): Path<i64>,
    ValidatedJson(body): ValidatedJson<DecisionIn>,
) -> Result<Json<GrantRequest>> {
    let request = app.store.grants.get(id).await?;
    if !may_decide(&app, &auth.principal, &request) {
        return Err(Error::forbidden("grants.decide", "您不能审批这项申请 (not yours to decide)")
            .hint("审批人须有审批职责、能查看所申请的全部范围，且不是申请人"));
    }
    if !body.approve && body.reason.as_deref().is_none_or(|r| r.trim().is_empty()) {
        return Err(Error::user("grants.reason", "不批准须写明理由 (give a reason)"));
    }
    let decided = app.store.grants.decide(&auth.principal.user, id, body.approve, body.reason).await?;
    let notice = Notice {
        to: decided.user.clone(),
        title: if body.approve { "查询权限已批准".into() } else { "查询权限未批准".into() },
        body: decided.reason.clone().unwrap_or_else(|| decided.purpose.clone()),
        link: Some("/grants".into()),
        key: format!("grant-{id}-decided"),
    };
    app.store.notices.notify(&notice).await?;
    Ok(Json(decided))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawIn {
    pub reason: Option<String>,
}

/// Take back an application, or end a right at once
#[utoipa::path(post, path = "/api/v1/grants/{id}/withdrawal", tag = "grants", operation_id = "withdraw_grant", params(("id" = i64, Path)), request_body = WithdrawIn,
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn withdraw(
    State(app): State<App>,
    auth: Auth,
    Path(id): Path<i64>,
    ValidatedJson(body): ValidatedJson<WithdrawIn>,
) -> Result<Json<GrantRequest>> {
    let request = app.store.grants.get(id).await?;
    if request.user != auth.principal.user && !may_decide(&app, &auth.principal, &request) {
        return Err(Error::not_found("grants.unknown", format!("没有权限申请 '{id}' (no such application)")));
    }
    Ok(Json(app.store.grants.withdraw(&auth.principal.user, id, body.reason).await?))
}
