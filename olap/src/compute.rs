//! Figures worked out from the groups of an answer: running sums, shares, ranks, "others", totals.

use crate::answer::{Keep, Key, Number, add, extreme_kind, merges};
use crate::dims::{DimVal, date_of_period};
use crate::error::{OlapError, Result};
use crate::finish::{Group, Line, Side, Sides, change, earlier, measures};
use crate::plan::{Expr, Plan, Window, time_axis};
use chrono::{Datelike, NaiveDate};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::dataset::Aggregate;
use zonglan_catalog::query::{Compute, ComputeKind, Dim};
use zonglan_catalog::table::{Column, OTHERS};
use zonglan_catalog::time::{Grain, Span, local_midnight, to_local};
use zonglan_catalog::value::{Value, div_half_even};

/// Running sums of one side: per key without its period, the sums up to each period.
struct Running {
    at: usize,
    grain: Grain,
    /// Sums start anew each year.
    yearly: bool,
    series: HashMap<Key, BTreeMap<i64, Group>>,
}

enum Figure<'a> {
    /// The measure's place, its running sums, those of the period compared with.
    Runs(usize, Running, Option<(Running, &'a Side)>),
    /// The measure's place, the totals, the places of the dimensions within.
    Share(usize, HashMap<Key, Option<Number>>, Vec<usize>),
    Rank(Vec<usize>),
}

pub struct Figures<'a> {
    asked: &'a [Compute],
    figures: Vec<Figure<'a>>,
    plan: &'a Plan,
    dims: usize,
    compared: bool,
}

/// Prepares all computed figures of a query.
pub fn figures<'a>(bound: &'a BoundQuery, plan: &'a Plan, sides: &'a Sides, compared: bool) -> Result<Figures<'a>> {
    let query = bound.query();
    let columns: Vec<String> = query.by.iter().map(Dim::column).collect();
    let mut figures = Vec::new();
    for compute in &query.compute {
        let measure = query.measures.iter().position(|m| *m == compute.of).unwrap_or_default();
        let within: Vec<usize> =
            compute.within.iter().filter_map(|name| columns.iter().position(|c| c == name)).collect();
        figures.push(match compute.kind {
            ComputeKind::Rank => Figure::Rank(within),
            ComputeKind::Share => {
                may_share(bound, plan, measure, &within)?;
                let totals = sides.rolled(plan, &sides.main, &within)?;
                let expr = &plan.exprs[measure];
                let totals =
                    totals.rows.iter().map(|(key, cells)| (key.clone(), plan.value(expr, Some(cells)))).collect();
                Figure::Share(measure, totals, within)
            }
            kind => {
                may_run(plan, measure, &compute.of)?;
                let yearly = kind == ComputeKind::YearToDate;
                let sums = |side: &'a Side| running(bound, plan, sides, side, yearly).map(|sums| (sums, side));
                let before = sides.before.as_ref().map(sums).transpose()?;
                Figure::Runs(measure, running(bound, plan, sides, &sides.main, yearly)?, before)
            }
        });
    }
    Ok(Figures { asked: &query.compute, figures, plan, dims: query.by.len(), compared })
}

fn may_run(plan: &Plan, measure: usize, name: &str) -> Result<()> {
    let leaves = plan.leaves(&plan.exprs[measure]);
    if leaves.iter().any(|(part, leaf)| !merges(plan.parts[*part].leaves[*leaf].agg)) {
        return Err(OlapError::Query(format!(
            "指标 '{name}' 不能累计：去重数、分位数和存量各期不能相加 (its periods do not add up)"
        )));
    }
    Ok(())
}

fn may_share(bound: &BoundQuery, plan: &Plan, measure: usize, within: &[usize]) -> Result<()> {
    let name = &bound.query().measures[measure];
    let agg = match &plan.exprs[measure] {
        Expr::Leaf(part, leaf) => plan.parts[*part].leaves[*leaf].agg,
        Expr::Ratio(..) => Aggregate::Ratio,
    };
    let fits = match agg {
        Aggregate::Count | Aggregate::Sum | Aggregate::Distinct => true,
        // What is open at the end of several periods has no total.
        Aggregate::Stock => time_axis(bound).is_none_or(|(at, _)| within.contains(&at)),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(OlapError::Query(format!("指标 '{name}' 没有占比：它的各组不构成总数 (its groups make no whole)")))
    }
}

