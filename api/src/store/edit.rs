//! Writes of single records: register, change, and the actions of their stages.

use super::access::Access;
use super::checks;
use super::due;
use super::error::{StoreError, db};
use super::flow::{self, Actor};
use super::list::Row as Stored;
use super::numbering::Pattern;
use super::records::{Author, Record, RecordStore, fetch, invalid, not_found, outside};
use super::rules::matches;
use super::signatures;
use super::tables;
use super::txn::Txn;
use super::values::{self, Fields, State};
use super::writes::{check_parent, duplicates, insert, parent_of, update};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use zonglan_catalog::dataset::{Dataset, FieldType, Lifecycle};
use zonglan_catalog::error::{Error, ErrorClass, FieldError, Result};
use zonglan_catalog::expand::REMARKS;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::policy::Principal;
use zonglan_catalog::register::{ActionRule, Register};
use zonglan_catalog::value::Value;

/// What an action brings along.
#[derive(Debug, Clone, Default)]
pub struct ActionInput {
    pub fields: Map<String, Json>,
    /// Remarks by field name, of actions that name fields to correct.
    pub remarks: Map<String, Json>,
    pub reason: Option<String>,
}

/// What a write needs inside the writer's task.
struct Job {
    catalogue: Arc<Catalogue>,
    access: Access,
    author: Author,
    principal: Principal,
}

impl RecordStore {
    fn job(&self, principal: &Principal, dataset: &str, reason: Option<&str>) -> Result<Job> {
        let (catalogue, access) = self.access(principal, dataset)?;
        Ok(Job { catalogue, access, author: Author::new(principal, reason), principal: principal.clone() })
    }

