//! The sealed change log for its readers, and the audit stream.

use super::CatalogueCell;
use super::chain::{AuditEntry, Heads};
use super::checkpoints::Checkpointer;
use super::db::Db;
use super::error::{StoreError, db};
use super::values;
use super::vault;
use async_trait::async_trait;
use serde::Serialize;
use sqlx::Row;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::{Change, ChangeBlock, ChangeSource, Clock};

/// Something to keep in the audit stream: a sign-in, a read of personal data, a search, an export.
#[derive(Debug, Clone, Default)]
pub struct AuditEvent {
    pub actor: String,
    /// Such as `login`, `login_failed`, `read`, `search`, `export`, `import`, `user_changed`.
    pub action: String,
    pub dataset: Option<String>,
    pub record: Option<String>,
    pub purpose: Option<String>,
    pub address: Option<String>,
    pub detail: Option<serde_json::Value>,
}

impl AuditEvent {
    pub fn new(actor: impl Into<String>, action: impl Into<String>) -> Self {
        Self { actor: actor.into(), action: action.into(), ..Self::default() }
    }
    pub fn dataset(mut self, dataset: impl Into<String>) -> Self {
        self.dataset = Some(dataset.into());
        self
    }
    pub fn record(mut self, record: impl Into<String>) -> Self {
        self.record = Some(record.into());
        self
    }
    pub fn purpose(mut self, purpose: Option<String>) -> Self {
        self.purpose = purpose;
        self
    }
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }
    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// An entry of the audit stream as stored.
#[derive(Debug, Clone, Serialize)]
pub struct AuditRow {
    pub id: i64,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub dataset: Option<String>,
    pub record: Option<String>,
    pub purpose: Option<String>,
    pub address: Option<String>,
    pub detail: Option<serde_json::Value>,
    /// Whether a block holds it already.
    pub sealed: bool,
}

enum Later {
    Event(i64, Box<AuditEvent>),
    Flush(oneshot::Sender<()>),
}

/// Readers' side of the change log, and the way into the audit stream. Clones share state.
#[derive(Clone)]
pub struct ChangeLog {
    db: Db,
    clock: Arc<dyn Clock>,
    catalogue: CatalogueCell,
    checkpoints: Checkpointer,
    sealed: watch::Receiver<u64>,
    later: mpsc::UnboundedSender<Later>,
}

impl std::fmt::Debug for ChangeLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeLog").finish_non_exhaustive()
    }
}

impl ChangeLog {
    pub(super) fn new(db: Db, checkpoints: Checkpointer, clock: Arc<dyn Clock>, catalogue: CatalogueCell) -> Self {
        let mut heads = db.heads();
        let (sealed_tx, sealed) = watch::channel(heads.borrow().change.block);
        tokio::spawn(async move {
            while heads.changed().await.is_ok() {
                let block = heads.borrow_and_update().change.block;
                sealed_tx.send_if_modified(|old| std::mem::replace(old, block) != block);
            }
        });
        let (later, queued) = mpsc::unbounded_channel();
        tokio::spawn(drain(db.clone(), queued));
        Self { db, clock, catalogue, checkpoints, sealed, later }
    }

