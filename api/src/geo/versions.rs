//! The versions of what people keep about places, in the records database. Nothing is overwritten: a
//! change is a new version, a decision is written beside the version that it is about.

use crate::error::{Error, Result};
use crate::store::{AuditEvent, Store};
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// What a version is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fit,
    Regions,
    Gazetteer,
    Area,
    Review,
}

impl Kind {
    fn id(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Regions => "regions",
            Self::Gazetteer => "gazetteer",
            Self::Area => "area",
            Self::Review => "review",
        }
    }
}

/// A version and what was decided about it.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    pub id: i64,
    /// A coordinate system, a level of regions, `main`, the code of an area, an address.
    pub name: String,
    /// Counts from 1 for each name.
    pub version: i64,
    /// `draft`, `active`, `rejected`, `withdrawn`.
    pub state: String,
    pub body: Json,
    pub made_by: String,
    /// Milliseconds since 1970 UTC.
    pub made_at: i64,
    pub decided_by: Option<String>,
    pub decided_at: Option<i64>,
    pub remark: String,
}

fn db(error: sqlx::Error) -> Error {
    Error::internal(error)
}

fn read(row: &SqliteRow) -> Result<Version> {
    Ok(Version {
        id: row.get("id"),
        name: row.get("name"),
        version: row.get("version"),
        state: row.get("state"),
        body: serde_json::from_str(row.get("body")).map_err(Error::internal)?,
        made_by: row.get("made_by"),
        made_at: row.get("made_at"),
        decided_by: row.get("decided_by"),
        decided_at: row.get("decided_at"),
        remark: row.get("remark"),
    })
}

/// All versions of a kind, oldest first.
pub async fn list(store: &Store, kind: Kind) -> Result<Vec<Version>> {
    let rows = sqlx::query("SELECT * FROM geo_versions WHERE kind = ? ORDER BY id")
        .bind(kind.id())
        .fetch_all(store.db.readers())
        .await
        .map_err(db)?;
    rows.iter().map(read).collect()
}

/// One version.
pub async fn get(store: &Store, kind: Kind, id: i64) -> Result<Version> {
    let row = sqlx::query("SELECT * FROM geo_versions WHERE kind = ? AND id = ?")
        .bind(kind.id())
        .bind(id)
        .fetch_optional(store.db.readers())
        .await
        .map_err(db)?;
    row.as_ref()
        .map(read)
        .transpose()?
        .ok_or_else(|| Error::not_found("geo.version", format!("没有版本 {id} (no such version)")))
}

/// Adds the next version of a name.
pub async fn add(store: &Store, kind: Kind, name: &str, state: &str, body: &Json, by: &str) -> Result<Version> {
    let (owned, state, text, actor) = (name.to_string(), state.to_string(), body.to_string(), by.to_string());
    let id = store
        .db
        .write(move |txn| {
            Box::pin(async move {
                let now = txn.now();
                let done = sqlx::query(
                    "INSERT INTO geo_versions (kind, name, version, state, body, made_by, made_at) \
                     SELECT ?1, ?2, coalesce(max(version), 0) + 1, ?3, ?4, ?5, ?6 FROM geo_versions WHERE kind = ?1 AND name = ?2",
                )
                .bind(kind.id())
                .bind(&owned)
                .bind(&state)
                .bind(&text)
                .bind(&actor)
                .bind(now)
                .execute(txn.conn())
                .await
                .map_err(zonglan_catalog::Error::internal)?;
                Ok(done.last_insert_rowid())
            })
        })
        .await?;
    audit(store, kind, "made", name, id, by).await?;
    get(store, kind, id).await
}

/// Writes a decision beside a version that is in one of the states `from`; a version that somebody else
/// has decided about meanwhile is left alone.
pub async fn decide(
    store: &Store,
    kind: Kind,
    id: i64,
    from: &'static [&'static str],
    to: &'static str,
    by: &str,
    remark: &str,
) -> Result<Version> {
    let before = get(store, kind, id).await?;
    let (actor, remark) = (by.to_string(), remark.chars().take(500).collect::<String>());
    let changed = store
        .db
        .write(move |txn| {
            Box::pin(async move {
                let now = txn.now();
                let states = from.iter().map(|s| format!("'{s}'")).collect::<Vec<_>>().join(", ");
                let sql = format!(
                    "UPDATE geo_versions SET state = ?, decided_by = ?, decided_at = ?, remark = ? WHERE id = ? AND state IN ({states})"
                );
                let done = sqlx::query(&sql)
                    .bind(to)
                    .bind(&actor)
                    .bind(now)
                    .bind(&remark)
                    .bind(id)
                    .execute(txn.conn())
                    .await
                    .map_err(zonglan_catalog::Error::internal)?;
                Ok(done.rows_affected())
            })
        })
        .await?;
    if changed == 0 {
        return Err(Error::new(
            zonglan_catalog::error::ErrorClass::Conflict,
            "geo.decided",
            format!("该版本的状态是「{}」，不能这样处理 (already decided)", before.state),
        ));
    }
    audit(store, kind, to, &before.name, id, by).await?;
    get(store, kind, id).await
}

async fn audit(store: &Store, kind: Kind, what: &str, name: &str, id: i64, by: &str) -> Result<()> {
    let event = AuditEvent::new(by, format!("geo_{}_{what}", kind.id()))
        .record(id.to_string())
        .detail(serde_json::json!({"name": name}));
    Ok(store.log.audit(event).await?)
}
