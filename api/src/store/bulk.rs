//! Many records at once: the demo, imports into registers. The same tables, the same log.

use super::access::Access;
use super::chain::ChangeEntry;
use super::error::db;
use super::list::Row;
use super::numbering::Pattern;
use super::records::RecordStore;
use super::rules::matches;
use super::tables::{self, table};
use super::txn::Txn;
use super::values::{self, Fields, State};
use serde::Serialize;
use sqlx::QueryBuilder;
use std::collections::HashMap;
use std::sync::Arc;
use zonglan_catalog::batch::Batch;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::value::Value;

/// What a bulk write did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Rows of the batch (from 0) that were not taken, and why.
    pub rejected: Vec<(usize, String)>,
}

impl Loaded {
    /// Adds what another batch did; its rows are counted on from `offset`.
    pub fn add(&mut self, other: Loaded, offset: usize) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.rejected.extend(other.rejected.into_iter().map(|(row, why)| (row + offset, why)));
    }
}

/// Rows of one transaction: large enough that the flush does not count, small enough that other
/// writers wait for less than a blink.
const CHUNK: usize = 2_000;
/// Rows of one statement; twelve values a row stay under SQLite's 32,766.
const STATEMENT: usize = 250;

struct Item {
    row: usize,
    id: String,
    fields: Fields,
    doc: String,
}

impl RecordStore {
    /// Inserts or updates the rows by key, as the program itself (the demo). Rows that are there
    /// already with the same content change nothing.
    pub async fn load(&self, dataset: &Dataset, batch: &Batch, actor: &str, reason: &str) -> Result<Loaded> {
        if !tables::is_kept(dataset) {
            return Err(Error::user("records.unknown_dataset", format!("'{}' is no register", dataset.name)));
        }
        let catalogue = self.catalogue.get();
        let dataset = catalogue
            .dataset(&dataset.name)
            .cloned()
            .ok_or_else(|| Error::not_found("records.unknown_dataset", format!("no dataset '{}'", dataset.name)))?;
        self.bulk(dataset, batch, actor, Some(reason), &Filter::True).await
    }

    /// The same for a person: needs the right to import, and takes only rows of their regions.
    pub async fn import(
        &self,
        principal: &Principal,
        dataset: &str,
        batch: &Batch,
        reason: Option<&str>,
    ) -> Result<Loaded> {
        let catalogue = self.catalogue.get();
        let access = Access::new(&catalogue, principal, dataset, self.clock.now())?;
        if !catalogue.policy().may_import(principal, &access.dataset) {
            return Err(Error::forbidden("policy.import", format!("您的角色不能导入「{}」", access.dataset.label.zh))
                .with_hint("请向管理员申请权限"));
        }
        let rule = access.row_rule.clone();
        self.bulk(access.dataset, batch, &principal.user, reason.or(principal.purpose.as_deref()), &rule).await
    }

    async fn bulk(
        &self,
        dataset: Arc<Dataset>,
        batch: &Batch,
        actor: &str,
        reason: Option<&str>,
        rule: &Filter,
    ) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let key = dataset.field_index(&dataset.key[0]).ok_or_else(|| Error::internal("the key is no field"))?;
        let pattern = dataset.register.as_ref().map(|r| Pattern::parse(&r.numbering, &dataset.name)).transpose()?;
        let mut start = 0;
        while start < batch.len() {
            let end = (start + CHUNK).min(batch.len());
            let mut items = Vec::with_capacity(end - start);
            for row in start..end {
                let values =
                    (0..dataset.field.len()).map(|i| (dataset.field[i].name.clone(), batch.value(&dataset, i, row)));
                let fields: Fields =
                    values.filter(|(name, value)| !value.is_null() && name != values::STATE_FIELD).collect();
                let id = fields.get(&dataset.field[key].name).map(Value::to_text).unwrap_or_default();
                let missing = values::missing(&dataset, &fields, &[]);
                let why = match missing.first() {
                    _ if id.is_empty() => Some(format!("{}为空", dataset.field[key].label.zh)),
                    Some(error) => Some(error.message.clone()),
                    None if !matches(rule, &fields) => Some("不在您的辖区内".into()),
                    None => None,
                };
                match why {
                    Some(why) => loaded.rejected.push((row, why)),
                    None => items.push(Item {
                        row,
                        doc: values::encode(self.db.vault(), &dataset, &id, &fields)?,
                        id,
                        fields,
                    }),
                }
            }
            let (dataset, pattern, rule) = (dataset.clone(), pattern.clone(), rule.clone());
            let (actor, reason) = (actor.to_string(), reason.map(String::from));
            let part = self
                .db
                .write(move |txn| {
                    Box::pin(
                        async move { write(txn, &dataset, items, pattern, &rule, &actor, reason.as_deref()).await },
                    )
                })
                .await?;
            loaded.add(part, 0);
            start = end;
        }
        loaded.rejected.sort_unstable();
        Ok(loaded)
    }
}

