//! From joined numbers to the table asked for: comparisons, empty periods, conditions, order.

use crate::answer::{self, Answer, Cells, Keep, Key, Number, Run, extreme_kind};
use crate::calc::{self, Calcs};
use crate::compute;
use crate::dims::{self, DimVal, to_value};
use crate::error::{OlapError, Result};
use crate::pivot;
use crate::plan::{Plan, Shift, Window, time_axis};
use crate::suppress;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::dataset::{Aggregate, Dataset, FieldType, Measure};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::query::{ComputeKind, Dim, MAX_LIMIT};
use zonglan_catalog::table::{Column, ColumnRole, ColumnType, Table};
use zonglan_catalog::time::Grain;
use zonglan_catalog::value::Value;

/// Periods that are filled in where there are no rows, at most.
const MAX_FILL: usize = 50_000;

/// A group's key and its values: dimensions, measures, computed figures, calculated measures.
pub type Line = (Key, Vec<Value>);
pub type Group = Vec<Option<Cells>>;

/// One of the periods that an answer is about.
pub struct Side {
    pub answer: Answer,
    pub window: Window,
    pub shift: Shift,
}

/// The main period and the one compared with, and the means to ask the stores again.
pub struct Sides<'a> {
    pub run: Run<'a>,
    pub main: Side,
    pub before: Option<Side>,
    /// Figures about people: what is asked again is suppressed again.
    pub suppress: bool,
    pub more_scanned: AtomicU64,
    pub hidden: AtomicU64,
}

impl Sides<'_> {
    /// Asks the stores for a plan over a side's window, or another window.
    pub fn ask(&self, plan: &Plan, window: &Window, keep: Option<&Keep>) -> Result<Answer> {
        let mut answer = self.run.compute(plan, window, keep)?;
        self.more_scanned.fetch_add(answer.scanned, Relaxed);
        if self.suppress {
            self.hidden.fetch_add(suppress::suppress(&mut answer, plan), Relaxed);
        }
        Ok(answer)
    }

    /// A side by fewer of its dimensions: put together from its groups where that is exact.
    pub fn rolled(&self, plan: &Plan, side: &Side, at: &[usize]) -> Result<Answer> {
        let merged = if self.suppress { None } else { answer::project(&side.answer, plan, at) };
        match merged {
            Some(answer) => Ok(answer),
            None => self.ask(&plan.with_dims(at), &side.window, None),
        }
    }
}

