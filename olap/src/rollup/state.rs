//! The groups of a rollup in memory, and how they follow the rows.
//!
//! A state says which rows it covers: segments, each with the rows deleted at that time. To follow
//! a commit, the groups of rows that joined are added and those of rows that went are taken
//! away; nothing else is read. Only sums and numbers are kept, for which that is exact.

use crate::aggregate::State as Sums;
use crate::answer::{Keep, Key, Tally};
use crate::column::{Bits, Codes, Column, DictBuilder};
use crate::dims::{DimPlan, DimVal};
use crate::error::{OlapError, Result};
use crate::manifest::{ColumnMeta, Layout, SegmentMeta};
use crate::plan::PartPlan;
use crate::pred::Pred;
use crate::rollup::definition::{Definition, ROWS};
use crate::rollup::fit::Rewrite;
use crate::scan::{Groups, Job, Leaf, Stop};
use crate::segment::Segment;
use crate::store::Inner;
use crate::table::View;
use std::collections::HashMap;
use std::sync::Arc;
use zonglan_catalog::dataset::{Aggregate, Dataset};

/// Parts that queries read before they are put together.
const PARTS: usize = 6;

/// A rollup over the rows of some segments.
#[derive(Debug, Clone)]
pub struct State {
    pub definition: Arc<Definition>,
    /// The rows covered.
    pub covered: Vec<View>,
    /// Groups; a group may be in several parts, with amounts to add up.
    pub parts: Vec<View>,
    /// It lies on disk as it is.
    pub saved: bool,
}

/// What changed since.
pub struct Change {
    pub joined: Vec<View>,
    pub gone: Vec<View>,
    pub rows: u64,
}

impl State {
    pub fn empty(definition: Arc<Definition>) -> Self {
        Self { definition, covered: Vec::new(), parts: Vec::new(), saved: false }
    }

