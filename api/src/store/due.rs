//! Tasks that follow from what records say: periodic inspections, deadlines. They are brought up
//! to date with each write of a record or of its children, and by a walk over all records, since
//! time passes without writes.

use super::checks::{meets, moment};
use super::error::db;
use super::flow::{owned, task_about};
use super::list::Row as Stored;
use super::records::RecordStore;
use super::tables::{column, is_kept, table};
use super::task_rows;
use super::tasks::{self, NewTask};
use super::txn::Txn;
use super::values::State;
use sqlx::SqliteConnection;
use std::sync::Arc;
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::error::Result;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::register::{Length, TaskRule, Who};
use zonglan_catalog::value::Value;

/// Records looked at in one step of the walk.
const CHUNK: i64 = 500;
/// How long before its end a task appears, unless its rule says so.
const LEAD: i64 = 7 * 86_400_000;

/// What a rule asks of a record now: the moment counted from and the end; none where it asks nothing.
async fn asked(
    conn: &mut SqliteConnection,
    catalogue: &Catalogue,
    dataset: &Dataset,
    rule: &TaskRule,
    row: &Stored,
) -> Result<Option<(i64, i64)>> {
    if row.state == State::Closed || !meets(catalogue, dataset, &rule.when, &row.fields)? {
        return Ok(None);
    }
    let since = match rule.since.split_once('.') {
        Some((child, field)) => match catalogue.dataset(child) {
            Some(child) => latest(conn, child, field, &row.id).await?.or(Some(row.created_at)),
            None => None,
        },
        None if rule.since == "created_at" => Some(row.created_at),
        None => row.fields.get(&rule.since).and_then(moment),
    };
    let length = Length::parse(&rule.after);
    Ok(since.zip(length).map(|(since, length)| (since, length.after(since, catalogue.calendar()))))
}

/// The latest date among the open children of a record.
async fn latest(conn: &mut SqliteConnection, child: &Arc<Dataset>, field: &str, id: &str) -> Result<Option<i64>> {
    let (Some(parent), Some(definition)) = (&child.parent, child.field(field)) else { return Ok(None) };
    let sql = format!(
        "SELECT max({}) FROM {} WHERE state = 'open' AND {} = ?",
        column(child, field),
        table(child),
        column(child, &parent.field)
    );
    let query = sqlx::query_scalar::<_, Option<String>>;
    if definition.kind == FieldType::Date {
        let text = query(&sql).bind(id).fetch_one(conn).await.map_err(db)?;
        return Ok(text
            .and_then(|t| t.parse().ok())
            .map(|d: chrono::NaiveDate| zonglan_catalog::time::local_midnight(d)));
    }
    sqlx::query_scalar::<_, Option<i64>>(&sql).bind(id).fetch_one(conn).await.map_err(db)
}

/// A rule's standing against a record: tasks to end, and one to give.
struct Plan {
    end: Vec<Stored>,
    give: Vec<NewTask>,
}

async fn plan(
    conn: &mut SqliteConnection,
    catalogue: &Catalogue,
    task_register: &Dataset,
    dataset: &Dataset,
    row: &Stored,
    now: i64,
) -> Result<Plan> {
    let mut plan = Plan { end: Vec::new(), give: Vec::new() };
    let Some(register) = &dataset.register else { return Ok(plan) };
    let mut open = task_rows::automatic_of(conn, task_register, &dataset.name, &row.id).await?;
    open.retain(|t| t.fields.get("source").and_then(Value::as_str) == Some("rule"));
    for rule in &register.task {
        let Some((since, due)) = asked(conn, catalogue, dataset, rule, row).await? else { continue };
        let lead = rule.lead.as_deref().and_then(Length::parse).map_or(LEAD, Length::millis);
        for (i, who) in rule.who.iter().enumerate() {
            let key = format!("rule/{}/{}/{}/{since}/{i}", dataset.name, row.id, rule.name);
            let known = open.iter().position(|t| t.fields.get("dedupe").and_then(Value::as_str) == Some(key.as_str()));
            if let Some(known) = known {
                open.swap_remove(known);
                continue;
            }
            let task = NewTask {
                key: Some(key),
                kind: if rule.since.contains('.') { "inspection".into() } else { "deadline".into() },
                source: "rule".into(),
                rule: Some(format!("rule:{}", rule.name)),
                due_at: Some(due),
                ..task_about(dataset, row, &rule.title.zh)
            };
            if due - lead <= now
                && let Some(task) = Who::parse(who).and_then(|who| owned(task, &who, row))
            {
                plan.give.push(task);
            }
        }
    }
    // What is left was asked before and is no longer.
    plan.end = open;
    Ok(plan)
}

