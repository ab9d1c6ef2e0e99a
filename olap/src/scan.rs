//! Grouping and aggregating: each piece of a segment into a small table of its own codes, merged
//! by values into the answer.

use crate::aggregate::{Distinct, Local, Sharded, State, local, merge_leaf};
use crate::answer::Keep;
use crate::column::Column;
use crate::dims::{DimPlan, DimVal, Domain, LocalDim};
use crate::error::{OlapError, Result};
use crate::pred::{Bound, Pred};
use crate::store::Inner;
use crate::table::View;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use zonglan_catalog::dataset::{Aggregate, Dataset};
use zonglan_catalog::time::Span;
use zonglan_catalog::traits::Cancel;

/// Rows between two looks at `Cancel`.
const CHUNK: usize = 65_536;
/// Rows of a piece of work.
const PIECE: usize = 131_072;
pub const MAX_DIMS: usize = 6;
/// Groups that an answer may have before order and limit.
pub const MAX_GROUPS: usize = 4_000_000;

/// Why work may stop: the asker said so, or is gone.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    pub asked: Cancel,
    pub gone: Cancel,
}

impl Stop {
    pub fn is_cancelled(&self) -> bool {
        self.asked.is_cancelled() || self.gone.is_cancelled()
    }
}

/// A measure that one dataset answers from its rows.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub name: String,
    pub agg: Aggregate,
    /// The field that it reads; for stocks the start.
    pub field: Option<usize>,
    /// The end of a stock.
    pub end: Option<usize>,
    /// Place in the job's filters.
    pub filter: Option<usize>,
}

/// What to scan and what to compute.
pub struct Job<'a> {
    pub inner: &'a Inner,
    pub dataset: &'a Dataset,
    pub views: &'a [View],
    /// Event-time spans, one of which a row must lie in; empty: any.
    pub spans: Vec<Span>,
    pub filter: Pred,
    pub filters: Vec<Pred>,
    pub dims: Vec<DimPlan>,
    pub leaves: Vec<Leaf>,
    /// Stocks: the ends of the periods, ascending, in milliseconds.
    pub ends: Vec<i64>,
    /// Groups to keep apart, where not all are.
    pub keep: Option<&'a Keep>,
    pub cancel: &'a Stop,
}

/// Groups of a job: a number per dimension each, into `domains`.
pub struct Groups {
    pub domains: Vec<Domain>,
    pub keys: Vec<[u32; MAX_DIMS]>,
    pub rows: Vec<u64>,
    pub states: Vec<State>,
    pub scanned: u64,
    others: Option<(u32, Vec<DimVal>)>,
}

impl Groups {
    /// The values of a group's dimensions.
    pub fn key(&self, group: usize) -> Vec<DimVal> {
        match &self.others {
            Some((others, key)) if *others as usize == group => key.clone(),
            _ => self.values(&self.keys[group]),
        }
    }

    fn values(&self, key: &[u32; MAX_DIMS]) -> Vec<DimVal> {
        self.domains.iter().zip(key).map(|(domain, id)| domain.values[*id as usize].clone()).collect()
    }
}

struct Prepared<'a> {
    view: &'a View,
    filter: Bound,
    filters: Vec<Bound>,
    dims: Vec<LocalDim>,
    /// Each local place's number in the domain.
    ids: Vec<Vec<u32>>,
    columns: Vec<Option<Arc<Column>>>,
    ends: Vec<Option<Arc<Column>>>,
    pieces: Vec<Range<usize>>,
}

struct Piece {
    /// Group numbers of the segment, where they are not simply `0..`.
    sparse: Option<Vec<u64>>,
    rows: Vec<u64>,
    leaves: Vec<Local>,
}

