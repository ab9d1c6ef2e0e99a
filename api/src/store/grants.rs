//! Query rights (查询权限): applied for with a purpose, decided by somebody else, ended by time or
//! withdrawn. A right in force is a [`Grant`] of the user, which `bind` reads with each request.

use super::db::Db;
use super::error::db;
use super::identity::{Identity, audit, json};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::policy::Grant;
use zonglan_catalog::traits::Clock;

/// The longest that a right is given for, in days.
pub const MOST_DAYS: i64 = 180;
const DAY: i64 = 86_400_000;

/// What a right opens beyond the role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantScope {
    /// Region codes.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Keys of rows: assigned cases.
    #[serde(default)]
    pub records: Vec<String>,
    /// Fields to be seen in clear.
    #[serde(default)]
    pub fields: Vec<String>,
}

impl GrantScope {
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.records.is_empty() && self.fields.is_empty()
    }
}

/// An application and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct GrantRequest {
    pub id: i64,
    pub user: String,
    pub dataset: String,
    pub scope: GrantScope,
    pub purpose: String,
    pub days: i64,
    /// `requested`, `approved`, `refused`, `withdrawn`, `expired`.
    pub state: String,
    /// Milliseconds since 1970 UTC, like all times here.
    pub created_at: i64,
    pub decided_by: Option<String>,
    pub decided_at: Option<i64>,
    pub reason: Option<String>,
    pub expires_at: Option<i64>,
}