    /// Number of the last sealed block; changes wake the follower.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.clone()
    }

    /// Stores an event; on disk when this returns.
    pub async fn audit(&self, event: AuditEvent) -> Result<()> {
        let at = self.clock.now();
        let write = self.db.write_checked(move |txn| {
            Box::pin(async move {
                write_event(txn, at, &event);
                Ok(())
            })
        });
        write.await
    }

    /// Queues an event without waiting for the disk; order and time are those of the call.
    pub fn audit_later(&self, event: AuditEvent) {
        if self.later.send(Later::Event(self.clock.now(), Box::new(event))).is_err() {
            tracing::error!("the audit stream has stopped; an event was lost");
        }
    }

    /// Returns when every event queued so far has been written.
    pub async fn flush_audit(&self) {
        let (tx, rx) = oneshot::channel();
        if self.later.send(Later::Flush(tx)).is_ok() {
            let _ = rx.await;
        }
    }

    /// Events before an id (all where `None`), newest first.
    pub async fn audit_page(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>> {
        let rows = sqlx::query("SELECT id, at, actor, action, dataset, record, purpose, address, detail, block FROM audit_log WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit.min(1_000))
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        Ok(rows
            .into_iter()
            .map(|row| AuditRow {
                id: row.get("id"),
                at: row.get("at"),
                actor: row.get("actor"),
                action: row.get("action"),
                dataset: row.get("dataset"),
                record: row.get("record"),
                purpose: row.get("purpose"),
                address: row.get("address"),
                detail: row.get::<Option<&str>, _>("detail").and_then(|text| serde_json::from_str(text).ok()),
                sealed: row.get::<Option<i64>, _>("block").is_some(),
            })
            .collect())
    }

    /// Signs the heads of both streams where they moved since the last checkpoint.
    pub async fn checkpoint(&self) -> Result<()> {
        self.checkpoints.write().await
    }

    /// Heads of both streams, for metrics and the follower's lag.
    pub fn heads(&self) -> Heads {
        self.db.heads().borrow().clone()
    }
}

fn write_event(txn: &mut super::txn::Txn, at: i64, event: &AuditEvent) {
    let detail = event.detail.as_ref().map(serde_json::Value::to_string);
    let entry = AuditEntry {
        at,
        actor: &event.actor,
        action: &event.action,
        dataset: event.dataset.as_deref(),
        record: event.record.as_deref(),
        purpose: event.purpose.as_deref(),
        address: event.address.as_deref(),
        detail: detail.as_deref(),
    };
    txn.audit(&entry);
}

/// Writes queued events, many a transaction. Ends with the last `ChangeLog`.
async fn drain(db: Db, mut queued: mpsc::UnboundedReceiver<Later>) {
    let mut items = Vec::new();
    while queued.recv_many(&mut items, 1_000).await > 0 {
        let mut events = Vec::with_capacity(items.len());
        let mut waiting = Vec::new();
        for item in items.drain(..) {
            match item {
                Later::Event(at, event) => events.push((at, event)),
                Later::Flush(reply) => waiting.push(reply),
            }
        }
        let events = Arc::new(events);
        for attempt in 0..600 {
            let batch = events.clone();
            let written = db.write_checked(move |txn| {
                Box::pin(async move {
                    for (at, event) in batch.iter() {
                        write_event(txn, *at, event);
                    }
                    Ok(())
                })
            });
            let Err(error) = written.await else { break };
            tracing::error!(%error, attempt, "audit events wait to be written");
            if matches!(StoreError::of(&error), Some(StoreError::Closing)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        for reply in waiting {
            // A waiter that has gone is no matter.
            let _ = reply.send(());
        }
    }
}

#[async_trait]
impl ChangeSource for ChangeLog {
    async fn blocks_after(&self, position: u64, limit: usize) -> Result<Vec<ChangeBlock>> {
        let blocks =
            sqlx::query("SELECT number, first, last FROM change_block WHERE number > ? ORDER BY number LIMIT ?")
                .bind(position as i64)
                .bind(limit as i64)
                .fetch_all(self.db.readers())
                .await
                .map_err(db)?;
        let catalogue = self.catalogue.get();
        let mut found = Vec::with_capacity(blocks.len());
        for block in blocks {
            let number: i64 = block.get("number");
            let rows = sqlx::query("SELECT dataset, record, version, state, at, after FROM change_log WHERE id BETWEEN ? AND ? AND block = ? ORDER BY id")
                .bind(block.get::<i64, _>("first"))
                .bind(block.get::<i64, _>("last"))
                .bind(number)
                .fetch_all(self.db.readers())
                .await
                .map_err(db)?;
            let mut changes = Vec::with_capacity(rows.len());
            for row in rows {
                let name: &str = row.get("dataset");
                // Packs may be left out of an instance later; their rows are not followed then.
                let Some(dataset) = catalogue.dataset(name) else { continue };
                let state = values::State::parse(row.get("state"))?;
                let after = match row.get::<Option<&str>, _>("after") {
                    Some(text) => {
                        let mut fields = values::decode(self.db.vault(), dataset, row.get("record"), text)?;
                        for field in dataset.field.iter().filter(|f| vault::is_sealed(dataset, f)) {
                            if let Some(value) = fields.get_mut(&field.name) {
                                *value = vault::outside(field, value);
                            }
                        }
                        values::shown(dataset, fields, state)
                    }
                    None => None,
                };
                changes.push(Change {
                    dataset: name.into(),
                    id: row.get("record"),
                    after,
                    version: row.get::<i64, _>("version") as u64,
                    at: row.get("at"),
                });
            }
            found.push(ChangeBlock { number: number as u64, changes });
        }
        Ok(found)
    }
}
