//! What the datasets computed for a window, joined on the values of the dimensions.

use crate::aggregate::State;
use crate::dims::{self, DimVal};
use crate::error::{OlapError, Result};
use crate::plan::{Expr, PartPlan, Plan, Window};
use crate::rollup;
use crate::scan::{Groups, Job, Stop};
use crate::store::Inner;
use crate::table::{Snapshot, View};
use rayon::slice::ParallelSliceMut;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use zonglan_catalog::dataset::{Aggregate, FieldType, Measure};
use zonglan_catalog::time::Span;
use zonglan_catalog::value::{Value, div_half_even};

const MAX_PERIODS: usize = 200_000;

/// A number of `units / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub units: i128,
    pub scale: u8,
}

pub type Key = Vec<DimVal>;

/// Per key, per dataset of the plan, what its measures came to; `None` where a dataset has no
/// rows for the key.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub rows: HashMap<Key, Vec<Option<Cells>>>,
    pub scanned: u64,
}

#[derive(Debug, Clone)]
pub struct Cells {
    /// Rows that the figures stand on.
    pub count: u64,
    pub tallies: Vec<Tally>,
}

/// What one measure came to in a group. All but `Done` can be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    Count(u64),
    /// Sum and number of values: sums and averages.
    Sum(i128, u64),
    Low(Option<i64>),
    High(Option<i64>),
    /// A number whose state is gone (distinct, quantile, stock), and how many values it stands on.
    Done(Option<Number>, u64),
}

impl Tally {
    /// What a measure is where there are no rows.
    pub fn empty(agg: Aggregate) -> Tally {
        match agg {
            Aggregate::Count => Tally::Count(0),
            Aggregate::Sum | Aggregate::Avg => Tally::Sum(0, 0),
            Aggregate::Min => Tally::Low(None),
            Aggregate::Max => Tally::High(None),
            Aggregate::Distinct | Aggregate::Stock => Tally::Done(Some(Number { units: 0, scale: 0 }), 0),
            Aggregate::Quantile | Aggregate::Ratio => Tally::Done(None, 0),
        }
    }

    /// Adds another group's. Both are of one measure.
    pub fn merge(&mut self, other: Tally) {
        let pick = |a: Option<i64>, b: Option<i64>, f: fn(i64, i64) -> i64| match (a, b) {
            (Some(a), Some(b)) => Some(f(a, b)),
            (a, b) => a.or(b),
        };
        *self = match (*self, other) {
            (Tally::Count(a), Tally::Count(b)) => Tally::Count(a + b),
            (Tally::Sum(a, n), Tally::Sum(b, m)) => Tally::Sum(a + b, n + m),
            (Tally::Low(a), Tally::Low(b)) => Tally::Low(pick(a, b, i64::min)),
            (Tally::High(a), Tally::High(b)) => Tally::High(pick(a, b, i64::max)),
            (mine, _) => mine,
        };
    }
}

/// Whether groups of the measure can be put together without its rows.
pub fn merges(agg: Aggregate) -> bool {
    matches!(agg, Aggregate::Count | Aggregate::Sum | Aggregate::Avg | Aggregate::Min | Aggregate::Max)
}

/// The only groups to keep apart; all others become one, with `others` as its key.
pub struct Keep {
    pub keys: HashSet<Key>,
    pub others: Key,
}

/// Takes a group: its key, rows, and what the measures came to.
pub type Put<'a> = dyn FnMut(Key, u64, Vec<(usize, Tally)>) + 'a;

