//! Lists of records: filters, sort, pages, counts.

use super::access::Access;
use super::error::db;
use super::records::{Record, RecordStore};
use super::rules::{Use, push_equal, push_sql};
use super::tables::{column, indexed, table};
use super::values::{self, Fields, State};
use super::vault::{self, Vault};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use zonglan_catalog::bind::bind;
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::query::Query;
use zonglan_catalog::value::Value;

/// Counts are exact up to this many.
pub const COUNT_LIMIT: u64 = 10_000;
/// Records of one page.
pub const PAGE_LIMIT: u64 = 500;

/// What a list page asks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListRequest {
    pub filter: Filter,
    /// Fields, `-` before descending ones; also `created_at`, `updated_at`. Empty: newest first.
    pub sort: Vec<String>,
    pub offset: u64,
    /// 50 unless said; 500 at most.
    pub limit: Option<u64>,
    /// Where the page before ended; takes the place of `offset`.
    pub cursor: Option<String>,
    pub state: StateFilter,
    /// Words looked for in the id and in the list's text fields.
    pub q: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    #[default]
    Open,
    Closed,
    All,
}

/// How many records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Total {
    Exact(u64),
    /// Counting stopped: shown as 「1万+」.
    AtLeast(u64),
}

#[derive(Debug, Clone, Serialize)]
pub struct RecordPage {
    pub records: Vec<Record>,
    pub total: Total,
    /// For the next page, where there may be one and the sort allows it (one field at most).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A stored row, unmasked.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub seq: i64,
    pub id: String,
    pub version: u64,
    pub state: State,
    pub fields: Fields,
    pub doc: String,
    pub created_at: i64,
    pub created_by: String,
    pub updated_at: i64,
    pub updated_by: String,
}

impl Row {
    pub const COLUMNS: &str = "seq, id, version, state, doc, created_at, created_by, updated_at, updated_by";

    pub fn read(vault: &Vault, dataset: &Dataset, row: &SqliteRow) -> Result<Self> {
        let (id, doc): (String, String) = (row.get("id"), row.get("doc"));
        Ok(Self {
            seq: row.get("seq"),
            version: row.get::<i64, _>("version") as u64,
            state: State::parse(row.get("state"))?,
            fields: values::decode(vault, dataset, &id, &doc)?,
            id,
            doc,
            created_at: row.get("created_at"),
            created_by: row.get("created_by"),
            updated_at: row.get("updated_at"),
            updated_by: row.get("updated_by"),
        })
    }
}

/// One sort key: the SQL expression and the direction.
struct Key {
    expression: String,
    descending: bool,
}

impl RecordStore {
    /// A page of the records that the principal may see.
    pub async fn list(&self, principal: &Principal, dataset: &str, request: &ListRequest) -> Result<RecordPage> {
        let catalogue = self.catalogue.get();
        let now = self.clock.now();
        let access = Access::new(&catalogue, principal, dataset, now)?;
        access.may_list()?;
        // Binding checks and types the filter by the same rules as every other query.
        let query = Query {
            dataset: dataset.into(),
            rows: access.dataset.key.clone(),
            filter: request.filter.clone(),
            ..Query::default()
        };
        let bound = bind(&catalogue, catalogue.policy(), principal, &query, now)?;
        let part = &bound.parts()[0];
        let filter = part.row_rule.clone().and(part.filter.clone());
        let keys = sort_keys(&access, &request.sort)?;
        let limit = request.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);