    /// Groups held.
    pub fn groups(&self) -> u64 {
        self.parts.iter().map(|p| u64::from(p.segment.meta.rows)).sum()
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|p| p.segment.held_bytes()).sum()
    }

    pub fn covers(&self, views: &[View]) -> bool {
        self.covered.len() == views.len()
            && self
                .covered
                .iter()
                .zip(views)
                .all(|(a, b)| a.segment.uid == b.segment.uid && same(&a.deleted, &b.deleted))
    }

    /// Rows that joined or went since.
    pub fn change(&self, views: &[View]) -> Change {
        let mut change = Change { joined: Vec::new(), gone: Vec::new(), rows: 0 };
        let mut known: HashMap<u64, &View> = self.covered.iter().map(|v| (v.segment.uid, v)).collect();
        for view in views {
            match known.remove(&view.segment.uid) {
                None => change.joined.push(view.clone()),
                Some(mine) if same(&mine.deleted, &view.deleted) => {}
                Some(mine) => {
                    change.gone.extend(difference(mine, view));
                    change.joined.extend(difference(view, mine));
                }
            }
        }
        change.gone.extend(known.into_values().cloned());
        change.rows = change.joined.iter().chain(&change.gone).map(|v| v.live).sum();
        change
    }

    /// The state over the rows of other views.
    pub fn follow(&self, inner: &Inner, views: &[View], stop: &Stop) -> Result<State> {
        let change = self.change(views);
        let mut next = State { covered: views.to_vec(), saved: false, ..self.clone() };
        for (views, sign) in [(&change.joined, 1), (&change.gone, -1)] {
            if !views.is_empty() {
                let groups = self.definition.group(inner, views, stop)?;
                next.parts.extend(self.definition.view(&groups, sign)?);
            }
        }
        let largest = next.parts.iter().map(|p| u64::from(p.segment.meta.rows)).max().unwrap_or(0);
        let (total, others) = (next.groups(), next.parts.len());
        if others > PARTS || (others > 1 && total - largest > largest / 4 + 4_096) {
            next.parts = next.merged(inner, stop)?;
        }
        Ok(next)
    }

    /// All parts as one, without groups that have no rows.
    fn merged(&self, inner: &Inner, stop: &Stop) -> Result<Vec<View>> {
        let definition = &self.definition;
        let sums: Vec<usize> = std::iter::once(definition.rows)
            .chain(definition.kept.iter().flat_map(|k| std::iter::once(k.sum).chain(k.values)))
            .collect();
        let dims = (0..definition.rows)
            .map(|field| DimPlan { field, kind: crate::dims::DimKind::Field, renames: None })
            .collect();
        let leaves = sums
            .iter()
            .map(|field| Leaf {
                name: String::new(),
                agg: Aggregate::Sum,
                field: Some(*field),
                end: None,
                filter: None,
            })
            .collect();
        let groups = job(inner, &definition.table, &self.parts, dims, leaves, stop).run()?;
        let total = groups.keys.len();
        let column = |at: usize| -> Result<Vec<i64>> {
            let Sums::Sum(values) = &groups.states[at] else { return Ok(vec![0; total]) };
            (0..total).map(|g| small(values.get(g).map_or(0, |v| v.0))).collect()
        };
        let amounts = (0..sums.len()).map(column).collect::<Result<Vec<_>>>()?;
        let live: Vec<usize> = (0..total).filter(|g| amounts[0][*g] != 0).collect();
        let keys: Vec<Key> = live.iter().map(|g| groups.key(*g)).collect();
        let picked = amounts.iter().map(|a| live.iter().map(|g| a[*g]).collect()).collect();
        Ok(definition.build(keys, picked)?.into_iter().collect())
    }

    #[expect(clippy::too_many_arguments, reason = "the question, its rewriting and where the answer goes")]
    /// Answers the rewritten question; calls `put` with each group that has rows.
    pub fn answer(
        &self,
        inner: &Inner,
        part: &PartPlan,
        chosen: &[usize],
        rewrite: &Rewrite,
        keep: Option<&Keep>,
        stop: &Stop,
        put: &mut dyn FnMut(Key, u64, Vec<(usize, Tally)>),
    ) -> Result<u64> {
        let job = Job {
            spans: rewrite.spans.clone(),
            filter: rewrite.filter.clone(),
            filters: rewrite.filters.clone(),
            keep,
            ..job(inner, &self.definition.table, &self.parts, rewrite.dims.clone(), rewrite.leaves.clone(), stop)
        };
        let groups = job.run()?;
        let sum = |leaf: usize, group: usize| match &groups.states[leaf] {
            Sums::Sum(values) => values.get(group).map_or(0, |v| v.0),
            _ => 0,
        };
        let count =
            |n: i128| u64::try_from(n).map_err(|_| OlapError::Internal("a rollup counts less than nothing".into()));
        for group in 0..groups.keys.len() {
            let rows = count(sum(0, group))?;
            if rows == 0 {
                continue;
            }
            let mut tallies = Vec::with_capacity(chosen.len());
            for (leaf, (total, values)) in chosen.iter().zip(&rewrite.sums) {
                tallies.push((
                    *leaf,
                    match values {
                        None if part.leaves[*leaf].agg == Aggregate::Count => Tally::Count(count(sum(*total, group))?),
                        None => Tally::empty(part.leaves[*leaf].agg),
                        Some(values) => Tally::Sum(sum(*total, group), count(sum(*values, group))?),
                    },
                ));
            }
            put(groups.key(group), rows, tallies);
        }
        Ok(groups.scanned)
    }
}

fn same(a: &Option<Arc<Bits>>, b: &Option<Arc<Bits>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        _ => false,
    }
}

/// The rows of `a` that are not in `b`, both views of one segment.
fn difference(a: &View, b: &View) -> Option<View> {
    let gone = b.deleted.as_ref()?;
    let mut bits = Bits::none(a.segment.rows());
    let words = bits.words.len();
    for at in 0..words {
        // Deleted in the result: deleted in a, or still live in b.
        let mine = a.deleted.as_ref().map_or(0, |d| d.words[at]);
        bits.words[at] = mine | !gone.words[at];
    }
    let live = (0..a.segment.rows()).filter(|row| !bits.get(*row)).count() as u64;
    (live > 0).then(|| View { segment: a.segment.clone(), deleted: Some(Arc::new(bits)), live })
}

fn small(value: i128) -> Result<i64> {
    i64::try_from(value)
        .ok()
        .filter(|v| *v != i64::MIN)
        .ok_or_else(|| OlapError::TooLarge("a sum of a rollup exceeds 64 bits".into()))
}

fn job<'a>(
    inner: &'a Inner,
    dataset: &'a Dataset,
    views: &'a [View],
    dims: Vec<DimPlan>,
    leaves: Vec<Leaf>,
    cancel: &'a Stop,
) -> Job<'a> {
    Job {
        inner,
        dataset,
        views,
        spans: Vec::new(),
        filter: Pred::True,
        filters: Vec::new(),
        dims,
        leaves,
        ends: Vec::new(),
        keep: None,
        cancel,
    }
}