/// The flow measures `chosen` of a part, from the rows.
#[expect(clippy::too_many_arguments, reason = "the question, the rows and where the answer goes")]
pub fn rows_of(
    inner: &Inner,
    views: &[View],
    part: &PartPlan,
    chosen: &[usize],
    window: &Window,
    keep: Option<&Keep>,
    cancel: &Stop,
    put: &mut Put<'_>,
) -> Result<u64> {
    let job = Job {
        inner,
        dataset: &part.dataset,
        views,
        spans: if part.is_timeless() { Vec::new() } else { window.spans.clone() },
        filter: part.filter.clone(),
        filters: part.filters.clone(),
        dims: part.dims.clone(),
        leaves: chosen.iter().map(|l| part.leaves[*l].clone()).collect(),
        ends: Vec::new(),
        keep,
        cancel,
    };
    let mut groups = job.run()?;
    let tallies: Vec<Vec<Tally>> = (0..chosen.len()).map(|at| finish(&mut groups, at, part, chosen[at])).collect();
    for group in 0..groups.keys.len() {
        put(groups.key(group), groups.rows[group], chosen.iter().zip(&tallies).map(|(l, t)| (*l, t[group])).collect());
    }
    Ok(groups.scanned)
}

/// Who computes, and over what.
pub struct Run<'a> {
    pub inner: &'a Inner,
    pub snapshots: &'a [Arc<Snapshot>],
    pub cancel: &'a Stop,
    /// What happened in each dataset, for `meta` and `explain`.
    pub notes: &'a Notes,
    /// Whether rollups may answer.
    pub rollups: bool,
}

/// How the parts of an answer came about.
#[derive(Debug, Default)]
pub struct Notes {
    /// The rollups that were read.
    pub rollups: Mutex<Vec<String>>,
}

impl Run<'_> {
    /// Every part of the plan over a window of time.
    pub fn compute(&self, plan: &Plan, window: &Window, keep: Option<&Keep>) -> Result<Answer> {
        let mut answer = Answer::default();
        for (index, (part, snapshot)) in plan.parts.iter().zip(self.snapshots).enumerate() {
            let mut put = |key: Key, count: u64, tallies: Vec<(usize, Tally)>| {
                let cells = answer.rows.entry(key).or_insert_with(|| vec![None; plan.parts.len()]);
                let cell = cells[index].get_or_insert_with(|| Cells {
                    count: 0,
                    tallies: part.leaves.iter().map(|l| Tally::empty(l.agg)).collect(),
                });
                cell.count += count;
                tallies.into_iter().for_each(|(leaf, tally)| cell.tallies[leaf] = tally);
            };
            let (stocks, flows): (Vec<usize>, Vec<usize>) =
                (0..part.leaves.len()).partition(|l| part.leaves[*l].agg == Aggregate::Stock);
            if !flows.is_empty() {
                answer.scanned += self.flows(part, snapshot, &flows, window, keep, &mut put)?;
            }
            if !stocks.is_empty() {
                answer.scanned += self.stocks(part, snapshot, &stocks, window, keep, &mut put)?;
            }
        }
        Ok(answer)
    }

    /// Everything but stocks: from a rollup where one fits, else from the rows.
    fn flows(
        &self,
        part: &PartPlan,
        snapshot: &Snapshot,
        chosen: &[usize],
        window: &Window,
        keep: Option<&Keep>,
        put: &mut Put<'_>,
    ) -> Result<u64> {
        if let Some(remote) = &self.inner.remote {
            return remote.flows(part, chosen, window, keep, self.cancel, put);
        }
        if let Some(table) = self.inner.table(&part.dataset.name).filter(|_| self.rollups && !part.dataset.people)
            && let (Some((state, rewrite)), _) =
                rollup::choose(self.inner, &table, snapshot, part, chosen, window, false)?
        {
            let mut used = self.notes.rollups.lock().unwrap_or_else(PoisonError::into_inner);
            let name = format!("{}.{}", part.dataset.name, state.definition.name);
            if !used.contains(&name) {
                used.push(name);
            }
            drop(used);
            return state.answer(self.inner, part, chosen, &rewrite, keep, self.cancel, put);
        }
        rows_of(self.inner, &snapshot.views, part, chosen, window, keep, self.cancel, put)
    }

    /// Rows open at the end of each period.
    fn stocks(
        &self,
        part: &PartPlan,
        snapshot: &Snapshot,
        chosen: &[usize],
        window: &Window,
        keep: Option<&Keep>,
        put: &mut Put<'_>,
    ) -> Result<u64> {
        let axis = part.stock_axis()?;
        if axis.is_some() && keep.is_some() {
            return Err(OlapError::Query(
                "存量指标按时间分组时不能用 others (a stock along time has no others)".into(),
            ));
        }
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
        let alone = part.leaves.len() == chosen.len();
        // Per measure, how many rows more or fewer are open at each period.
        let mut settle = |key: Key, changes: &dyn Fn(usize, usize) -> i64| {
            let mut open = vec![0i64; chosen.len()];
            for period in 0..ends.len() {
                (0..chosen.len()).for_each(|at| open[at] += changes(at, period));
                if open.iter().all(|n| *n == 0) {
                    continue;
                }
                let mut key = key.clone();
                if let (Some((at, _)), Some(starts)) = (axis, &periods) {
                    key.insert(at, DimVal::Int(starts[period]));
                }
                let most = open.iter().copied().max().unwrap_or(0).max(0) as u64;
                let tally = |n: i64| Tally::Done(Some(Number { units: i128::from(n), scale: 0 }), n.max(0) as u64);
                put(
                    key,
                    if alone { most } else { 0 },
                    chosen.iter().zip(&open).map(|(l, n)| (*l, tally(*n))).collect(),
                );
            }
        };
        if let Some(remote) = &self.inner.remote {
            let (changes, read) = remote.changes(part, &dims, chosen, &ends, keep, self.cancel)?;
            changes.into_iter().for_each(|(key, all)| settle(key, &|at, period| all[at][period]));
            return Ok(read);
        }
        let job = Job {
            inner: self.inner,
            dataset: &part.dataset,
            views: &snapshot.views,
            spans: Vec::new(),
            filter: part.filter.clone(),
            filters: part.filters.clone(),
            dims,
            leaves: chosen.iter().map(|l| part.leaves[*l].clone()).collect(),
            ends: ends.clone(),
            keep,
            cancel: self.cancel,
        };
        let groups = job.run()?;
        for group in 0..groups.keys.len() {
            settle(groups.key(group), &|at, period| match &groups.states[at] {
                State::Stock(all) => all.get(group).and_then(|c| c.get(period)).copied().unwrap_or(0),
                _ => 0,
            });
        }
        Ok(groups.scanned)
    }
}