/// Puts the answers of the main period and of the one compared with together.
///
/// Nulls: a count, distinct or stock without rows is 0, every other measure null; a division by
/// zero is null; a row without a value of a dimension belongs to the group null. Where the only
/// dimension is time and the range has both ends, periods without rows are filled in; so are the
/// hours and weekdays of the cyclic grains. Nulls sort last, ascending or descending; ties are
/// broken by the dimensions in ascending order.
pub fn table(bound: &BoundQuery, plan: &Plan, sides: &Sides) -> Result<Table> {
    let query = bound.query();
    let dataset = bound.dataset();
    let (main, other) = (&sides.main.answer, sides.before.as_ref());
    let fill = filled(bound);
    let back: HashMap<i64, i64> = match (other.map(|o| &o.shift), time_axis(bound)) {
        (Some(Shift::Period { grain, year, .. }), Some(_)) => dims::periods(bound.span(), *grain, MAX_FILL)
            .unwrap_or_default()
            .into_iter()
            .map(|p| (dims::earlier_period(p, *grain, *year), p))
            .collect(),
        (Some(Shift::Workdays { map, .. }), _) => map.iter().map(|(now, then)| (*then, *now)).collect(),
        _ => HashMap::new(),
    };
    let mut keys: Vec<Key> = main.rows.keys().cloned().collect();
    let known = |key: &Key| main.rows.contains_key(key);
    if let Some(Side { answer, shift, .. }) = other {
        // Groups that only the period compared with has.
        let mut more: Vec<Key> = answer
            .rows
            .keys()
            .filter_map(|key| match shift {
                Shift::Same => Some(key.clone()),
                Shift::Period { at, .. } | Shift::Workdays { at, .. } => {
                    let mut key = key.clone();
                    let DimVal::Int(start) = key[*at] else { return None };
                    key[*at] = DimVal::Int(*back.get(&start)?);
                    Some(key)
                }
            })
            .filter(|key| !known(key))
            .collect();
        more.sort();
        more.dedup();
        keys.extend(more);
    }
    if let Some(periods) = fill {
        let have: std::collections::HashSet<&DimVal> = keys.iter().map(|k| &k[0]).collect();
        let missing: Vec<Key> =
            periods.into_iter().map(DimVal::Int).filter(|p| !have.contains(p)).map(|p| vec![p]).collect();
        keys.extend(missing);
    }
    if query.by.is_empty() && keys.is_empty() {
        keys.push(Vec::new());
    }

    let compared = other.is_some();
    let columns = columns(bound, plan, compared);
    let place = |name: &str| columns.iter().position(|c| c.name == name);
    let figures = compute::figures(bound, plan, sides, compared)?;
    let calcs = Calcs::new(query, &columns)?;
    let having = query
        .having
        .iter()
        .map(|(name, json)| Ok((place(name), condition(name, json)?)))
        .collect::<Result<Vec<_>>>()?;
    let line = |key: Key| -> Line {
        let mut values: Vec<Value> = query.by.iter().zip(&key).map(|(dim, v)| to_value(dim, dataset, v)).collect();
        let before = other.map(|side| side.answer.rows.get(&earlier(&key, &side.shift)));
        values.extend(measures(plan, sides.main.answer.rows.get(&key), before));
        values.extend(figures.of_line(&key, &values));
        values.extend(calcs.of_line(&values));
        (key, values)
    };
    let passes = |values: &[Value]| {
        having.iter().all(|(at, conditions)| at.is_some_and(|i| conditions.iter().all(|c| c.holds(&values[i]))))
    };
    let mut lines: Vec<Line> = keys.into_par_iter().map(line).collect();
    figures.rank(&columns, &mut lines);
    let everything = lines.len();
    lines.retain(|(_, values)| passes(values));

    let spread = query.pivot.is_some();
    let order: Vec<(usize, bool)> = query
        .order
        .iter()
        .filter_map(|name| {
            let (name, descending) = name.strip_prefix('-').map_or((name.as_str(), false), |n| (n, true));
            place(name).map(|at| (at, descending))
        })
        .collect();
    let compare = |a: &Line, b: &Line| {
        let ordered =
            order.iter().map(|(at, descending)| nulls_last(&a.1[*at], &b.1[*at], *descending)).find(|o| o.is_ne());
        ordered.unwrap_or_else(|| a.0.cmp(&b.0))
    };
    let total = lines.len() as u64;
    let limit = query.limit.unwrap_or(MAX_LIMIT).min(MAX_LIMIT);
    if !spread && lines.len() > limit * 4 && limit > 0 {
        lines.select_nth_unstable_by(limit - 1, compare);
        lines.truncate(limit);
    }
    lines.par_sort_unstable_by(compare);
    if !spread {
        lines.truncate(limit);
    }
    if query.others && lines.len() < everything {
        let others = compute::others(bound, plan, sides, &lines)?;
        let mut values: Vec<Value> = query.by.iter().zip(&others.key).map(|(d, v)| to_value(d, dataset, v)).collect();
        values.extend(measures(plan, others.main.as_ref(), compared.then_some(others.before.as_ref())));
        values.extend(figures.of_others(&values));
        values.extend(calcs.of_line(&values));
        lines.push((others.key, values));
    }
    let mut totals = query.totals.then(|| compute::totals(bound, plan, sides, compared)).transpose()?;
    if let Some(totals) = &mut totals {
        calcs.of_totals(&columns, totals);
    }
    let rows = lines.into_iter().map(|(_, values)| values).collect();
    let mut table = Table { columns, rows, totals, ..Table::default() };
    table.meta.total = Some(total);
    if spread {
        // Where there are no rows, counts are 0; those of people stay hidden.
        let step = if compared { 4 } else { 1 };
        let mut empties = vec![false; table.columns.len() - query.by.len()];
        for (at, value) in measures(plan, None, None).into_iter().enumerate() {
            empties[at * step] = value == Value::Int(0);
        }
        pivot::spread(query, &mut table, &empties, limit)?;
    }
    Ok(table)
}

