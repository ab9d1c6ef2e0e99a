//! Comparing rollups with the rows: random questions to both, on one snapshot.

use crate::answer::{Key, Tally};
use crate::dims::DimKind;
use crate::error::Result;
use crate::hash;
use crate::plan::{PartPlan, Window};
use crate::pred::Pred;
use crate::rollup::fit;
use crate::rollup::state::State;
use crate::scan::Stop;
use crate::store::{Inner, Store};
use crate::table::Table;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zonglan_catalog::time::{Grain, Span, local_midnight, to_local};

/// What one comparison found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Checked {
    pub dataset: String,
    pub rollup: String,
    /// Groups compared.
    pub groups: usize,
    /// The first group that differs, and how.
    pub difference: Option<String>,
}

impl Store {
    /// Asks each rollup a question drawn from `seed` and compares the answer with the rows'. A
    /// rollup that differs is dropped and computed anew, counted, and reported as an error.
    pub fn check_rollups(&self, seed: u64) -> Result<Vec<Checked>> {
        let mut found = Vec::new();
        for (dataset, table) in self.0.all_tables() {
            for state in table.rollups.ready() {
                let seed = hash::hash_bytes(seed, state.definition.hash.as_bytes());
                let checked = self.0.pool.install(|| compare(&self.0, &table, &state, seed))?;
                self.0.keeper.checks.fetch_add(1, Ordering::Relaxed);
                if let Some(difference) = &checked.difference {
                    self.0.keeper.differences.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        dataset,
                        rollup = checked.rollup,
                        difference,
                        "a rollup differs from its rows; it is computed anew"
                    );
                    table.rollups.forget(&checked.rollup);
                    super::after_commit(&self.0, &dataset);
                }
                found.push(checked);
            }
        }
        Ok(found)
    }
}

fn compare(inner: &Inner, table: &Table, state: &Arc<State>, seed: u64) -> Result<Checked> {
    let definition = &state.definition;
    let snapshot = table.snapshot();
    let stop = Stop::default();
    let mut draw = seed;
    let mut next = |below: u64| {
        draw = hash::hash_u64(draw, 0x5bd1_e995);
        draw % below.max(1)
    };
    let state = if state.covers(&snapshot.views) {
        state.clone()
    } else {
        Arc::new(state.follow(inner, &snapshot.views, &stop)?)
    };
    // Some of the dimensions, time at the rollup's grain or above, a range of whole periods.
    let mut dims = Vec::new();
    for plan in &definition.plans {
        if next(2) == 1 {
            let mut plan = plan.clone();
            if matches!(plan.kind, DimKind::Time(_)) {
                let grains: Vec<Grain> = [Grain::Month, Grain::Week, Grain::Year, Grain::Weekday, definition.grain]
                    .into_iter()
                    .filter(|g| fit::derivable(definition.grain, *g))
                    .collect();
                plan.kind = DimKind::Time(grains[next(grains.len() as u64) as usize]);
            }
            dims.push(plan);
        }
    }
    let span = match (definition.time, snapshot.state.first_event, snapshot.state.watermark) {
        (Some(_), Some(first), Some(last)) if next(4) > 0 && definition.grain <= Grain::Day => {
            let days = (last - first) / 86_400_000 + 1;
            let from = to_local(first).date() + chrono::Days::new(next(days as u64));
            Span { from: local_midnight(from), to: local_midnight(from + chrono::Days::new(1 + next(90))) }
        }
        _ => Span::ALL,
    };
    let window = Window::one(span);
    let part = PartPlan {
        dataset: definition.dataset.clone(),
        filter: Pred::True,
        filters: definition.filters.clone(),
        dims,
        leaves: definition.kept.iter().map(|k| k.leaf.clone()).collect(),
        measures: definition.kept.iter().map(|k| k.measure.clone()).collect(),
        rule: Vec::new(),
    };
    let chosen: Vec<usize> = (0..part.leaves.len()).collect();
    let mut checked = Checked {
        dataset: definition.dataset.name.clone(),
        rollup: definition.name.clone(),
        groups: 0,
        difference: None,
    };
    let Ok(rewrite) = fit::fit(definition, &part, &chosen, &window, &snapshot.state) else { return Ok(checked) };
    type Groups = BTreeMap<Key, (u64, Vec<(usize, Tally)>)>;
    let (mut kept, mut raw): (Groups, Groups) = Default::default();
    state.answer(inner, &part, &chosen, &rewrite, None, &stop, &mut |key, rows, tallies| {
        kept.insert(key, (rows, tallies));
    })?;
    crate::answer::rows_of(inner, &snapshot.views, &part, &chosen, &window, None, &stop, &mut |key, rows, tallies| {
        raw.insert(key, (rows, tallies));
    })?;
    checked.groups = raw.len();
    for (key, mine) in &raw {
        match kept.remove(key) {
            Some(theirs) if theirs == *mine => {}
            theirs => {
                checked.difference = Some(format!("{key:?}: rows {mine:?}, rollup {theirs:?}"));
                return Ok(checked);
            }
        }
    }
    if let Some((key, theirs)) = kept.pop_first() {
        checked.difference = Some(format!("{key:?}: no rows, rollup {theirs:?}"));
    }
    Ok(checked)
}
