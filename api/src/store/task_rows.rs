//! Tasks as rows: made, stepped on and ended inside the write that causes it, with the notices.

use super::error::db;
use super::list::Row as Stored;
use super::notices;
use super::numbering::Pattern;
use super::records::Author;
use super::runs::{self, WarningState};
use super::tables::{column, table};
use super::task_steps::{self, Role, Step};
use super::tasks::{NewTask, SOON, StepInput, covers, instant, text};
use super::txn::Txn;
use super::values::{Fields, State};
use super::vault::Vault;
use super::writes;
use sqlx::SqliteConnection;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::traits::Notice;
use zonglan_catalog::value::Value;

/// Makes a task inside a write of something else.
pub(super) async fn create_in(txn: &mut Txn, dataset: &Dataset, sender: &str, new: NewTask) -> Result<Stored> {
    if let Some(key) = &new.key
        && let Some(found) = open_of(txn.conn(), dataset, key).await?
    {
        return Ok(found);
    }
    let now = txn.now();
    let mut owner = new.owner.filter(|o| !o.is_empty());
    let mut handed_from = None;
    // Who has handed over their work gets no more of it.
    if let Some(from) = owner.clone()
        && let Some(to) = super::delegations::successor(txn.conn(), &from, now).await?
    {
        handed_from = Some(from);
        owner = Some(to);
    }
    let mut fields = Fields::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            fields.insert(name.into(), Value::Text(value));
        }
    };
    let short = |text: String, limit: usize| text.chars().take(limit).collect::<String>();
    set("title", Some(short(new.title, 200)));
    set("detail", new.detail.map(|d| short(d, 2000)));
    set("kind", Some(if new.kind.is_empty() { "other".into() } else { new.kind }));
    set("status", Some("open".into()));
    set("urgency", Some(if new.urgency.is_empty() { "normal".into() } else { new.urgency }));
    set("source", Some(if new.source.is_empty() { "person".into() } else { new.source }));
    set("dataset", new.dataset);
    set("record", new.record);
    set("link", new.link);
    set("district", new.district);
    set("street", new.street);
    set("owner", owner.clone());
    set("handed_from", handed_from);
    set("role", new.role.filter(|_| owner.is_none()));
    set("sender", Some(sender.into()));
    set("rule", new.rule);
    set("dedupe", new.key);
    set("timeliness", Some(timeliness(new.due_at, now).into()));
    fields.insert("created_on".into(), Value::Instant(now));
    if let Some(due) = new.due_at {
        fields.insert("due_at".into(), Value::Instant(due));
    }
    for (name, value) in [("confirm", new.confirm), ("automatic", new.automatic)] {
        fields.insert(name.into(), Value::Bool(value));
    }
    let pattern = dataset.register.as_ref().map(|r| Pattern::parse(&r.numbering, &dataset.name)).transpose()?;
    let author = Author { user: sender.into(), purpose: None };
    let stored = writes::insert(txn, dataset, fields, pattern, None, &author).await?;
    if let Some(owner) = owner.filter(|o| o != sender) {
        notice(txn, &stored, &owner, "新任务", "new").await?;
    }
    Ok(stored)
}

/// The open task of a key.
pub(super) async fn open_of(conn: &mut SqliteConnection, dataset: &Dataset, key: &str) -> Result<Option<Stored>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE state = 'open' AND {} = ?",
        Stored::COLUMNS,
        table(dataset),
        column(dataset, "dedupe")
    );
    let row = sqlx::query(&sql).bind(key).fetch_optional(conn).await.map_err(db)?;
    row.map(|row| Stored::read(&Vault::NONE, dataset, &row)).transpose()
}

/// The open tasks of a record that close with it.
pub(super) async fn automatic_of(
    conn: &mut SqliteConnection,
    dataset: &Dataset,
    of: &str,
    record: &str,
) -> Result<Vec<Stored>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE state = 'open' AND {} = ? AND {} = ?",
        Stored::COLUMNS,
        table(dataset),
        column(dataset, "record"),
        column(dataset, "dataset")
    );
    let rows = sqlx::query(&sql).bind(record).bind(of).fetch_all(conn).await.map_err(db)?;
    let stored = rows.iter().map(|row| Stored::read(&Vault::NONE, dataset, row)).collect::<Result<Vec<_>>>()?;
    Ok(stored.into_iter().filter(|s| s.fields.get("automatic") == Some(&Value::Bool(true))).collect())
}

