//! The states of measures: in codes for a piece of a segment, in values for the answer.

use crate::column::{Code, Codes, Column, with_codes};
use crate::hash;
use crate::scan::Leaf;
use rayon::prelude::*;
use zonglan_catalog::dataset::Aggregate;

/// Aggregates of all groups.
#[derive(Debug)]
pub enum State {
    Count(Vec<u64>),
    /// Sum and number of values.
    Sum(Vec<(i128, u64)>),
    /// `None`: no value.
    Extreme(Vec<Option<i64>>),
    Distinct(Distinct),
    /// Group, value, how often.
    Values(Vec<(u32, i64, u32)>),
    /// Change of the number of open rows at each period, per group.
    Stock(Vec<Vec<i64>>),
}

impl State {
    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            State::Count(all) => all.capacity() * size_of::<u64>(),
            State::Sum(all) => all.capacity() * size_of::<(i128, u64)>(),
            State::Extreme(all) => all.capacity() * size_of::<Option<i64>>(),
            State::Distinct(seen) => seen.bytes(),
            State::Values(all) => all.capacity() * size_of::<(u32, i64, u32)>(),
            State::Stock(all) => all.iter().map(|changes| changes.capacity() * 8 + 24).sum(),
        }
    }
}

/// One measure over a piece of a segment, by local group and code.
pub enum Local {
    Count(Vec<u64>),
    Sum(Vec<(i128, u64)>),
    Min(Vec<i64>),
    Max(Vec<i64>),
    /// Group and code of each row.
    Pairs(Vec<(u32, u32)>),
    Sharded(Sharded),
    /// Group and value of each row, for `distinct` of numbers too far apart for codes.
    Wide(Vec<(u32, i64)>),
    Bits {
        words: Vec<u64>,
        values: usize,
    },
    Values(Vec<(u32, i64)>),
    Histogram {
        counts: Vec<u32>,
        values: usize,
    },
    Stock(Vec<(u32, u32, u32)>),
}

/// Adds a piece's state to the answer's; `map` gives each local group its place there.
pub fn merge_leaf(state: &mut State, local: Local, map: &[u32], total: usize, column: Option<&Column>, periods: usize) {
    let live = || map.iter().enumerate().filter(|(_, g)| **g != u32::MAX).map(|(l, g)| (l, *g as usize));
    match (state, local) {
        (State::Count(all), Local::Count(part)) => {
            all.resize(total, 0);
            live().for_each(|(l, g)| all[g] += part[l]);
        }
        (State::Sum(all), Local::Sum(part)) => {
            all.resize(total, (0, 0));
            live().for_each(|(l, g)| {
                all[g].0 += part[l].0;
                all[g].1 += part[l].1;
            });
        }
        (State::Extreme(all), Local::Min(part)) => {
            all.resize(total, None);
            live()
                .filter(|(l, _)| part[*l] != i64::MAX)
                .for_each(|(l, g)| all[g] = Some(all[g].map_or(part[l], |v| v.min(part[l]))));
        }
        (State::Extreme(all), Local::Max(part)) => {
            all.resize(total, None);
            live()
                .filter(|(l, _)| part[*l] != i64::MIN)
                .for_each(|(l, g)| all[g] = Some(all[g].map_or(part[l], |v| v.max(part[l]))));
        }
        (State::Values(all), Local::Values(part)) => {
            all.extend(part.into_iter().map(|(group, value)| (map[group as usize], value, 1)));
            coalesce(all);
        }
        (State::Values(all), Local::Histogram { counts, values }) => {
            if let Some(Column::Int { base, step, .. }) = column {
                let found = counts.into_iter().enumerate().filter(|(_, n)| *n > 0);
                all.extend(found.map(|(at, n)| (map[at / values], base + step * (at % values) as i64, n)));
                coalesce(all);
            }
        }
        (State::Stock(all), Local::Stock(part)) => {
            all.resize_with(total, || vec![0; periods + 1]);
            for (group, first, last) in part {
                let changes = &mut all[map[group as usize] as usize];
                changes[first as usize] += 1;
                changes[last as usize] -= 1;
            }
        }
        _ => {}
    }
}

