//! The state of a case under a rule on a day, with the steps that lead to it.

use super::count::{counting_basis, roll_step, rolled, unknown_years};
use super::events::Events;
use super::rule::{Derive, Limit, Pick, Roll, Rule, Rules};
use crate::period::{Excluded, MonthEnd, Period};
use chrono::{Datelike, NaiveDate};
use serde::Serialize;
use zonglan_catalog::calendar::Calendar;

/// States of a limit, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum State {
    #[serde(rename = "按期办结")]
    ClosedInTime,
    #[serde(rename = "无法判断")]
    Unknown,
    #[serde(rename = "未到期")]
    Running,
    #[serde(rename = "超期已办")]
    ClosedLate,
    #[serde(rename = "临期")]
    DueSoon,
    #[serde(rename = "到期当日")]
    DueToday,
    #[serde(rename = "超期未办")]
    Overdue,
    /// Of rules by number only: the number of events was reached (吊证预警).
    #[serde(rename = "次数预警")]
    Reached,
}

impl State {
    pub fn zh(self) -> &'static str {
        match self {
            Self::ClosedInTime => "按期办结",
            Self::Unknown => "无法判断",
            Self::Running => "未到期",
            Self::ClosedLate => "超期已办",
            Self::DueSoon => "临期",
            Self::DueToday => "到期当日",
            Self::Overdue => "超期未办",
            Self::Reached => "次数预警",
        }
    }

    /// The state on a day, from the due day and the day of the end event.
    pub fn of(due: NaiveDate, end: Option<NaiveDate>, as_of: NaiveDate, due_soon: i64) -> Self {
        match end {
            Some(end) if end > due => Self::ClosedLate,
            Some(_) => Self::ClosedInTime,
            None if as_of > due => Self::Overdue,
            None if as_of == due => Self::DueToday,
            None if (due - as_of).num_days() <= due_soon => Self::DueSoon,
            None => Self::Running,
        }
    }
}

/// One step of an explanation, with the articles it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
    pub basis: Vec<String>,
}

impl Step {
    pub(super) fn new(step: String, date: Option<NaiveDate>, basis: &[&str]) -> Self {
        Self { step, date, basis: basis.iter().map(ToString::to_string).collect() }
    }

    fn of(step: String, date: Option<NaiveDate>, basis: &[String]) -> Self {
        Self { step, date, basis: basis.to_vec() }
    }
}

/// One spell of a limit: from a trigger to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spell {
    pub trigger: Option<NaiveDate>,
    pub raw_due: NaiveDate,
    pub due: NaiveDate,
    pub end: Option<NaiveDate>,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitResult {
    pub limit: String,
    pub label: String,
    pub due: Option<NaiveDate>,
    pub state: State,
    /// Days from `as_of` to the due day; negative once it has passed.
    pub days_left: Option<i64>,
    /// All spells, the last one decides `due` and `state`.
    pub spells: Vec<Spell>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_recipients: Vec<String>,
    pub explanation: Vec<Step>,
}

/// The result of a rule for a case. `due` and `state` are those of the worst limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    pub rule: String,
    pub version: String,
    pub due: Option<NaiveDate>,
    pub state: State,
    pub limits: Vec<LimitResult>,
    pub warnings: Vec<String>,
    /// A holiday calendar was missing: the due day is an estimate.
    pub estimated: bool,
}

/// What an assessment needs beside the rule and the case.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub rules: &'a Rules,
    pub calendar: &'a Calendar,
    /// Events after this day are not known yet.
    pub as_of: NaiveDate,
    /// Without explanation an assessment costs a third (re-evaluation of all cases).
    pub explain: bool,
}

/// The state of a case under a rule.
pub fn assess(rule: &Rule, case: &Events, context: Context<'_>) -> Assessment {
    let mut out = Assessment {
        rule: rule.name.clone(),
        version: rule.version.clone(),
        due: None,
        state: State::Unknown,
        limits: Vec::with_capacity(rule.limit.len()),
        warnings: Vec::new(),
        estimated: false,
    };
    for limit in &rule.limit {
        if limit.when.iter().all(|term| case.holds(term, context.as_of)) {
            out.limits.push(Run { limit, case, context, steps: Vec::new(), warnings: &mut out.warnings }.limit());
        }
    }
    out.warnings.sort();
    out.warnings.dedup();
    out.estimated = out.warnings.iter().any(|w| w.ends_with("(估算)"));
    // Of equal states the one that runs out first; of closed ones the last.
    let nearness = |l: &LimitResult| {
        let closed = matches!(l.state, State::ClosedInTime | State::ClosedLate);
        l.due.map(|d| if closed { d.num_days_from_ce() } else { -d.num_days_from_ce() })
    };
    let worst = out.limits.iter().max_by_key(|l| (l.state, nearness(l)));
    if let Some(worst) = worst {
        (out.due, out.state) = (worst.due, worst.state);
    }
    out
}