/// A new application.
#[derive(Debug, Clone)]
pub struct NewRequest {
    pub user: String,
    pub dataset: String,
    pub scope: GrantScope,
    pub purpose: String,
    pub days: i64,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Grants {
    db: Db,
    identity: Identity,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants").finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "id, username, dataset, scope, purpose, days, state, created_at, decided_by, decided_at, reason, expires_at";

impl Grants {
    pub(super) fn new(db: Db, identity: Identity, clock: Arc<dyn Clock>) -> Self {
        Self { db, identity, clock }
    }

    fn read(&self, row: &SqliteRow) -> Result<GrantRequest> {
        let expires_at: Option<i64> = row.get("expires_at");
        let mut state: String = row.get("state");
        if state == "approved" && expires_at.is_some_and(|at| at <= self.clock.now()) {
            state = "expired".into();
        }
        Ok(GrantRequest {
            id: row.get("id"),
            user: row.get("username"),
            dataset: row.get("dataset"),
            scope: serde_json::from_str(row.get("scope")).map_err(Error::internal)?,
            purpose: row.get("purpose"),
            days: row.get("days"),
            state,
            created_at: row.get("created_at"),
            decided_by: row.get("decided_by"),
            decided_at: row.get("decided_at"),
            reason: row.get("reason"),
            expires_at,
        })
    }

    /// Applications of one user, or of all, newest first.
    pub async fn list(&self, user: Option<&str>, limit: u32) -> Result<Vec<GrantRequest>> {
        let rows = sqlx::query(&format!(
            "SELECT {COLUMNS} FROM grant_requests WHERE ?1 IS NULL OR username = ?1 ORDER BY id DESC LIMIT ?2"
        ))
        .bind(user)
        .bind(limit.min(1_000))
        .fetch_all(self.db.readers())
        .await
        .map_err(db)?;
        rows.iter().map(|row| self.read(row)).collect()
    }

    pub async fn get(&self, id: i64) -> Result<GrantRequest> {
        let row = sqlx::query(&format!("SELECT {COLUMNS} FROM grant_requests WHERE id = ?"))
            .bind(id)
            .fetch_optional(self.db.readers())
            .await
            .map_err(db)?;
        match row {
            Some(row) => self.read(&row),
            None => Err(Error::not_found("grants.unknown", format!("没有权限申请 '{id}' (no such application)"))),
        }
    }

    /// Stores an application; it opens nothing.
    pub async fn request(&self, new: NewRequest) -> Result<GrantRequest> {
        if new.purpose.trim().chars().count() < 4 {
            return Err(Error::user("grants.purpose", "请写明查询目的，至少四个字 (state the purpose)"));
        }
        if new.scope.is_empty() {
            return Err(Error::user("grants.scope", "请指明要查看的区域、案件或字段 (nothing was applied for)"));
        }
        if !(1..=MOST_DAYS).contains(&new.days) {
            return Err(Error::user("grants.days", format!("期限须在 1 至 {MOST_DAYS} 天之间")));
        }
        let (scope, now) = (json(&new.scope)?, self.clock.now());
        let id: i64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let done = sqlx::query("INSERT INTO grant_requests (username, dataset, scope, purpose, days, state, created_at) VALUES (?, ?, ?, ?, ?, 'requested', ?)")
                        .bind(&new.user)
                        .bind(&new.dataset)
                        .bind(&scope)
                        .bind(new.purpose.trim())
                        .bind(new.days)
                        .bind(now)
                        .execute(txn.conn())
                        .await
                        .map_err(db)?;
                    audit(txn, &new.user, "grant_requested", &new.user, Some(scope));
                    Ok(done.last_insert_rowid())
                })
            })
            .await?;
        self.get(id).await
    }

    /// Approves or refuses an application. The applicant cannot decide on it.
    pub async fn decide(&self, actor: &str, id: i64, approve: bool, reason: Option<String>) -> Result<GrantRequest> {
        let request = self.get(id).await?;
        if request.user == actor {
            return Err(Error::forbidden("grants.own", "不能审批自己的申请 (somebody else has to decide)"));
        }
        let now = self.clock.now();
        let expires = now + request.days * DAY;
        let (state, by) = (if approve { "approved" } else { "refused" }, actor.to_string());
        let told = reason.clone();
        let changed: u64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    // Two people may decide at once: the first one's word stands.
                    let done = sqlx::query("UPDATE grant_requests SET state = ?, decided_by = ?, decided_at = ?, reason = ?, expires_at = ? WHERE id = ? AND state = 'requested'")
                        .bind(state)
                        .bind(by)
                        .bind(now)
                        .bind(told)
                        .bind(approve.then_some(expires))
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map_err(db)?;
                    Ok(done.rows_affected())
                })
            })
            .await?;
        if changed == 0 {
            return Err(Error::new(
                ErrorClass::Conflict,
                "grants.decided",
                format!("申请 {id} 已有决定 (already decided)"),
            ));
        }
        if approve {
            let scope = request.scope;
            let grant = Grant {
                id: format!("request-{id}"),
                dataset: request.dataset,
                regions: scope.regions,
                fields: scope.fields,
                records: scope.records,
                purpose: request.purpose,
                expires,
            };
            self.identity.grant(actor, &request.user, grant).await?;
        } else {
            let (by, user) = (actor.to_string(), request.user);
            self.db
                .write(move |txn| {
                    Box::pin(async move {
                        audit(txn, &by, "grant_refused", &user, reason);
                        Ok(())
                    })
                })
                .await?;
        }
        self.get(id).await
    }

    /// Takes back an application or ends the right; open sessions feel it at once.
    pub async fn withdraw(&self, actor: &str, id: i64, reason: Option<String>) -> Result<GrantRequest> {
        let request = self.get(id).await?;
        // First the right, then the record of it: a crash between leaves too little, not too much.
        if request.state == "approved" {
            self.identity.revoke_grant(actor, &request.user, &format!("request-{id}")).await?;
        }
        let (by, now) = (actor.to_string(), self.clock.now());
        let changed: u64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let done = sqlx::query("UPDATE grant_requests SET state = 'withdrawn', withdrawn_by = ?, withdrawn_at = ?, reason = coalesce(?, reason) WHERE id = ? AND state IN ('requested', 'approved')")
                        .bind(by)
                        .bind(now)
                        .bind(reason)
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map_err(db)?;
                    Ok(done.rows_affected())
                })
            })
            .await?;
        if changed == 0 {
            return Err(Error::new(ErrorClass::Conflict, "grants.over", format!("申请 {id} 已经结束 (already over)")));
        }
        self.get(id).await
    }
}