impl Definition {
    /// The groups of rows.
    fn group(&self, inner: &Inner, views: &[View], stop: &Stop) -> Result<Groups> {
        let leaves = self.kept.iter().map(|k| k.leaf.clone()).collect();
        let job =
            Job { filters: self.filters.clone(), ..job(inner, &self.dataset, views, self.plans.clone(), leaves, stop) };
        job.run()
    }

    /// Groups as a part, amounts times `sign`.
    fn view(&self, groups: &Groups, sign: i64) -> Result<Option<View>> {
        let total = groups.keys.len();
        let signed = |n: i128| small(n * i128::from(sign));
        let mut amounts = vec![groups.rows.iter().map(|n| signed(i128::from(*n))).collect::<Result<Vec<i64>>>()?];
        for (state, kept) in groups.states.iter().zip(&self.kept) {
            match state {
                Sums::Count(counts) => {
                    amounts.push(
                        (0..total)
                            .map(|g| signed(i128::from(counts.get(g).copied().unwrap_or(0))))
                            .collect::<Result<_>>()?,
                    );
                }
                Sums::Sum(sums) => {
                    let at = |g: usize| sums.get(g).copied().unwrap_or((0, 0));
                    amounts.push((0..total).map(|g| signed(at(g).0)).collect::<Result<_>>()?);
                    amounts.push((0..total).map(|g| signed(i128::from(at(g).1))).collect::<Result<_>>()?);
                }
                _ => {
                    return Err(OlapError::Internal(format!(
                        "rollup {}: {} does not add up",
                        self.name, kept.measure.name
                    )));
                }
            }
        }
        self.build((0..total).map(|g| groups.key(g)).collect(), amounts)
    }

    /// A part in memory, ordered by time.
    fn build(&self, keys: Vec<Key>, amounts: Vec<Vec<i64>>) -> Result<Option<View>> {
        if keys.is_empty() {
            return Ok(None);
        }
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        let time = |row: u32| match &keys[row as usize][0] {
            DimVal::Int(v) => *v,
            _ => i64::MAX,
        };
        if self.time.is_some() {
            order.sort_unstable_by_key(|row| (time(*row), *row));
        }
        let mut columns = Vec::with_capacity(self.table.field.len());
        for (at, field) in self.table.field[..self.rows].iter().enumerate() {
            let values = order.iter().map(|row| &keys[*row as usize][at]);
            columns.push(if field.kind.is_textual() {
                let mut builder = DictBuilder::default();
                let codes: Vec<u32> = values
                    .map(|v| match v {
                        DimVal::Text(text) => builder.code(text),
                        _ => u32::MAX,
                    })
                    .collect();
                let null = builder.dict.len() as u32;
                Column::Dict {
                    codes: Codes::pack(codes.into_iter().map(|c| c.min(null)), null),
                    dict: Arc::new(builder.dict),
                }
            } else {
                let values: Vec<i64> = values
                    .map(|v| match v {
                        DimVal::Int(v) => *v,
                        _ => i64::MIN,
                    })
                    .collect();
                Column::ints(&values)
            });
        }
        for values in amounts {
            columns.push(Column::ints(&order.iter().map(|row| values[*row as usize]).collect::<Vec<_>>()));
        }
        self.held(columns, keys.len()).map(Some)
    }

    /// Columns as a view that the engine reads.
    pub fn held(&self, columns: Vec<Column>, rows: usize) -> Result<View> {
        let metas = self
            .table
            .field
            .iter()
            .zip(&columns)
            .map(|(field, column)| ColumnMeta {
                name: field.name.clone(),
                kind: field.kind,
                scale: field.scale,
                layout: if matches!(column, Column::Dict { .. }) { Layout::Codes } else { Layout::Int },
                range: column.range(),
            })
            .collect();
        let meta = SegmentMeta {
            id: 0,
            rows: rows as u32,
            bytes: 0,
            sorted_by: self.time.map(|_| self.table.field[0].name.clone()),
            columns: metas,
            deleted: None,
        };
        debug_assert_eq!(self.table.field[self.rows].name, ROWS);
        let segment = Segment::in_memory(meta, columns.into_iter().map(Arc::new).collect())?;
        Ok(View { segment: Arc::new(segment), deleted: None, live: rows as u64 })
    }
}