/// Puts the groups together that agree in the dimensions `at`. `None`: the rows are needed.
pub fn project(answer: &Answer, plan: &Plan, at: &[usize]) -> Option<Answer> {
    if plan.parts.iter().flat_map(|p| &p.leaves).any(|l| !merges(l.agg)) {
        return None;
    }
    let mut out = Answer::default();
    for (key, cells) in &answer.rows {
        let key: Key = at.iter().map(|i| key[*i].clone()).collect();
        add(out.rows.entry(key).or_insert_with(|| vec![None; plan.parts.len()]), cells);
    }
    Some(out)
}

/// Adds one group's cells to another's.
pub fn add(into: &mut [Option<Cells>], cells: &[Option<Cells>]) {
    for (mine, other) in into.iter_mut().zip(cells) {
        match (mine, other) {
            (Some(mine), Some(other)) => {
                mine.count += other.count;
                mine.tallies.iter_mut().zip(&other.tallies).for_each(|(a, b)| a.merge(*b));
            }
            (mine @ None, Some(other)) => *mine = Some(other.clone()),
            _ => {}
        }
    }
}

fn stock_periods(span: Span, grain: zonglan_catalog::Grain, snapshot: &Snapshot) -> Result<Vec<i64>> {
    let from = if span.from == i64::MIN { snapshot.state.first_event.unwrap_or(0) } else { span.from };
    let to = if span.to == i64::MAX { snapshot.state.watermark.map_or(from, |w| w + 1) } else { span.to };
    dims::periods(Span { from, to }, grain, MAX_PERIODS)
        .ok_or_else(|| OlapError::TooLarge(format!("时间范围超过 {MAX_PERIODS} 个周期")))
}

