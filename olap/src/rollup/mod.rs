//! Prepared aggregates: declared in dataset files, kept beside the segments, matched by a pure
//! planner, and compared with the rows now and then.

mod check;
pub mod definition;
mod file;
pub mod fit;
pub mod state;

pub use check::Checked;
pub use fit::Reason;

use crate::error::{OlapError, Result};
use crate::plan::{PartPlan, Window};
use crate::scan::Stop;
use crate::store::{Inner, Store};
use crate::table::{Snapshot, Table};
use definition::Definition;
use fit::Rewrite;
use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zonglan_catalog::load::Catalogue;

/// Rows that a question takes over itself before it answers; more are left to the background.
const INLINE: u64 = 100_000;
/// Groups that a rollup may have.
const MOST_GROUPS: u64 = 2_000_000;
/// Between two looks at what changed, so that many small commits are taken over together.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two writes of a state to disk.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The rollups of one dataset.
#[derive(Debug, Default)]
pub struct Rollups {
    definitions: Mutex<Option<Known>>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Held while states go to disk: one writer a file.
    saving: Mutex<()>,
}

/// The definitions of a catalogue.
type Known = (Arc<Catalogue>, Vec<Arc<Definition>>);

#[derive(Debug, Clone)]
enum Entry {
    Ready(Arc<State>),
    /// By definition hash and data version: not worth keeping, or too large.
    Refused(String, Reason),
}

/// What the background work of a store shares.
#[derive(Debug, Default)]
pub struct Keeper {
    due: Mutex<BTreeSet<String>>,
    running: AtomicBool,
    pub checks: AtomicU64,
    pub differences: AtomicU64,
}

/// A rollup, and the question as it answers it.
pub type Chosen = (Arc<State>, Rewrite);

/// One rollup and why it is not used, where it is not.
pub type Verdict = (String, Option<Reason>);

impl Rollups {
    pub fn definitions(
        &self,
        inner: &Inner,
        catalogue: &Arc<Catalogue>,
        dataset: &str,
    ) -> Result<Vec<Arc<Definition>>> {
        let mut slot = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, definitions)) = &*slot
            && Arc::ptr_eq(known, catalogue)
        {
            return Ok(definitions.clone());
        }
        let mut definitions = Vec::new();
        if let Some(dataset) = catalogue.dataset(dataset) {
            for rollup in &dataset.rollup {
                definitions.extend(Definition::new(inner, catalogue, dataset, rollup)?.map(Arc::new));
            }
        }
        *slot = Some((catalogue.clone(), definitions.clone()));
        Ok(definitions)
    }

    fn entry(&self, definition: &Definition) -> Option<Entry> {
        let entry = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&definition.name).cloned()?;
        let hash = match &entry {
            Entry::Ready(state) => &state.definition.hash,
            Entry::Refused(hash, _) => hash,
        };
        (*hash == definition.hash).then_some(entry)
    }

    fn put(&self, name: &str, entry: Entry) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), entry);
    }

    pub fn forget(&self, name: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn ready(&self) -> Vec<Arc<State>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values().filter_map(|e| if let Entry::Ready(state) = e { Some(state.clone()) } else { None }).collect()
    }

    fn bytes(&self) -> usize {
        self.ready().iter().map(|s| s.bytes()).sum()
    }
}

/// The rollup that answers the flow measures `chosen` of a part, and the verdict on each.
/// `dry`: nothing is taken over, for explanations.
pub fn choose(
    inner: &Inner,
    table: &Table,
    snapshot: &Snapshot,
    part: &PartPlan,
    chosen: &[usize],
    window: &Window,
    dry: bool,
) -> Result<(Option<Chosen>, Vec<Verdict>)> {
    let catalogue = inner.catalogue();
    let definitions = table.rollups.definitions(inner, &catalogue, &part.dataset.name)?;
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut best: Option<(usize, Arc<State>, Rewrite)> = None;
    for definition in &definitions {
        let found = consider(inner, table, snapshot, definition, part, chosen, window, dry);
        let reason = match found {
            Err(Refused::Reason(reason)) => Some(reason),
            Err(Refused::Error(error)) => return Err(error),
            Ok((state, rewrite)) => match &best {
                Some((at, other, _)) if other.groups() <= state.groups() => {
                    Some(Reason::LargerThan(definitions[*at].name.clone()))
                }
                _ => {
                    if let Some((at, ..)) = &best {
                        verdicts[*at].1 = Some(Reason::LargerThan(definition.name.clone()));
                    }
                    best = Some((verdicts.len(), state, rewrite));
                    None
                }
            },
        };
        verdicts.push((definition.name.clone(), reason));
    }
    Ok((best.map(|(_, state, rewrite)| (state, rewrite)), verdicts))
}

