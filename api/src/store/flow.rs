//! Stages of records: which actions somebody is offered, who is barred from approving, and the
//! tasks of those whose turn it is.

use super::delegations;
use super::error::db;
use super::list::Row as Stored;
use super::task_rows;
use super::tasks::{self, NewTask};
use super::txn::Txn;
use super::values::{Fields, State};
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};
use std::collections::BTreeSet;
use std::sync::Arc;
use zonglan_catalog::dataset::{Dataset, Sensitivity};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::register::{ActionRule, Length, Register, Who};
use zonglan_catalog::value::Value;

/// An action as it is offered to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offered {
    pub name: String,
    pub zh: String,
    pub en: String,
    /// Fields that it asks for, and which of them must be filled in.
    pub input: Vec<String>,
    pub require: Vec<String>,
    /// Asks why.
    pub reason: bool,
    /// Asks which fields are to be corrected.
    pub names_fields: bool,
    pub needs_file: bool,
}

/// The register of a dataset that has stages.
pub(super) fn staged(dataset: &Dataset) -> Option<&Register> {
    dataset.register.as_ref().filter(|r| r.has_flow())
}

/// The stage of a record; records from before the stages were declared are in the first.
pub(super) fn stage_of<'a>(register: &'a Register, fields: &'a Fields) -> &'a str {
    let own = fields.get(&register.stage_field).and_then(Value::as_str);
    own.or_else(|| register.stage.first().map(|s| s.code.as_str())).unwrap_or_default()
}

/// Whether fields may be changed now.
pub(super) fn editable(dataset: &Dataset, fields: &Fields) -> bool {
    staged(dataset).is_none_or(|r| r.stage(stage_of(r, fields)).is_none_or(|s| s.editable))
}

/// Who asks, with those for whom they stand in.
pub(super) struct Actor<'a> {
    pub principal: &'a Principal,
    pub stands_for: BTreeSet<String>,
    /// May write the register.
    pub writes: bool,
}

impl<'a> Actor<'a> {
    pub async fn new(conn: &mut SqliteConnection, principal: &'a Principal, writes: bool, now: i64) -> Result<Self> {
        let stands_for = delegations::stands_for(conn, &principal.user, now).await?;
        Ok(Self { principal, stands_for, writes })
    }

    fn is(&self, who: &Who<'_>, row: &Stored) -> bool {
        match who {
            Who::Role(role) => self.principal.roles.iter().any(|r| r == role),
            Who::Creator => self.stands_for.contains(&row.created_by),
            Who::Field(name) => {
                row.fields.get(*name).and_then(Value::as_str).is_some_and(|user| self.stands_for.contains(user))
            }
        }
    }

    /// Whether it is for them to do: by the action's own word, else by the stage's, else by the
    /// right to write.
    pub fn may(&self, register: &Register, action: &ActionRule, row: &Stored) -> bool {
        let stage = register.stage(stage_of(register, &row.fields));
        let who = if action.who.is_empty() { stage.map_or(&[][..], |s| &s.who) } else { &action.who };
        if who.is_empty() {
            return self.writes;
        }
        who.iter().filter_map(|w| Who::parse(w)).any(|w| self.is(&w, row))
    }
}

/// The actions that somebody is offered on an open record.
pub(super) fn offered(
    catalogue: &Catalogue,
    dataset: &Dataset,
    actor: &Actor<'_>,
    row: &Stored,
) -> Result<Vec<Offered>> {
    let Some(register) = dataset.register.as_ref() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if row.state == State::Closed {
        return Ok(found);
    }
    let stage = stage_of(register, &row.fields);
    for action in &register.action {
        let fits = register.offers(action, stage)
            && actor.may(register, action, row)
            && super::checks::meets(catalogue, dataset, &action.when, &row.fields)?;
        if fits {
            found.push(Offered {
                name: action.name.clone(),
                zh: action.label.zh.clone(),
                en: action.label.en.clone(),
                input: action.input.clone(),
                require: action.require.clone(),
                reason: action.reason,
                names_fields: action.names_fields,
                needs_file: action.needs_file,
            });
        }
    }
    Ok(found)
}

/// Refuses who entered or changed the record since it was last approved, and who counts as the
/// same person.
pub(super) async fn separate(txn: &mut Txn, dataset: &Dataset, row: &Stored, user: &str) -> Result<()> {
    let now = txn.now();
    let same = delegations::same_person(txn.conn(), user, now).await?;
    let approvals: Vec<&str> = dataset
        .register
        .iter()
        .flat_map(|r| {
            r.action.iter().filter(|a| a.separate && a.to.as_ref().and_then(|t| r.stage(t)).is_some_and(|s| s.last))
        })
        .map(|a| a.name.as_str())
        .collect();
    let approvals = serde_json::to_string(&approvals).map_err(Error::internal)?;
    let sql = "SELECT DISTINCT actor FROM change_log WHERE dataset = ?1 AND record = ?2 AND action IN ('create', 'change', 'load', 'restore', 'submit') AND version > coalesce((SELECT max(version) FROM change_log WHERE dataset = ?1 AND record = ?2 AND action IN (SELECT value FROM json_each(?3))), 0)";
    let rows =
        sqlx::query(sql).bind(&dataset.name).bind(&row.id).bind(approvals).fetch_all(txn.conn()).await.map_err(db)?;
    let mut entered: BTreeSet<String> = rows.iter().map(|r| r.get(0)).collect();
    // Entries of this group of writes are not in the table yet.
    entered.extend(txn.waiting_actors(&dataset.name, &row.id));
    match entered.iter().find(|e| same.contains(*e)) {
        None => Ok(()),
        Some(who) => {
            let why = if who == user {
                "该记录由您登记或修改".to_string()
            } else {
                format!("该记录由 {who} 登记或修改，其工作与您有移交关系")
            };
            Err(Error::forbidden("records.separation", format!("{why}，须由其他人审核"))
                .with_hint("请转由其他审核人办理"))
        }
    }
}