/// The values of all measures in a group, with those of the period compared with.
pub fn measures(plan: &Plan, now: Option<&Group>, before: Option<Option<&Group>>) -> Vec<Value> {
    let mut values = Vec::new();
    for (expr, (owner, measure)) in plan.exprs.iter().zip(&plan.asked) {
        let kind = extreme_kind(owner, measure);
        let value = plan.value(expr, now);
        values.push(value.map_or(Value::Null, |n| n.to_value(kind)));
        if let Some(before) = before {
            values.extend(change(value, plan.value(expr, before), kind));
        }
    }
    values
}

/// `prev`, `delta` and `pct`.
pub fn change(now: Option<Number>, then: Option<Number>, kind: Option<FieldType>) -> [Value; 3] {
    let show = |n: Option<Number>, kind| n.map_or(Value::Null, |n| n.to_value(kind));
    let both = now.zip(then).filter(|_| kind.is_none());
    [
        show(then, kind),
        show(both.and_then(|(a, b)| a.minus(b)), None),
        show(both.and_then(|(a, b)| a.percent_of_change(b)), None),
    ]
}

/// Order of two values with nulls last either way.
pub fn nulls_last(a: &Value, b: &Value, descending: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) if descending => b.total_cmp(a),
        (false, false) => a.total_cmp(b),
        (a, b) => a.cmp(&b),
    }
}

/// The key of the period compared with.
pub fn earlier(key: &Key, shift: &Shift) -> Key {
    let mut key = key.clone();
    match shift {
        Shift::Same => {}
        Shift::Period { at, grain, year } => {
            if let DimVal::Int(start) = key[*at] {
                key[*at] = DimVal::Int(dims::earlier_period(start, *grain, *year));
            }
        }
        Shift::Workdays { at, map } => {
            if let DimVal::Int(day) = key[*at] {
                key[*at] = map.get(&day).map_or(DimVal::Null, |d| DimVal::Int(*d));
            }
        }
    }
    key
}

/// The periods to fill in.
fn filled(bound: &BoundQuery) -> Option<Vec<i64>> {
    let [Dim::Time(time)] = bound.query().by.as_slice() else { return None };
    let event = time.field.is_none() || time.field == bound.dataset().time;
    if !time.time.is_cyclic() && !event {
        return None;
    }
    let date = bound.dataset().field(time.field.as_ref().or(bound.dataset().time.as_ref())?)?.kind == FieldType::Date;
    if date && time.time == Grain::HourOfDay {
        return None;
    }
    dims::periods(bound.span(), time.time, MAX_FILL)
}

struct Condition {
    op: Op,
    not: bool,
    values: Vec<f64>,
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let Some(v) = value.as_f64() else { return self.not };
        let passes = self.values.iter().any(|limit| match self.op {
            Op::Eq => v == *limit,
            Op::Gt => v > *limit,
            Op::Gte => v >= *limit,
            Op::Lt => v < *limit,
            Op::Lte => v <= *limit,
            Op::Prefix => false,
        });
        passes != self.not
    }
}