/// The states of a case under all rules that have something to say about it: its timeline of limits.
pub fn assess_all(case: &Events, context: Context<'_>) -> Vec<Assessment> {
    let judged = context.rules.iter().filter(|rule| !rule.limit.is_empty()).map(|rule| assess(rule, case, context));
    judged.filter(|a| a.due.is_some()).collect()
}

struct Run<'a, 'w> {
    limit: &'a Limit,
    case: &'a Events,
    context: Context<'a>,
    steps: Vec<Step>,
    warnings: &'w mut Vec<String>,
}

impl Run<'_, '_> {
    fn limit(mut self) -> LimitResult {
        let limit = self.limit;
        let as_of = self.context.as_of;
        let mut triggers = self.triggers();
        if let Some(most) = limit.at_most
            && triggers.len() > most
        {
            self.warnings.push(format!("{}:已有 {} 次,法定以 {most} 次为限", limit.label, triggers.len()));
        }
        match limit.pick {
            Pick::First => triggers.truncate(1),
            Pick::Last => drop(triggers.drain(..triggers.len().saturating_sub(1))),
            Pick::Each => {}
        }
        let mut spells = Vec::with_capacity(triggers.len());
        if let Some(due) = limit.given.as_deref().and_then(|name| self.case.first(name, NaiveDate::MAX)) {
            self.say(|| Step::of(format!("文书指定的期限为 {due}"), Some(due), &limit.basis));
            spells.push(self.spell(triggers.first().copied(), due, due, None));
        } else {
            for (i, trigger) in triggers.iter().enumerate() {
                spells.push(self.period(*trigger, triggers.get(i + 1).copied()));
            }
        }
        if spells.is_empty() {
            let names: Vec<_> = limit.trigger.iter().map(String::as_str).filter(|t| *t != "trigger").collect();
            self.say(|| Step::new(format!("缺少起算事件:{}", names.join("、")), None, &[]));
        }
        let last = spells.last();
        let due = last.map(|s| s.due);
        LimitResult {
            limit: limit.name.clone(),
            label: limit.label.clone(),
            due,
            state: last.map_or(State::Unknown, |s| s.state),
            days_left: due.map(|d| (d - as_of).num_days()),
            missing_recipients: if limit.recipients {
                self.case.missing_recipients(&limit.end, as_of)
            } else {
                Vec::new()
            },
            spells,
            explanation: self.steps,
        }
    }

    /// Trigger days, oldest first. A backward period starts from a day that may lie ahead.
    fn triggers(&mut self) -> Vec<NaiveDate> {
        let limit = self.limit;
        let known_by = Some(self.context.as_of).filter(|_| !limit.is_backward() && limit.given.is_none());
        let mut days: Vec<_> = self.case.dates(&limit.trigger, known_by).collect();
        if days.is_empty() {
            days.extend(self.case.dates(&limit.stand_in, known_by));
        }
        days.dedup();
        if days.is_empty()
            && let Some(derive) = &limit.derive
        {
            days.extend(self.derived(derive));
        }
        days
    }

    fn derived(&mut self, derive: &Derive) -> Option<NaiveDate> {
        let Context { rules, calendar, as_of, .. } = self.context;
        if derive.unless.iter().any(|name| self.case.first(name, as_of).is_some()) {
            return None;
        }
        let day = if let Some(rule) = &derive.due_of {
            let asked = self.case.dates(&derive.before, Some(as_of)).last();
            let earlier = asked.map(|day| self.case.before(day));
            let case = earlier.as_ref().unwrap_or(self.case);
            assess(rules.get(rule).ok()?, case, Context { explain: false, ..self.context }).due?
        } else {
            let start = self.case.received_by_all(&derive.after, as_of)?;
            let choice = derive.choice.iter().find(|c| c.when.iter().all(|t| self.case.holds(t, as_of)));
            let period = choice.map(|c| c.period).or(derive.period)?;
            let raw = period.end(start, MonthEnd::SameDay, calendar);
            let due = rolled(raw, derive.roll, self.case.in_custody(raw.min(as_of)), false, calendar);
            self.warn_years(derive.roll, period, start, due);
            crate::period::add_days(due, i32::try_from(derive.plus).unwrap_or_default())
        };
        self.say(|| Step::of(format!("{}:{day}", derive.label), Some(day), &derive.basis));
        Some(day)
    }