enum Refused {
    Reason(Reason),
    Error(OlapError),
}

#[expect(clippy::too_many_arguments, reason = "the question, the data and the rollup, each in its parts")]
fn consider(
    inner: &Inner,
    table: &Table,
    snapshot: &Snapshot,
    definition: &Arc<Definition>,
    part: &PartPlan,
    chosen: &[usize],
    window: &Window,
    dry: bool,
) -> Result<Chosen, Refused> {
    if !inner.options.rollups {
        return Err(Refused::Reason(Reason::Disabled));
    }
    let rewrite = fit::fit(definition, part, chosen, window, &snapshot.state).map_err(Refused::Reason)?;
    if snapshot.state.rows < inner.options.rollup_min_rows {
        return Err(Refused::Reason(Reason::SmallDataset));
    }
    let state = match table.rollups.entry(definition) {
        None => return Err(Refused::Reason(Reason::NotBuilt)),
        Some(Entry::Refused(_, reason)) => return Err(Refused::Reason(reason)),
        Some(Entry::Ready(state)) => state,
    };
    if state.covers(&snapshot.views) || dry {
        return Ok((state, rewrite));
    }
    if state.change(&snapshot.views).rows > INLINE {
        return Err(Refused::Reason(Reason::Behind));
    }
    let next = Arc::new(state.follow(inner, &snapshot.views, &Stop::default()).map_err(Refused::Error)?);
    table.rollups.put(&definition.name, Entry::Ready(next.clone()));
    Ok((next, rewrite))
}

/// Brings the rollups of a dataset up to its last commit.
pub fn keep_up(inner: &Inner, table: &Table, dataset: &str) -> Result<()> {
    let catalogue = inner.catalogue();
    let snapshot = table.snapshot();
    let stop = Stop::default();
    if snapshot.state.rows < inner.options.rollup_min_rows {
        return Ok(());
    }
    for definition in table.rollups.definitions(inner, &catalogue, dataset)? {
        let state = match table.rollups.entry(&definition) {
            Some(Entry::Ready(state)) => state,
            // Rows may have joined that make it worth while.
            Some(Entry::Refused(_, Reason::TooFine)) => continue,
            _ => match file::load(inner, &definition, &snapshot.views) {
                Ok(Some(state)) => Arc::new(state),
                Ok(None) => Arc::new(State::empty(definition.clone())),
                Err(error) => {
                    tracing::warn!(dataset, rollup = definition.name, %error, "a kept rollup cannot be read; it is computed anew");
                    Arc::new(State::empty(definition.clone()))
                }
            },
        };
        if state.covers(&snapshot.views) && !state.covered.is_empty() {
            table.rollups.put(&definition.name, Entry::Ready(state));
            continue;
        }
        let mut next = (*state).clone();
        let mut refused = None;
        // A few segments at a time: a rollup that turns out too fine must not fill the memory.
        let steps = if state.covered.is_empty() { snapshot.views.len().div_ceil(2).max(1) } else { 1 };
        for step in 1..=steps {
            let upto = (snapshot.views.len() * step).div_ceil(steps);
            next = match next.follow(inner, &snapshot.views[..upto], &stop) {
                Ok(next) => next,
                Err(OlapError::TooLarge(_)) => {
                    refused = Some(Reason::TooLarge);
                    break;
                }
                Err(error) => return Err(error),
            };
            if next.groups() > MOST_GROUPS {
                refused = Some(Reason::TooFine);
                break;
            }
        }
        let small = inner.options.rollup_min_rows == 0;
        if !small && next.groups() * 4 > snapshot.state.rows * 3 {
            refused = Some(Reason::TooFine);
        }
        if table.rollups.bytes() + next.bytes() > inner.options.memory_budget / 2 {
            refused = refused.or(Some(Reason::TooLarge));
        }
        let entry = match refused {
            Some(reason) => Entry::Refused(definition.hash.clone(), reason),
            None => Entry::Ready(Arc::new(next)),
        };
        table.rollups.put(&definition.name, entry);
    }
    Ok(())
}

/// Writes states to disk that are not there yet.
pub fn save(inner: &Inner, table: &Table) -> Result<()> {
    let _one = table.rollups.saving.lock().unwrap_or_else(PoisonError::into_inner);
    for state in table.rollups.ready().into_iter().filter(|s| !s.saved) {
        file::save(inner, &state)?;
        let saved = Arc::new(State { saved: true, ..(*state).clone() });
        let mut entries = table.rollups.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry::Ready(now)) = entries.get(&state.definition.name)
            && Arc::ptr_eq(now, &state)
        {
            entries.insert(state.definition.name.clone(), Entry::Ready(saved));
        }
    }
    Ok(())
}