/// What one measure came to, per group.
fn finish(groups: &mut Groups, at: usize, part: &PartPlan, leaf: usize) -> Vec<Tally> {
    let total = groups.keys.len();
    let measure = &part.measures[leaf];
    match &mut groups.states[at] {
        State::Count(counts) => {
            counts.resize(total, 0);
            counts.iter().map(|n| Tally::Count(*n)).collect()
        }
        State::Distinct(seen) => seen
            .counts(total)
            .into_iter()
            .map(|n| Tally::Done(Some(Number { units: i128::from(n), scale: 0 }), n))
            .collect(),
        State::Sum(sums) => {
            sums.resize(total, (0, 0));
            sums.iter().map(|(sum, n)| Tally::Sum(*sum, *n)).collect()
        }
        State::Extreme(values) => {
            values.resize(total, None);
            let low = measure.agg == Aggregate::Min;
            values.iter().map(|v| if low { Tally::Low(*v) } else { Tally::High(*v) }).collect()
        }
        State::Values(values) => {
            values.par_sort_unstable();
            let q = measure.q.unwrap_or(0.5).clamp(0.0, 1.0);
            let mut out = vec![Tally::Done(None, 0); total];
            for group in values.chunk_by(|a, b| a.0 == b.0) {
                let count: u64 = group.iter().map(|v| u64::from(v.2)).sum();
                // Nearest rank: the smallest value with at least q·n values at or below it.
                let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
                let mut below = 0;
                for (_, value, often) in group {
                    below += u64::from(*often);
                    if below >= rank {
                        out[group[0].0 as usize] = quantile(part, leaf, *value, count);
                        break;
                    }
                }
            }
            out
        }
        State::Stock(_) => vec![Tally::Done(None, 0); total],
    }
}

/// A quantile that was found among `count` values, rounded to the measure's digits.
pub fn quantile(part: &PartPlan, leaf: usize, value: i64, count: u64) -> Tally {
    let scale = part.leaves[leaf].field.map_or(0, |f| part.dataset.field[f].scale);
    let digits = part.measures[leaf].digits.unwrap_or(scale).min(scale);
    let units = div_half_even(i128::from(value), 10i128.pow((scale - digits).into()));
    Tally::Done(units.map(|units| Number { units, scale: digits }), count)
}

impl PartPlan {
    /// What a measure shows: averages are divided here, once, and rounded half to even.
    pub fn number(&self, leaf: usize, tally: Tally) -> Option<Number> {
        let measure = &self.measures[leaf];
        let scale = self.leaves[leaf].field.map_or(0, |f| self.dataset.field[f].scale);
        match tally {
            Tally::Count(n) => Some(Number { units: i128::from(n), scale: 0 }),
            Tally::Sum(_, 0) => None,
            Tally::Sum(sum, n) if measure.agg == Aggregate::Avg => {
                let digits = measure.digits.unwrap_or(2);
                let top = sum.checked_mul(10i128.pow(digits.into()))?;
                div_half_even(top, i128::from(n) * 10i128.pow(scale.into()))
                    .map(|units| Number { units, scale: digits })
            }
            Tally::Sum(sum, _) => Some(Number { units: sum, scale }),
            Tally::Low(value) | Tally::High(value) => value.map(|v| Number { units: i128::from(v), scale }),
            Tally::Done(number, _) => number,
        }
    }
}

impl Plan {
    /// What a measure is for a key. `None` is null.
    pub fn value(&self, expr: &Expr, cells: Option<&Vec<Option<Cells>>>) -> Option<Number> {
        match expr {
            Expr::Leaf(part, leaf) => match cells.and_then(|c| c[*part].as_ref()) {
                Some(cells) => self.parts[*part].number(*leaf, cells.tallies[*leaf]),
                None if self.parts[*part].dataset.people => None,
                None => self.parts[*part].number(*leaf, Tally::empty(self.parts[*part].leaves[*leaf].agg)),
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