/// Ends a task whose work was done elsewhere (the record moved on).
pub(super) async fn finish_in(txn: &mut Txn, dataset: &Dataset, old: Stored, by: &str, cancelled: bool) -> Result<()> {
    let fields = task_steps::finished(&old.fields, by, txn.now(), cancelled);
    let author = Author { user: by.into(), purpose: None };
    let action = if cancelled { "cancel" } else { "complete" };
    writes::update(txn, dataset, old, fields, State::Closed, action, &author).await.map(|_| ())
}

/// Keys of the open tasks that a model gave: those that begin with `prefix`.
pub(super) async fn open_keys(conn: &mut SqliteConnection, dataset: &Dataset, prefix: &str) -> Result<Vec<String>> {
    let dedupe = column(dataset, "dedupe");
    let sql = format!("SELECT {dedupe} FROM {} WHERE state = 'open' AND substr({dedupe}, 1, ?1) = ?2", table(dataset));
    sqlx::query_scalar(&sql)
        .bind(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX))
        .bind(prefix)
        .fetch_all(conn)
        .await
        .map_err(db)
}

/// How a task stands to its end now.
pub(super) fn timeliness(due: Option<i64>, now: i64) -> &'static str {
    match due {
        None => "none",
        Some(due) if due < now => "overdue",
        Some(due) if due < now + SOON => "due_soon",
        Some(_) => "on_track",
    }
}

#[expect(clippy::too_many_arguments, reason = "all of them belong to one step")]
pub(super) async fn step_in(
    txn: &mut Txn,
    dataset: &Dataset,
    old: Stored,
    roles: &[Role],
    principal: &Principal,
    step: Step,
    input: &StepInput,
    supervisors: &[(String, Vec<String>)],
) -> Result<Stored> {
    let now = txn.now();
    let done = task_steps::take(&old.fields, old.state, roles, &principal.user, step, input, now)?;
    let author = Author { user: principal.user.clone(), purpose: input.note.clone() };
    let (owner, sender) = (text(&done.fields, "owner"), text(&done.fields, "sender"));
    let district = text(&done.fields, "district");
    let stored = writes::update(txn, dataset, old, done.fields, done.state, step.name(), &author).await?;
    let me = principal.user.as_str();
    let verdict = match step {
        Step::Complete | Step::Confirm => Some(WarningState::Confirmed),
        Step::Cancel => Some(WarningState::Dismissed),
        _ => None,
    };
    if let Some(verdict) = verdict.filter(|_| text(&stored.fields, "source") == "model") {
        let note = input.note.as_deref().unwrap_or_default();
        runs::judge_in(txn, &text(&stored.fields, "dedupe"), verdict, note, me).await?;
    }
    let mut tell: Vec<(String, &str)> = match step {
        Step::Report | Step::Complete | Step::Explain if sender != me => vec![(sender, "任务有反馈")],
        Step::Confirm => vec![(owner, "任务已确认办结")],
        Step::Return => vec![(owner, "反馈被退回")],
        Step::Urge => vec![(owner, "催办")],
        Step::Extend => vec![(owner, "任务延期")],
        Step::Cancel => vec![(owner, "任务已撤销")],
        Step::Reassign => vec![(owner, "转交给您的任务")],
        Step::Escalate => supervisors
            .iter()
            .filter(|(_, regions)| covers(regions, &district))
            .map(|(user, _)| (user.clone(), "任务上报"))
            .collect(),
        _ => Vec::new(),
    };
    tell.retain(|(user, _)| !user.is_empty() && user != me);
    for (user, what) in tell {
        notice(txn, &stored, &user, what, &format!("{}/{}", step.name(), stored.version)).await?;
    }
    Ok(stored)
}

pub(super) async fn notice(txn: &mut Txn, stored: &Stored, to: &str, what: &str, key: &str) -> Result<()> {
    let title = text(&stored.fields, "title");
    let due = instant(&stored.fields, "due_at")
        .map(|ms| format!("，期限 {}", zonglan_catalog::time::to_local(ms).format("%m-%d %H:%M")));
    let notice = Notice {
        to: to.into(),
        title: format!("{what}：{title}"),
        body: format!("{}{}", stored.id, due.unwrap_or_default()),
        link: Some(format!("/tasks?task={}", stored.id)),
        key: format!("task/{}/{key}", stored.id),
    };
    notices::insert(txn, &notice).await
}
