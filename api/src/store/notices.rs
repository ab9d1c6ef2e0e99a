//! Messages to people inside the program: the first channel of the notifier.

use super::db::Db;
use super::error::db;
use super::txn::Txn;
use async_trait::async_trait;
use serde::Serialize;
use sqlx::Row;
use std::sync::Arc;
use tokio::sync::watch;
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::{Clock, Notice, Notifier};

/// A notice as its receiver sees it.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeRow {
    pub id: i64,
    pub title: String,
    pub body: String,
    pub link: Option<String>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub read_at: Option<i64>,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Notices {
    db: Db,
    clock: Arc<dyn Clock>,
    changes: watch::Sender<u64>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Notices {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, changes: watch::Sender::new(0) }
    }

    /// Tells listeners of notices that were written inside another write.
    pub(super) fn touch(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    /// Ticks when somebody has a new notice or has read one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A user's notices, newest first.
    pub async fn list(&self, username: &str, limit: u32) -> Result<Vec<NoticeRow>> {
        let rows = sqlx::query("SELECT id, title, body, link, created_at, read_at FROM notices WHERE username = ? ORDER BY id DESC LIMIT ?")
            .bind(username)
            .bind(limit.min(1_000))
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        let read = |row: sqlx::sqlite::SqliteRow| NoticeRow {
            id: row.get("id"),
            title: row.get("title"),
            body: row.get("body"),
            link: row.get("link"),
            created_at: row.get("created_at"),
            read_at: row.get("read_at"),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    pub async fn unread(&self, username: &str) -> Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM notices WHERE username = ? AND read_at IS NULL")
            .bind(username)
            .fetch_one(self.db.readers())
            .await
            .map_err(db)?;
        Ok(count as u64)
    }

    /// Marks one notice of a user as read, or all.
    pub async fn mark_read(&self, username: &str, id: Option<i64>) -> Result<()> {
        let (username, now) = (username.to_string(), self.clock.now());
        self.db
            .write(move |txn| {
                Box::pin(async move {
                    sqlx::query("UPDATE notices SET read_at = ?1 WHERE username = ?2 AND read_at IS NULL AND (?3 IS NULL OR id = ?3)")
                        .bind(now)
                        .bind(username)
                        .bind(id)
                        .execute(txn.conn())
                        .await
                        .map(|_| ())
                        .map_err(db)
                })
            })
            .await?;
        self.touch();
        Ok(())
    }
}

/// Stores a notice inside a write. The same notice again is the same notice, read or not.
pub(super) async fn insert(txn: &mut Txn, notice: &Notice) -> Result<()> {
    let now = txn.now();
    sqlx::query("INSERT INTO notices (username, key, title, body, link, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(&notice.to)
        .bind(&notice.key)
        .bind(&notice.title)
        .bind(&notice.body)
        .bind(&notice.link)
        .bind(now)
        .execute(txn.conn())
        .await
        .map(|_| ())
        .map_err(db)
}

#[async_trait]
impl Notifier for Notices {
    async fn notify(&self, notice: &Notice) -> Result<()> {
        let notice = notice.clone();
        self.db.write(move |txn| Box::pin(async move { insert(txn, &notice).await })).await?;
        self.touch();
        Ok(())
    }
}
