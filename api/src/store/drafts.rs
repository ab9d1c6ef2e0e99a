//! Drafts of forms, kept as one types: one a user, register and record. Personal and secret fields
//! are left out of them; they are typed again.

use super::error::db;
use super::records::RecordStore;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::collections::BTreeMap;
use zonglan_catalog::dataset::{Dataset, Sensitivity};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::policy::Principal;

/// What was typed, by field, and the version of the record that it was typed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub fields: BTreeMap<String, String>,
    #[serde(default)]
    pub version: Option<u64>,
}

/// Drafts older than this are cleared away.
const KEPT: i64 = 30 * 86_400_000;
/// Drafts that one user may have.
const MOST: i64 = 200;
const BYTES: usize = 64 * 1024;

impl RecordStore {
    fn drafted(&self, principal: &Principal, dataset: &str, record: &str) -> Result<std::sync::Arc<Dataset>> {
        let (_, access) = self.access(principal, dataset)?;
        access.may_list()?;
        if record.is_empty() || record.len() > 200 {
            return Err(Error::user("drafts.record", "草稿的记录编号过长"));
        }
        Ok(access.dataset)
    }

    /// Keeps a draft; the one before is replaced.
    pub async fn keep_draft(&self, principal: &Principal, dataset: &str, record: &str, draft: Draft) -> Result<()> {
        let dataset = self.drafted(principal, dataset, record)?;
        let mut draft = draft;
        draft.fields.retain(|name, _| dataset.field(name).is_some_and(|f| f.sensitivity < Sensitivity::Personal));
        let body = serde_json::to_string(&draft).map_err(Error::internal)?;
        if body.len() > BYTES {
            return Err(Error::user("drafts.size", "草稿过大，请先保存"));
        }
        let (user, name, record) = (principal.user.clone(), dataset.name.clone(), record.to_string());
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let now = txn.now();
                    let old = "DELETE FROM drafts WHERE username = ?1 AND (saved_at < ?2 OR saved_at <= (SELECT saved_at FROM drafts WHERE username = ?1 ORDER BY saved_at DESC LIMIT 1 OFFSET ?3))";
                    sqlx::query(old).bind(&user).bind(now - KEPT).bind(MOST).execute(txn.conn()).await.map_err(db)?;
                    let sql = "INSERT INTO drafts (username, dataset, record, body, saved_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET body = ?4, saved_at = ?5";
                    let query = sqlx::query(sql).bind(&user).bind(&name).bind(&record).bind(&body).bind(now);
                    query.execute(txn.conn()).await.map(|_| ()).map_err(db)
                })
            })
            .await
    }

    /// The draft of a form and when it was kept (milliseconds since 1970 UTC).
    pub async fn draft(&self, principal: &Principal, dataset: &str, record: &str) -> Result<Option<(Draft, i64)>> {
        let dataset = self.drafted(principal, dataset, record)?;
        let sql = "SELECT body, saved_at FROM drafts WHERE username = ? AND dataset = ? AND record = ?";
        let query = sqlx::query(sql).bind(&principal.user).bind(&dataset.name).bind(record);
        let row = query.fetch_optional(self.db.readers()).await.map_err(db)?;
        Ok(row.and_then(|row| Some((serde_json::from_str(row.get("body")).ok()?, row.get("saved_at")))))
    }

    pub async fn drop_draft(&self, principal: &Principal, dataset: &str, record: &str) -> Result<()> {
        let dataset = self.drafted(principal, dataset, record)?;
        let (user, name, record) = (principal.user.clone(), dataset.name.clone(), record.to_string());
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let sql = "DELETE FROM drafts WHERE username = ? AND dataset = ? AND record = ?";
                    let query = sqlx::query(sql).bind(&user).bind(&name).bind(&record);
                    query.execute(txn.conn()).await.map(|_| ()).map_err(db)
                })
            })
            .await
    }
}