        let total = self.count(&access, request, &filter).await?;
        let rows = self.page(&access, request, &filter, &keys, limit, total).await?;
        let cursor = match rows.last() {
            Some((last, value)) if rows.len() as u64 == limit && keys.len() <= 1 => {
                Some(json!([value, last.seq]).to_string())
            }
            _ => None,
        };
        let records: Vec<Record> = rows.into_iter().map(|(row, _)| access.show(row)).collect();
        self.audit_read(principal, &access, &records);
        Ok(RecordPage { records, total, cursor })
    }

    /// The child records of a record.
    pub async fn children(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        child: &str,
        request: &ListRequest,
    ) -> Result<RecordPage> {
        let parent = self.get(principal, dataset, id).await?;
        let catalogue = self.catalogue.get();
        let link = catalogue.dataset(child).and_then(|c| c.parent.as_ref()).filter(|p| p.dataset == dataset);
        let link =
            link.ok_or_else(|| Error::not_found("records.child", format!("'{dataset}' 没有附属信息 '{child}'")))?;
        let filter = Filter::eq(&link.field, parent.id).and(request.filter.clone());
        self.list(principal, child, &ListRequest { filter, ..request.clone() }).await
    }

    async fn page(
        &self,
        access: &Access,
        request: &ListRequest,
        filter: &Filter,
        keys: &[Key],
        limit: u64,
        total: Total,
    ) -> Result<Vec<(Row, Json)>> {
        let dataset = &access.dataset;
        let sort_value = keys.first().map_or("NULL", |k| k.expression.as_str());
        let mut query = QueryBuilder::new(format!(
            "SELECT {}, {sort_value} AS sort_value FROM {} WHERE ",
            Row::COLUMNS,
            table(dataset)
        ));
        // Where many records match, walking the index of the sort order meets a page of them soon;
        // an index of the filter would have them all sorted first.
        let walk = matches!(total, Total::AtLeast(_));
        push_where(
            &mut query,
            self.db.vault(),
            access,
            request,
            filter,
            if walk { Use::Sort } else { Use::Filter },
            keys.is_empty(),
        )?;
        match &request.cursor {
            Some(cursor) => push_cursor(&mut query, keys, cursor)?,
            None if request.offset > 100_000 => {
                return Err(
                    Error::user("records.page", "不能翻过第 100000 条").with_hint("请加条件缩小范围，或使用导出")
                );
            }
            None => {}
        }
        query.push(" ORDER BY ");
        for key in keys {
            query.push(&key.expression).push(if key.descending { " DESC NULLS LAST, " } else { " ASC NULLS LAST, " });
        }
        query.push(if keys.last().is_some_and(|k| !k.descending) { "seq ASC LIMIT " } else { "seq DESC LIMIT " });
        query.push_bind(limit as i64);
        if request.cursor.is_none() && request.offset > 0 {
            query.push(" OFFSET ").push_bind(request.offset as i64);
        }
        let rows = query.build().fetch_all(self.db.readers()).await.map_err(db)?;
        rows.iter().map(|row| Ok((Row::read(self.db.vault(), dataset, row)?, sort_json(row)))).collect()
    }

    async fn count(&self, access: &Access, request: &ListRequest, filter: &Filter) -> Result<Total> {
        let mut query =
            QueryBuilder::new(format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE ", table(&access.dataset)));
        push_where(&mut query, self.db.vault(), access, request, filter, Use::Filter, false)?;
        query.push(" LIMIT ").push_bind(COUNT_LIMIT as i64 + 1).push(")");
        let count: i64 = query.build_query_scalar().fetch_one(self.db.readers()).await.map_err(db)?;
        Ok(if count as u64 > COUNT_LIMIT { Total::AtLeast(COUNT_LIMIT) } else { Total::Exact(count as u64) })
    }
}

fn sort_json(row: &SqliteRow) -> Json {
    row.try_get::<Option<i64>, _>("sort_value")
        .map(Json::from)
        .or_else(|_| row.try_get::<Option<f64>, _>("sort_value").map(Json::from))
        .or_else(|_| row.try_get::<Option<String>, _>("sort_value").map(Json::from))
        .unwrap_or_default()
}