impl Job<'_> {
    pub fn run(&self) -> Result<Groups> {
        let mut groups = Groups {
            domains: self.dims.iter().map(|_| Domain::default()).collect(),
            keys: Vec::new(),
            rows: Vec::new(),
            states: self.leaves.iter().map(|l| self.empty_state(l)).collect(),
            scanned: 0,
            others: None,
        };
        let time = self.dataset.time.as_ref().and_then(|name| self.dataset.field_index(name));
        let chosen: Vec<&View> = self.views.iter().filter(|v| !self.prunes(v, time)).collect();
        let mut index: HashMap<[u32; MAX_DIMS], u32> = HashMap::new();
        // A few segments at a time, so that no more columns are held than the threads work on.
        for wave in chosen.chunks(self.inner.threads.max(1)) {
            let mut prepared = wave.par_iter().map(|view| self.prepare(view, time)).collect::<Result<Vec<_>>>()?;
            for segment in &mut prepared {
                segment.ids = segment
                    .dims
                    .iter()
                    .zip(&mut groups.domains)
                    .map(|(dim, domain)| dim.values.iter().map(|v| domain.id(v.clone())).collect())
                    .collect();
            }
            let work: Vec<(usize, Range<usize>)> =
                prepared.iter().enumerate().flat_map(|(i, p)| p.pieces.iter().map(move |r| (i, r.clone()))).collect();
            groups.scanned += work.iter().map(|(_, r)| r.len() as u64).sum::<u64>();
            for batch in work.chunks(self.inner.threads.max(1) * 4) {
                let pieces: Vec<(usize, Piece)> = batch
                    .par_iter()
                    .map(|(segment, rows)| Ok((*segment, self.scan(&prepared[*segment], rows.clone())?)))
                    .collect::<Result<_>>()?;
                let mut distinct: Vec<Vec<(Vec<u32>, Sharded)>> = self.leaves.iter().map(|_| Vec::new()).collect();
                for (segment, piece) in pieces {
                    self.merge(&prepared[segment], piece, &mut groups, &mut index, &mut distinct)?;
                }
                for (state, pieces) in groups.states.iter_mut().zip(distinct) {
                    if let State::Distinct(seen) = state
                        && !pieces.is_empty()
                    {
                        seen.insert(&pieces);
                    }
                }
                self.check_budget(&groups)?;
            }
        }
        Ok(groups)
    }

    fn empty_state(&self, leaf: &Leaf) -> State {
        match leaf.agg {
            Aggregate::Count | Aggregate::Ratio => State::Count(Vec::new()),
            Aggregate::Sum | Aggregate::Avg => State::Sum(Vec::new()),
            Aggregate::Min | Aggregate::Max => State::Extreme(Vec::new()),
            Aggregate::Distinct => State::Distinct(Distinct::default()),
            Aggregate::Quantile => State::Values(Vec::new()),
            Aggregate::Stock => State::Stock(Vec::new()),
        }
    }

    /// What an answer holds beside cached columns stays within the store's budget.
    fn check_budget(&self, groups: &Groups) -> Result<()> {
        let states: usize = groups.states.iter().map(State::bytes).sum();
        let keys = groups.keys.len() * (size_of::<[u32; MAX_DIMS]>() * 2 + size_of::<u64>() * 2);
        let budget = self.inner.options.memory_budget;
        if states + keys > budget {
            return Err(OlapError::TooLarge(format!(
                "查询的中间结果超过内存预算 {} MiB (the query needs more than olap.memory_budget)",
                budget >> 20
            )));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(OlapError::Cancelled) } else { Ok(()) }
    }

    /// Spans in units of the time field: from..=to.
    pub fn bounds(&self, time: usize) -> Vec<(i64, i64)> {
        self.spans.iter().map(|s| field_span(self.dataset, time, *s)).collect()
    }

    pub fn prunes(&self, view: &View, time: Option<usize>) -> bool {
        let out_of_time = time.is_some_and(|time| {
            let spans = self.bounds(time);
            !spans.is_empty()
                && spans.iter().all(|(low, high)| Pred::Range(time, *low, *high).excludes(view, self.dataset))
        });
        view.live == 0 || out_of_time || self.filter.excludes(view, self.dataset)
    }

    fn prepare<'v>(&self, view: &'v View, time: Option<usize>) -> Result<Prepared<'v>> {
        self.check()?;
        // Columns first, side by side; what follows finds them in the cache.
        let mut fields: Vec<usize> = self.dims.iter().map(|d| d.field).collect();
        self.filter.fields(&mut fields);
        self.filters.iter().for_each(|f| f.fields(&mut fields));
        fields.extend(self.leaves.iter().flat_map(|l| [l.field, l.end]).flatten());
        if !self.spans.is_empty() {
            fields.extend(time);
        }
        fields.sort_unstable();
        fields.dedup();
        let fields: Vec<usize> = fields
            .into_iter()
            .filter(|f| self.dataset.field[*f].search != zonglan_catalog::dataset::SearchMode::Zh)
            .collect();
        fields.par_iter().try_for_each(|f| self.inner.column(&view.segment, &self.dataset.field[*f]).map(drop))?;

        let (ranges, rest) = time_rows(self.inner, view, self.dataset, time, &self.spans)?;
        let filter = rest.and(self.filter.clone()).bind(self.inner, view, self.dataset)?;
        let pieces = if matches!(filter, Bound::Nothing) {
            Vec::new()
        } else {
            ranges.into_iter().flat_map(|r| cut(r, PIECE)).collect()
        };
        let column =
            |field: Option<usize>| field.map(|f| self.inner.column(&view.segment, &self.dataset.field[f])).transpose();
        let columns = self.leaves.iter().map(|l| column(l.field)).collect::<Result<Vec<_>>>()?;
        Ok(Prepared {
            view,
            filter,
            filters: self.filters.iter().map(|f| f.bind(self.inner, view, self.dataset)).collect::<Result<_>>()?,
            dims: self.dims.iter().map(|d| LocalDim::new(self.inner, view, self.dataset, d)).collect::<Result<_>>()?,
            ids: Vec::new(),
            ends: self.leaves.iter().map(|l| column(l.end)).collect::<Result<_>>()?,
            columns,
            pieces,
        })
    }

    fn scan(&self, segment: &Prepared, range: Range<usize>) -> Result<Piece> {
        let mut product: u64 = 1;
        for dim in &segment.dims {
            product = product
                .checked_mul(dim.values.len() as u64)
                .ok_or_else(|| OlapError::TooLarge("维度组合太多 (too many combinations of dimensions)".into()))?;
        }
        let dense = product <= (range.len() as u64 * 2).max(CHUNK as u64);
        let mut groups_of: HashMap<u64, u32> = HashMap::new();
        let mut sparse: Vec<u64> = Vec::new();
        let size = if dense { product as usize } else { 0 };
        let mut rows_of = vec![0u64; size];
        let mut leaves: Vec<Local> = self
            .leaves
            .iter()
            .zip(&segment.columns)
            .map(|(leaf, column)| local(leaf, column.as_deref(), size, dense))
            .collect();
        let mut mask = vec![0u64; CHUNK.div_ceil(64)];
        let mut masks: Vec<Vec<u64>> = self.filters.iter().map(|_| vec![0u64; CHUNK.div_ceil(64)]).collect();
        let (mut rows, mut numbers, mut groups): (Vec<u32>, Vec<u64>, Vec<u32>) = (Vec::new(), Vec::new(), Vec::new());
        let (mut kept_rows, mut kept_groups): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for chunk in cut(range, CHUNK) {
            self.check()?;
            select(segment.view, &segment.filter, &chunk, &mut mask, &mut rows);
            if rows.is_empty() {
                continue;
            }
            numbers.clear();
            numbers.resize(rows.len(), 0);
            segment.dims.iter().for_each(|dim| dim.add(&rows, &mut numbers));
            groups.clear();
            if dense {
                groups.extend(numbers.iter().map(|n| *n as u32));
            } else {
                for number in &numbers {
                    let next = sparse.len() as u32;
                    let group = *groups_of.entry(*number).or_insert(next);
                    if group == next {
                        sparse.push(*number);
                    }
                    groups.push(group);
                }
                rows_of.resize(sparse.len(), 0);
                leaves.iter_mut().for_each(|leaf| leaf.grow(sparse.len()));
            }
            groups.iter().for_each(|g| rows_of[*g as usize] += 1);
            for (filter, mask) in segment.filters.iter().zip(&mut masks) {
                filter.eval(chunk.start, chunk.len(), &mut mask[..chunk.len().div_ceil(64)]);
            }
            for (index, leaf) in self.leaves.iter().enumerate() {
                let (rows, groups) = match leaf.filter {
                    None => (&rows, &groups),
                    Some(filter) => {
                        let mask = &masks[filter];
                        kept_rows.clear();
                        kept_groups.clear();
                        for (row, group) in rows.iter().zip(&groups) {
                            let at = *row as usize - chunk.start;
                            if mask[at / 64] >> (at % 64) & 1 == 1 {
                                kept_rows.push(*row);
                                kept_groups.push(*group);
                            }
                        }
                        (&kept_rows, &kept_groups)
                    }
                };
                let (column, end) = (segment.columns[index].as_deref(), segment.ends[index].as_deref());
                if leaf.agg == Aggregate::Stock {
                    self.stock(leaf, column, end, rows, groups, &mut leaves[index]);
                } else {
                    leaves[index].add(column, rows, groups);
                }
            }
        }
        for (leaf, column) in leaves.iter_mut().zip(&segment.columns) {
            leaf.shard(column.as_deref());
        }
        Ok(Piece { sparse: (!dense).then_some(sparse), rows: rows_of, leaves })
    }

    /// A row is open at each period end after its start and not after its end.
    fn stock(
        &self,
        leaf: &Leaf,
        start: Option<&Column>,
        end: Option<&Column>,
        rows: &[u32],
        groups: &[u32],
        local: &mut Local,
    ) {
        let (Local::Stock(out), Some(start), Some(field)) = (local, start, leaf.field) else { return };
        let millis = |field: usize, v: i64| match self.dataset.field[field].kind {
            zonglan_catalog::FieldType::Date => {
                zonglan_catalog::time::local_midnight(zonglan_catalog::batch::date_of(v as i32))
            }
            _ => v,
        };
        for (row, group) in rows.iter().zip(groups) {
            let Some(from) = start.int(*row as usize) else { continue };
            let from = millis(field, from);
            let first = self.ends.partition_point(|e| *e <= from);
            let last = match (end.and_then(|c| c.int(*row as usize)), leaf.end) {
                (Some(to), Some(field)) => {
                    let to = millis(field, to);
                    self.ends.partition_point(|e| *e <= to)
                }
                _ => self.ends.len(),
            };
            if first < last {
                out.push((*group, first as u32, last as u32));
            }
        }
    }

    fn merge(
        &self,
        segment: &Prepared,
        piece: Piece,
        groups: &mut Groups,
        index: &mut HashMap<[u32; MAX_DIMS], u32>,
        distinct: &mut [Vec<(Vec<u32>, Sharded)>],
    ) -> Result<()> {
        let mut map = vec![u32::MAX; piece.rows.len()];
        for (group, rows) in piece.rows.iter().enumerate() {
            if *rows == 0 {
                continue;
            }
            let mut number = piece.sparse.as_ref().map_or(group as u64, |s| s[group]);
            let mut key = [0u32; MAX_DIMS];
            for (at, dim) in segment.dims.iter().enumerate().rev() {
                let count = dim.values.len() as u64;
                key[at] = segment.ids[at][(number % count) as usize];
                number /= count;
            }
            let global = match index.get(&key) {
                Some(global) => *global,
                None => {
                    let next = groups.keys.len() as u32;
                    let other = self.keep.filter(|keep| !keep.keys.contains(&groups.values(&key)));
                    let global = match (other, &groups.others) {
                        (Some(_), Some((others, _))) => *others,
                        _ => next,
                    };
                    if global == next {
                        if groups.keys.len() >= MAX_GROUPS {
                            return Err(OlapError::TooLarge(format!("结果超过 {MAX_GROUPS} 组")));
                        }
                        if let Some(keep) = other {
                            groups.others = Some((next, keep.others.clone()));
                        }
                        groups.keys.push(key);
                        groups.rows.push(0);
                    }
                    index.insert(key, global);
                    global
                }
            };
            groups.rows[global as usize] += rows;
            map[group] = global;
        }
        let total = groups.keys.len();
        for (position, (state, local)) in groups.states.iter_mut().zip(piece.leaves).enumerate() {
            match local {
                Local::Sharded(pairs) => distinct[position].push((map.clone(), pairs)),
                local => {
                    merge_leaf(state, local, &map, total, segment.columns[position].as_deref(), self.ends.len());
                }
            }
        }
        Ok(())
    }
}

