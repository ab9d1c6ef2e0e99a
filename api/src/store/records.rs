//! The records store: registers that people keep, with every write logged and checked.

use super::CatalogueCell;
use super::access::Access;
use super::db::Db;
use super::error::{StoreError, db};
use super::list::Row as Stored;
use super::log::{AuditEvent, ChangeLog};
use super::numbering::Pattern;
use super::rules::matches;
use super::tables::{self, table};
use super::txn::Txn;
use super::values::{self, Fields, State};
use super::writes::{check_parent, duplicates, insert, parent_of, update};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sqlx::{Row as _, SqliteConnection};
use std::sync::Arc;
use zonglan_catalog::dataset::{Dataset, Lifecycle};
use zonglan_catalog::error::{Error, ErrorClass, FieldError, Result};
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
}

/// What may be done to a record besides changing its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// 注销
    Close,
    /// 恢复
    Restore,
}

impl std::str::FromStr for Action {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "close" => Ok(Action::Close),
            "restore" => Ok(Action::Restore),
            other => {
                Err(Error::not_found("records.action", format!("没有操作 '{other}'")).with_hint("可用: close, restore"))
            }
        }
    }
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

fn outside(dataset: &Dataset) -> Error {
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
    fn new(principal: &Principal, reason: Option<&str>) -> Self {
        let reason = reason.map(str::trim).filter(|r| !r.is_empty()).map(String::from);
        Self { user: principal.user.clone(), purpose: reason.or_else(|| principal.purpose.clone()) }
    }
}

impl RecordStore {
    fn access(&self, principal: &Principal, dataset: &str) -> Result<(Arc<Catalogue>, Access)> {
        let catalogue = self.catalogue.get();
        let access = Access::new(&catalogue, principal, dataset, self.clock.now())?;
        Ok((catalogue, access))
    }

    /// Registers a record. Its id is the key field's value or, where that is missing, the next
    /// number of the register.
    pub async fn create(
        &self,
        principal: &Principal,
        dataset: &str,
        fields: &Map<String, Json>,
        reason: Option<&str>,
    ) -> Result<Record> {
        let (catalogue, access) = self.access(principal, dataset)?;
        access.may_write(Lifecycle::Register)?;
        let dataset = access.dataset.clone();
        let (fields, mut errors) = values::read_input(&catalogue, &dataset, fields);
        let key = &dataset.key[0];
        let pattern = dataset.register.as_ref().map(|r| Pattern::parse(&r.numbering, &dataset.name)).transpose()?;
        let numbered = pattern.is_some() && fields.get(key).is_none_or(Value::is_null);
        let absent = values::missing(&dataset, &fields, &errors);
        errors.extend(absent.into_iter().filter(|e| !(numbered && e.field == *key)));
        if !errors.is_empty() {
            let mut conn = self.db.readers().acquire().await.map_err(db)?;
            let known = |e: &FieldError| errors.iter().any(|o| o.field == e.field);
            let fresh: Vec<_> =
                duplicates(&mut conn, &dataset, &fields, None).await?.into_iter().filter(|e| !known(e)).collect();
            errors.extend(fresh);
            return Err(invalid(&dataset, errors));
        }
        if !matches(&access.row_rule, &fields) {
            return Err(outside(&dataset));
        }
        let parent = self.parent_access(&catalogue, principal, &dataset)?;
        let author = Author::new(principal, reason);
        let job_dataset = dataset.clone();
        let stored = self
            .db
            .write_checked(move |txn| {
                Box::pin(async move {
                    insert(txn, &job_dataset, fields, pattern.filter(|_| numbered), parent.as_ref(), &author).await
                })
            })
            .await?;
        Ok(access.show(stored))
    }