    /// Writes that lead to tasks may fail late and need a savepoint; the others save it.
    async fn submit<F>(&self, savepoint: bool, work: F) -> Result<Stored>
    where
        F: for<'a> FnOnce(&'a mut Txn) -> BoxFuture<'a, Result<Stored>> + Send + 'static,
    {
        if savepoint { self.db.write(work).await } else { self.db.write_checked(work).await }
    }

    async fn answer(&self, principal: &Principal, access: &Access, stored: Stored) -> Result<Record> {
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        self.view(&mut conn, principal, access, stored).await
    }

    /// Registers a record. Its id is the key field's value or, where that is missing, the next
    /// number of the register.
    pub async fn create(
        &self,
        principal: &Principal,
        dataset: &str,
        fields: &Map<String, Json>,
        reason: Option<&str>,
    ) -> Result<Record> {
        let job = self.job(principal, dataset, reason)?;
        job.access.may_write(Lifecycle::Register)?;
        let (catalogue, dataset) = (job.catalogue.clone(), job.access.dataset.clone());
        let (mut fields, mut errors) = values::read_input(&catalogue, &dataset, fields, &[]);
        let parent = self.parent_access(&catalogue, principal, &dataset)?;
        let mut conn = self.db.readers().acquire().await.map_err(db)?;
        if let (Some(parent), Some(id)) = (&parent, parent_of(&dataset, &fields).map(String::from))
            && let Some(above) = fetch(&mut conn, self.db.vault(), &parent.dataset, &id).await?
        {
            inherit(&dataset, &parent.dataset, &above.fields, &mut fields);
        }
        if let Some(register) = flow::staged(&dataset)
            && let Some(first) = register.stage.first()
        {
            fields.insert(register.stage_field.clone(), Value::Text(first.code.clone()));
        }
        let key = &dataset.key[0];
        let pattern = dataset.register.as_ref().map(|r| Pattern::parse(&r.numbering, &dataset.name)).transpose()?;
        let numbered = pattern.is_some() && fields.get(key).is_none_or(Value::is_null);
        let absent = values::missing(&dataset, &fields, &errors);
        errors.extend(absent.into_iter().filter(|e| !(numbered && e.field == *key)));
        errors.extend(checks::check(&catalogue, &dataset, &fields, &errors, self.clock.now())?);
        errors.extend(checks::references(&mut conn, &catalogue, &dataset, &fields, None).await?);
        if !errors.is_empty() {
            let known = |e: &FieldError| errors.iter().any(|o| o.field == e.field);
            let fresh: Vec<_> = duplicates(&mut conn, self.db.vault(), &dataset, &fields, None)
                .await?
                .into_iter()
                .filter(|e| !known(e))
                .collect();
            errors.extend(fresh);
            return Err(invalid(&dataset, errors));
        }
        drop(conn);
        if !matches(&job.access.row_rule, &fields) {
            return Err(outside(&dataset));
        }
        let access = job.access.clone();
        let savepoint = flow::gives_tasks(&catalogue, &dataset);
        let stored = self
            .submit(savepoint, move |txn| {
                Box::pin(async move {
                    let pattern = pattern.filter(|_| numbered);
                    let stored = insert(txn, &dataset, fields, pattern, parent.as_ref(), &job.author).await?;
                    after(txn, &job, None, stored).await
                })
            })
            .await?;
        self.answer(principal, &access, stored).await
    }

    /// Changes fields of an open record; `expected` is the version that the changes were made on.
    /// A null takes a value away. Nothing is written where nothing changes.
    pub async fn patch(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        expected: u64,
        changes: &Map<String, Json>,
        reason: Option<&str>,
    ) -> Result<Record> {
        let job = self.job(principal, dataset, reason)?;
        job.access.may_write(Lifecycle::Change)?;
        let (catalogue, dataset) = (job.catalogue.clone(), job.access.dataset.clone());
        let (changes, errors) = values::read_input(&catalogue, &dataset, changes, &[]);
        let parent = self.parent_access(&catalogue, principal, &dataset)?;
        let (id, access) = (id.to_string(), job.access.clone());
        let savepoint = flow::gives_tasks(&catalogue, &dataset);
        let stored = self
            .submit(savepoint, move |txn| {
                Box::pin(async move {
                    let old = visible(txn, &job.access, &id).await?;
                    check_version(&dataset, &old, Some(expected))?;
                    open(&old, "变更")?;
                    if !flow::editable(&dataset, &old.fields) {
                        return Err(locked(&dataset, &old));
                    }
                    let fields = changed(txn, &job, &old, changes, errors).await?;
                    let mut fields = fields;
                    if let Some(register) = flow::staged(&dataset)
                        && fields != old.fields
                        && let Some(to) =
                            register.stage(flow::stage_of(register, &old.fields)).and_then(|s| s.on_change.clone())
                    {
                        fields.insert(register.stage_field.clone(), Value::Text(to));
                    }
                    if !matches(&job.access.row_rule, &fields) {
                        return Err(outside(&dataset));
                    }
                    if let Some(parent) = &parent
                        && parent_of(&dataset, &fields) != parent_of(&dataset, &old.fields)
                    {
                        check_parent(txn, &dataset, &fields, parent).await?;
                    }
                    let (state, before) = (old.state, old.clone());
                    let stored = update(txn, &dataset, old, fields, state, "change", &job.author).await?;
                    after(txn, &job, Some(&before), stored).await
                })
            })
            .await?;
        self.answer(principal, &access, stored).await
    }

    /// Does an action: `close` and `restore` of every register, or one that the register declares.
    pub async fn act(
        &self,
        principal: &Principal,
        dataset: &str,
        id: &str,
        expected: Option<u64>,
        action: &str,
        input: ActionInput,
    ) -> Result<Record> {
        let job = self.job(principal, dataset, input.reason.as_deref())?;
        job.access.may_list()?;
        let dataset = job.access.dataset.clone();
        let declared = dataset.register.as_ref().and_then(|r| r.action(action)).cloned();
        let plain = match (action, &declared) {
            ("close", _) => Some((Lifecycle::Close, State::Closed)),
            ("restore", _) => Some((Lifecycle::Restore, State::Open)),
            (_, Some(_)) => None,
            _ => {
                let known = dataset.register.iter().flat_map(|r| &r.action).map(|a| a.name.as_str());
                let names: Vec<&str> = ["close", "restore"].into_iter().chain(known).collect();
                return Err(Error::not_found("records.action", format!("没有操作 '{action}' (no such action)"))
                    .with_hint(format!("可用: {}", names.join(", "))));
            }
        };
        if let Some((step, _)) = plain {
            job.access.may_write(step)?;
        }
        let (id, name, access) = (id.to_string(), action.to_string(), job.access.clone());
        let stored = self
            .submit(true, move |txn| {
                Box::pin(async move {
                    let old = visible(txn, &job.access, &id).await?;
                    check_version(&dataset, &old, expected)?;
                    let before = old.clone();
                    let stored = match (plain, declared) {
                        (Some((_, state)), _) => turn_state(txn, &job, old, state, &name).await?,
                        (None, Some(rule)) => step(txn, &job, old, &rule, input).await?,
                        (None, None) => return Err(Error::internal("an action without a rule")),
                    };
                    after(txn, &job, Some(&before), stored).await
                })
            })
            .await?;
        self.answer(principal, &access, stored).await
    }

    /// How a child's parent must look to this principal.
    fn parent_access(&self, catalogue: &Catalogue, principal: &Principal, dataset: &Dataset) -> Result<Option<Access>> {
        match &dataset.parent {
            Some(parent) if catalogue.dataset(&parent.dataset).is_some_and(|d| tables::is_kept(d)) => {
                Access::new(catalogue, principal, &parent.dataset, self.clock.now()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Close or restore.
async fn turn_state(txn: &mut Txn, job: &Job, old: Stored, state: State, name: &str) -> Result<Stored> {
    let dataset = &job.access.dataset;
    if old.state == state {
        let now = if state == State::Closed { "已注销" } else { "未注销" };
        return Err(Error::new(ErrorClass::Conflict, "records.state", format!("记录 {} {now}，不能重复操作", old.id)));
    }
    if state == State::Open {
        let errors = txn.duplicates(dataset, &old.fields, None).await?;
        if !errors.is_empty() {
            return Err(invalid(dataset, errors));
        }
    }
    let fields = old.fields.clone();
    update(txn, dataset, old, fields, state, name, &job.author).await
}

/// An action that the register declares.
async fn step(txn: &mut Txn, job: &Job, old: Stored, rule: &ActionRule, input: ActionInput) -> Result<Stored> {
    let dataset = job.access.dataset.clone();
    let register = dataset.register.as_ref().ok_or_else(|| Error::internal("an action without a register"))?;
    let label = &rule.label.zh;
    open(&old, label)?;
    let now = txn.now();
    let writes = job.access.may_write(Lifecycle::Change).is_ok();
    let actor = Actor::new(txn.conn(), &job.principal, writes, now).await?;
    if !actor.may(register, rule, &old) {
        return Err(Error::forbidden("records.turn", format!("您不能对该记录执行「{label}」"))
            .with_hint("此环节由其他岗位或人员办理"));
    }
    let stage = flow::stage_of(register, &old.fields);
    if !register.offers(rule, stage) || !checks::meets(&job.catalogue, &dataset, &rule.when, &old.fields)? {
        return Err(Error::new(
            ErrorClass::Conflict,
            "records.stage",
            format!("记录 {} 的当前环节不能执行「{label}」", old.id),
        )
        .with_hint("请刷新后查看记录的环节"));
    }
    if rule.separate {
        flow::separate(txn, &dataset, &old, &job.principal.user).await?;
    }
    if rule.reason && job.author.purpose.is_none() {
        return Err(Error::user("records.reason", format!("「{label}」须填写原因")));
    }
    if rule.needs_file && super::files::count(txn.conn(), &dataset.name, &old.id).await? == 0 {
        return Err(Error::user("records.file", format!("「{label}」前须上传附件")));
    }
    let mut errors: Vec<FieldError> = input
        .fields
        .keys()
        .filter(|name| !rule.input.contains(name))
        .map(|name| FieldError {
            field: name.clone(), message: format!("「{label}」不填写此字段 (not asked here)")
        })
        .collect();
    let (changes, wrong) = values::read_input(&job.catalogue, &dataset, &input.fields, &rule.input);
    errors.extend(wrong);
    let mut set = Map::new();
    for (name, value) in &rule.set {
        if !changes.contains_key(name) {
            set.insert(name.clone(), preset(&dataset, name, value, &job.principal.user, now));
        }
    }
    let names: Vec<String> = set.keys().cloned().collect();
    let (values, wrong) = values::read_input(&job.catalogue, &dataset, &set, &names);
    errors.extend(wrong);
    let mut all = values;
    all.extend(changes);
    if rule.names_fields {
        all.insert(REMARKS.into(), remarks(&dataset, &input.remarks, &mut errors));
    } else if dataset.field(REMARKS).is_some() && rule.to.is_some() {
        // What was to be corrected has been, or is no matter any more.
        all.insert(REMARKS.into(), Value::Null);
    }
    for name in &rule.require {
        let filled = all.get(name).or_else(|| old.fields.get(name)).is_some_and(|v| !v.is_null());
        if !filled && !errors.iter().any(|e| e.field == *name) {
            let label = dataset.field(name).map_or(name.as_str(), |f| f.label.zh.as_str());
            errors.push(FieldError { field: name.clone(), message: format!("请填写{label} (required)") });
        }
    }
    let mut fields = changed(txn, job, &old, all, errors).await?;
    if let Some(to) = &rule.to {
        fields.insert(register.stage_field.clone(), Value::Text(to.clone()));
    }
    if !rule.moves && !matches(&job.access.row_rule, &fields) {
        return Err(outside(&dataset));
    }
    let state = if rule.closes { State::Closed } else { old.state };
    let stored = update(txn, &dataset, old, fields, state, &rule.name, &job.author).await?;
    if rule.separate {
        signatures::approve(txn, &rule.name, &dataset.name, &stored).await?;
    }
    Ok(stored)
}

/// The remarks of a return, as a JSON object of texts by field.
fn remarks(dataset: &Dataset, given: &Map<String, Json>, errors: &mut Vec<FieldError>) -> Value {
    let mut kept = Map::new();
    for (name, remark) in given {
        match (dataset.field(name), remark.as_str().map(str::trim)) {
            (Some(_), Some(text)) if text.chars().count() <= 200 => {
                kept.insert(name.clone(), text.into());
            }
            (None, _) => {
                errors.push(FieldError { field: name.clone(), message: "没有这个字段 (no such field)".into() })
            }
            _ => errors
                .push(FieldError { field: name.clone(), message: "意见最多 200 个字 (200 characters)".into() }),
        }
    }
    if kept.is_empty() { Value::Null } else { Value::Text(Json::Object(kept).to_string()) }
}

/// The fields after a change, with all errors told at once.
async fn changed(
    txn: &mut Txn,
    job: &Job,
    old: &Stored,
    mut changes: Fields,
    errors: Vec<FieldError>,
) -> Result<Fields> {
    let dataset = &job.access.dataset;
    let mut errors = job.access.drop_masked_errors(&mut changes, errors);
    let mut fields = old.fields.clone();
    for (name, value) in job.access.without_masked(&old.fields, changes) {
        if dataset.key.contains(&name) && old.fields.get(&name) != Some(&value) {
            errors.push(FieldError { field: name, message: "编号不能修改".into() });
        } else if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    errors.extend(values::missing(dataset, &fields, &errors));
    let now = txn.now();
    errors.extend(checks::check(&job.catalogue, dataset, &fields, &errors, now)?);
    errors.extend(checks::references(txn.conn(), &job.catalogue, dataset, &fields, Some(old)).await?);
    errors.extend(txn.duplicates(dataset, &fields, Some(old)).await?);
    if errors.is_empty() { Ok(fields) } else { Err(invalid(dataset, errors)) }
}

/// What a write leads to: turns, and tasks by rule for the record and its parent.
async fn after(txn: &mut Txn, job: &Job, before: Option<&Stored>, stored: Stored) -> Result<Stored> {
    let (catalogue, dataset, actor) = (&job.catalogue, &job.access.dataset, &job.author.user);
    if before.is_some_and(|b| b.version == stored.version) {
        return Ok(stored);
    }
    flow::turn(txn, catalogue, dataset, before, &stored, actor).await?;
    due::sync(txn, catalogue, dataset, &stored, actor).await?;
    due::sync_parent(txn, catalogue, dataset, &stored, actor).await?;
    Ok(stored)
}

/// A declared value: `today`, `now`, `user`, or itself.
fn preset(dataset: &Dataset, name: &str, value: &Json, user: &str, now: i64) -> Json {
    let kind = dataset.field(name).map(|f| f.kind);
    match (value.as_str(), kind) {
        (Some("today"), Some(FieldType::Date)) => zonglan_catalog::time::to_local(now).date().to_string().into(),
        (Some("now" | "today"), Some(FieldType::Instant)) => zonglan_catalog::value::instant_text(now).into(),
        (Some("user"), Some(FieldType::Text)) => user.into(),
        _ => value.clone(),
    }
}

/// A child is where its parent is, unless it says otherwise.
fn inherit(dataset: &Dataset, parent: &Dataset, above: &Fields, fields: &mut Fields) {
    for field in dataset.field.iter().filter(|f| f.kind == FieldType::Region) {
        let same = parent.field(&field.name).is_some_and(|p| p.kind == FieldType::Region);
        if same
            && fields.get(&field.name).is_none_or(Value::is_null)
            && let Some(value) = above.get(&field.name)
        {
            fields.insert(field.name.clone(), value.clone());
        }
    }
}

fn open(old: &Stored, what: &str) -> Result<()> {
    if old.state == State::Open {
        return Ok(());
    }
    Err(Error::new(ErrorClass::Conflict, "records.closed", format!("记录 {} 已注销，不能{what}", old.id))
        .with_hint("请先恢复该记录"))
}

fn locked(dataset: &Dataset, old: &Stored) -> Error {
    let register = dataset.register.as_ref();
    let stage = register.map(|r: &Register| flow::stage_of(r, &old.fields)).unwrap_or_default();
    Error::new(ErrorClass::Conflict, "records.locked", format!("记录 {} 在当前环节（{stage}）不能变更", old.id))
        .with_hint("可先撤回或等待退回")
}

fn check_version(dataset: &Dataset, old: &Stored, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(expected) if expected != old.version => Err(StoreError::Conflict {
            dataset: dataset.name.clone(),
            id: old.id.clone(),
            expected,
            current: old.version,
        }
        .into()),
        _ => Ok(()),
    }
}

async fn visible(txn: &mut Txn, access: &Access, id: &str) -> Result<Stored> {
    let row = txn.fetch(&access.dataset, id).await?;
    row.filter(|r| matches(&access.row_rule, &r.fields)).ok_or_else(|| not_found(&access.dataset, id))
}