/// The rows of a chunk that are live and pass the filter.
pub fn select(view: &View, filter: &Bound, chunk: &Range<usize>, mask: &mut [u64], rows: &mut Vec<u32>) {
    rows.clear();
    if matches!(filter, Bound::All) && view.deleted.is_none() {
        rows.extend(chunk.start as u32..chunk.end as u32);
        return;
    }
    let mask = &mut mask[..chunk.len().div_ceil(64)];
    filter.eval(chunk.start, chunk.len(), mask);
    for (at, word) in mask.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            let row = chunk.start + at * 64 + word.trailing_zeros() as usize;
            word &= word - 1;
            if view.is_live(row) {
                rows.push(row as u32);
            }
        }
    }
}

pub fn cut(range: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(step).map(move |start| start..(start + step).min(end))
}

/// A span in units of a time field: from..=to.
pub fn field_span(dataset: &Dataset, time: usize, span: Span) -> (i64, i64) {
    if dataset.field[time].kind == zonglan_catalog::FieldType::Date {
        let day = |ms: i64, open: i64| {
            if ms == open {
                return open;
            }
            // A day belongs to the span when its midnight does.
            let date = zonglan_catalog::time::to_local(ms).date();
            let number = i64::from(zonglan_catalog::batch::days(date));
            if zonglan_catalog::time::local_midnight(date) < ms { number + 1 } else { number }
        };
        let to = day(span.to, i64::MAX);
        return (day(span.from, i64::MIN), if to == i64::MAX { to } else { to - 1 });
    }
    (span.from, if span.to == i64::MAX { i64::MAX } else { span.to - 1 })
}

