//! How far the ranks depend on the weights.

use super::aggregate::{Scheme, value_of};
use serde::Serialize;
use std::collections::BTreeMap;

/// The values of the units' indicators.
pub type Units = BTreeMap<String, BTreeMap<String, Option<f64>>>;

/// Ranks when each weight in turn is a fifth larger or smaller.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// For each unit: its rank (1 = best index), and the best and worst it takes.
    pub ranks: BTreeMap<String, RankRange>,
    /// Share of the variations that leave all ranks as they are.
    pub unchanged: f64,
    /// The variations that change a rank.
    pub changed_by: Vec<String>,
    pub variations: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RankRange {
    pub rank: usize,
    pub best: usize,
    pub worst: usize,
}

/// Varies each weight of both levels by ±`by` (0.2 for ±20 %), one at a time, and ranks again.
pub fn sensitivity(scheme: &Scheme, units: &Units, by: f64) -> Sensitivity {
    let base = ranks(scheme, units);
    let mut out: BTreeMap<String, RankRange> =
        base.iter().map(|(unit, rank)| (unit.clone(), RankRange { rank: *rank, best: *rank, worst: *rank })).collect();
    let mut changed_by = Vec::new();
    let mut variations = 0;
    for d in 0..scheme.dimensions.len() {
        let indicators = (0..scheme.dimensions[d].indicators.len()).map(Some);
        for place in std::iter::once(None).chain(indicators) {
            for factor in [1.0 - by, 1.0 + by] {
                let mut varied = scheme.clone();
                let dimension = &mut varied.dimensions[d];
                let name = match place {
                    None => {
                        dimension.weight *= factor;
                        dimension.id.clone()
                    }
                    Some(i) => {
                        dimension.indicators[i].weight *= factor;
                        dimension.indicators[i].id.clone()
                    }
                };
                variations += 1;
                let now = ranks(&varied, units);
                if now != base {
                    changed_by.push(format!("{name} ×{factor:.2}"));
                }
                for (unit, rank) in now {
                    if let Some(range) = out.get_mut(&unit) {
                        range.best = range.best.min(rank);
                        range.worst = range.worst.max(rank);
                    }
                }
            }
        }
    }
    let unchanged = if variations == 0 { 1.0 } else { 1.0 - changed_by.len() as f64 / variations as f64 };
    Sensitivity { ranks: out, unchanged, changed_by, variations }
}

/// Rank 1 has the highest index; units without an index come last; ties share the better rank.
fn ranks(scheme: &Scheme, units: &Units) -> BTreeMap<String, usize> {
    let mut scores: Vec<(f64, &String)> =
        units.iter().map(|(unit, values)| (value_of(scheme, values).unwrap_or(f64::NEG_INFINITY), unit)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut out = BTreeMap::new();
    for (place, (score, unit)) in scores.iter().enumerate() {
        // Of scores that differ by rounding only the first one's place counts for all.
        let first = scores[..place].iter().rposition(|(s, _)| *s > score + 1e-9).map_or(0, |p| p + 1);
        out.insert((*unit).clone(), first + 1);
    }
    out
}
