//! The bodies of `POST /api/v1/models/deadline/evaluate`.

use super::assess::{Context, assess};
use super::count::{Counted, count};
use super::events::{Events, date};
use super::rule::{Roll, Rule, Rules};
use super::threshold::threshold;
use crate::error::{ModelError, Result};
use crate::period::{MonthEnd, Period};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use zonglan_catalog::calendar::Calendar;

/// Either `trigger` with `params` (one period is counted), or `events` with `as_of` (the state of a case).
/// Events are named as in the rule's file; `trigger` and `end` stand for the rule's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    rule: String,
    /// One of the rule's limits; all where missing.
    limit: Option<String>,
    trigger: Option<String>,
    params: Option<Params>,
    events: Option<Map<String, Value>>,
    #[serde(default)]
    facts: BTreeMap<String, bool>,
    as_of: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    months: i32,
    #[serde(default)]
    days: i32,
    #[serde(default)]
    working_days: i32,
    /// Days that do not count (psychiatric assessment).
    #[serde(default)]
    excl: i32,
    #[serde(default)]
    roll: bool,
    /// In custody nothing is rolled, whatever `roll` says.
    #[serde(default)]
    custody: bool,
    #[serde(default)]
    month_end_mode: MonthEnd,
}

/// # Errors
/// An unknown rule, a wrong date, or neither form of the body.
pub fn evaluate(body: Value, rules: &Rules, calendar: &Calendar) -> Result<Value> {
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    let rule = rules.get(&body.rule)?;
    match (&body.trigger, &body.events) {
        (Some(trigger), None) => counted(&body, rule, trigger, calendar),
        (None, Some(events)) => {
            let as_of = body.as_of.as_deref().ok_or_else(|| ModelError::input("as_of: 缺少判断日期"))?;
            let as_of = day("as_of", as_of)?;
            let mut facts = body.facts.clone();
            if body.params.is_some_and(|p| p.custody) {
                facts.insert("custody".into(), true);
            }
            let case = Events::from_json(events, &facts)?;
            state(&body, rule, &case, Context { rules, calendar, as_of, explain: true })
        }
        _ => Err(ModelError::input("请给出 trigger 与 params(计算一个期间),或 events 与 as_of(判断案件状态)")),
    }
}

fn counted(body: &Body, rule: &Rule, trigger: &str, calendar: &Calendar) -> Result<Value> {
    let trigger = day("trigger", trigger)?;
    let limit = match &body.limit {
        Some(name) => rule
            .limit
            .iter()
            .find(|l| l.name == *name)
            .map(Some)
            .ok_or_else(|| ModelError::input(format!("limit: 规则 {} 没有“{name}”", rule.name)))?,
        None => rule.limit.first(),
    };
    let params = body.params.unwrap_or_default();
    let mut period = Period { months: params.months, days: params.days, working_days: params.working_days };
    let mut roll = if params.roll { Roll::UnlessCustody } else { Roll::Never };
    if body.params.is_none()
        && let Some(limit) = limit
    {
        (period, roll) = (limit.period, limit.roll);
    }
    period.check().map_err(|e| ModelError::input(format!("params: {e}")))?;
    if !(0..=36_500).contains(&params.excl) {
        return Err(ModelError::input("params.excl: 应为 0 至 36500 日"));
    }
    let counted = count(trigger, period, params.excl, roll, params.custody, params.month_end_mode, calendar);
    let Counted { raw_due, due, mut explanation, warnings } = counted;
    if let (Some(limit), Some(first)) = (limit, explanation.get_mut(1)) {
        first.basis.splice(0..0, limit.basis.iter().cloned());
    }
    Ok(json!({
        "rule": rule.name, "version": rule.version, "status": rule.status,
        "raw_due": raw_due, "due": due, "explanation": explanation, "warnings": warnings,
    }))
}

fn state(body: &Body, rule: &Rule, case: &Events, context: Context<'_>) -> Result<Value> {
    if let Some(result) = threshold(rule, case, context.as_of) {
        return Ok(json!({
            "rule": rule.name, "version": rule.version, "status": rule.status, "reached": result.reached,
            "state": if result.reached { "预警" } else { "未达到" },
            "due": null, "periods": result.periods, "explanation": result.explanation,
        }));
    }
    let mut result = assess(rule, case, context);
    if let Some(name) = &body.limit {
        result.limits.retain(|l| l.limit == *name);
        let only = result
            .limits
            .first()
            .ok_or_else(|| ModelError::input(format!("limit: 规则 {} 没有“{name}”,或对本案不适用", rule.name)))?;
        (result.due, result.state) = (only.due, only.state);
    }
    let several = result.limits.len() > 1;
    let explanation: Vec<_> = result
        .limits
        .iter()
        .flat_map(|l| l.explanation.iter().map(move |s| (l, s.clone())))
        .map(|(limit, mut step)| {
            if several {
                step.step = format!("{}:{}", limit.label, step.step);
            }
            step
        })
        .collect();
    Ok(json!({
        "rule": rule.name, "version": rule.version, "status": rule.status,
        "due": result.due, "state": result.state, "explanation": explanation,
        "limits": result.limits, "warnings": result.warnings, "estimated": result.estimated,
    }))
}

fn day(field: &str, text: &str) -> Result<NaiveDate> {
    date(text).map_err(|e| ModelError::input(format!("{field}: {e}")))
}