    /// Counts one spell, taking grants, excluded days and restarts in the order they happened.
    fn period(&mut self, trigger: NaiveDate, next: Option<NaiveDate>) -> Spell {
        let Self { limit, case, context, .. } = *self;
        let Context { calendar, as_of, .. } = context;
        let choice = limit.choice.iter().find(|c| c.when.iter().all(|term| self.chosen(term, trigger)));
        let (mut period, roll) =
            choice.map_or((limit.period, limit.roll), |c| (c.period, c.roll.unwrap_or(limit.roll)));
        let base = period;
        let direction = if period.is_backward() { "前" } else { "" };
        self.say(|| {
            let label = choice.map_or_else(String::new, |c| format!("({})", c.label));
            let basis = choice.map_or(&limit.basis, |c| &c.basis);
            Step::of(format!("自 {trigger} 起算,当日不计入,期间为{direction}{period}{label}"), Some(trigger), basis)
        });
        let mut anchor = trigger;
        let mut spans: Vec<Excluded> = Vec::new();
        let mut granted = vec![false; limit.extension.len()];
        let within = |day: NaiveDate| day > trigger && next.is_none_or(|n| day < n) && day <= as_of;
        let mut changes: Vec<(NaiveDate, Change)> = Vec::new();
        for (i, restart) in limit.restart.iter().enumerate() {
            let days = case.dates(std::slice::from_ref(&restart.event), Some(as_of));
            changes.extend(days.filter(|d| within(*d)).map(|d| (d, Change::Restart(i))));
        }
        for (i, excluded) in limit.excluded.iter().enumerate() {
            let days = case.dates(std::slice::from_ref(&excluded.from), Some(as_of));
            let from_trigger = |d: &NaiveDate| *d == trigger || within(*d);
            changes.extend(days.filter(from_trigger).map(|d| (d, Change::Exclude(i))));
        }
        let mut grants: Vec<(NaiveDate, &str)> = Vec::new();
        for event in limit.extension.iter().flat_map(|e| &e.event) {
            let days = case.dates(std::slice::from_ref(event), Some(as_of)).filter(|d| within(*d));
            grants.extend(days.map(|d| (d, event.as_str())));
        }
        grants.sort_unstable();
        grants.dedup();
        changes.extend(grants.iter().map(|(day, event)| (*day, Change::Grant(event))));
        changes.sort_by_key(|(day, _)| *day);

        let count = |anchor: NaiveDate, period: Period, spans: &[Excluded]| {
            let raw = period.end_without(anchor, limit.month_end, spans, as_of, calendar);
            let custody = roll == Roll::UnlessCustody && case.in_custody(raw.min(as_of));
            (raw, rolled(raw, roll, custody, period.is_backward(), calendar), custody)
        };
        let (mut raw, mut due, mut custody) = count(anchor, period, &spans);
        for (day, change) in changes {
            match change {
                Change::Restart(i) => {
                    let restart = &limit.restart[i];
                    if day <= due || restart.always {
                        (anchor, period) = (day, base);
                        spans.clear();
                        granted.fill(false);
                        self.say(|| {
                            Step::of(format!("{}:自 {day} 重新计算", restart.label), Some(day), &restart.basis)
                        });
                    } else {
                        self.say(|| late(day, &restart.label, "期限已届满,不再重新计算"));
                    }
                }
                Change::Exclude(i) => {
                    let excluded = &limit.excluded[i];
                    let to = case.dates(std::slice::from_ref(&excluded.to), Some(as_of)).find(|d| *d >= day);
                    if day <= due {
                        spans.push(Excluded { from: day, to });
                        self.say(|| {
                            let days = (to.unwrap_or(as_of) - day).num_days();
                            let open = if to.is_none() { ",尚未结束" } else { "" };
                            let text = format!("{}:自 {day} 起 {days} 日不计入{open}", excluded.label);
                            Step::of(text, Some(day), &excluded.basis)
                        });
                    }
                }
                Change::Grant(event) => {
                    let open = limit
                        .extension
                        .iter()
                        .enumerate()
                        .find(|(i, e)| !granted[*i] && e.event.iter().any(|name| name == event));
                    let Some((i, extension)) = open else { continue };
                    if day > due {
                        self.say(|| late(day, &extension.label, "批准时期限已届满,不发生延长的效力"));
                        continue;
                    }
                    granted[i] = true;
                    let longer = count(anchor, extension.total, &spans);
                    if longer.0 > raw {
                        period = extension.total;
                    }
                    self.say(|| {
                        let text = format!("{}({day} 批准):自起算日共 {period}", extension.label);
                        Step::of(text, Some(longer.0), &extension.basis)
                    });
                }
            }
            (raw, due, custody) = count(anchor, period, &spans);
        }
        self.warn_years(roll, period, anchor, due);
        if self.context.explain {
            self.steps.push(Step::new(format!("期满日 {raw}"), Some(raw), counting_basis(period)));
            self.steps.extend(roll_step(raw, due, roll, custody, calendar));
        }
        self.spell(Some(trigger), raw, due, next)
    }

