//! What a run of deadline supervision tells: warnings for limits that run out or have, tasks of the
//! responsible units, and the end of both once the limit is kept.

use super::Running;
use super::deadline_read::{Read, Units};
use super::deadline_rows::row_id;
use super::{deadline::code, warn_tasks};
use crate::error::Result;
use crate::store::{NewTask, NewWarning, TASKS, task_key};
use chrono::NaiveDate;
use std::collections::HashSet;
use zonglan_catalog::time::local_midnight;
use zonglan_models::deadline::{LimitRow, Rule, State, Stream};

/// Tasks that one run gives at most; the rest stay warnings, and a first run on old data drowns nobody.
const MOST_TASKS: usize = 500;
/// Days after which a number that was reached is no news any more.
const NEWS: i64 = 31;
const DAY: i64 = 86_400_000;

/// What is to be told.
pub struct Tell<'a> {
    run: &'a Running,
    stream: &'a Stream,
    rules: &'a [&'a Rule],
    as_of: NaiveDate,
    /// Warnings and tasks that are open, by key.
    open: HashSet<String>,
    warnings: Vec<NewWarning>,
    tasks: Vec<NewTask>,
    over: Vec<String>,
}

impl<'a> Tell<'a> {
    pub fn new(run: &'a Running, stream: &'a Stream, rules: &'a [&'a Rule], as_of: NaiveDate) -> Result<Self> {
        let model = &run.record.model;
        let mut open: HashSet<String> = run.wait(run.app.store.runs.open_warnings(model))?.into_iter().collect();
        if run.catalogue.dataset(TASKS).is_some() {
            let prefix = task_key(model, "");
            let tasks = run.wait(run.app.store.tasks.open_keys(&prefix))?;
            open.extend(tasks.iter().filter_map(|key| key.strip_prefix(&prefix)).map(String::from));
        }
        Ok(Self { run, stream, rules, as_of, open, warnings: Vec::new(), tasks: Vec::new(), over: Vec::new() })
    }

    /// A result of a case that is another one than before.
    pub fn row(&mut self, row: &LimitRow, case: u32, read: &Read, units: &Units) {
        let (rule, name) = (self.rules[row.rule], read.name(case));
        let Some(due) = row.due else { return };
        let ended = matches!(row.state, State::ClosedInTime | State::ClosedLate);
        if matches!(row.state, State::Running | State::Unknown) || (ended && self.open.is_empty()) {
            return;
        }
        let id = row_id(&self.stream.name, name, code(row), self.rules);
        let soon = format!("{id}|soon");
        let as_of = self.as_of;
        let (key, when) = match row.state {
            State::DueSoon => (soon, format!("{due} 到期，还剩 {} 天", (due - as_of).num_days())),
            State::DueToday => (soon, format!("{due} 今日到期")),
            State::Overdue => {
                self.end(soon);
                (format!("{id}|late"), format!("{due} 期满，已超期 {} 天", (as_of - due).num_days()))
            }
            State::Reached if (as_of - due).num_days() <= NEWS => (format!("{id}|{due}"), format!("{due} 达到次数")),
            State::Reached => return,
            _ => {
                self.end(soon);
                self.end(format!("{id}|late"));
                return;
            }
        };
        let unit = units.of(&rule.agency, case);
        let (_, limit, basis) = rule.of_limit(row.limit);
        let link = self.stream.link(name);
        let model = &self.run.record.model;
        let end = if row.state == State::Reached { as_of } else { due };
        self.tasks.push(NewTask {
            key: Some(task_key(model, &key)),
            kind: "deadline".into(),
            title: format!("{name} {limit}{}", row.state.zh()),
            detail: Some(format!("{}；责任单位：{unit}；{when}；依据：{}", rule.label.zh, basis.join("、"))),
            dataset: Some(self.stream.parent.clone()),
            record: Some(name.to_string()),
            link: Some(link.clone()),
            district: Some(read.district(case).chars().take(6).collect()),
            role: Some(self.stream.role.clone()),
            due_at: Some(local_midnight(end) + DAY),
            urgency: if row.state == State::Overdue { "urgent".into() } else { "normal".into() },
            source: "model".into(),
            rule: Some(rule.name.clone()),
            ..NewTask::default()
        });
        if self.tasks.len() > 8 * MOST_TASKS {
            self.most_pressing();
        }
        let title = format!("{name} {limit}：{when}（{unit}）");
        self.warnings.push(NewWarning { key, title, region: read.district(case).to_string(), link });
    }

    /// A limit, or a case, that there is no longer.
    pub fn gone(&mut self, row_id: &str) {
        self.end(format!("{row_id}|soon"));
        self.end(format!("{row_id}|late"));
    }

    fn end(&mut self, key: String) {
        if self.open.remove(&key) {
            self.over.push(key);
        }
    }

    /// Overdue first, then by the day they run out.
    fn most_pressing(&mut self) {
        self.tasks.sort_by(|a, b| (&b.urgency, a.due_at).cmp(&(&a.urgency, b.due_at)));
        self.tasks.truncate(MOST_TASKS);
    }

    /// Tells it. Returns the number of new warnings.
    pub fn send(mut self) -> Result<u64> {
        let run = self.run;
        if run.catalogue.dataset(TASKS).is_some() {
            let keys = self.over.iter().map(|key| task_key(&run.record.model, key)).collect();
            run.wait(run.app.store.tasks.over(keys, false))?;
        }
        run.close_warnings(std::mem::take(&mut self.over))?;
        let fresh = run.warn(std::mem::take(&mut self.warnings))?;
        self.most_pressing();
        warn_tasks(run, self.tasks)?;
        Ok(fresh)
    }
}
