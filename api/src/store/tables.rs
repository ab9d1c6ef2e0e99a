//! One table a register, made and extended from the catalogue while the program runs.
//!
//! A row holds the document, and a virtual column with an index for each field that lists filter
//! or sort by. Fields may come and go: columns of fields that are gone stay without use.

use super::error::db;
use super::txn::Txn;
use super::vault::{self, seals};
use sqlx::Row;
use std::collections::BTreeSet;
use zonglan_catalog::dataset::{Dataset, FieldType, SearchMode, Source};
use zonglan_catalog::error::{Error, Result};

/// Whether the records store keeps this dataset.
pub fn is_kept(dataset: &Dataset) -> bool {
    dataset.source == Source::Records && dataset.key.len() == 1
}

/// The quoted name of a register's table.
pub(super) fn table(dataset: &Dataset) -> String {
    format!("\"r_{}\"", dataset.name)
}

/// The SQL expression of a field; of a sealed one that of its blind index.
pub(super) fn column(dataset: &Dataset, field: &str) -> String {
    match (indexed(dataset).contains(field), seals(dataset, field)) {
        (true, sealed) => name(field, sealed),
        (false, true) => format!("json_extract(doc, '$.{field}.b')"),
        (false, false) => format!("json_extract(doc, '$.{field}')"),
    }
}

/// A sealed field's column holds its blind index.
fn name(field: &str, sealed: bool) -> String {
    format!("\"{}_{field}\"", if sealed { 'b' } else { 'f' })
}

/// Fields with a column and an index: those of the list, the key, region, parent, time, and
/// those that must be unique. Long texts and points cannot be sorted by and have none.
pub(super) fn indexed(dataset: &Dataset) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = dataset.list_fields().into_iter().collect();
    names.extend([&dataset.region, &dataset.time, &dataset.title].into_iter().flatten().map(String::as_str));
    names.extend(dataset.parent.iter().map(|p| p.field.as_str()));
    names.extend(dataset.register.iter().flat_map(|r| r.unique.iter().map(String::as_str)));
    names.extend(
        dataset.register.iter().flat_map(|r| r.unique_together.iter().filter_map(|s| s.first()).map(String::as_str)),
    );
    // A building's units are asked for together.
    names.extend(dataset.register.iter().filter_map(|r| r.grid.as_ref()).map(|g| g.building.as_str()));
    // Sealed texts are found whole.
    names.extend(
        dataset
            .field
            .iter()
            .filter(|f| vault::is_sealed(dataset, f) && f.kind == FieldType::Text)
            .map(|f| f.name.as_str()),
    );
    // The key is the table's own id.
    names.retain(|name| {
        let long = |f: &zonglan_catalog::Field| f.search == SearchMode::Zh && dataset.title.as_deref() != Some(*name);
        !dataset.key.iter().any(|k| k == name)
            && dataset.field(name).is_some_and(|f| f.kind != FieldType::Point && !long(f))
    });
    names
}

/// Makes the tables of the registers, and adds columns and indexes that are new.
pub(super) async fn ensure(txn: &mut Txn, datasets: &[std::sync::Arc<Dataset>]) -> Result<()> {
    for dataset in datasets {
        let names = std::iter::once(&dataset.name).chain(dataset.field.iter().map(|f| &f.name));
        for name in names {
            // These become part of SQL; the catalogue's own check allows no more.
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                return Err(Error::user(
                    "catalog.name",
                    format!("dataset '{}': '{name}' is no name of small letters, digits and _", dataset.name),
                ));
            }
        }
        ensure_one(txn, dataset).await?;
    }
    Ok(())
}

async fn ensure_one(txn: &mut Txn, dataset: &Dataset) -> Result<()> {
    let table = table(dataset);
    // A new table is made whole: columns that are added later have SQLite read the whole schema again.
    let generated = |field: &str| {
        let sealed = seals(dataset, field);
        let path = if sealed { format!("{field}.b") } else { field.into() };
        format!("{} GENERATED ALWAYS AS (json_extract(doc, '$.{path}')) VIRTUAL", name(field, sealed))
    };
    let fields: String = indexed(dataset).into_iter().map(|field| format!(", {}", generated(field))).collect();
    run(
        txn,
        format!(
            "CREATE TABLE IF NOT EXISTS {table} (
                seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, state TEXT NOT NULL, doc TEXT NOT NULL,
                created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT NOT NULL{fields})"
        ),
    )
    .await?;
    let columns = sqlx::query(&format!("PRAGMA table_xinfo({table})")).fetch_all(txn.conn()).await.map_err(db)?;
    let present: BTreeSet<String> = columns.iter().map(|row| row.get::<String, _>("name")).collect();
    for field in indexed(dataset) {
        let column = name(field, seals(dataset, field));
        if !present.contains(column.trim_matches('"')) {
            run(txn, format!("ALTER TABLE {table} ADD COLUMN {}", generated(field))).await?;
        }
        run(
            txn,
            format!(
                "CREATE INDEX IF NOT EXISTS \"{}_{}_{field}\" ON {table} (state, {column}, seq)",
                if seals(dataset, field) { "y" } else { "x" },
                dataset.name
            ),
        )
        .await?;
    }
    run(
        txn,
        format!("CREATE INDEX IF NOT EXISTS \"x_{}_updated_at\" ON {table} (state, updated_at, seq)", dataset.name),
    )
    .await
}

async fn run(txn: &mut Txn, sql: String) -> Result<()> {
    // Statements about the schema are not worth a place in the cache.
    sqlx::query(&sql).persistent(false).execute(txn.conn()).await.map(|_| ()).map_err(db)
}