    /// Changes fields of an open record; `expected` is the version that the changes were made on.
    /// A null takes a value away. Nothing is written where nothing changes.
    pub async fn patch(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        expected: u64,
        changes: &Map<String, Json>,
        reason: Option<&str>,
    ) -> Result<Record> {
        let (catalogue, access) = self.access(principal, dataset)?;
        access.may_write(Lifecycle::Change)?;
        let dataset = access.dataset.clone();
        let (mut changes, errors) = values::read_input(&catalogue, &dataset, changes);
        let mut errors = access.drop_masked_errors(&mut changes, errors);
        let parent = self.parent_access(&catalogue, principal, &dataset)?;
        let author = Author::new(principal, reason);
        let (id, within) = (id.to_string(), access.clone());
        let stored = self
            .db
            .write_checked(move |txn| {
                Box::pin(async move {
                    let dataset = within.dataset.clone();
                    let old = visible(txn, &within, &id).await?;
                    check_version(&dataset, &old, Some(expected))?;
                    if old.state == State::Closed {
                        return Err(Error::new(
                            ErrorClass::Conflict,
                            "records.closed",
                            format!("记录 {id} 已注销，不能变更"),
                        )
                        .with_hint("请先恢复该记录"));
                    }
                    let mut fields = old.fields.clone();
                    for (name, value) in within.without_masked(&old.fields, changes) {
                        if dataset.key.contains(&name) && old.fields.get(&name) != Some(&value) {
                            errors.push(FieldError { field: name, message: "编号不能修改".into() });
                        } else if value.is_null() {
                            fields.remove(&name);
                        } else {
                            fields.insert(name, value);
                        }
                    }
                    errors.extend(values::missing(&dataset, &fields, &errors));
                    errors.extend(duplicates(txn.conn(), &dataset, &fields, Some(&old)).await?);
                    if !errors.is_empty() {
                        return Err(invalid(&dataset, errors));
                    }
                    if !matches(&within.row_rule, &fields) {
                        return Err(outside(&dataset));
                    }
                    if let Some(parent) = &parent
                        && parent_of(&dataset, &fields) != parent_of(&dataset, &old.fields)
                    {
                        check_parent(txn, &dataset, &fields, parent).await?;
                    }
                    let state = old.state;
                    update(txn, &dataset, old, fields, state, "change", &author).await
                })
            })
            .await?;
        Ok(access.show(stored))
    }

    /// Closes or restores a record.
    pub async fn act(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        expected: Option<u64>,
        action: Action,
        reason: Option<&str>,
    ) -> Result<Record> {
        let (_, access) = self.access(principal, dataset)?;
        let (step, state, name) = match action {
            Action::Close => (Lifecycle::Close, State::Closed, "close"),
            Action::Restore => (Lifecycle::Restore, State::Open, "restore"),
        };
        access.may_write(step)?;
        let author = Author::new(principal, reason);
        let (id, within) = (id.to_string(), access.clone());
        let stored = self
            .db
            .write_checked(move |txn| {
                Box::pin(async move {
                    let dataset = within.dataset.clone();
                    let old = visible(txn, &within, &id).await?;
                    check_version(&dataset, &old, expected)?;
                    if old.state == state {
                        let now = if state == State::Closed { "已注销" } else { "未注销" };
                        return Err(Error::new(
                            ErrorClass::Conflict,
                            "records.state",
                            format!("记录 {id} {now}，不能重复操作"),
                        ));
                    }
                    if state == State::Open {
                        let errors = duplicates(txn.conn(), &dataset, &old.fields, None).await?;
                        if !errors.is_empty() {
                            return Err(invalid(&dataset, errors));
                        }
                    }
                    let fields = old.fields.clone();
                    update(txn, &dataset, old, fields, state, name, &author).await
                })
            })
            .await?;
        Ok(access.show(stored))
    }

    /// One record. What is outside the principal's rows is not found.
    pub async fn get(&self, principal: &Principal, dataset: &str, id: &str) -> Result<Record> {
        let (_, access) = self.access(principal, dataset)?;
        access.may_list()?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        let stored = fetch(&mut conn, &access.dataset, id).await?;
        let stored =
            stored.filter(|r| matches(&access.row_rule, &r.fields)).ok_or_else(|| not_found(&access.dataset, id))?;
        let record = access.show(stored);
        self.audit_read(principal, &access, std::slice::from_ref(&record));
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
        let read = |text: Option<&str>| text.map_or_else(|| Ok(Fields::new()), |t| values::decode(dataset, t));
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

    /// How a child's parent must look to this principal.
    fn parent_access(&self, catalogue: &Catalogue, principal: &Principal, dataset: &Dataset) -> Result<Option<Access>> {
        match &dataset.parent {
            Some(parent) if catalogue.dataset(&parent.dataset).is_some_and(|d| tables::is_kept(d)) => {
                Access::new(catalogue, principal, &parent.dataset, self.clock.now()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn check_version(dataset: &Dataset, old: &Stored, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(expected) if expected != old.version => Err(StoreError::Conflict {
            dataset: dataset.name.clone(),
            id: old.id.clone(),
            expected,
            current: old.version,
        }
        .into()),
        _ => Ok(()),
    }
}

/// The stored row, whoever asks.
pub(super) async fn fetch(conn: &mut SqliteConnection, dataset: &Dataset, id: &str) -> Result<Option<Stored>> {
    let sql = format!("SELECT {} FROM {} WHERE id = ?", Stored::COLUMNS, table(dataset));
    let row = sqlx::query(&sql).bind(id).fetch_optional(conn).await.map_err(db)?;
    row.map(|row| Stored::read(dataset, &row)).transpose()
}

async fn visible(txn: &mut Txn, access: &Access, id: &str) -> Result<Stored> {
    let row = fetch(txn.conn(), &access.dataset, id).await?;
    row.filter(|r| matches(&access.row_rule, &r.fields)).ok_or_else(|| not_found(&access.dataset, id))
}