async fn write(
    txn: &mut Txn,
    dataset: &Dataset,
    items: Vec<Item>,
    pattern: Option<Pattern>,
    rule: &Filter,
    actor: &str,
    reason: Option<&str>,
) -> Result<Loaded> {
    let now = txn.now();
    let mut loaded = Loaded::default();
    let mut known = existing(txn, dataset, items.iter().map(|i| i.id.as_str())).await?;
    let mut fresh: Vec<Item> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut changed: Vec<(Row, Item)> = Vec::new();
    for item in items {
        // The last row of an id stands, as in every other store.
        if let Some(index) = at.get(&item.id) {
            loaded.updated += 1;
            fresh[*index] = item;
            continue;
        }
        match known.remove(&item.id) {
            None if changed.iter().any(|(_, c)| c.id == item.id) => {
                loaded.updated += 1;
                if let Some(slot) = changed.iter_mut().find(|(_, c)| c.id == item.id) {
                    slot.1 = item;
                }
            }
            None => {
                at.insert(item.id.clone(), fresh.len());
                fresh.push(item);
            }
            Some(row) if !matches(rule, &row.fields) => {
                loaded.rejected.push((item.row, "已有记录不在您的辖区内".into()))
            }
            Some(row) if row.doc == item.doc => {
                loaded.unchanged += 1;
                known.insert(item.id, row);
            }
            Some(row) if row.state == State::Closed => loaded.rejected.push((item.row, "记录已注销".into())),
            Some(row) => changed.push((row, item)),
        }
    }
    loaded.inserted += fresh.len() as u64;
    loaded.updated += changed.len() as u64;
    if let Some(pattern) = pattern {
        pattern.skip_loaded(txn, dataset, fresh.iter().map(|i| (i.id.as_str(), &i.fields)), now).await?;
    }
    for part in fresh.chunks(STATEMENT) {
        let mut query = QueryBuilder::new(format!(
            "INSERT INTO {} (id, version, state, doc, created_at, created_by, updated_at, updated_by) ",
            table(dataset)
        ));
        query.push_values(part, |mut row, item| {
            row.push_bind(&item.id)
                .push("1, 'open'")
                .push_bind(&item.doc)
                .push_bind(now)
                .push_bind(actor)
                .push_bind(now)
                .push_bind(actor);
        });
        query.build().execute(txn.conn()).await.map_err(db)?;
        for item in part {
            txn.log(now, &entry(dataset, item, 1, None, actor, reason));
        }
    }
    let sql =
        format!("UPDATE {} SET version = ?, doc = ?, updated_at = ?, updated_by = ? WHERE seq = ?", table(dataset));
    for (row, item) in &changed {
        let version = row.version + 1;
        sqlx::query(&sql)
            .bind(version as i64)
            .bind(&item.doc)
            .bind(now)
            .bind(actor)
            .bind(row.seq)
            .execute(txn.conn())
            .await
            .map_err(db)?;
        txn.log(now, &entry(dataset, item, version, Some(&row.doc), actor, reason));
    }
    Ok(loaded)
}

fn entry<'a>(
    dataset: &'a Dataset,
    item: &'a Item,
    version: u64,
    before: Option<&'a str>,
    actor: &'a str,
    purpose: Option<&'a str>,
) -> ChangeEntry<'a> {
    ChangeEntry {
        actor,
        action: "load",
        dataset: &dataset.name,
        record: &item.id,
        version,
        state: State::Open.name(),
        purpose,
        before,
        after: Some(&item.doc),
    }
}

async fn existing<'a>(
    txn: &mut Txn,
    dataset: &Dataset,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Row>> {
    let ids = serde_json::to_string(&ids.collect::<Vec<_>>()).map_err(Error::internal)?;
    let sql = format!("SELECT {} FROM {} WHERE id IN (SELECT value FROM json_each(?))", Row::COLUMNS, table(dataset));
    let rows = sqlx::query(&sql).bind(ids).fetch_all(txn.conn()).await.map_err(db)?;
    rows.iter().map(|row| Row::read(txn.vault(), dataset, row).map(|r| (r.id.clone(), r))).collect()
}
