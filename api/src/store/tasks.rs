//! The task store: what somebody has to do, by when, and what became of it. Tasks are rows of the
//! register `task`, so each step is logged and they show on boards like every other dataset.

use super::CatalogueCell;
use super::db::Db;
use super::error::db;
use super::identity::Identity;
use super::list::Row as Stored;
use super::notices::Notices;
use super::records::{HistoryEntry, RecordStore, fetch};
use super::tables::{column, table};
use super::task_rows::{self, create_in, step_in};
use super::task_steps::{self, Role, Step};
use super::values::Fields;
use super::vault::Vault;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};
use std::sync::Arc;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{Error, ErrorClass, Result};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::policy::{Principal, WHOLE_CITY};
use zonglan_catalog::traits::Clock;
use zonglan_catalog::value::Value;

/// The register of tasks.
pub const TASKS: &str = "task";
/// A task is due soon this long before its end.
pub(super) const SOON: i64 = 24 * 3_600_000;

/// A task to make. Either `owner` (a user) or `role` with a region says whose it is.
#[derive(Debug, Clone, Default)]
pub struct NewTask {
    /// Two open tasks with one key are one: the first stays.
    pub key: Option<String>,
    /// `review`, `correct`, `handle`, `inspection`, `deadline`, `supervision`, `request`, `model`, `other`.
    pub kind: String,
    pub title: String,
    pub detail: Option<String>,
    pub dataset: Option<String>,
    pub record: Option<String>,
    /// A page of the program, where it is not the record's own.
    pub link: Option<String>,
    pub district: Option<String>,
    pub street: Option<String>,
    pub owner: Option<String>,
    pub role: Option<String>,
    /// Milliseconds since 1970 UTC.
    pub due_at: Option<i64>,
    /// `normal`, `urgent`, `critical`; empty: normal.
    pub urgency: String,
    /// `flow`, `rule`, `person`, `model`, `import`.
    pub source: String,
    pub rule: Option<String>,
    /// The sender must confirm what is reported.
    pub confirm: bool,
    /// It is done by acting on the record, not by hand.
    pub automatic: bool,
}

/// A task as pages and clients see it. Times in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Serialize)]
pub struct Task {
    pub id: String,
    pub version: u64,
    pub kind: String,
    pub title: String,
    pub detail: String,
    pub status: String,
    pub timeliness: String,
    pub result: String,
    pub urgency: String,
    pub source: String,
    pub dataset: String,
    pub record: String,
    pub link: String,
    pub district: String,
    pub street: String,
    pub owner: String,
    pub role: String,
    pub sender: String,
    pub handed_from: String,
    pub created_at: i64,
    pub due_at: Option<i64>,
    pub acknowledged_at: Option<i64>,
    pub reported_at: Option<i64>,
    pub done_at: Option<i64>,
    pub done_by: String,
    pub feedback: String,
    pub explanation: String,
    pub escalated: bool,
    pub urges: i64,
    pub confirm: bool,
    pub automatic: bool,
    /// What the asker may do with it.
    pub actions: Vec<Step>,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskView {
    /// Open and mine, or waiting for somebody of my post.
    #[default]
    Mine,
    /// That I gave.
    Sent,
    /// That I did, or that were mine and are over.
    Done,
    /// All open ones of my regions; for those who may `supervise`.
    Region,
}

/// What a list asks.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    pub view: TaskView,
    pub kind: Option<String>,
    pub status: Option<String>,
    pub timeliness: Option<String>,
    pub dataset: Option<String>,
    pub record: Option<String>,
    /// Words of the title.
    pub q: Option<String>,
    pub offset: u64,
    pub limit: u64,
}

/// Numbers for badges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    /// Open and mine.
    pub mine: u64,
    /// Of these not yet acknowledged.
    pub new: u64,
    pub due_soon: u64,
    pub overdue: u64,
    /// Sent by me, reported, waiting for my word.
    pub to_confirm: u64,
}

