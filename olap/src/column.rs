//! Columns in memory: narrow codes instead of values.
//!
//! Text becomes positions in a dictionary, numbers and times become offsets from the smallest
//! value in the narrowest width. One code of each column stands for null, so kernels need no
//! separate validity.

use std::sync::{Arc, OnceLock};

/// A vector of codes in the narrowest width that holds them.
#[derive(Debug, Clone)]
pub enum Codes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    I64(Vec<i64>),
}

/// A code of any width.
pub trait Code: Copy {
    fn wide(self) -> i64;
    fn place(self) -> usize;
}

macro_rules! code {
    ($($kind:ty),*) => {
        $(impl Code for $kind {
            #[inline]
            fn wide(self) -> i64 {
                i64::from(self)
            }
            #[inline]
            fn place(self) -> usize {
                self as usize
            }
        })*
    };
}
code!(u8, u16, u32, i64);

/// Runs a body with the typed slice of some [`Codes`].
macro_rules! with_codes {
    ($codes:expr, $slice:ident => $body:expr) => {
        match $codes {
            $crate::column::Codes::U8($slice) => $body,
            $crate::column::Codes::U16($slice) => $body,
            $crate::column::Codes::U32($slice) => $body,
            $crate::column::Codes::I64($slice) => $body,
        }
    };
}
pub(crate) use with_codes;

impl Codes {
    pub fn len(&self) -> usize {
        with_codes!(self, c => c.len())
    }

    pub fn bytes(&self) -> usize {
        match self {
            Codes::U8(c) => c.len(),
            Codes::U16(c) => c.len() * 2,
            Codes::U32(c) => c.len() * 4,
            Codes::I64(c) => c.len() * 8,
        }
    }

    #[inline]
    pub fn get(&self, row: usize) -> i64 {
        with_codes!(self, c => c[row].wide())
    }

    /// Packs codes known to lie in `0..=max`.
    pub fn pack(codes: impl Iterator<Item = u32>, max: u32) -> Codes {
        if max <= u32::from(u8::MAX) {
            Codes::U8(codes.map(|c| c as u8).collect())
        } else if max <= u32::from(u16::MAX) {
            Codes::U16(codes.map(|c| c as u16).collect())
        } else {
            Codes::U32(codes.collect())
        }
    }
}

/// Different texts of one column of a segment, by code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dict {
    pub(crate) bytes: String,
    pub(crate) ends: Vec<u32>,
    /// Of each text, once somebody told texts of several segments apart.
    pub(crate) hashes: OnceLock<Vec<u64>>,
}

impl Dict {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// A 64-bit hash of each text, the same in all segments.
    pub fn hashes(&self) -> &[u64] {
        self.hashes.get_or_init(|| self.iter().map(|t| crate::hash::hash_bytes(11, t.as_bytes())).collect())
    }