/// Brings the tasks of one record up to date inside a write.
pub(super) async fn sync(
    txn: &mut Txn,
    catalogue: &Catalogue,
    dataset: &Dataset,
    row: &Stored,
    actor: &str,
) -> Result<()> {
    if dataset.register.as_ref().is_none_or(|r| r.task.is_empty()) {
        return Ok(());
    }
    let Ok(task_register) = tasks::register(catalogue) else { return Ok(()) };
    let now = txn.now();
    let plan = plan(txn.conn(), catalogue, &task_register, dataset, row, now).await?;
    for task in plan.end {
        task_rows::finish_in(txn, &task_register, task, actor, row.state == State::Closed).await?;
    }
    for task in plan.give {
        task_rows::create_in(txn, &task_register, "system", task).await?;
    }
    Ok(())
}

/// The same for the parent of a child that was written.
pub(super) async fn sync_parent(
    txn: &mut Txn,
    catalogue: &Catalogue,
    dataset: &Dataset,
    row: &Stored,
    actor: &str,
) -> Result<()> {
    let Some(link) = &dataset.parent else { return Ok(()) };
    let Some(parent) = catalogue.dataset(&link.dataset).filter(|p| is_kept(p)) else { return Ok(()) };
    if parent.register.as_ref().is_none_or(|r| r.task.is_empty()) {
        return Ok(());
    }
    let Some(id) = row.fields.get(&link.field).and_then(Value::as_str) else { return Ok(()) };
    match txn.fetch(parent, id).await? {
        Some(above) => sync(txn, catalogue, parent, &above, actor).await,
        None => Ok(()),
    }
}

impl RecordStore {
    /// Walks over the registers with task rules and gives and ends what time has brought. Returns
    /// how many records had something to do.
    pub async fn sync_tasks(&self) -> Result<u64> {
        let catalogue = self.catalogue.get();
        let Ok(task_register) = tasks::register(&catalogue) else { return Ok(0) };
        let ruled = |d: &&Arc<Dataset>| is_kept(d) && d.register.as_ref().is_some_and(|r| !r.task.is_empty());
        let registers: Vec<Arc<Dataset>> = catalogue.datasets().filter(ruled).cloned().collect();
        let mut count = 0;
        for dataset in registers {
            let mut after = 0;
            loop {
                let sql = format!(
                    "SELECT {} FROM {} WHERE state = 'open' AND seq > ? ORDER BY seq LIMIT {CHUNK}",
                    Stored::COLUMNS,
                    table(&dataset)
                );
                let mut conn = self.db.readers().acquire().await.map_err(db)?;
                let rows = sqlx::query(&sql).bind(after).fetch_all(&mut *conn).await.map_err(db)?;
                let mut stale = Vec::new();
                for row in &rows {
                    let row = Stored::read(self.db.vault(), &dataset, row)?;
                    after = row.seq;
                    let plan = plan(&mut conn, &catalogue, &task_register, &dataset, &row, self.clock.now()).await?;
                    if !plan.end.is_empty() || !plan.give.is_empty() {
                        stale.push(row.id);
                    }
                }
                drop(conn);
                count += stale.len() as u64;
                if !stale.is_empty() {
                    let (catalogue, dataset) = (catalogue.clone(), dataset.clone());
                    self.db
                        .write(move |txn| {
                            Box::pin(async move {
                                for id in stale {
                                    if let Some(row) = txn.fetch(&dataset, &id).await? {
                                        sync(txn, &catalogue, &dataset, &row, "system").await?;
                                    }
                                }
                                Ok(())
                            })
                        })
                        .await?;
                }
                if (rows.len() as i64) < CHUNK {
                    break;
                }
            }
        }
        Ok(count)
    }
}