/// What a step says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepInput {
    pub note: Option<String>,
    /// A user, for `reassign`.
    pub to: Option<String>,
    /// Milliseconds since 1970 UTC, for `extend`.
    pub due_at: Option<i64>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Tasks {
    pub(super) db: Db,
    pub(super) catalogue: CatalogueCell,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: Identity,
    pub(super) notices: Notices,
    pub(super) records: RecordStore,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

/// The register of tasks of a catalogue; none where the pack is left out.
pub(super) fn register(catalogue: &Catalogue) -> Result<Arc<Dataset>> {
    catalogue.dataset(TASKS).cloned().ok_or_else(|| {
        Error::new(ErrorClass::Unavailable, "tasks.register", "本实例没有任务登记簿 (no register 'task')")
    })
}

/// Whether one of the regions holds the place. A place that is nowhere is everybody's.
pub(super) fn covers(regions: &[String], place: &str) -> bool {
    place.is_empty() || regions.iter().any(|r| r == WHOLE_CITY || place.starts_with(r.as_str()))
}

impl Tasks {
    /// Makes a task, or finds the open one of the same key.
    pub async fn create(&self, sender: &str, new: NewTask) -> Result<Task> {
        let catalogue = self.catalogue.get();
        let dataset = register(&catalogue)?;
        let (by, of) = (sender.to_string(), dataset.clone());
        let stored = self.db.write(move |txn| Box::pin(async move { create_in(txn, &of, &by, new).await })).await?;
        self.notices.touch();
        Ok(task(&stored, Vec::new()))
    }

    /// Tells listeners that a write of a record may have given notices.
    pub fn touched(&self) {
        self.notices.touch();
    }

    /// A person gives a task: a supervision order (`supervise`), or something for oneself.
    pub async fn give(&self, principal: &Principal, mut new: NewTask) -> Result<Task> {
        let catalogue = self.catalogue.get();
        if let (Some(dataset), Some(record)) = (&new.dataset, &new.record) {
            // One can only ask about what one may see; the place is the record's.
            let found = self.records.get(principal, dataset, record).await?;
            let definition = catalogue.dataset(dataset);
            let region = definition.and_then(|d| d.region.as_ref());
            new.district = region.and_then(|name| found.fields.get(name)).map(Value::to_text);
        }
        let to_self = new.owner.as_deref() == Some(principal.user.as_str());
        if !to_self && !catalogue.policy().may(principal, "supervise") {
            return Err(
                Error::forbidden("tasks.supervise", "您的角色不能向他人交办任务").with_hint("请向管理员申请权限")
            );
        }
        match (&new.owner, &new.role) {
            (Some(owner), _) => {
                let owner = self.identity.principal(owner)?;
                let within = owner.regions.iter().all(|r| covers(&principal.regions, r));
                if !to_self && !within {
                    return Err(Error::forbidden("tasks.owner", format!("「{}」不在您的辖区内", owner.name)));
                }
                if new.district.is_none() {
                    new.district = owner.regions.iter().find(|r| *r != WHOLE_CITY).map(|r| r.chars().take(6).collect());
                }
            }
            (None, Some(role)) => {
                if catalogue.policy().role(role).is_none() {
                    return Err(Error::user("tasks.role", format!("没有角色 '{role}'")));
                }
                let place = new.district.clone().unwrap_or_default();
                if place.is_empty() || !covers(&principal.regions, &place) {
                    return Err(Error::user("tasks.region", "交办给岗位须指明您辖区内的区"));
                }
            }
            (None, None) => return Err(Error::user("tasks.owner", "请选择承办人")),
        }
        if new.due_at.is_some_and(|due| due <= self.clock.now()) {
            return Err(Error::user("tasks.due", "办理期限须晚于现在"));
        }
        new.source = "person".into();
        new.confirm = !to_self;
        self.create(&principal.user, new).await
    }

    pub async fn get(&self, principal: &Principal, id: &str) -> Result<Task> {
        let catalogue = self.catalogue.get();
        let dataset = register(&catalogue)?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        let stored = fetch(&mut conn, &Vault::NONE, &dataset, id).await?.ok_or_else(|| missing(id))?;
        let roles = roles_in(&catalogue, principal, &stored.fields);
        if roles.is_empty() {
            return Err(missing(id));
        }
        Ok(task(&stored, task_steps::offered(&stored.fields, stored.state, &roles)))
    }

    /// The steps of a task, oldest first; for those who see it.
    pub async fn history(&self, principal: &Principal, id: &str) -> Result<Vec<HistoryEntry>> {
        self.get(principal, id).await?;
        let dataset = register(&self.catalogue.get())?;
        self.records.history_of(&dataset, id).await
    }

    /// A page of tasks, the most pressing first, and how many there are.
    pub async fn list(&self, principal: &Principal, filter: &TaskFilter) -> Result<(Vec<Task>, u64)> {
        let catalogue = self.catalogue.get();
        let dataset = register(&catalogue)?;
        if filter.view == TaskView::Region && !catalogue.policy().may(principal, "supervise") {
            return Err(
                Error::forbidden("tasks.region", "您的角色不能查看辖区全部任务").with_hint("请向管理员申请权限")
            );
        }
        let mut count = QueryBuilder::new(format!("SELECT count(*) FROM {} WHERE ", table(&dataset)));
        push_view(&mut count, &dataset, principal, filter);
        let total: i64 = count.build_query_scalar().fetch_one(self.db.readers()).await.map_err(db)?;
        let mut query = QueryBuilder::new(format!("SELECT {} FROM {} WHERE ", Stored::COLUMNS, table(&dataset)));
        push_view(&mut query, &dataset, principal, filter);
        if filter.view == TaskView::Done {
            query.push(" ORDER BY updated_at DESC, seq DESC");
        } else {
            query.push(format!(" ORDER BY {} ASC NULLS LAST, seq DESC", column(&dataset, "due_at")));
        }
        query.push(" LIMIT ").push_bind(filter.limit.clamp(1, 200) as i64);
        query.push(" OFFSET ").push_bind(filter.offset.min(100_000) as i64);
        let rows = query.build().fetch_all(self.db.readers()).await.map_err(db)?;
        let read = |row| {
            let stored = Stored::read(&Vault::NONE, &dataset, row)?;
            let roles = roles_in(&catalogue, principal, &stored.fields);
            Ok(task(&stored, task_steps::offered(&stored.fields, stored.state, &roles)))
        };
        Ok((rows.iter().map(read).collect::<Result<_>>()?, total as u64))
    }

    pub async fn counts(&self, principal: &Principal) -> Result<TaskCounts> {
        let catalogue = self.catalogue.get();
        let Ok(dataset) = register(&catalogue) else { return Ok(TaskCounts::default()) };
        let (status, due) = (column(&dataset, "status"), column(&dataset, "due_at"));
        let now = self.clock.now();
        let mut query = QueryBuilder::new(format!(
            "SELECT count(*), coalesce(sum({status} = 'open'), 0), coalesce(sum({due} >= {now} AND {due} < {}), 0), coalesce(sum({due} < {now}), 0) FROM {} WHERE ",
            now + SOON,
            table(&dataset)
        ));
        push_view(&mut query, &dataset, principal, &TaskFilter::default());
        let (mine, new, due_soon, overdue): (i64, i64, i64, i64) =
            query.build_query_as().fetch_one(self.db.readers()).await.map_err(db)?;
        let sql = format!(
            "SELECT count(*) FROM {} WHERE state = 'open' AND {} = ? AND {status} = 'reported'",
            table(&dataset),
            column(&dataset, "sender")
        );
        let query = sqlx::query_scalar(&sql).bind(&principal.user);
        let to_confirm: i64 = query.fetch_one(self.db.readers()).await.map_err(db)?;
        Ok(TaskCounts {
            mine: mine as u64,
            new: new as u64,
            due_soon: due_soon as u64,
            overdue: overdue as u64,
            to_confirm: to_confirm as u64,
        })
    }

    /// Keys of the open tasks whose key begins so.
    pub async fn open_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let dataset = register(&self.catalogue.get())?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        task_rows::open_keys(&mut conn, &dataset, prefix).await
    }

    /// Ends open tasks by their keys: what they asked for was done elsewhere.
    pub async fn over(&self, keys: Vec<String>, cancelled: bool) -> Result<()> {
        let dataset = register(&self.catalogue.get())?;
        for chunk in keys.chunks(200) {
            let (chunk, dataset) = (chunk.to_vec(), dataset.clone());
            self.db
                .write(move |txn| {
                    Box::pin(async move {
                        for key in chunk {
                            if let Some(task) = task_rows::open_of(txn.conn(), &dataset, &key).await? {
                                task_rows::finish_in(txn, &dataset, task, "system", cancelled).await?;
                            }
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        self.notices.touch();
        Ok(())
    }

    /// Does a step with a task: see [`Step`].
    pub async fn act(&self, principal: &Principal, id: &str, step: Step, input: StepInput) -> Result<Task> {
        let catalogue = self.catalogue.get();
        let dataset = register(&catalogue)?;
        if let (Step::Reassign, Some(to)) = (step, &input.to) {
            // Fails for users that are not there.
            self.identity.principal(to)?;
        }
        let supervisors = if step == Step::Escalate { self.supervisors(&catalogue) } else { Vec::new() };
        let (id, principal) = (id.to_string(), principal.clone());
        let (stored, roles) = self
            .db
            .write(move |txn| {
                Box::pin(async move {
                    let old = txn.fetch(&dataset, &id).await?.ok_or_else(|| missing(&id))?;
                    let roles = roles_in(&catalogue, &principal, &old.fields);
                    if roles.is_empty() {
                        return Err(missing(&id));
                    }
                    let stored = step_in(txn, &dataset, old, &roles, &principal, step, &input, &supervisors).await?;
                    let roles = roles_in(&catalogue, &principal, &stored.fields);
                    Ok((stored, roles))
                })
            })
            .await?;
        self.notices.touch();
        Ok(task(&stored, task_steps::offered(&stored.fields, stored.state, &roles)))
    }

    /// Users who may supervise, with their regions.
    fn supervisors(&self, catalogue: &Catalogue) -> Vec<(String, Vec<String>)> {
        let may = |roles: &[String]| {
            roles.iter().any(|r| catalogue.policy().role(r).is_some_and(|r| r.actions.iter().any(|a| a == "supervise")))
        };
        let users = self.identity.users().into_iter().filter(|u| !u.disabled && may(&u.roles));
        users.map(|u| (u.username, u.regions)).collect()
    }

    /// Colleagues to whom work may be given or handed over: those whose regions meet the asker's.
    pub fn people(&self, principal: &Principal) -> Vec<(String, String, Vec<String>, Vec<String>)> {
        let meets = |regions: &[String]| {
            regions.iter().any(|r| covers(&principal.regions, r) || covers(std::slice::from_ref(r), &first(principal)))
        };
        let users = self.identity.users().into_iter().filter(|u| !u.disabled && meets(&u.regions));
        users.map(|u| (u.username, u.name, u.roles, u.regions)).collect()
    }
}

fn first(principal: &Principal) -> String {
    principal.regions.first().cloned().unwrap_or_default()
}

pub(super) fn missing(id: &str) -> Error {
    Error::not_found("tasks.not_found", format!("没有编号为 {id} 的任务，或您无权查看"))
}

pub(super) fn text(fields: &Fields, name: &str) -> String {
    fields.get(name).map(Value::to_text).unwrap_or_default()
}

pub(super) fn instant(fields: &Fields, name: &str) -> Option<i64> {
    match fields.get(name) {
        Some(Value::Instant(ms)) => Some(*ms),
        _ => None,
    }
}

fn task(stored: &Stored, actions: Vec<Step>) -> Task {
    let f = &stored.fields;
    let flag = |name: &str| f.get(name) == Some(&Value::Bool(true));
    let (dataset, record, link) = (text(f, "dataset"), text(f, "record"), text(f, "link"));
    let link = if link.is_empty() && !record.is_empty() {
        format!("/records/{dataset}/{}", zonglan_dashboards::format::percent_encode(&record))
    } else {
        link
    };
    Task {
        id: stored.id.clone(),
        version: stored.version,
        kind: text(f, "kind"),
        title: text(f, "title"),
        detail: text(f, "detail"),
        status: text(f, "status"),
        timeliness: text(f, "timeliness"),
        result: text(f, "result"),
        urgency: text(f, "urgency"),
        source: text(f, "source"),
        dataset,
        record,
        link,
        district: text(f, "district"),
        street: text(f, "street"),
        owner: text(f, "owner"),
        role: text(f, "role"),
        sender: text(f, "sender"),
        handed_from: text(f, "handed_from"),
        created_at: instant(f, "created_on").unwrap_or(stored.created_at),
        due_at: instant(f, "due_at"),
        acknowledged_at: instant(f, "acknowledged_at"),
        reported_at: instant(f, "reported_at"),
        done_at: instant(f, "done_at"),
        done_by: text(f, "done_by"),
        feedback: text(f, "feedback"),
        explanation: text(f, "explanation"),
        escalated: flag("escalated"),
        urges: f.get("urges").and_then(Value::as_f64).unwrap_or_default() as i64,
        confirm: flag("confirm"),
        automatic: flag("automatic"),
        actions,
    }
}

/// What the asker is to a task. Empty: it is none of theirs.
fn roles_in(catalogue: &Catalogue, principal: &Principal, fields: &Fields) -> Vec<Role> {
    let (owner, role) = (text(fields, "owner"), text(fields, "role"));
    let district = text(fields, "district");
    let mut roles = Vec::new();
    let waits = owner.is_empty() && principal.roles.contains(&role) && covers(&principal.regions, &district);
    if owner == principal.user || waits {
        roles.push(Role::Owner);
    }
    if text(fields, "sender") == principal.user {
        roles.push(Role::Sender);
    }
    let supervises = catalogue.policy().may(principal, "supervise");
    if supervises
        && (!district.is_empty() || principal.regions.iter().any(|r| r == WHOLE_CITY))
        && covers(&principal.regions, &district)
    {
        roles.push(Role::Supervisor);
    }
    if roles.is_empty() && text(fields, "done_by") == principal.user {
        roles.push(Role::Reader);
    }
    roles
}

fn push_view(query: &mut QueryBuilder<'_, Sqlite>, dataset: &Dataset, principal: &Principal, filter: &TaskFilter) {
    let column = |name: &str| column(dataset, name);
    let (owner, role, district) = (column("owner"), column("role"), column("district"));
    let within = |query: &mut QueryBuilder<'_, Sqlite>, or_nowhere: bool| {
        if principal.regions.iter().any(|r| r == WHOLE_CITY) {
            query.push("1");
            return;
        }
        query.push(if or_nowhere { format!("({district} IS NULL") } else { "(0".to_string() });
        for region in &principal.regions {
            let six: String = region.chars().take(6).collect();
            query.push(format!(" OR {district} = ")).push_bind(six);
        }
        query.push(")");
    };
    match filter.view {
        TaskView::Mine => {
            query.push(format!("state = 'open' AND {} != 'reported' AND ({owner} = ", column("status")));
            query.push_bind(principal.user.clone());
            query.push(format!(" OR ({owner} IS NULL AND {role} IN ("));
            let mut list = query.separated(", ");
            principal.roles.iter().for_each(|r| {
                list.push_bind(r.clone());
            });
            query.push(") AND ");
            within(query, true);
            query.push("))");
        }
        TaskView::Sent => {
            query.push(format!("{} = 'person' AND {} = ", column("source"), column("sender")));
            query.push_bind(principal.user.clone());
        }
        TaskView::Done => {
            query.push(format!("state = 'closed' AND ({owner} = ")).push_bind(principal.user.clone());
            query.push(format!(" OR {} = ", column("done_by"))).push_bind(principal.user.clone()).push(")");
        }
        TaskView::Region => {
            query.push("state = 'open' AND ");
            within(query, false);
        }
    }
    let equal = [
        ("kind", &filter.kind),
        ("status", &filter.status),
        ("timeliness", &filter.timeliness),
        ("dataset", &filter.dataset),
        ("record", &filter.record),
    ];
    for (name, value) in equal {
        if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
            query.push(format!(" AND {} = ", column(name))).push_bind(value.clone());
        }
    }
    if let Some(words) = filter.q.as_deref().map(str::trim).filter(|w| !w.is_empty()) {
        query.push(format!(" AND (instr(lower({}), ", column("title"))).push_bind(words.to_lowercase());
        query.push(") > 0 OR id = ").push_bind(words.to_string()).push(")");
    }
}
