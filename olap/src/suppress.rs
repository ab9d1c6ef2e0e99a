//! Figures about people: what is too small is hidden, what is shown is rounded.

use crate::answer::{Answer, Cells, Number, Tally};
use crate::plan::Plan;
use zonglan_catalog::dataset::Aggregate;
use zonglan_catalog::value::div_half_even;

/// Cells stand on so many rows at least.
const SUPPRESS_BELOW: u64 = 10;
/// And are rounded to multiples of this before any arithmetic.
const ROUND_TO: i128 = 5;

/// Nulls the cells of figures about people that stand on too few rows, and rounds the others.
/// Returns how many cells went.
pub fn suppress(answer: &mut Answer, plan: &Plan) -> u64 {
    let mut hidden = 0;
    for cells in answer.rows.values_mut() {
        for (part, cell) in plan.parts.iter().zip(cells.iter_mut()) {
            if !part.dataset.people {
                continue;
            }
            let cell =
                cell.get_or_insert_with(|| Cells { count: 0, tallies: vec![Tally::Done(None, 0); part.leaves.len()] });
            if cell.count < SUPPRESS_BELOW {
                hidden += cell.tallies.len() as u64;
                cell.tallies.fill(Tally::Done(None, 0));
                continue;
            }
            for (at, leaf) in part.leaves.iter().enumerate() {
                if matches!(leaf.agg, Aggregate::Count | Aggregate::Distinct | Aggregate::Sum | Aggregate::Stock)
                    && let Some(n) = part.number(at, cell.tallies[at])
                {
                    let base = ROUND_TO * 10i128.pow(n.scale.into());
                    let units = div_half_even(n.units, base).unwrap_or(0) * base;
                    cell.tallies[at] = Tally::Done(Some(Number { units, scale: n.scale }), cell.count);
                }
            }
        }
    }
    hidden
}