/// What tasks call a record: its title unless that is personal.
fn title_of(dataset: &Dataset, row: &Stored) -> String {
    let title = dataset.title.as_ref().and_then(|t| dataset.field(t)).filter(|f| f.sensitivity < Sensitivity::Personal);
    title
        .and_then(|f| row.fields.get(&f.name))
        .map(Value::to_text)
        .filter(|t| !t.is_empty())
        .unwrap_or_else(|| row.id.clone())
}

/// A task about a record, without its time and owner.
pub(super) fn task_about(dataset: &Dataset, row: &Stored, what: &str) -> NewTask {
    let place =
        |name: Option<&String>| name.and_then(|n| row.fields.get(n)).map(Value::to_text).filter(|t| !t.is_empty());
    let region = place(dataset.region.as_ref());
    NewTask {
        title: format!("{}：{}（{what}）", dataset.label.zh, title_of(dataset, row)),
        dataset: Some(dataset.name.clone()),
        record: Some(row.id.clone()),
        district: region.as_ref().map(|r| r.chars().take(6).collect()),
        street: region.filter(|r| r.len() >= 9).map(|r| r.chars().take(9).collect()),
        automatic: true,
        ..NewTask::default()
    }
}

/// Whose a task is.
pub(super) fn owned(mut task: NewTask, who: &Who<'_>, row: &Stored) -> Option<NewTask> {
    match who {
        Who::Role(role) => task.role = Some((*role).into()),
        Who::Creator => task.owner = Some(row.created_by.clone()),
        Who::Field(name) => task.owner = Some(row.fields.get(*name)?.as_str()?.into()),
    }
    Some(task)
}

/// After a write: ends the tasks of the stage that was left and gives those of the one entered.
pub(super) async fn turn(
    txn: &mut Txn,
    catalogue: &Catalogue,
    dataset: &Dataset,
    before: Option<&Stored>,
    row: &Stored,
    actor: &str,
) -> Result<()> {
    let Some(register) = staged(dataset) else { return Ok(()) };
    let Ok(task_register) = tasks::register(catalogue) else { return Ok(()) };
    let now = txn.now();
    let stage = stage_of(register, &row.fields);
    let entered = before.is_none_or(|b| stage_of(register, &b.fields) != stage || b.state != row.state);
    let moved = before.is_some_and(|b| dataset.region.as_ref().is_some_and(|r| b.fields.get(r) != row.fields.get(r)));
    if !entered && !moved {
        return Ok(());
    }
    if before.is_some() {
        for task in task_rows::automatic_of(txn.conn(), &task_register, &dataset.name, &row.id).await? {
            if task.fields.get("source").and_then(Value::as_str) == Some("flow") {
                task_rows::finish_in(txn, &task_register, task, actor, row.state == State::Closed).await?;
            }
        }
    }
    let Some(at) = register.stage(stage).filter(|_| row.state == State::Open) else { return Ok(()) };
    let label = dataset.field(&register.stage_field).and_then(|f| catalogue.codes_of(f)).and_then(|c| c.get(stage));
    let label = label.map_or(stage, |i| i.zh.as_str());
    let due = at.due.as_deref().and_then(Length::parse).map(|l| l.after(now, catalogue.calendar()));
    for (i, who) in at.who.iter().enumerate() {
        let Some(who) = Who::parse(who) else { continue };
        let task = NewTask {
            key: Some(format!("flow/{}/{}/{stage}/{}/{i}", dataset.name, row.id, row.version)),
            kind: kind_of(stage).into(),
            source: "flow".into(),
            rule: Some(format!("stage:{stage}")),
            due_at: due,
            ..task_about(dataset, row, label)
        };
        if let Some(task) = owned(task, &who, row) {
            task_rows::create_in(txn, &task_register, actor, task).await?;
        }
    }
    Ok(())
}

fn kind_of(stage: &str) -> &'static str {
    match stage {
        "returned" => "correct",
        s if s.starts_with("review") => "review",
        _ => "handle",
    }
}

/// Whether writes of this dataset, or of a child of it, lead to tasks.
pub(super) fn gives_tasks(catalogue: &Catalogue, dataset: &Dataset) -> bool {
    let ruled = |d: &Dataset| d.register.as_ref().is_some_and(|r| !r.task.is_empty());
    staged(dataset).is_some()
        || ruled(dataset)
        || dataset.parent.as_ref().and_then(|p| catalogue.dataset(&p.dataset)).is_some_and(|p: &Arc<Dataset>| ruled(p))
}