    #[inline]
    pub fn get(&self, code: usize) -> &str {
        let start = if code == 0 { 0 } else { self.ends[code - 1] as usize };
        &self.bytes[start..self.ends[code] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|code| self.get(code))
    }

    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
    }

    pub fn byte_len(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

/// A dictionary under construction: text to code in one look.
#[derive(Debug, Default)]
pub struct DictBuilder {
    pub dict: Dict,
    pub hashes: Vec<u64>,
    table: hashbrown::HashTable<u32>,
}

impl DictBuilder {
    /// The code of a text, and its hash (with seed 0).
    #[inline]
    pub fn code(&mut self, text: &str) -> u32 {
        let hash = crate::hash::hash_bytes(0, text.as_bytes());
        let (dict, hashes) = (&self.dict, &self.hashes);
        if let Some(code) = self.table.find(hash, |c| hashes[*c as usize] == hash && dict.get(*c as usize) == text) {
            return *code;
        }
        let code = self.dict.len() as u32;
        self.dict.push(text);
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.table.insert_unique(hash, code, |c| hashes[*c as usize]);
        code
    }
}

/// One column of a segment, decoded.
#[derive(Debug, Clone)]
pub enum Column {
    /// Code `dict.len()` is null.
    Dict { codes: Codes, dict: Arc<Dict> },
    /// `base + step * code`; the code `null` is null.
    Int { codes: Codes, base: i64, step: i64, null: i64 },
    /// Longitude and latitude; NaN is null.
    Point(Vec<(f64, f64)>),
    /// The segment is older than the field: null in every row.
    Missing,
}

impl Column {
    pub fn bytes(&self) -> usize {
        match self {
            Column::Dict { codes, dict } => codes.bytes() + dict.byte_len() + dict.len() * 8,
            Column::Int { codes, .. } => codes.bytes(),
            Column::Point(points) => points.len() * 16,
            Column::Missing => 0,
        }
    }

    /// Numbers from values in which `i64::MIN` is null (a value that no field can hold).
    pub fn ints(values: &[i64]) -> Column {
        let (mut min, mut max, mut nulls, mut thousand) = (i64::MAX, i64::MIN, false, true);
        for &v in values {
            if v == i64::MIN {
                nulls = true;
            } else {
                min = min.min(v);
                max = max.max(v);
            }
        }
        if min > max {
            return Column::Int { codes: Codes::U8(vec![0; values.len()]), base: 0, step: 1, null: 0 };
        }
        for &v in values {
            if v != i64::MIN && !(v.wrapping_sub(min) as u64).is_multiple_of(1000) {
                thousand = false;
                break;
            }
        }
        let step = if thousand && max > min { 1000 } else { 1 };
        let range = (i128::from(max) - i128::from(min)) / i128::from(step);
        if range >= i128::from(u32::MAX) {
            return Column::Int { codes: Codes::I64(values.to_vec()), base: 0, step: 1, null: i64::MIN };
        }
        let top = range as u32 + u32::from(nulls);
        let null = if nulls { i64::from(top) } else { -1 };
        let code = |v: i64| {
            if v == i64::MIN {
                top
            } else if step == 1 {
                (v - min) as u32
            } else {
                ((v - min) / 1000) as u32
            }
        };
        Column::Int { codes: Codes::pack(values.iter().map(|v| code(*v)), top), base: min, step, null }
    }

    /// Smallest and largest number; `None` for other columns and where all are null.
    pub fn range(&self) -> Option<(i64, i64)> {
        let Column::Int { codes, base, step, null } = self else { return None };
        let found = with_codes!(codes, c => c.iter().map(|v| v.wide()).filter(|v| v != null).fold(None, |range, v| {
            Some(range.map_or((v, v), |(low, high): (i64, i64)| (low.min(v), high.max(v))))
        }));
        found.map(|(low, high)| (base + step * low, base + step * high))
    }

    /// The number in a row; `None` for null and for columns of text or points.
    #[inline]
    pub fn int(&self, row: usize) -> Option<i64> {
        match self {
            Column::Int { codes, base, step, null } => {
                let code = codes.get(row);
                (code != *null).then(|| base + step * code)
            }
            _ => None,
        }
    }

    #[inline]
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Column::Dict { codes, dict } => {
                let code = codes.get(row) as usize;
                (code < dict.len()).then(|| dict.get(code))
            }
            _ => None,
        }
    }

    pub fn point(&self, row: usize) -> Option<(f64, f64)> {
        match self {
            Column::Point(points) => points.get(row).copied().filter(|p| !p.0.is_nan()),
            _ => None,
        }
    }
}

/// A set of rows of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    pub words: Vec<u64>,
}

impl Bits {
    pub fn none(rows: usize) -> Bits {
        Bits { words: vec![0; rows.div_ceil(64)] }
    }

    #[inline]
    pub fn get(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }

    #[inline]
    pub fn set(&mut self, row: usize) {
        self.words[row / 64] |= 1 << (row % 64);
    }

    pub fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ints_keep_their_values(values in prop::collection::vec(prop_oneof![Just(None), (-300i64..300).prop_map(Some), any::<i32>().prop_map(|v| Some(i64::from(v) * 1000)), (i64::MIN + 1..i64::MAX).prop_map(Some)], 0..50)) {
            let raw: Vec<i64> = values.iter().map(|v| v.unwrap_or(i64::MIN)).collect();
            let column = Column::ints(&raw);
            for (row, value) in values.iter().enumerate() {
                prop_assert_eq!(column.int(row), *value);
            }
        }
    }

    #[test]
    fn whole_seconds_take_four_bytes() {
        let column = Column::ints(&[1_700_000_000_000, 1_800_000_000_000, i64::MIN]);
        assert!(matches!(column, Column::Int { codes: Codes::U32(_), step: 1000, .. }));
        assert_eq!(column.int(2), None);
    }

    #[test]
    fn dictionaries_give_one_code_a_text() {
        let mut builder = DictBuilder::default();
        assert_eq!(["a", "", "a", "汉"].map(|t| builder.code(t)), [0, 1, 0, 2]);
        assert_eq!(builder.dict.iter().collect::<Vec<_>>(), ["a", "", "汉"]);
    }
}
