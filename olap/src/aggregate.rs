//! The states of measures: in codes for a piece of a segment, in values for the answer.

use crate::column::{Code, Codes, Column, with_codes};
use crate::scan::Leaf;
use hashbrown::HashSet;
use zonglan_catalog::dataset::Aggregate;

/// Aggregates of all groups.
#[derive(Debug)]
pub enum State {
    Count(Vec<u64>),
    /// Sum and number of values.
    Sum(Vec<(i128, u64)>),
    /// `None`: no value.
    Extreme(Vec<Option<i64>>),
    /// Different values, and the pairs of group and value already counted.
    Distinct(Vec<u64>, HashSet<u128>),
    /// Group, value, how often.
    Values(Vec<(u32, i64, u32)>),
    /// Change of the number of open rows at each period, per group.
    Stock(Vec<Vec<i64>>),
}

/// One measure over a piece of a segment, by local group and code.
pub enum Local {
    Count(Vec<u64>),
    Sum(Vec<(i128, u64)>),
    Min(Vec<i64>),
    Max(Vec<i64>),
    Distinct(HashSet<u64>),
    Bits { words: Vec<u64>, values: usize },
    Values(Vec<(u32, i64)>),
    Histogram { counts: Vec<u32>, values: usize },
    Stock(Vec<(u32, u32, u32)>),
}

/// Adds a piece's state to the answer's; `map` gives each local group its place there.
pub fn merge_leaf(
    state: &mut State,
    local: Local,
    map: &[u32],
    total: usize,
    column: Option<&Column>,
    identities: Option<&[u128]>,
    periods: usize,
) {
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
        (State::Distinct(counts, seen), local) => {
            counts.resize(total, 0);
            let identity = |code: u64| match (identities, column) {
                (Some(ids), _) => ids[code as usize],
                (None, Some(Column::Int { base, step, codes, .. })) if !matches!(codes, Codes::I64(_)) => {
                    (base.wrapping_add(step.wrapping_mul(code as i64))) as u64 as u128
                }
                _ => u128::from(code),
            };
            let mut put = |group: usize, code: u64| {
                let global = map[group];
                if global != u32::MAX
                    && seen.insert(
                        identity(code)
                            ^ (u128::from(global) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
                    )
                {
                    counts[global as usize] += 1;
                }
            };
            match local {
                Local::Distinct(pairs) => {
                    pairs.into_iter().for_each(|pair| put((pair >> 32) as usize, pair & 0xffff_ffff))
                }
                Local::Bits { words, values } => {
                    for (at, mut word) in words.into_iter().enumerate() {
                        while word != 0 {
                            let bit = at * 64 + word.trailing_zeros() as usize;
                            put(bit / values, (bit % values) as u64);
                            word &= word - 1;
                        }
                    }
                }
                Local::Values(pairs) => pairs.into_iter().for_each(|(group, value)| put(group as usize, value as u64)),
                _ => {}
            }
        }
        (State::Values(all), Local::Values(part)) => {
            all.extend(part.into_iter().map(|(group, value)| (map[group as usize], value, 1)))
        }
        (State::Values(all), Local::Histogram { counts, values }) => {
            if let Some(Column::Int { base, step, .. }) = column {
                let found = counts.into_iter().enumerate().filter(|(_, n)| *n > 0);
                all.extend(found.map(|(at, n)| (map[at / values], base + step * (at % values) as i64, n)));
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
        Aggregate::Distinct if fits(1 << 26) => Local::Bits { words: vec![0; (size * values).div_ceil(64)], values },
        Aggregate::Distinct if matches!(column, Some(Column::Int { codes: Codes::I64(_), .. })) => {
            Local::Values(Vec::new())
        }
        Aggregate::Distinct => Local::Distinct(HashSet::new()),
        Aggregate::Quantile if fits(1 << 20) => Local::Histogram { counts: vec![0; size * values], values },
        Aggregate::Quantile => Local::Values(Vec::new()),
        Aggregate::Stock => Local::Stock(Vec::new()),
    }
}

impl Local {
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
                Local::Distinct(seen) => for (row, group) in pairs() {
                    let code = c[*row as usize].place();
                    if code < dict.len() {
                        seen.insert(u64::from(*group) << 32 | code as u64);
                    }
                },
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
                    Local::Distinct(seen) => found().for_each(|(code, group)| { seen.insert((group as u64) << 32 | code as u64); }),
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