fn condition(name: &str, json: &serde_json::Value) -> Result<Vec<Condition>> {
    let bad = || OlapError::Query(format!("having 的 '{name}' 需要数字条件，如 {{\"{name}\":{{\"gte\":10}}}}"));
    let filter = Filter::from_json(&serde_json::json!({ name: json })).map_err(OlapError::Query)?;
    fn walk(filter: &Filter, not: bool, out: &mut Vec<Condition>) -> Option<()> {
        match filter {
            Filter::And(list) if !not => list.iter().try_for_each(|f| walk(f, not, out)),
            Filter::Not(inner) => walk(inner, !not, out),
            Filter::Cmp { op, value, .. } => {
                out.push(Condition { op: *op, not, values: vec![value.as_f64()?] });
                Some(())
            }
            Filter::In { values, .. } => {
                out.push(Condition { op: Op::Eq, not, values: values.iter().filter_map(Value::as_f64).collect() });
                Some(())
            }
            _ => None,
        }
    }
    let mut out = Vec::new();
    walk(&filter, false, &mut out).ok_or_else(bad)?;
    Ok(out)
}

fn columns(bound: &BoundQuery, plan: &Plan, compared: bool) -> Vec<Column> {
    let query = bound.query();
    let dataset = bound.dataset();
    let mut columns: Vec<Column> = query
        .by
        .iter()
        .map(|dim| {
            let kind = match dim {
                Dim::Time(t) if t.time.is_cyclic() => ColumnType::Int,
                Dim::Time(_) => ColumnType::Period,
                Dim::Level(_) => ColumnType::Region,
                Dim::Field(name) => dataset.field(name).map_or(ColumnType::Text, |f| f.kind.into()),
            };
            Column::new(dim.column(), kind, ColumnRole::Dimension(dim.clone()))
        })
        .collect();
    for (name, (owner, measure)) in query.measures.iter().zip(&plan.asked) {
        let kind = measure_type(owner, measure);
        let mut add = |suffix: &str, kind: ColumnType, unit: &str, role: ColumnRole| {
            let mut column = Column::new(format!("{name}{suffix}"), kind, role);
            column.unit = unit.to_string();
            columns.push(column);
        };
        add("", kind, &measure.unit, ColumnRole::Measure(name.clone()));
        if compared {
            let role = || ColumnRole::Comparison(name.clone());
            add("_prev", kind, &measure.unit, role());
            add("_delta", kind, &measure.unit, role());
            add("_pct", ColumnType::Decimal, "%", role());
        }
    }
    for compute in &query.compute {
        let at = query.measures.iter().position(|m| *m == compute.of).unwrap_or_default();
        let (owner, measure) = &plan.asked[at];
        let (kind, unit) = match compute.kind {
            ComputeKind::Share => (ColumnType::Decimal, "%"),
            ComputeKind::Rank => (ColumnType::Int, ""),
            _ => (measure_type(owner, measure), measure.unit.as_str()),
        };
        let mut add = |suffix: &str, kind: ColumnType, unit: &str| {
            let name = format!("{}{suffix}", compute.column());
            let mut column = Column::new(name, kind, ColumnRole::Comparison(compute.of.clone()));
            column.unit = unit.to_string();
            columns.push(column);
        };
        add("", kind, unit);
        if compared && compute.kind.runs() {
            add("_prev", kind, unit);
            add("_delta", kind, unit);
            add("_pct", ColumnType::Decimal, "%");
        }
    }
    columns.extend(calc::columns(query, compared));
    columns
}

fn measure_type(owner: &Dataset, measure: &Measure) -> ColumnType {
    let field = measure.field.as_ref().and_then(|name| owner.field(name));
    match measure.agg {
        Aggregate::Count | Aggregate::Distinct | Aggregate::Stock => ColumnType::Int,
        Aggregate::Avg | Aggregate::Ratio => ColumnType::Decimal,
        Aggregate::Sum | Aggregate::Quantile | Aggregate::Min | Aggregate::Max => {
            field.map_or(ColumnType::Int, |f| f.kind.into())
        }
    }
}
