//! What the datasets computed for a window, joined on the values of the dimensions.

use crate::aggregate::State;
use crate::dims::{self, DimVal};
use crate::error::{OlapError, Result};
use crate::plan::{Expr, PartPlan, Plan, Window};
use crate::scan::{Groups, Job, Stop};
use crate::store::Inner;
use crate::table::Snapshot;
use std::collections::HashMap;
use std::sync::Arc;
use zonglan_catalog::dataset::{Aggregate, FieldType, Measure};
use zonglan_catalog::time::Span;
use zonglan_catalog::value::{Value, div_half_even};

/// Cells of figures about people stand on so many rows at least.
const SUPPRESS_BELOW: u64 = 10;
/// And are rounded to multiples of this before any arithmetic.
const ROUND_TO: i128 = 5;
const MAX_PERIODS: usize = 200_000;

/// A number of `units / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub units: i128,
    pub scale: u8,
}

pub type Key = Vec<DimVal>;

/// Per key, per dataset of the plan, the numbers of its measures; `None` where a dataset has no
/// rows for the key.
pub struct Answer {
    pub rows: HashMap<Key, Vec<Option<Cells>>>,
    pub scanned: u64,
    pub segments: (usize, usize),
}

#[derive(Debug, Clone)]
pub struct Cells {
    pub count: u64,
    pub numbers: Vec<Option<Number>>,
}

pub fn compute(
    inner: &Inner,
    plan: &Plan,
    snapshots: &[Arc<Snapshot>],
    window: &Window,
    cancel: &Stop,
) -> Result<Answer> {
    let mut answer = Answer { rows: HashMap::new(), scanned: 0, segments: (0, 0) };
    for (index, (part, snapshot)) in plan.parts.iter().zip(snapshots).enumerate() {
        let mut put = |key: Key, count: u64, numbers: Vec<(usize, Option<Number>)>| {
            let cells = answer.rows.entry(key).or_insert_with(|| vec![None; plan.parts.len()]);
            let cell = cells[index]
                .get_or_insert_with(|| Cells { count: 0, numbers: part.leaves.iter().map(|l| empty(l.agg)).collect() });
            cell.count += count;
            numbers.into_iter().for_each(|(leaf, number)| cell.numbers[leaf] = number);
        };
        let mut scanned = (0, (0, 0));
        for stock in [false, true] {
            let chosen: Vec<usize> =
                (0..part.leaves.len()).filter(|l| (part.leaves[*l].agg == Aggregate::Stock) == stock).collect();
            if chosen.is_empty() {
                continue;
            }
            let axis = if stock { part.stock_axis()? } else { None };
            let periods = axis.map(|(_, grain)| stock_periods(window.outer, grain, snapshot)).transpose()?;
            let ends: Vec<i64> = match (&periods, axis) {
                (Some(starts), Some((_, grain))) => {
                    starts.iter().map(|s| dims::period_end(*s, grain).min(window.outer.to)).collect()
                }
                _ => vec![window.outer.to],
            };
            let mut dims = part.dims.clone();
            if let Some((at, _)) = axis {
                dims.remove(at);
            }
            let job = Job {
                inner,
                dataset: &part.dataset,
                snapshot,
                spans: if stock || part.is_timeless() { Vec::new() } else { window.spans.clone() },
                filter: part.filter.clone(),
                filters: part.filters.clone(),
                dims,
                leaves: chosen.iter().map(|l| part.leaves[*l].clone()).collect(),
                ends,
                cancel,
            };
            let mut groups = job.run()?;
            scanned.0 += groups.scanned;
            scanned.1 = (scanned.1.0 + groups.segments.0, scanned.1.1 + groups.segments.1);
            let numbers: Vec<Vec<Vec<Option<Number>>>> =
                (0..chosen.len()).map(|at| finish(&mut groups, at, part, chosen[at])).collect();
            for group in 0..groups.keys.len() {
                let key: Key = (0..job.dims.len())
                    .map(|at| groups.domains[at].values[groups.keys[group][at] as usize].clone())
                    .collect();
                if !stock {
                    put(
                        key,
                        groups.rows[group],
                        chosen.iter().zip(&numbers).map(|(leaf, n)| (*leaf, n[group][0])).collect(),
                    );
                    continue;
                }
                for period in 0..job.ends.len() {
                    let cells: Vec<_> =
                        chosen.iter().zip(&numbers).map(|(leaf, n)| (*leaf, n[group][period])).collect();
                    if cells.iter().all(|(_, n)| n.is_none_or(|n| n.units == 0)) {
                        continue;
                    }
                    let mut key = key.clone();
                    if let (Some((at, _)), Some(starts)) = (axis, &periods) {
                        key.insert(at, DimVal::Int(starts[period]));
                    }
                    let open = cells.iter().filter_map(|(_, n)| n.map(|n| n.units as u64)).max().unwrap_or(0);
                    put(key, if part.leaves.len() == chosen.len() { open } else { 0 }, cells);
                }
            }
        }
        answer.scanned += scanned.0;
        answer.segments = (answer.segments.0 + scanned.1.0, answer.segments.1 + scanned.1.1);
    }
    Ok(answer)
}