    /// Whether a choice's term holds; custody is asked for the trigger's day.
    fn chosen(&self, term: &str, trigger: NaiveDate) -> bool {
        match term {
            "custody" => self.case.in_custody(trigger.min(self.context.as_of)),
            "!custody" => !self.case.in_custody(trigger.min(self.context.as_of)),
            other => self.case.holds(other, self.context.as_of),
        }
    }

    fn spell(
        &mut self,
        trigger: Option<NaiveDate>,
        raw_due: NaiveDate,
        due: NaiveDate,
        next: Option<NaiveDate>,
    ) -> Spell {
        let limit = self.limit;
        let as_of = self.context.as_of;
        let end = if limit.recipients {
            self.case.received_by_all(&limit.end, as_of)
        } else {
            // What ended before the period began, or before the last request, belongs to another spell.
            let asked = limit.derive.as_ref().and_then(|d| self.case.dates(&d.before, Some(as_of)).last());
            let from = trigger.filter(|_| !limit.is_backward()).or(asked);
            self.case
                .dates(&limit.end, Some(as_of))
                .find(|d| from.is_none_or(|t| *d >= t) && next.is_none_or(|n| *d <= n))
                .or(next)
        };
        let moot = self.case.dates(&limit.moot, Some(as_of)).next().filter(|d| end.is_none() && trigger >= Some(*d));
        if let Some(day) = moot {
            self.say(|| Step::new(format!("{day} 已无须办理:{}", State::ClosedInTime.zh()), Some(day), &[]));
            return Spell { trigger, raw_due, due, end: moot, state: State::ClosedInTime };
        }
        let state = State::of(due, end, as_of, limit.due_soon_days());
        self.say(|| {
            let text = match end {
                Some(end) if end > due => format!("{end} 办结,超期 {} 日", (end - due).num_days()),
                Some(end) => format!("{end} 办结,未超过期满日 {due}"),
                None if as_of > due => format!("至 {as_of} 未办结,已超期 {} 日", (as_of - due).num_days()),
                None => format!("至 {as_of} 未办结,距期满 {} 日", (due - as_of).num_days()),
            };
            Step::new(format!("{text}:{}", state.zh()), end, &[])
        });
        Spell { trigger, raw_due, due, end, state }
    }

    fn warn_years(&mut self, roll: Roll, period: Period, from: NaiveDate, due: NaiveDate) {
        if period.working_days != 0 {
            self.warnings.extend(unknown_years(from, due, self.context.calendar));
        } else if roll != Roll::Never {
            self.warnings.extend(unknown_years(due, due, self.context.calendar));
        }
    }

    fn say(&mut self, step: impl FnOnce() -> Step) {
        if self.context.explain {
            self.steps.push(step());
        }
    }
}

enum Change<'a> {
    Restart(usize),
    Exclude(usize),
    Grant(&'a str),
}

fn late(day: NaiveDate, label: &str, why: &str) -> Step {
    Step::new(format!("{label}({day}):{why}"), Some(day), &[])
}