fn running(bound: &BoundQuery, plan: &Plan, sides: &Sides, side: &Side, yearly: bool) -> Result<Running> {
    let (at, grain) =
        time_axis(bound).ok_or_else(|| OlapError::Query("累计需要时间维度 (needs a dimension along time)".into()))?;
    let outer = side.window.outer;
    let start = if yearly && outer.from != i64::MIN {
        let year = to_local(outer.from).year();
        NaiveDate::from_ymd_opt(year, 1, 1).map_or(outer.from, local_midnight)
    } else {
        outer.from
    };
    let mut series: HashMap<Key, BTreeMap<i64, Group>> = HashMap::new();
    let mut take = |rows: &HashMap<Key, Group>| {
        for (key, cells) in rows {
            let mut rest = key.clone();
            if let DimVal::Int(period) = rest.remove(at) {
                let group = series.entry(rest).or_default().entry(period);
                add(group.or_insert_with(|| vec![None; plan.parts.len()]), cells);
            }
        }
    };
    take(&side.answer.rows);
    if start < outer.from {
        let earlier = Window::one(Span { from: start, to: outer.from });
        take(&sides.ask(plan, &earlier, None)?.rows);
    }
    let mut running = Running { at, grain, yearly, series };
    let year = |period: i64| date_of_period(period, grain).year();
    for sums in running.series.values_mut() {
        let mut before: Option<(i64, Group)> = None;
        for (period, cells) in sums.iter_mut() {
            if let Some((last, sum)) = &before
                && (!yearly || year(*last) == year(*period))
            {
                add(cells, sum);
            }
            before = Some((*period, cells.clone()));
        }
    }
    Ok(running)
}

impl Running {
    /// The sums up to a key's period; `None` without rows so far.
    fn at(&self, key: &Key) -> Option<&Group> {
        let mut rest = key.clone();
        let DimVal::Int(period) = rest.remove(self.at) else { return None };
        let (last, cells) = self.series.get(&rest)?.range(..=period).next_back()?;
        let year = |p: i64| date_of_period(p, self.grain).year();
        (!self.yearly || year(*last) == year(period)).then_some(cells)
    }
}

impl Figures<'_> {
    /// The computed columns of a line; ranks follow when all lines are there.
    pub fn of_line(&self, key: &Key, values: &[Value]) -> Vec<Value> {
        let mut out = Vec::new();
        for figure in &self.figures {
            match figure {
                Figure::Rank(_) => out.push(Value::Null),
                Figure::Share(measure, totals, within) => {
                    let key: Key = within.iter().map(|i| key[*i].clone()).collect();
                    out.push(share(self.value(values, *measure), totals.get(&key).copied().flatten()));
                }
                Figure::Runs(measure, now, before) => {
                    let timeless = matches!(key[now.at], DimVal::Null);
                    let (expr, (owner, asked)) = (&self.plan.exprs[*measure], &self.plan.asked[*measure]);
                    let kind = extreme_kind(owner, asked);
                    let value = if timeless { None } else { self.plan.value(expr, now.at(key)) };
                    out.push(value.map_or(Value::Null, |n| n.to_value(kind)));
                    if let Some((running, side)) = before {
                        let key = earlier(key, &side.shift);
                        let then = if matches!(key[running.at], DimVal::Null) {
                            None
                        } else {
                            self.plan.value(expr, running.at(&key))
                        };
                        out.extend(change(value, then, kind));
                    }
                }
            }
        }
        out
    }

    /// The computed columns of the line of others: its share of the whole, and nothing else.
    pub fn of_others(&self, values: &[Value]) -> Vec<Value> {
        let mut out = Vec::new();
        for figure in &self.figures {
            match figure {
                Figure::Share(measure, totals, within) if within.is_empty() => {
                    out.push(share(self.value(values, *measure), totals.get(&Vec::new()).copied().flatten()));
                }
                Figure::Runs(_, _, Some(_)) => out.extend([const { Value::Null }; 4]),
                _ => out.push(Value::Null),
            }
        }
        out
    }

    fn value<'v>(&self, values: &'v [Value], measure: usize) -> &'v Value {
        &values[self.dims + measure * if self.compared { 4 } else { 1 }]
    }

    /// Fills in the ranks: 1 for the largest value within each group of dimensions.
    pub fn rank(&self, columns: &[Column], lines: &mut [Line]) {
        for (figure, compute) in self.figures.iter().zip(self.asked) {
            let Figure::Rank(within) = figure else { continue };
            let (name, of) = (compute.column(), &compute.of);
            let (Some(target), Some(source)) =
                (columns.iter().position(|c| c.name == name), columns.iter().position(|c| c.name == *of))
            else {
                continue;
            };
            let mut groups: HashMap<Key, Vec<usize>> = HashMap::new();
            for (index, (key, values)) in lines.iter().enumerate() {
                if !values[source].is_null() {
                    groups.entry(within.iter().map(|i| key[*i].clone()).collect()).or_default().push(index);
                }
            }
            for mut members in groups.into_values() {
                members.sort_by(|a, b| lines[*b].1[source].total_cmp(&lines[*a].1[source]));
                let mut rank = 1;
                for (place, index) in members.iter().enumerate() {
                    if place > 0 && lines[members[place - 1]].1[source].total_cmp(&lines[*index].1[source]).is_ne() {
                        rank = place as i64 + 1;
                    }
                    lines[*index].1[target] = Value::Int(rank);
                }
            }
        }
    }
}

