//! Figures about people: what is too small is hidden, together with what would give it away, and
//! what is shown is rounded before anything is computed from it.
//!
//! A condition of such a query is one more dimension: the whole table is computed and suppressed,
//! and the part asked for is cut out of it, so that a cell looks the same in every question. In
//! every total that one may ask for (a dimension left out, a coarser region, quarter or year)
//! the hidden cells stand for at least [`SUPPRESS_BELOW`] rows, or nothing is hidden.

use crate::answer::{Answer, Key, Tally};
use crate::dims::{DimKind, DimPlan, DimVal, date_of_period};
use crate::plan::{PartPlan, Plan};
use chrono::Datelike;
use std::collections::{BTreeMap, BTreeSet};
use zonglan_catalog::time::Grain;
use zonglan_catalog::value::div_half_even;

/// Cells stand on so many rows at least.
const SUPPRESS_BELOW: u64 = 10;
/// And are rounded to multiples of this before any arithmetic.
const ROUND_TO: i128 = 5;

/// Hides small cells of figures about people and those that would give them away, rounds the
/// others, and cuts out what the query's conditions ask for. Returns how many cells went.
pub fn suppress(answer: &mut Answer, plan: &Plan) -> u64 {
    for (index, part) in plan.parts.iter().enumerate().filter(|(_, part)| part.dataset.people) {
        for leaf in 0..part.leaves.len() {
            let hidden = hidden(answer, part, index, leaf);
            for (key, cells) in &mut answer.rows {
                let Some(cell) = &mut cells[index] else { continue };
                cell.tallies[leaf] =
                    if hidden.contains(key) { Tally::Done(None, 0) } else { rounded(cell.tallies[leaf], part, leaf) };
            }
        }
    }
    slice(answer, plan);
    let gone = |tally: &Tally| matches!(tally, Tally::Done(None, _));
    plan.parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.dataset.people)
        .flat_map(|(index, _)| answer.rows.values().filter_map(move |cells| cells[index].as_ref()))
        .map(|cell| cell.tallies.iter().filter(|t| gone(t)).count() as u64)
        .sum()
}

/// How many rows a figure stands on.
fn weight(tally: Tally) -> u64 {
    match tally {
        Tally::Count(n) | Tally::Sum(_, n) | Tally::Done(_, n) => n,
        Tally::Low(_) | Tally::High(_) => 0,
    }
}

fn rounded(tally: Tally, part: &PartPlan, leaf: usize) -> Tally {
    let round = |n: i128, base: i128| div_half_even(n, base).unwrap_or(0) * base;
    let count = |n: u64| u64::try_from(round(i128::from(n), ROUND_TO)).unwrap_or(0);
    match tally {
        Tally::Count(n) => Tally::Count(count(n)),
        Tally::Sum(sum, n) => {
            let scale = part.leaves[leaf].field.map_or(0, |f| part.dataset.field[f].scale);
            Tally::Sum(round(sum, ROUND_TO * 10i128.pow(scale.into())), count(n))
        }
        Tally::Done(Some(mut number), n) => {
            number.units = round(number.units, ROUND_TO);
            Tally::Done(Some(number), n)
        }
        // The smallest and largest value are somebody's.
        Tally::Low(_) | Tally::High(_) | Tally::Done(None, _) => Tally::Done(None, 0),
    }
}

/// The cells of one measure to hide.
fn hidden(answer: &Answer, part: &PartPlan, index: usize, leaf: usize) -> BTreeSet<Key> {
    let cells: BTreeMap<&Key, (u64, u64)> = answer
        .rows
        .iter()
        .filter_map(|(key, cells)| cells[index].as_ref().map(|c| (key, (c.count, weight(c.tallies[leaf])))))
        .collect();
    let mut hidden: BTreeSet<Key> = cells
        .iter()
        .filter(|(_, (count, weight))| *count < SUPPRESS_BELOW || *weight < SUPPRESS_BELOW)
        .map(|(key, _)| (*key).clone())
        .collect();
    // Every total that cells are parts of.
    let mut totals: BTreeMap<(usize, Vec<Option<String>>), Vec<&Key>> = BTreeMap::new();
    for key in cells.keys() {
        for total in totals_of(key, &part.dims) {
            totals.entry(total).or_default().push(key);
        }
    }
    loop {
        let mut more: BTreeSet<Key> = BTreeSet::new();
        for members in totals.values() {
            let of = |key: &Key| cells.get(key).map_or(0, |c| c.1);
            let sum: u64 = members.iter().filter(|k| hidden.contains(**k)).map(|k| of(k)).sum();
            if sum == 0 || sum >= SUPPRESS_BELOW {
                continue;
            }
            let next = members.iter().filter(|k| !hidden.contains(**k)).min_by_key(|k| (of(k), **k));
            more.extend(next.map(|k| (*k).clone()));
        }
        if more.is_empty() {
            return hidden;
        }
        hidden.extend(more);
    }
}

/// The totals that a cell is part of: fields left out or cut to a coarser level, in every
/// combination; the number tells the combinations apart.
fn totals_of(key: &Key, dims: &[DimPlan]) -> Vec<(usize, Vec<Option<String>>)> {
    let mut fields: Vec<usize> = dims.iter().map(|d| d.field).collect();
    fields.sort_unstable();
    fields.dedup();
    let combinations = CUTS.pow(fields.len() as u32);
    (1..combinations)
        .map(|combination| {
            let total = key.iter().zip(dims).map(|(value, dim)| {
                let place = fields.iter().position(|f| *f == dim.field).unwrap_or_default();
                coarse(dim, value, combination / CUTS.pow(place as u32) % CUTS)
            });
            (combination, total.collect())
        })
        .collect()
}

/// Ways to look at a field: as it is, left out, and two coarser levels.
const CUTS: usize = 4;

fn coarse(dim: &DimPlan, value: &DimVal, cut: usize) -> Option<String> {
    let date = |start: i64| date_of_period(start, Grain::Month);
    match (dim.kind, value, cut) {
        (_, _, 1) => None,
        (DimKind::Time(Grain::Month | Grain::Quarter), DimVal::Int(start), 2) => Some(date(*start).year().to_string()),
        (DimKind::Time(Grain::Month), DimVal::Int(start), 3) => {
            Some(format!("{}-{}", date(*start).year(), date(*start).month0() / 3))
        }
        // Districts and streets, by the digits of a region's code.
        (_, DimVal::Text(code), 2 | 3) => Some(code.get(..3 * cut).unwrap_or(code).to_string()),
        (_, DimVal::Int(v), _) => Some(v.to_string()),
        (_, DimVal::Text(text), _) => Some(text.to_string()),
        (_, DimVal::Null, _) => Some("∅".into()),
    }
}

/// Keeps what the conditions ask for and drops their dimensions.
fn slice(answer: &mut Answer, plan: &Plan) {
    if plan.slices.is_empty() {
        return;
    }
    for (mut key, cells) in std::mem::take(&mut answer.rows) {
        let first = key.len() - plan.slices.len();
        if key[first..] == plan.slices[..] {
            key.truncate(first);
            answer.rows.insert(key, cells);
        }
    }
}
