//! The records store: registers that people keep, with every write logged and checked.

use super::CatalogueCell;
use super::access::Access;
use super::blobs::DiskBlobs;
use super::db::Db;
use super::error::db;
use super::flow::{self, Actor, Offered};
use super::list::Row as Stored;
use super::log::{AuditEvent, ChangeLog};
use super::rules::matches;
use super::tables::table;
use super::values::{self, Fields, State};
use super::vault::Vault;
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};
use std::collections::HashMap;
use std::sync::Arc;
use zonglan_catalog::dataset::{Dataset, Lifecycle};
use zonglan_catalog::error::{Error, FieldError, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::traits::Clock;
use zonglan_catalog::value::Value;

/// A record as one principal sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    pub dataset: String,
    pub id: String,
    /// Counts up with every write; the ETag of the record.
    pub version: u64,
    pub state: State,
    pub fields: Fields,
    /// Fields whose values are masked for this principal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    pub created_by: String,
    pub updated_at: i64,
    pub updated_by: String,
    /// What the asker may do with it now; in answers about one record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Offered>,
    /// Whether its stage lets fields be changed.
    pub editable: bool,
}

/// One write in the life of a record.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryEntry {
    pub version: u64,
    /// `create`, `change`, `close`, `restore`, `load`.
    pub action: String,
    pub actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    pub state: State,
    pub changes: Vec<FieldChange>,
    /// Whether a sealed block holds the entry already.
    pub sealed: bool,
}

/// A field before and after a write, masked as the principal's role says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct RecordStore {
    pub(super) db: Db,
    pub(super) log: ChangeLog,
    pub(super) catalogue: CatalogueCell,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) blobs: DiskBlobs,
    /// Ticks when files come or go.
    pub(super) files_changed: tokio::sync::watch::Sender<u64>,
}

impl std::fmt::Debug for RecordStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordStore").finish_non_exhaustive()
    }
}

pub(super) fn not_found(dataset: &Dataset, id: &str) -> Error {
    Error::not_found("records.not_found", format!("「{}」没有编号为 {id} 的记录，或您无权查看", dataset.label.zh))
        .with_hint("请核对编号，或向管理员申请权限")
}

pub(super) fn invalid(dataset: &Dataset, mut errors: Vec<FieldError>) -> Error {
    // In the order of the form.
    errors.sort_by_key(|e| dataset.field_index(&e.field).unwrap_or(usize::MAX));
    let count = errors.len();
    Error::user("records.invalid", format!("「{}」有 {count} 处填写有误，未保存", dataset.label.zh))
        .with_hint("请按各字段的提示改正后再提交")
        .with_fields(errors)
}

pub(super) fn outside(dataset: &Dataset) -> Error {
    let field =
        dataset.region.as_ref().and_then(|name| dataset.field(name)).map_or("所属区域", |f| f.label.zh.as_str());
    let error = Error::forbidden("records.region", format!("您只能保存本辖区的记录：{field}不在您的辖区内"));
    match &dataset.region {
        Some(name) => {
            error.with_fields(vec![FieldError { field: name.clone(), message: "不在您的辖区内".into() }])
        }
        None => error,
    }
}

/// Who writes and why, owned for the writer's task.
#[derive(Clone)]
pub(super) struct Author {
    pub user: String,
    pub purpose: Option<String>,
}

impl Author {
    pub(super) fn new(principal: &Principal, reason: Option<&str>) -> Self {
        let reason = reason.map(str::trim).filter(|r| !r.is_empty()).map(String::from);
        Self { user: principal.user.clone(), purpose: reason.or_else(|| principal.purpose.clone()) }
    }
}

impl RecordStore {
    pub(super) fn access(&self, principal: &Principal, dataset: &str) -> Result<(Arc<Catalogue>, Access)> {
        let catalogue = self.catalogue.get();
        let access = Access::new(&catalogue, principal, dataset, self.clock.now())?;
        Ok((catalogue, access))
    }

    /// One record. What is outside the principal's rows is not found.
    pub async fn get(&self, principal: &Principal, dataset: &str, id: &str) -> Result<Record> {
        let (_, access) = self.access(principal, dataset)?;
        access.may_list()?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        let stored = fetch(&mut conn, self.db.vault(), &access.dataset, id).await?;
        let stored =
            stored.filter(|r| matches(&access.row_rule, &r.fields)).ok_or_else(|| not_found(&access.dataset, id))?;
        let record = self.view(&mut conn, principal, &access, stored).await?;
        self.audit_read(principal, &access, std::slice::from_ref(&record));
        Ok(record)
    }