/// The empty state of a measure for `size` groups.
pub fn local(leaf: &Leaf, column: Option<&Column>, size: usize, dense: bool) -> Local {
    let values = match column {
        Some(Column::Dict { dict, .. }) => dict.len(),
        Some(Column::Int { codes: Codes::U8(_), .. }) => 256,
        Some(Column::Int { codes: Codes::U16(_), .. }) => 65_536,
        _ => usize::MAX,
    };
    let fits = |limit: usize| dense && values > 0 && size.checked_mul(values).is_some_and(|n| n <= limit);
    match leaf.agg {
        Aggregate::Count | Aggregate::Ratio => Local::Count(vec![0; size]),
        Aggregate::Sum | Aggregate::Avg => Local::Sum(vec![(0, 0); size]),
        Aggregate::Min => Local::Min(vec![i64::MAX; size]),
        Aggregate::Max => Local::Max(vec![i64::MIN; size]),
        Aggregate::Distinct if fits(1 << 21) => Local::Bits { words: vec![0; (size * values).div_ceil(64)], values },
        Aggregate::Distinct if matches!(column, Some(Column::Int { codes: Codes::I64(_), .. })) => {
            Local::Wide(Vec::new())
        }
        Aggregate::Distinct => Local::Pairs(Vec::new()),
        Aggregate::Quantile if fits(1 << 20) => Local::Histogram { counts: vec![0; size * values], values },
        Aggregate::Quantile => Local::Values(Vec::new()),
        Aggregate::Stock => Local::Stock(Vec::new()),
    }
}

/// Different values per group: pairs of a value's identity and its group, in shards by identity so
/// that threads fill them side by side. An identity has 64 bits: numbers are their own, texts are
/// hashed, and two texts of one group share a hash once in 10^7 groups of a million texts.
#[derive(Debug, Default)]
pub struct Distinct {
    shards: Vec<hashbrown::HashTable<Pair>>,
}

/// 12 bytes, so that a shard holds a third more of them than of padded pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    low: u32,
    high: u32,
    group: u32,
}

impl Pair {
    fn hash(self) -> u64 {
        let identity = u64::from(self.high) << 32 | u64::from(self.low);
        hash::hash_u64(u64::from(self.group), identity)
    }
}

const SHARDS: usize = 32;

/// Local group and identity of the values of a piece, by shard.
pub type Sharded = Vec<Vec<(u32, u64)>>;

impl Distinct {
    /// Takes in pieces, each with its map from local to global groups.
    pub fn insert(&mut self, pieces: &[(Vec<u32>, Sharded)]) {
        self.shards.resize_with(SHARDS, hashbrown::HashTable::new);
        self.shards.par_iter_mut().enumerate().for_each(|(shard, seen)| {
            for (map, pairs) in pieces {
                for (group, identity) in &pairs[shard] {
                    let pair =
                        Pair { low: *identity as u32, high: (*identity >> 32) as u32, group: map[*group as usize] };
                    if let hashbrown::hash_table::Entry::Vacant(slot) =
                        seen.entry(pair.hash(), |p| *p == pair, |p| p.hash())
                    {
                        slot.insert(pair);
                    }
                }
            }
        });
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|s| s.capacity() * 14).sum()
    }

    /// How many different values each of `total` groups has.
    pub fn counts(&self, total: usize) -> Vec<u64> {
        let mut counts = vec![0; total];
        self.shards.iter().flatten().for_each(|pair| counts[pair.group as usize] += 1);
        counts
    }
}

/// Values beside each other become one with its number, so that memory follows different values.
fn coalesce(all: &mut Vec<(u32, i64, u32)>) {
    if all.len() < 1 << 20 || all.len() < all.capacity() * 3 / 4 {
        return;
    }
    all.par_sort_unstable();
    all.dedup_by(|next, kept| {
        let same = kept.0 == next.0 && kept.1 == next.1 && kept.2.checked_add(next.2).is_some();
        if same {
            kept.2 += next.2;
        }
        same
    });
}