/// Percent of a total, two digits, half to even; null where the total is 0 or missing.
fn share(value: &Value, total: Option<Number>) -> Value {
    let part = match value {
        Value::Int(units) => Number { units: i128::from(*units), scale: 0 },
        Value::Decimal { units, scale } => Number { units: i128::from(*units), scale: *scale },
        _ => return Value::Null,
    };
    let percent = total.and_then(|total| {
        let top = part.units.checked_mul(10_000)?.checked_mul(10i128.pow(total.scale.into()))?;
        div_half_even(top, total.units.checked_mul(10i128.pow(part.scale.into()))?)
    });
    percent.map_or(Value::Null, |units| Number { units, scale: 2 }.to_value(None))
}

/// All groups beyond those shown, as one.
pub struct OtherGroups {
    pub key: Key,
    pub main: Option<Group>,
    pub before: Option<Group>,
}

pub fn others(bound: &BoundQuery, plan: &Plan, sides: &Sides, lines: &[Line]) -> Result<OtherGroups> {
    let query = bound.query();
    let textual = |dim: &Dim| match dim {
        Dim::Field(name) => bound.dataset().field(name).is_some_and(|f| f.kind.is_textual()),
        Dim::Level(_) => true,
        Dim::Time(_) => false,
    };
    let key: Key =
        query.by.iter().map(|d| if textual(d) { DimVal::Text(Arc::from(OTHERS)) } else { DimVal::Null }).collect();
    let rest = |side: &Side| -> Result<Option<Group>> {
        let kept: HashSet<Key> = lines.iter().map(|(key, _)| earlier(key, &side.shift)).collect();
        let exact = plan.parts.iter().flat_map(|p| &p.leaves).all(|l| merges(l.agg));
        if exact {
            let mut sum: Option<Group> = None;
            for (_, cells) in side.answer.rows.iter().filter(|(key, _)| !kept.contains(*key)) {
                add(sum.get_or_insert_with(|| vec![None; plan.parts.len()]), cells);
            }
            return Ok(sum);
        }
        let keep = Keep { keys: kept, others: key.clone() };
        Ok(sides.ask(plan, &side.window, Some(&keep))?.rows.remove(&key))
    };
    let before = sides.before.as_ref().map(rest).transpose()?.flatten();
    Ok(OtherGroups { main: rest(&sides.main)?, before, key })
}

/// The figures of all groups together, by column name.
pub fn totals(bound: &BoundQuery, plan: &Plan, sides: &Sides, compared: bool) -> Result<BTreeMap<String, Value>> {
    let whole = |side: &Side| -> Result<Option<Group>> { Ok(sides.rolled(plan, side, &[])?.rows.remove(&Vec::new())) };
    let main = whole(&sides.main)?;
    let before = sides.before.as_ref().map(whole).transpose()?.flatten();
    let values = measures(plan, main.as_ref(), compared.then_some(before.as_ref()));
    let query = bound.query();
    Ok(query.columns().into_iter().skip(query.by.len()).zip(values).collect())
}
