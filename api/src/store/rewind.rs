//! Registers as they were at a moment: every record that was written since gets one more version,
//! which is what the change log says of that moment. Nothing is taken out of the log, so chain and
//! checkpoints hold, and columns and index follow as with every write.

use super::Store;
use super::chain::ChangeEntry;
use super::error::db;
use super::tables::{is_kept, table};
use super::txn::Txn;
use sqlx::Row as _;
use std::sync::Arc;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;
use zonglan_catalog::value::instant_text;

/// Records of one transaction.
const CHUNK: usize = 500;

/// What a rewind did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewound {
    /// Records that are again what they were.
    pub changed: u64,
    /// Records that were not there yet and are closed now.
    pub closed: u64,
}

impl Store {
    /// Brings all registers to what they were at `until` (milliseconds since 1970 UTC).
    pub async fn rewind(&self, until: i64) -> Result<Rewound> {
        let catalogue = self.catalogue();
        let registers: Vec<Arc<Dataset>> = catalogue.datasets().filter(|d| is_kept(d)).cloned().collect();
        let mut done = Rewound::default();
        for dataset in registers {
            let mut after = 0;
            loop {
                let dataset = dataset.clone();
                let (last, part) =
                    self.db.write(move |txn| Box::pin(async move { chunk(txn, &dataset, until, after).await })).await?;
                done.changed += part.changed;
                done.closed += part.closed;
                match last {
                    Some(last) => after = last,
                    None => break,
                }
            }
        }
        Ok(done)
    }
}

async fn chunk(txn: &mut Txn, dataset: &Dataset, until: i64, after: i64) -> Result<(Option<i64>, Rewound)> {
    let table = table(dataset);
    let sql = format!(
        "SELECT seq, id, version, state, doc FROM {table} WHERE seq > ? AND updated_at > ? ORDER BY seq LIMIT {CHUNK}"
    );
    let rows = sqlx::query(&sql).bind(after).bind(until).fetch_all(txn.conn()).await.map_err(db)?;
    let update = format!(
        "UPDATE {table} SET version = ?, state = ?, doc = ?, updated_at = ?, updated_by = 'system' WHERE seq = ?"
    );
    let purpose = format!("恢复到 {}", instant_text(until));
    let (mut last, mut done) = (None, Rewound::default());
    for row in &rows {
        let (seq, id, version): (i64, &str, i64) = (row.get("seq"), row.get("id"), row.get("version"));
        let (state, doc): (&str, &str) = (row.get("state"), row.get("doc"));
        last = Some(seq);
        let then = sqlx::query(
            "SELECT state, after FROM change_log WHERE dataset = ? AND record = ? AND at <= ? ORDER BY version DESC LIMIT 1",
        )
        .bind(&dataset.name)
        .bind(id)
        .bind(until)
        .fetch_optional(txn.conn())
        .await
        .map_err(db)?;
        let (new_state, new_doc) = match &then {
            Some(then) => (then.get::<&str, _>("state"), then.get::<Option<&str>, _>("after").unwrap_or(doc)),
            None => ("closed", doc),
        };
        if (new_state, new_doc) == (state, doc) {
            continue;
        }
        let (now, next) = (txn.now(), version + 1);
        sqlx::query(&update)
            .bind(next)
            .bind(new_state)
            .bind(new_doc)
            .bind(now)
            .bind(seq)
            .execute(txn.conn())
            .await
            .map_err(db)?;
        txn.log(
            now,
            &ChangeEntry {
                actor: "system",
                action: "rewind",
                dataset: &dataset.name,
                record: id,
                version: next as u64,
                state: new_state,
                purpose: Some(&purpose),
                before: Some(doc),
                after: Some(new_doc),
            },
        );
        if then.is_some() { done.changed += 1 } else { done.closed += 1 }
    }
    Ok((last, done))
}