fn stock_periods(span: Span, grain: zonglan_catalog::Grain, snapshot: &Snapshot) -> Result<Vec<i64>> {
    let from = if span.from == i64::MIN { snapshot.state.first_event.unwrap_or(0) } else { span.from };
    let to = if span.to == i64::MAX { snapshot.state.watermark.map_or(from, |w| w + 1) } else { span.to };
    dims::periods(Span { from, to }, grain, MAX_PERIODS)
        .ok_or_else(|| OlapError::TooLarge(format!("时间范围超过 {MAX_PERIODS} 个周期")))
}

/// What a measure is where there are no rows.
fn empty(agg: Aggregate) -> Option<Number> {
    matches!(agg, Aggregate::Count | Aggregate::Distinct | Aggregate::Stock).then_some(Number { units: 0, scale: 0 })
}

/// The numbers of one measure, per group (and for stocks per period).
fn finish(groups: &mut Groups, at: usize, part: &PartPlan, leaf: usize) -> Vec<Vec<Option<Number>>> {
    let total = groups.keys.len();
    let measure = &part.measures[leaf];
    let scale = part.leaves[leaf].field.map_or(0, |f| part.dataset.field[f].scale);
    let number = |units: i128, scale: u8| Some(Number { units, scale });
    let one = |values: Vec<Option<Number>>| values.into_iter().map(|v| vec![v]).collect::<Vec<_>>();
    match &mut groups.states[at] {
        State::Count(counts) | State::Distinct(counts, _) => {
            counts.resize(total, 0);
            one(counts.iter().map(|n| number(i128::from(*n), 0)).collect())
        }
        State::Sum(sums) => {
            sums.resize(total, (0, 0));
            let digits = measure.digits.unwrap_or(2);
            one(sums
                .iter()
                .map(|(sum, n)| match (n, measure.agg) {
                    (0, _) => None,
                    (_, Aggregate::Sum) => number(*sum, scale),
                    _ => {
                        let top = sum.checked_mul(10i128.pow(digits.into()))?;
                        div_half_even(top, i128::from(*n) * 10i128.pow(scale.into()))
                            .map(|units| Number { units, scale: digits })
                    }
                })
                .collect())
        }
        State::Extreme(values) => {
            values.resize(total, None);
            one(values.iter().map(|v| v.and_then(|v| number(i128::from(v), scale))).collect())
        }
        State::Values(values) => {
            values.sort_unstable();
            let q = measure.q.unwrap_or(0.5).clamp(0.0, 1.0);
            let mut out = vec![None; total];
            for group in values.chunk_by(|a, b| a.0 == b.0) {
                let count: u64 = group.iter().map(|v| u64::from(v.2)).sum();
                // Nearest rank: the smallest value with at least q·n values at or below it.
                let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
                let mut below = 0;
                for (_, value, often) in group {
                    below += u64::from(*often);
                    if below >= rank {
                        let digits = measure.digits.unwrap_or(scale).min(scale);
                        let units = div_half_even(i128::from(*value), 10i128.pow((scale - digits).into()));
                        out[group[0].0 as usize] = units.map(|units| Number { units, scale: digits });
                        break;
                    }
                }
            }
            one(out)
        }
        State::Stock(changes) => {
            changes.resize(total, Vec::new());
            changes
                .iter()
                .map(|changes| {
                    let mut open = 0i64;
                    changes
                        .iter()
                        .map(|change| {
                            open += change;
                            number(i128::from(open), 0)
                        })
                        .collect()
                })
                .collect()
        }
    }
}

