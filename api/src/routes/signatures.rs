//! Signed statements about approvals and exports; `zonglan signature verify` checks them anywhere.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::Auth;
use crate::store::{SignedKind, Statement, export_statement};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

/// A signed statement.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementOut {
    pub id: String,
    /// `approval` or `export`.
    #[schema(value_type = String)]
    pub kind: SignedKind,
    pub dataset: String,
    pub record: String,
    pub version: u64,
    pub action: String,
    pub actor: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// SM3 of the stored document or of the file, hex.
    pub sm3: String,
    /// SM2 public key, SEC1 uncompressed, hex.
    pub public_key: String,
    /// SM2 signature `r || s`, hex.
    pub signature: String,
}

impl From<Statement> for StatementOut {
    fn from(s: Statement) -> Self {
        let Statement { id, kind, dataset, record, version, action, actor, at, sm3, public_key, signature } = s;
        Self { id, kind, dataset, record, version, action, actor, at, sm3, public_key, signature }
    }
}

/// The signed approvals of a record, oldest first
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}/signatures", tag = "records", operation_id = "list_record_signatures",
    params(("dataset" = String, Path), ("id" = String, Path)), responses((status = 200, body = Vec<StatementOut>), (status = 404, body = Problem)))]
pub async fn of_record(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
) -> Result<Json<Vec<StatementOut>>> {
    let found = app.store.records.approvals(&auth.principal, &dataset, &id).await?;
    Ok(Json(found.into_iter().map(StatementOut::from).collect()))
}

/// The signed statement about an export; its id is in the header `x-signature-id` of the file
#[utoipa::path(get, path = "/api/v1/exports/{id}/signature", tag = "exports", operation_id = "get_export_signature",
    params(("id" = String, Path)), responses((status = 200, body = StatementOut), (status = 404, body = Problem)))]
pub async fn of_export(State(app): State<App>, auth: Auth, Path(id): Path<String>) -> Result<Json<StatementOut>> {
    let all = app.catalogue().policy().may(&auth.principal, "audit");
    Ok(Json(export_statement(&app.store.db, &auth.principal, all, &id).await?.into()))
}