impl Local {
    /// Turns codes into identities that all segments share, where values are told apart.
    pub fn shard(&mut self, column: Option<&Column>) {
        if !matches!(self, Local::Pairs(_) | Local::Bits { .. } | Local::Wide(_)) {
            return;
        }
        let identity = |code: u64| match column {
            Some(Column::Dict { dict, .. }) => dict.hashes()[code as usize],
            Some(Column::Int { base, step, codes, .. }) if !matches!(codes, Codes::I64(_)) => {
                base.wrapping_add(step.wrapping_mul(code as i64)) as u64
            }
            _ => code,
        };
        let mut shards: Sharded = vec![Vec::new(); SHARDS];
        let mut put = |group: u32, code: u64| {
            let identity = identity(code);
            shards[(hash::hash_u64(0, identity) >> 59) as usize].push((group, identity));
        };
        match std::mem::replace(self, Local::Count(Vec::new())) {
            Local::Pairs(pairs) => pairs.into_iter().for_each(|(group, code)| put(group, u64::from(code))),
            Local::Bits { words, values } => {
                for (at, mut word) in words.into_iter().enumerate() {
                    while word != 0 {
                        let bit = at * 64 + word.trailing_zeros() as usize;
                        put((bit / values) as u32, (bit % values) as u64);
                        word &= word - 1;
                    }
                }
            }
            Local::Wide(values) => values.into_iter().for_each(|(group, value)| put(group, value as u64)),
            _ => {}
        }
        *self = Local::Sharded(shards);
    }

    pub fn grow(&mut self, size: usize) {
        match self {
            Local::Count(all) => all.resize(size, 0),
            Local::Sum(all) => all.resize(size, (0, 0)),
            Local::Min(all) => all.resize(size, i64::MAX),
            Local::Max(all) => all.resize(size, i64::MIN),
            _ => {}
        }
    }

    pub fn add(&mut self, column: Option<&Column>, rows: &[u32], groups: &[u32]) {
        if let Local::Count(counts) = self {
            match column {
                // A count of a field counts its values.
                Some(column) => count_values(column, rows, groups, counts),
                None => groups.iter().for_each(|g| counts[*g as usize] += 1),
            }
            return;
        }
        let pairs = || rows.iter().zip(groups);
        match column {
            Some(Column::Dict { codes, dict }) => with_codes!(codes, c => match self {
                Local::Bits { words, values } => for (row, group) in pairs() {
                    let code = c[*row as usize].place();
                    if code < *values {
                        let bit = *group as usize * *values + code;
                        words[bit / 64] |= 1 << (bit % 64);
                    }
                },
                Local::Pairs(all) => all.extend(pairs().filter_map(|(row, group)| {
                    let code = c[*row as usize].place();
                    (code < dict.len()).then_some((*group, code as u32))
                })),
                _ => {}
            }),
            Some(Column::Int { codes, base, step, null }) => with_codes!(codes, c => {
                let (base, step, null) = (*base, *step, *null);
                let found = || pairs().map(|(row, group)| (c[*row as usize].wide(), *group as usize)).filter(|(code, _)| *code != null);
                match self {
                    Local::Sum(sums) => for (code, group) in found() {
                        sums[group].0 += i128::from(base + step * code);
                        sums[group].1 += 1;
                    },
                    Local::Min(all) => found().for_each(|(code, group)| all[group] = all[group].min(base + step * code)),
                    Local::Max(all) => found().for_each(|(code, group)| all[group] = all[group].max(base + step * code)),
                    Local::Bits { words, values } => for (code, group) in found() {
                        let bit = group * *values + code as usize;
                        words[bit / 64] |= 1 << (bit % 64);
                    },
                    Local::Histogram { counts, values } => found().for_each(|(code, group)| counts[group * *values + code as usize] += 1),
                    Local::Pairs(all) => all.extend(found().map(|(code, group)| (group as u32, code as u32))),
                    Local::Wide(all) => all.extend(found().map(|(code, group)| (group as u32, code))),
                    Local::Values(all) => all.extend(found().map(|(code, group)| (group as u32, base + step * code))),
                    _ => {}
                }
            }),
            _ => {}
        }
    }
}

fn count_values(column: &Column, rows: &[u32], groups: &[u32], counts: &mut [u64]) {
    for (row, group) in rows.iter().zip(groups) {
        let row = *row as usize;
        let some = match column {
            Column::Dict { codes, dict } => (codes.get(row) as usize) < dict.len(),
            Column::Int { codes, null, .. } => codes.get(row) != *null,
            Column::Point(points) => !points[row].0.is_nan(),
            Column::Missing => false,
        };
        counts[*group as usize] += u64::from(some);
    }
}
