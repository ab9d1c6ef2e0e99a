//! Searches that people keep, with what they were told of already; own searches of the past; who
//! looked at a record; and what was confirmed of values read from texts.

use super::db::Db;
use super::error::db;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;
use zonglan_catalog::SearchRequest;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::Clock;

/// Searches that one user may keep.
pub const MOST_SAVED: i64 = 200;

/// A kept search.
#[derive(Debug, Clone, Serialize)]
pub struct SavedSearch {
    pub id: i64,
    #[serde(skip)]
    pub user: String,
    pub name: String,
    pub request: SearchRequest,
    /// Whether new hits are told of.
    pub alert: bool,
    #[serde(skip)]
    pub known: Vec<String>,
    /// Hits when it ran last.
    pub total: u64,
    /// Why it no longer alerts, if it does not.
    pub note: Option<String>,
    pub expires_at: Option<i64>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub run_at: i64,
}

/// A look in the audit stream.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub purpose: Option<String>,
    pub detail: Option<serde_json::Value>,
}

/// A confirmed or corrected value, or a confirmed link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    pub dataset: String,
    pub record: String,
    /// `field:court`, `link:judgment/WS1`.
    pub item: String,
    pub value: String,
    /// `confirmed`, `corrected`, `rejected`.
    pub verdict: String,
    pub by: String,
    pub at: i64,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Searches {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Searches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searches").finish_non_exhaustive()
    }
}

fn saved(row: &SqliteRow) -> Result<SavedSearch> {
    Ok(SavedSearch {
        id: row.get("id"),
        user: row.get("username"),
        name: row.get("name"),
        request: serde_json::from_str(row.get("request")).map_err(Error::internal)?,
        alert: row.get::<i64, _>("alert") == 1,
        known: serde_json::from_str(row.get("known")).map_err(Error::internal)?,
        total: row.get::<i64, _>("total") as u64,
        note: row.get("note"),
        expires_at: row.get("expires_at"),
        created_at: row.get("created_at"),
        run_at: row.get("run_at"),
    })
}

impl Searches {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Kept searches of a user, newest first; of everybody with alerts where `None`.
    pub async fn saved(&self, user: Option<&str>) -> Result<Vec<SavedSearch>> {
        let rows = sqlx::query(
            "SELECT * FROM saved_searches WHERE (?1 IS NULL AND alert = 1) OR username = ?1 ORDER BY id DESC",
        )
        .bind(user)
        .fetch_all(self.db.readers())
        .await
        .map_err(db)?;
        rows.iter().map(saved).collect()
    }

    /// Keeps a search; its id.
    pub async fn save(&self, search: SavedSearch) -> Result<i64> {
        let request = serde_json::to_string(&search.request).map_err(Error::internal)?;
        let known = serde_json::to_string(&search.known).map_err(Error::internal)?;
        let now = self.clock.now();
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM saved_searches WHERE username = ?")
                        .bind(&search.user)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)?;
                    if count >= MOST_SAVED {
                        return Err(Error::user("search.saved_full", format!("最多保存 {MOST_SAVED} 个检索，请先删除一些")));
                    }
                    let done = sqlx::query("INSERT INTO saved_searches (username, name, request, alert, known, total, expires_at, created_at, run_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                        .bind(&search.user)
                        .bind(&search.name)
                        .bind(request)
                        .bind(i64::from(search.alert))
                        .bind(known)
                        .bind(search.total as i64)
                        .bind(search.expires_at)
                        .bind(now)
                        .bind(now)
                        .execute(txn.conn())
                        .await
                        .map_err(db)?;
                    Ok(done.last_insert_rowid())
                })
            })
            .await
    }

    /// Remembers a run: what is known now, and why alerts end, if they do.
    pub async fn ran(&self, id: i64, known: &[String], total: u64, stop: Option<String>) -> Result<()> {
        let known = serde_json::to_string(known).map_err(Error::internal)?;
        let now = self.clock.now();
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("UPDATE saved_searches SET known = ?, total = ?, run_at = ?, alert = CASE WHEN ?4 IS NULL THEN alert ELSE 0 END, note = coalesce(?4, note) WHERE id = ?5")
                        .bind(known)
                        .bind(total as i64)
                        .bind(now)
                        .bind(stop)
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await
    }

    /// Forgets a kept search of a user.
    pub async fn forget(&self, user: &str, id: i64) -> Result<()> {
        let user = user.to_string();
        let gone: u64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM saved_searches WHERE id = ? AND username = ?")
                        .bind(id)
                        .bind(user)
                        .execute(txn.conn())
                        .await
                        .map(|done| done.rows_affected())
                        .map_err(db)
                })
            })
            .await?;
        if gone == 0 {
            return Err(Error::not_found("search.saved_unknown", format!("没有保存的检索 '{id}' (no such search)")));
        }
        Ok(())
    }

    /// A user's own entries of one action, newest first.
    pub async fn own(&self, user: &str, action: &str, limit: u32) -> Result<Vec<Look>> {
        let rows = sqlx::query("SELECT at, actor, action, purpose, detail FROM audit_log WHERE actor = ? AND action = ? ORDER BY id DESC LIMIT ?")
            .bind(user)
            .bind(action)
            .bind(limit.min(500))
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        Ok(rows.iter().map(look).collect())
    }

    /// Who looked at a record, newest first.
    pub async fn looks(&self, dataset: &str, record: &str, limit: u32) -> Result<Vec<Look>> {
        let rows = sqlx::query("SELECT at, actor, action, purpose, detail FROM audit_log WHERE dataset = ? AND record = ? ORDER BY id DESC LIMIT ?")
            .bind(dataset)
            .bind(record)
            .bind(limit.min(500))
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        Ok(rows.iter().map(look).collect())
    }

    /// Stores what somebody said of a value or link; the last word stands.
    pub async fn confirm(&self, word: Confirmation) -> Result<()> {
        let now = self.clock.now();
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO confirmations (dataset, record, item, value, verdict, by, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, verdict = excluded.verdict, by = excluded.by, at = excluded.at")
                        .bind(word.dataset)
                        .bind(word.record)
                        .bind(word.item)
                        .bind(word.value)
                        .bind(word.verdict)
                        .bind(word.by)
                        .bind(now)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await
    }

    /// What was said of a record.
    pub async fn confirmations(&self, dataset: &str, record: &str) -> Result<Vec<Confirmation>> {
        let rows = sqlx::query("SELECT * FROM confirmations WHERE dataset = ? AND record = ? ORDER BY item")
            .bind(dataset)
            .bind(record)
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        Ok(rows
            .iter()
            .map(|row| Confirmation {
                dataset: row.get("dataset"),
                record: row.get("record"),
                item: row.get("item"),
                value: row.get("value"),
                verdict: row.get("verdict"),
                by: row.get("by"),
                at: row.get("at"),
            })
            .collect())
    }
}

fn look(row: &SqliteRow) -> Look {
    Look {
        at: row.get("at"),
        actor: row.get("actor"),
        action: row.get("action"),
        purpose: row.get("purpose"),
        detail: row.get::<Option<&str>, _>("detail").and_then(|text| serde_json::from_str(text).ok()),
    }
}