    /// A record as shown to somebody, with what they may do with it.
    pub(super) async fn view(
        &self,
        conn: &mut SqliteConnection,
        principal: &Principal,
        access: &Access,
        stored: Stored,
    ) -> Result<Record> {
        let catalogue = self.catalogue.get();
        let mut actions = Vec::new();
        if access.dataset.register.as_ref().is_some_and(|r| !r.action.is_empty()) {
            let writes = access.may_write(Lifecycle::Change).is_ok();
            let actor = Actor::new(conn, principal, writes, self.clock.now()).await?;
            actions = flow::offered(&catalogue, &access.dataset, &actor, &stored)?;
        }
        let mut record = access.show(stored);
        record.actions = actions;
        Ok(record)
    }

    /// Reads of personal data in clear leave a trace.
    pub(super) fn audit_read(&self, principal: &Principal, access: &Access, records: &[Record]) {
        let ids: Vec<&str> = records.iter().filter(|r| access.shows_personal(r)).map(|r| r.id.as_str()).collect();
        let event = match ids.as_slice() {
            [] => return,
            [id] => AuditEvent::new(&principal.user, "read").record(*id),
            ids => AuditEvent::new(&principal.user, "read").detail(serde_json::json!({ "ids": ids })),
        };
        self.log.audit_later(event.dataset(&access.dataset.name).purpose(principal.purpose.clone()));
    }

    /// Every write of a record, oldest first.
    pub async fn history(&self, principal: &Principal, dataset: &str, id: &str) -> Result<Vec<HistoryEntry>> {
        // Sees the record, so may see how it came to be.
        self.get(principal, dataset, id).await?;
        let (_, access) = self.access(principal, dataset)?;
        self.entries(&access.dataset, id, |name, value| access.masked(name, value)).await
    }

    /// Personal fields of records in clear, for answers whose rows come from columns, which hold
    /// them masked. Records outside `rule` are left out.
    pub async fn clear_fields(
        &self,
        dataset: &Dataset,
        rule: &Filter,
        ids: &[&str],
        names: &[&str],
    ) -> Result<HashMap<String, Fields>> {
        let list = serde_json::to_string(ids).map_err(Error::internal)?;
        let sql =
            format!("SELECT {} FROM {} WHERE id IN (SELECT value FROM json_each(?))", Stored::COLUMNS, table(dataset));
        let rows = sqlx::query(&sql).bind(list).fetch_all(self.db.readers()).await.map_err(db)?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let mut stored = Stored::read(self.db.vault(), dataset, row)?;
            if matches(rule, &stored.fields) {
                stored.fields.retain(|name, _| names.contains(&name.as_str()));
                found.insert(stored.id, stored.fields);
            }
        }
        Ok(found)
    }

    /// The same for the program itself, unmasked.
    pub(super) async fn history_of(&self, dataset: &Dataset, id: &str) -> Result<Vec<HistoryEntry>> {
        self.entries(dataset, id, |_, value| value.cloned().unwrap_or_default()).await
    }

    async fn entries(
        &self,
        dataset: &Dataset,
        id: &str,
        show: impl Fn(&str, Option<&Value>) -> Value,
    ) -> Result<Vec<HistoryEntry>> {
        let rows = sqlx::query("SELECT version, action, actor, purpose, at, state, before, after, block FROM change_log WHERE dataset = ? AND record = ? ORDER BY version")
            .bind(&dataset.name)
            .bind(id)
            .fetch_all(self.db.readers())
            .await
            .map_err(db)?;
        let read = |text: Option<&str>| {
            text.map_or_else(|| Ok(Fields::new()), |t| values::decode(self.db.vault(), dataset, id, t))
        };
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let (before, after) = (read(row.get("before"))?, read(row.get("after"))?);
            let changes =
                dataset.field.iter().filter(|f| before.get(&f.name) != after.get(&f.name)).map(|f| FieldChange {
                    field: f.name.clone(),
                    before: show(&f.name, before.get(&f.name)),
                    after: show(&f.name, after.get(&f.name)),
                });
            entries.push(HistoryEntry {
                version: row.get::<i64, _>("version") as u64,
                action: row.get("action"),
                actor: row.get("actor"),
                reason: row.get("purpose"),
                at: row.get("at"),
                state: State::parse(row.get("state"))?,
                changes: changes.collect(),
                sealed: row.get::<Option<i64>, _>("block").is_some(),
            });
        }
        Ok(entries)
    }
}

/// The stored row, whoever asks.
pub(super) async fn fetch(
    conn: &mut SqliteConnection,
    vault: &Vault,
    dataset: &Dataset,
    id: &str,
) -> Result<Option<Stored>> {
    let sql = format!("SELECT {} FROM {} WHERE id = ?", Stored::COLUMNS, table(dataset));
    let row = sqlx::query(&sql).bind(id).fetch_optional(conn).await.map_err(db)?;
    row.map(|row| Stored::read(vault, dataset, &row)).transpose()
}