/// The rows of a segment that lie in the spans: ranges where it is ordered by time, and what is
/// left to test where it is not.
pub fn time_rows(
    inner: &Inner,
    view: &View,
    dataset: &Dataset,
    time: Option<usize>,
    spans: &[Span],
) -> Result<(Vec<Range<usize>>, Pred)> {
    let all = 0..view.segment.rows();
    let (Some(time), false) = (time, spans.is_empty() || spans.iter().any(|s| s.is_all())) else {
        return Ok((vec![all], Pred::True));
    };
    let bounds: Vec<(i64, i64)> = spans.iter().map(|s| field_span(dataset, time, *s)).collect();
    let field = &dataset.field[time];
    let column = inner.column(&view.segment, field)?;
    if view.segment.meta.sorted_by.as_ref() != Some(&field.name) || !matches!(*column, Column::Int { .. }) {
        return Ok((vec![all], Pred::Or(bounds.into_iter().map(|(low, high)| Pred::Range(time, low, high)).collect())));
    }
    let at = |row: usize| column.int(row).unwrap_or(i64::MAX);
    // Nulls come last and belong to no span.
    let end = partition(all.end, |row| column.int(row).is_some());
    let ranges = bounds
        .into_iter()
        .map(|(low, high)| partition(end, |row| at(row) < low)..partition(end, |row| at(row) <= high));
    Ok((ranges.filter(|r| !r.is_empty()).collect(), Pred::True))
}

fn partition(rows: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = usize::midpoint(low, high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
