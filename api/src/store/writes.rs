//! The writes of single records inside the writer's transaction: checks against what is stored,
//! the row, and its entry in the log.

use super::access::Access;
use super::chain::ChangeEntry;
use super::error::db;
use super::list::Row as Stored;
use super::numbering::Pattern;
use super::records::{Author, invalid};
use super::rules::matches;
use super::tables::table;
use super::txn::Txn;
use super::values::{self, Fields, State};
use super::vault::Vault;
use sqlx::SqliteConnection;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{Error, ErrorClass, FieldError, Result};
use zonglan_catalog::value::Value;

pub(super) fn parent_of<'a>(dataset: &Dataset, fields: &'a Fields) -> Option<&'a str> {
    fields.get(&dataset.parent.as_ref()?.field)?.as_str()
}

/// A child's parent must exist, be open and lie within what the writer may see.
pub(super) async fn check_parent(txn: &mut Txn, dataset: &Dataset, fields: &Fields, parent: &Access) -> Result<()> {
    let (Some(link), Some(id)) = (&dataset.parent, parent_of(dataset, fields)) else { return Ok(()) };
    let found = txn.fetch(&parent.dataset, id).await?;
    let message = match found {
        Some(row) if matches(&parent.row_rule, &row.fields) => match row.state {
            State::Open => return Ok(()),
            State::Closed => format!("所属的{}已注销", parent.dataset.label.zh),
        },
        _ => format!("没有编号为 {id} 的{}", parent.dataset.label.zh),
    };
    Err(invalid(dataset, vec![FieldError { field: link.field.clone(), message }]))
}

/// Fields that must differ between open records and do not. Against `old`, only changed ones.
pub(super) async fn duplicates(
    conn: &mut SqliteConnection,
    vault: &Vault,
    dataset: &Dataset,
    fields: &Fields,
    old: Option<&Stored>,
) -> Result<Vec<FieldError>> {
    let mut errors = Vec::new();
    let single = dataset.register.iter().flat_map(|r| r.unique.iter().map(std::slice::from_ref));
    let sets = dataset.register.iter().flat_map(|r| r.unique_together.iter().map(Vec::as_slice));
    for names in single.chain(sets).filter(|names| !names.is_empty()) {
        let values: Option<Vec<&Value>> = names.iter().map(|n| fields.get(n).filter(|v| !v.is_null())).collect();
        let Some(values) = values else { continue };
        if old.is_some_and(|o| names.iter().all(|n| o.fields.get(n) == fields.get(n))) {
            continue;
        }
        let mut query = sqlx::QueryBuilder::new(format!("SELECT id FROM {} WHERE state = 'open'", table(dataset)));
        for (name, value) in names.iter().zip(values) {
            query.push(" AND ");
            super::rules::push_equal(&mut query, vault, dataset, name, value)?;
        }
        query.push(" LIMIT 2");
        let ids: Vec<String> = query.build_query_scalar().fetch_all(&mut *conn).await.map_err(db)?;
        if ids.iter().any(|id| old.is_none_or(|o| o.id != *id)) {
            let label = |n: &String| dataset.field(n).map_or(n.clone(), |f| f.label.zh.clone());
            let labels: Vec<String> = names.iter().map(label).collect();
            let message = format!("已有相同{}的记录 (taken already)", labels.join("、"));
            errors.push(FieldError { field: names[names.len() - 1].clone(), message });
        }
    }
    Ok(errors)
}

/// Numbers of one series are tried until one is free; imports may have brought their own.
const NUMBER_TRIES: usize = 1_000;

pub(super) async fn insert(
    txn: &mut Txn,
    dataset: &Dataset,
    mut fields: Fields,
    pattern: Option<Pattern>,
    parent: Option<&Access>,
    author: &Author,
) -> Result<Stored> {
    let errors = txn.duplicates(dataset, &fields, None).await?;
    if !errors.is_empty() {
        return Err(invalid(dataset, errors));
    }
    if let Some(parent) = parent {
        check_parent(txn, dataset, &fields, parent).await?;
    }
    let key = dataset.key[0].clone();
    let now = txn.now();
    let sql = format!(
        "INSERT INTO {} (id, version, state, doc, created_at, created_by, updated_at, updated_by) VALUES (?, 1, 'open', ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING seq",
        table(dataset)
    );
    for _ in 0..NUMBER_TRIES {
        if let Some(pattern) = &pattern {
            fields.insert(key.clone(), Value::Text(pattern.next(txn, dataset, &fields, now).await?));
        }
        let id = fields.get(&key).map(Value::to_text).unwrap_or_default();
        let doc = values::encode(txn.vault(), dataset, &id, &fields)?;
        let seq: Option<i64> = sqlx::query_scalar(&sql)
            .bind(&id)
            .bind(&doc)
            .bind(now)
            .bind(&author.user)
            .bind(now)
            .bind(&author.user)
            .fetch_optional(txn.conn())
            .await
            .map_err(db)?;
        let Some(seq) = seq else {
            if pattern.is_some() {
                continue;
            }
            return Err(invalid(dataset, vec![FieldError { field: key, message: format!("编号 {id} 已存在") }]));
        };
        txn.wrote();
        let entry = ChangeEntry {
            actor: &author.user,
            action: "create",
            dataset: &dataset.name,
            record: &id,
            version: 1,
            state: State::Open.name(),
            purpose: author.purpose.as_deref(),
            before: None,
            after: Some(&doc),
        };
        txn.log(now, &entry);
        let by = author.user.clone();
        return Ok(Stored {
            seq,
            id,
            version: 1,
            state: State::Open,
            fields,
            doc,
            created_at: now,
            created_by: by.clone(),
            updated_at: now,
            updated_by: by,
        });
    }
    Err(Error::new(ErrorClass::Conflict, "records.number", format!("「{}」的编号已用尽或冲突", dataset.label.zh))
        .with_hint("请联系管理员检查编号规则"))
}

pub(super) async fn update(
    txn: &mut Txn,
    dataset: &Dataset,
    old: Stored,
    fields: Fields,
    state: State,
    action: &str,
    author: &Author,
) -> Result<Stored> {
    let doc = values::encode(txn.vault(), dataset, &old.id, &fields)?;
    if doc == old.doc && state == old.state && action == "change" {
        return Ok(old);
    }
    let (now, version) = (txn.now(), old.version + 1);
    let sql = format!(
        "UPDATE {} SET version = ?, state = ?, doc = ?, updated_at = ?, updated_by = ? WHERE seq = ?",
        table(dataset)
    );
    sqlx::query(&sql)
        .bind(version as i64)
        .bind(state.name())
        .bind(&doc)
        .bind(now)
        .bind(&author.user)
        .bind(old.seq)
        .execute(txn.conn())
        .await
        .map_err(db)?;
    txn.wrote();
    let entry = ChangeEntry {
        actor: &author.user,
        action,
        dataset: &dataset.name,
        record: &old.id,
        version,
        state: state.name(),
        purpose: author.purpose.as_deref(),
        before: Some(&old.doc),
        after: Some(&doc),
    };
    txn.log(now, &entry);
    Ok(Stored { version, state, fields, doc, updated_at: now, updated_by: author.user.clone(), ..old })
}
