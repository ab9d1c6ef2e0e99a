//! Brings stored documents to the present rule of protection: fields that were declared personal
//! after records were kept, and documents that an older key sealed, are written anew.
//!
//! Each such record gets a version of its own with the action `protect`, so log, columns and index
//! follow as with every write. Earlier entries of the change log stay as they are: it is never
//! written again.

use super::chain::ChangeEntry;
use super::db::Db;
use super::error::db;
use super::list::Row;
use super::tables::table;
use super::txn::Txn;
use super::values;
use super::vault::is_sealed;
use std::sync::Arc;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;

/// Records of one transaction.
const CHUNK: usize = 500;

/// Goes through the registers whose sealed fields or key changed since the last time; returns how
/// many records were written anew.
pub(super) async fn protect(store: &Db, registers: &[Arc<Dataset>]) -> Result<u64> {
    let key = store.vault().key()?;
    let mut written = 0;
    for dataset in registers {
        let sealed: Vec<&str> =
            dataset.field.iter().filter(|f| is_sealed(dataset, f)).map(|f| f.name.as_str()).collect();
        let names = sealed.join(",");
        let known: Option<(String, i64)> = sqlx::query_as("SELECT fields, key FROM sealed_registers WHERE dataset = ?")
            .bind(&dataset.name)
            .fetch_optional(store.readers())
            .await
            .map_err(db)?;
        let same = match &known {
            Some((fields, of)) => *fields == names && *of == i64::from(key),
            None => sealed.is_empty(),
        };
        if same {
            continue;
        }
        written += register(store, dataset, key).await?;
        let name = dataset.name.clone();
        store
            .write(move |txn| {
                Box::pin(async move {
                    let sql = "INSERT INTO sealed_registers (dataset, fields, key) VALUES (?1, ?2, ?3) ON CONFLICT (dataset) DO UPDATE SET fields = ?2, key = ?3";
                    sqlx::query(sql).bind(name).bind(names).bind(key).execute(txn.conn()).await.map_err(db)?;
                    Ok(())
                })
            })
            .await?;
    }
    Ok(written)
}

async fn register(store: &Db, dataset: &Arc<Dataset>, key: u32) -> Result<u64> {
    let (mut after, mut written) = (0, 0);
    loop {
        let dataset = dataset.clone();
        let (last, count) =
            store.write(move |txn| Box::pin(async move { chunk(txn, &dataset, key, after).await })).await?;
        written += count;
        match last {
            Some(last) => after = last,
            None => return Ok(written),
        }
    }
}

/// Writes the next records anew where their document would be another; returns where it came to.
async fn chunk(txn: &mut Txn, dataset: &Dataset, key: u32, after: i64) -> Result<(Option<i64>, u64)> {
    let sql = format!("SELECT {} FROM {} WHERE seq > ? ORDER BY seq LIMIT {CHUNK}", Row::COLUMNS, table(dataset));
    let rows = sqlx::query(&sql).bind(after).fetch_all(txn.conn()).await.map_err(db)?;
    let sql = format!(
        "UPDATE {} SET version = ?, doc = ?, updated_at = ?, updated_by = 'system' WHERE seq = ?",
        table(dataset)
    );
    let (mut last, mut count) = (None, 0);
    let purpose = format!("个人信息加密，密钥 {key}");
    for row in &rows {
        let old = Row::read(txn.vault(), dataset, row)?;
        last = Some(old.seq);
        let doc = values::encode(txn.vault(), dataset, &old.id, &old.fields)?;
        if doc == old.doc {
            continue;
        }
        let (now, version) = (txn.now(), old.version + 1);
        sqlx::query(&sql)
            .bind(version as i64)
            .bind(&doc)
            .bind(now)
            .bind(old.seq)
            .execute(txn.conn())
            .await
            .map_err(db)?;
        txn.log(
            now,
            &ChangeEntry {
                actor: "system",
                action: "protect",
                dataset: &dataset.name,
                record: &old.id,
                version,
                state: old.state.name(),
                purpose: Some(&purpose),
                before: Some(&old.doc),
                after: Some(&doc),
            },
        );
        count += 1;
    }
    Ok((last, count))
}