/// Nulls the cells of figures about people that stand on too few rows, and rounds the others.
/// Returns how many cells went.
pub fn suppress(answer: &mut Answer, plan: &Plan) -> u64 {
    let mut hidden = 0;
    for cells in answer.rows.values_mut() {
        for (part, cell) in plan.parts.iter().zip(cells.iter_mut()) {
            if !part.dataset.people {
                continue;
            }
            let cell = cell.get_or_insert_with(|| Cells { count: 0, numbers: vec![None; part.leaves.len()] });
            if cell.count < SUPPRESS_BELOW {
                hidden += cell.numbers.len() as u64;
                cell.numbers.fill(None);
                continue;
            }
            for (number, leaf) in cell.numbers.iter_mut().zip(&part.leaves) {
                if let Some(n) = number
                    && matches!(leaf.agg, Aggregate::Count | Aggregate::Distinct | Aggregate::Sum | Aggregate::Stock)
                {
                    let base = ROUND_TO * 10i128.pow(n.scale.into());
                    n.units = div_half_even(n.units, base).unwrap_or(0) * base;
                }
            }
        }
    }
    hidden
}

impl Plan {
    /// What a measure is for a key. `None` is null.
    pub fn value(&self, expr: &Expr, cells: Option<&Vec<Option<Cells>>>) -> Option<Number> {
        match expr {
            Expr::Leaf(part, leaf) => match cells.and_then(|c| c[*part].as_ref()) {
                Some(cells) => cells.numbers[*leaf],
                None if self.parts[*part].dataset.people => None,
                None => empty(self.parts[*part].leaves[*leaf].agg),
            },
            Expr::Ratio(numerator, denominator, factor, digits) => {
                let (n, d) = (self.value(numerator, cells)?, self.value(denominator, cells)?);
                let top = n
                    .units
                    .checked_mul(i128::from(*factor))?
                    .checked_mul(10i128.pow(u32::from(*digits) + u32::from(d.scale)))?;
                let bottom = d.units.checked_mul(10i128.pow(n.scale.into()))?;
                div_half_even(top, bottom).map(|units| Number { units, scale: *digits })
            }
        }
    }
}

impl Number {
    pub fn minus(self, other: Number) -> Option<Number> {
        let scale = self.scale.max(other.scale);
        Some(Number { units: self.at(scale)?.checked_sub(other.at(scale)?)?, scale })
    }

    fn at(self, scale: u8) -> Option<i128> {
        self.units.checked_mul(10i128.pow(u32::from(scale - self.scale)))
    }

    /// Change from `before` in percent, two digits; null where `before` is 0.
    pub fn percent_of_change(self, before: Number) -> Option<Number> {
        let change = self.minus(before)?;
        let top = change.units.checked_mul(10_000)?.checked_mul(10i128.pow(before.scale.into()))?;
        div_half_even(top, before.units.abs().checked_mul(10i128.pow(change.scale.into()))?)
            .map(|units| Number { units, scale: 2 })
    }

    /// As a value of a measure; numbers beyond 64 bits lose digits rather than meaning.
    pub fn to_value(self, kind: Option<FieldType>) -> Value {
        let Ok(units) = i64::try_from(self.units) else {
            return Value::Float(self.units as f64 / 10f64.powi(self.scale.into()));
        };
        match kind {
            Some(FieldType::Date) => Value::Date(zonglan_catalog::batch::date_of(units as i32)),
            Some(FieldType::Instant) => Value::Instant(units),
            _ if self.scale == 0 => Value::Int(units),
            _ => Value::Decimal { units, scale: self.scale },
        }
    }
}

/// The type of an extreme's values; `None` for plain numbers.
pub fn extreme_kind(part: &zonglan_catalog::Dataset, measure: &Measure) -> Option<FieldType> {
    if !matches!(measure.agg, Aggregate::Min | Aggregate::Max) {
        return None;
    }
    measure
        .field
        .as_ref()
        .and_then(|name| part.field(name))
        .map(|f| f.kind)
        .filter(|k| matches!(k, FieldType::Date | FieldType::Instant))
}
