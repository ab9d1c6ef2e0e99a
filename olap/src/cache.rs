//! Decoded columns under a budget of bytes, least recently used out first.

use crate::column::Column;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

type Key = (u64, u32, u8);
type Held = Arc<Mutex<Option<Arc<Column>>>>;

#[derive(Debug)]
struct Entry {
    held: Held,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    tick: u64,
}

/// The cache of all datasets of a store.
#[derive(Debug)]
pub struct ColumnCache {
    budget: usize,
    state: Mutex<State>,
}

impl ColumnCache {
    pub fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// The column of a segment (by its uid), place and scale; loaded once, however many ask.
    pub fn get(&self, key: Key, load: impl FnOnce() -> Result<Column>) -> Result<Arc<Column>> {
        let held = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.tick += 1;
            let tick = state.tick;
            let entry =
                state.entries.entry(key).or_insert_with(|| Entry { held: Held::default(), bytes: 0, used: tick });
            entry.used = tick;
            entry.held.clone()
        };
        let mut slot = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = &*slot {
            return Ok(column.clone());
        }
        let column = Arc::new(load()?);
        *slot = Some(column.clone());
        drop(slot);
        self.account(key, column.bytes());
        Ok(column)
    }

    /// The column, where it is in memory already.
    pub fn peek(&self, key: Key) -> Option<Arc<Column>> {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner).entries.get(&key)?.held.clone();
        let slot = held.try_lock().ok()?;
        slot.clone()
    }

    pub fn bytes(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn account(&self, key: Key, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = state.entries.get_mut(&key) {
            let before = std::mem::replace(&mut entry.bytes, bytes);
            state.bytes = state.bytes + bytes - before;
        }
        while state.bytes > self.budget {
            let Some(oldest) =
                state.entries.iter().filter(|(_, e)| e.bytes > 0).min_by_key(|(_, e)| e.used).map(|(k, _)| *k)
            else {
                break;
            };
            if let Some(entry) = state.entries.remove(&oldest) {
                state.bytes -= entry.bytes;
            }
        }
    }

    /// Lets go of everything but the segments named.
    pub fn retain(&self, live: impl Fn(u64) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.retain(|key, _| live(key.0));
        state.bytes = state.entries.values().map(|e| e.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_the_oldest_goes() {
        let cache = ColumnCache::new(250);
        let load = |n: usize| move || Ok(Column::ints(&vec![1; n]));
        for id in 1..=3 {
            cache.get((id, 0, 0), load(100)).expect("loads");
        }
        assert!(cache.bytes() <= 250);
        assert!(cache.peek((1, 0, 0)).is_none() && cache.peek((3, 0, 0)).is_some());
        // Larger than the budget: answered, not kept.
        assert_eq!(cache.get((9, 0, 0), load(1000)).expect("loads").bytes(), 1000);
        assert!(cache.bytes() <= 250);
    }
}