/// Has the rollups of a dataset brought up in the background.
pub fn after_commit(store: &Arc<Inner>, dataset: &str) {
    if !store.options.rollups || store.read_only() {
        return;
    }
    store.keeper.due.lock().unwrap_or_else(PoisonError::into_inner).insert(dataset.to_string());
    if store.keeper.running.swap(true, Ordering::AcqRel) {
        return;
    }
    // The thread must not keep the store alive: a store that is closed takes its rollups with it.
    let weak = Arc::downgrade(store);
    let spawned = std::thread::Builder::new().name("rollups".into()).spawn(move || {
        let mut unsaved: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            std::thread::sleep(PAUSE);
            let Some(store) = weak.upgrade() else { return };
            let due = std::mem::take(&mut *store.keeper.due.lock().unwrap_or_else(PoisonError::into_inner));
            for dataset in &due {
                let Some(table) = store.table(dataset) else { continue };
                let outcome = store.pool.install(|| keep_up(&store, &table, dataset));
                unsaved.entry(dataset.clone()).or_insert_with(Instant::now);
                if let Err(error) = outcome {
                    tracing::error!(dataset, %error, "rollups could not be brought up; answers come from the rows");
                    table.rollups.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
            }
            let ripe = |at: &Instant| at.elapsed() > SAVE_EVERY;
            let ready: Vec<String> = unsaved.iter().filter(|(_, at)| ripe(at)).map(|(name, _)| name.clone()).collect();
            for dataset in ready {
                unsaved.remove(&dataset);
                if let Some(table) = store.table(&dataset)
                    && let Err(error) = save(&store, &table)
                {
                    tracing::warn!(dataset, %error, "rollups could not be written; the next start computes them anew");
                }
            }
            if due.is_empty() && unsaved.is_empty() {
                store.keeper.running.store(false, Ordering::Release);
                // A commit between the look and the flag would be forgotten.
                let none = store.keeper.due.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                if none || store.keeper.running.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    });
    if let Err(error) = spawned {
        store.keeper.running.store(false, Ordering::Release);
        tracing::warn!(%error, "no thread for rollups");
    }
}

/// One rollup as the operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Status {
    pub dataset: String,
    pub rollup: String,
    /// `ready`, or why not.
    pub state: String,
    pub groups: u64,
    pub bytes: usize,
    /// Measures that cannot be kept because they do not add up.
    pub left_out: Vec<String>,
}

impl Store {
    /// Brings the rollups of a dataset up to its last commit now, in this thread.
    pub fn build_rollups(&self, dataset: &str) -> Result<()> {
        let Some(table) = self.0.table(dataset) else { return Ok(()) };
        self.0.pool.install(|| keep_up(&self.0, &table, dataset))
    }

    /// Writes the rollups of a dataset to disk, so that the next start need not compute them. The
    /// background does so once a minute.
    pub fn save_rollups(&self, dataset: &str) -> Result<()> {
        match self.0.table(dataset) {
            Some(table) if !self.0.read_only() => save(&self.0, &table),
            _ => Ok(()),
        }
    }

    /// The rollups of all datasets that are loaded.
    pub fn rollups(&self) -> Result<Vec<Status>> {
        let catalogue = self.0.catalogue();
        let mut out = Vec::new();
        for (dataset, table) in self.0.all_tables() {
            for definition in table.rollups.definitions(&self.0, &catalogue, &dataset)? {
                let (state, groups, bytes) = match table.rollups.entry(&definition) {
                    Some(Entry::Ready(state)) => ("ready", state.groups(), state.bytes()),
                    Some(Entry::Refused(_, reason)) => (reason.name(), 0, 0),
                    None if table.snapshot().state.rows < self.0.options.rollup_min_rows => ("small_dataset", 0, 0),
                    None => ("not_built", 0, 0),
                };
                out.push(Status {
                    dataset: dataset.clone(),
                    rollup: definition.name.clone(),
                    state: state.into(),
                    groups,
                    bytes,
                    left_out: definition.left_out.clone(),
                });
            }
        }
        Ok(out)
    }

    /// Comparisons of rollups with rows so far, and how many differed.
    pub fn rollup_checks(&self) -> (u64, u64) {
        let keeper = &self.0.keeper;
        (keeper.checks.load(Ordering::Relaxed), keeper.differences.load(Ordering::Relaxed))
    }
}