fn sort_keys(access: &Access, sort: &[String]) -> Result<Vec<Key>> {
    let dataset = &access.dataset;
    if sort.len() > 3 {
        return Err(Error::user("records.sort", "最多按三个字段排序"));
    }
    let known = indexed(dataset);
    sort.iter()
        .map(|name| {
            let (name, descending) = name.strip_prefix('-').map_or((name.as_str(), false), |rest| (rest, true));
            let expression = match name {
                "created_at" | "updated_at" | "id" => name.to_string(),
                field if dataset.key.iter().any(|k| k == field) => "id".into(),
                field if known.contains(field) && access.is_clear(field) && !vault::seals(dataset, field) => {
                    column(dataset, field)
                }
                _ => {
                    let names: Vec<&str> =
                        known.iter().copied().filter(|n| access.is_clear(n) && !vault::seals(dataset, n)).collect();
                    return Err(Error::user("records.sort", format!("不能按 '{name}' 排序"))
                        .with_hint(format!("可用: id, created_at, updated_at, {}", names.join(", "))));
                }
            };
            Ok(Key { expression, descending })
        })
        .collect()
}

fn push_where(
    query: &mut QueryBuilder<'_, Sqlite>,
    vault: &Vault,
    access: &Access,
    request: &ListRequest,
    filter: &Filter,
    indexes: Use,
    by_age: bool,
) -> Result<()> {
    let dataset = &access.dataset;
    // The order of age is that of the rows themselves, which no index on the state gives.
    if by_age && indexes == Use::Sort && request.state != StateFilter::All {
        query.push("+");
    }
    query.push(match request.state {
        StateFilter::Open => "state = 'open'",
        StateFilter::Closed => "state = 'closed'",
        StateFilter::All => "1",
    });
    if !filter.is_true() {
        query.push(" AND ");
        push_sql(query, vault, dataset, filter, indexes)?;
    }
    if let Some(words) = request.q.as_deref().map(str::trim).filter(|w| !w.is_empty()) {
        let texts = dataset.list_fields().into_iter().chain(dataset.title.as_deref());
        let mut columns = vec!["id".to_string()];
        for name in texts.filter(|name| access.is_clear(name)) {
            if dataset.field(name).is_some_and(|f| f.kind == FieldType::Text && !vault::is_sealed(dataset, f)) {
                columns.push(column(dataset, name));
            }
        }
        columns.dedup();
        query.push(" AND (");
        for (i, column) in columns.iter().enumerate() {
            query.push(if i > 0 { " OR instr(lower(" } else { "instr(lower(" }).push(column).push("), ");
            query.push_bind(words.to_lowercase()).push(") > 0");
        }
        // Names, telephone and identity numbers are found by the whole of them.
        for field in &dataset.field {
            if field.kind == FieldType::Text && vault::is_sealed(dataset, field) && access.is_clear(&field.name) {
                query.push(" OR ");
                push_equal(query, vault, dataset, &field.name, &Value::Text(words.into()))?;
            }
        }
        query.push(")");
    }
    Ok(())
}

fn push_cursor(query: &mut QueryBuilder<'_, Sqlite>, keys: &[Key], cursor: &str) -> Result<()> {
    let bad = || Error::user("records.cursor", "翻页标记无效").with_hint("请从第一页开始");
    let (value, seq): (Json, i64) = serde_json::from_str(cursor).map_err(|_| bad())?;
    let Some(key) = keys.first() else {
        query.push(" AND seq < ").push_bind(seq);
        return Ok(());
    };
    let after = if key.descending { " < " } else { " > " };
    let bind = |query: &mut QueryBuilder<'_, Sqlite>| {
        match &value {
            Json::Number(n) => match n.as_i64() {
                Some(i) => query.push_bind(i),
                None => query.push_bind(n.as_f64().unwrap_or_default()),
            },
            Json::String(t) => query.push_bind(t.clone()),
            _ => return Err(bad()),
        };
        Ok(())
    };
    let column = key.expression.as_str();
    query.push(" AND (");
    if value.is_null() {
        // Nulls come last, so only nulls follow.
        query.push(column).push(" IS NULL AND seq").push(after).push_bind(seq);
    } else {
        query.push(column).push(after);
        bind(query)?;
        query.push(" OR (").push(column).push(" = ");
        bind(query)?;
        query.push(" AND seq").push(after).push_bind(seq).push(") OR ").push(column).push(" IS NULL");
    }
    query.push(")");
    Ok(())
}
