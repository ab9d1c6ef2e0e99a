//! `/api/v1/notices`: messages of the program to the one who asks.

use crate::app::App;
use crate::error::Result;
use crate::extract::{Auth, ValidatedJson};
use crate::store::NoticeRow;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct NoticeList {
    /// Newest first, at most 100. Times in milliseconds since 1970 UTC.
    #[schema(value_type = Vec<Object>)]
    pub notices: Vec<NoticeRow>,
    pub unread: u64,
}

/// My notices
#[utoipa::path(get, path = "/api/v1/notices", tag = "tasks", operation_id = "list_notices", responses((status = 200, body = NoticeList)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<NoticeList>> {
    let user = &auth.principal.user;
    let notices = app.store.notices.list(user, 100).await?;
    Ok(Json(NoticeList { notices, unread: app.store.notices.unread(user).await? }))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadIn {
    /// One notice; left out: all.
    pub id: Option<i64>,
}

/// Mark notices as read
#[utoipa::path(post, path = "/api/v1/notices/read", tag = "tasks", operation_id = "read_notices", request_body = ReadIn, responses((status = 204)))]
pub async fn read(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<ReadIn>,
) -> Result<StatusCode> {
    app.store.notices.mark_read(&auth.principal.user, body.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
