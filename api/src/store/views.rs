//! Queries that people keep, own and shared with roles.

use super::db::Db;
use super::error::db;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;
use zonglan_catalog::Query;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::Clock;

/// Views that one user may keep.
pub const MOST_VIEWS: i64 = 200;

/// A kept query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SavedView {
    pub id: i64,
    /// Who keeps it.
    pub owner: String,
    pub name: String,
    pub note: String,
    pub query: Query,
    /// The kind of chart, such as `line`. `None`: as fits the query.
    pub chart: Option<String>,
    /// Whose holders may open it, too.
    pub roles: Vec<String>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub updated_at: i64,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Views {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

fn view(row: &SqliteRow) -> Result<SavedView> {
    Ok(SavedView {
        id: row.get("id"),
        owner: row.get("username"),
        name: row.get("name"),
        note: row.get("note"),
        query: serde_json::from_str(row.get("query")).map_err(Error::internal)?,
        chart: row.get("chart"),
        roles: serde_json::from_str(row.get("roles")).map_err(Error::internal)?,
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    })
}

fn unknown(id: i64) -> Error {
    Error::not_found("view.unknown", format!("没有保存的视图 '{id}' (no such view)"))
}

impl Views {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Those of a user and those shared with one of the roles, newest first.
    pub async fn of(&self, user: &str, roles: &[String]) -> Result<Vec<SavedView>> {
        let rows =
            sqlx::query("SELECT * FROM views WHERE username = ? OR roles <> '[]' ORDER BY updated_at DESC, id DESC")
                .bind(user)
                .fetch_all(self.db.readers())
                .await
                .map_err(db)?;
        let all: Vec<SavedView> = rows.iter().map(view).collect::<Result<_>>()?;
        Ok(all.into_iter().filter(|v| v.owner == user || v.roles.iter().any(|r| roles.contains(r))).collect())
    }

    /// One that the user keeps or that is shared with one of the roles.
    pub async fn get(&self, id: i64, user: &str, roles: &[String]) -> Result<SavedView> {
        let row = sqlx::query("SELECT * FROM views WHERE id = ?")
            .bind(id)
            .fetch_optional(self.db.readers())
            .await
            .map_err(db)?;
        let found = row.as_ref().map(view).transpose()?;
        found.filter(|v| v.owner == user || v.roles.iter().any(|r| roles.contains(r))).ok_or_else(|| unknown(id))
    }

    /// Keeps a view; its id and times are set.
    pub async fn add(&self, mut view: SavedView) -> Result<SavedView> {
        let now = self.clock.now();
        (view.created_at, view.updated_at) = (now, now);
        let (query, roles) = texts(&view)?;
        let kept = view.clone();
        view.id = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM views WHERE username = ?")
                        .bind(&kept.owner)
                        .fetch_one(txn.conn())
                        .await
                        .map_err(db)?;
                    if count >= MOST_VIEWS {
                        return Err(Error::user("view.full", format!("最多保存 {MOST_VIEWS} 个视图，请先删除一些")));
                    }
                    let done = sqlx::query("INSERT INTO views (username, name, note, query, chart, roles, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                        .bind(&kept.owner)
                        .bind(&kept.name)
                        .bind(&kept.note)
                        .bind(query)
                        .bind(&kept.chart)
                        .bind(roles)
                        .bind(now)
                        .bind(now)
                        .execute(txn.conn())
                        .await
                        .map_err(db)?;
                    Ok(done.last_insert_rowid())
                })
            })
            .await?;
        Ok(view)
    }

    /// Replaces a view of its owner.
    pub async fn replace(&self, mut view: SavedView) -> Result<SavedView> {
        view.updated_at = self.clock.now();
        let (query, roles) = texts(&view)?;
        let kept = view.clone();
        let changed: u64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("UPDATE views SET name = ?, note = ?, query = ?, chart = ?, roles = ?, updated_at = ? WHERE id = ? AND username = ?")
                        .bind(&kept.name)
                        .bind(&kept.note)
                        .bind(query)
                        .bind(&kept.chart)
                        .bind(roles)
                        .bind(kept.updated_at)
                        .bind(kept.id)
                        .bind(&kept.owner)
                        .execute(txn.conn())
                        .await
                        .map(|done| done.rows_affected())
                        .map_err(db)
                })
            })
            .await?;
        if changed == 0 { Err(unknown(view.id)) } else { Ok(view) }
    }

    /// Forgets a view of its owner.
    pub async fn remove(&self, user: &str, id: i64) -> Result<()> {
        let user = user.to_string();
        let gone: u64 = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM views WHERE id = ? AND username = ?")
                        .bind(id)
                        .bind(user)
                        .execute(txn.conn())
                        .await
                        .map(|done| done.rows_affected())
                        .map_err(db)
                })
            })
            .await?;
        if gone == 0 { Err(unknown(id)) } else { Ok(()) }
    }
}

fn texts(view: &SavedView) -> Result<(String, String)> {
    let query = serde_json::to_string(&view.query).map_err(Error::internal)?;
    let roles = serde_json::to_string(&view.roles).map_err(Error::internal)?;
    Ok((query, roles))
}
