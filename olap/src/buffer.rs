//! Rows of an open transaction, kept as columns until they become a segment.

use crate::column::{Codes, DictBuilder};
use crate::hash;
use crate::segment::ColumnOut;
use rayon::prelude::*;
use zonglan_catalog::batch::{Batch, ColumnData, RowKey, TextColumn};
use zonglan_catalog::dataset::{Dataset, FieldType, SearchMode};

/// Rows of a segment at most, and bytes of buffered rows at which a segment is cut before that.
pub const SEGMENT_ROWS: usize = 1 << 20;
pub const BUFFER_BYTES: usize = 96 << 20;

/// Rows after which a column whose values mostly differ stops being coded.
pub const PROBE_ROWS: usize = 16_384;

/// A row or a deletion, in the order given. Rows are numbers of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub key: u128,
    pub sequence: u32,
    /// `DELETED`: the key goes.
    pub row: u32,
}

pub const DELETED: u32 = u32::MAX;

#[derive(Debug)]
enum Buffered {
    Coded { builder: DictBuilder, codes: Vec<u32> },
    Text(TextColumn),
    Int(Vec<i64>),
    Point(Vec<(f64, f64)>),
}

/// Buffered rows. Hashes sum over the non-null fields of a row.
#[derive(Debug)]
pub struct Buffer {
    seeds: Vec<u64>,
    kinds: Vec<(FieldType, bool)>,
    columns: Vec<Buffered>,
    pub hashes: Vec<u64>,
    pub keys: Vec<u128>,
    pub entries: Vec<Entry>,
}

impl Buffer {
    pub fn new(dataset: &Dataset) -> Self {
        let kinds: Vec<_> = dataset.field.iter().map(|f| (f.kind, f.search == SearchMode::Zh)).collect();
        Self {
            seeds: dataset.field.iter().map(|f| hash::field_seed(&f.name)).collect(),
            columns: kinds.iter().map(|(kind, long)| empty(*kind, *long)).collect(),
            kinds,
            hashes: Vec::new(),
            keys: Vec::new(),
            entries: Vec::new(),
        }
    }

    pub fn clear(&mut self) {
        for (column, (kind, long)) in self.columns.iter_mut().zip(&self.kinds) {
            *column = empty(*kind, *long);
        }
        self.hashes.clear();
        self.keys.clear();
        self.entries.clear();
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() >= SEGMENT_ROWS || self.bytes() >= BUFFER_BYTES
    }

    fn bytes(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|column| match column {
                Buffered::Coded { builder, codes } => codes.len() * 4 + builder.dict.byte_len() * 2,
                Buffered::Text(texts) => texts.byte_len(),
                Buffered::Int(values) => values.len() * 8,
                Buffered::Point(points) => points.len() * 16,
            })
            .sum();
        columns + self.entries.len() * 32 + self.keys.len() * 24
    }

    pub fn delete(&mut self, keys: &[RowKey]) {
        for key in keys {
            self.entries.push(Entry { key: key.0, sequence: self.entries.len() as u32, row: DELETED });
        }
    }

    /// Appends the rows `from..to` of a batch, whose columns follow the dataset's fields.
    pub fn append(&mut self, batch: &Batch, from: usize, to: usize) {
        let first = self.keys.len();
        for (offset, key) in batch.keys[from..to].iter().enumerate() {
            self.entries.push(Entry { key: key.0, sequence: self.entries.len() as u32, row: (first + offset) as u32 });
            self.keys.push(key.0);
        }
        let seeds = &self.seeds;
        let partial: Vec<Vec<u64>> = if to - from < 256 {
            self.columns
                .iter_mut()
                .zip(&batch.columns)
                .zip(seeds)
                .map(|((column, data), seed)| append(column, data, *seed, from, to))
                .collect()
        } else {
            self.columns
                .par_iter_mut()
                .zip(&batch.columns)
                .zip(seeds)
                .map(|((column, data), seed)| append(column, data, *seed, from, to))
                .collect()
        };
        self.hashes.resize(first + to - from, 0);
        for hashes in &partial {
            for (total, hash) in self.hashes[first..].iter_mut().zip(hashes) {
                *total = total.wrapping_add(*hash);
            }
        }
    }

    /// The numbers of a column, `i64::MIN` for null: the event time to sort by.
    pub fn ints(&self, column: usize) -> Option<&[i64]> {
        match &self.columns[column] {
            Buffered::Int(values) => Some(values),
            _ => None,
        }
    }

    /// The columns with only `rows`, in that order.
    pub fn columns_out(&self, rows: &[u32]) -> Vec<ColumnOut> {
        let out = |column: &Buffered| match column {
            Buffered::Coded { builder, codes } => {
                let null = builder.dict.len() as u32;
                ColumnOut::Codes(
                    Codes::pack(rows.iter().map(|r| codes[*r as usize].min(null)), null),
                    builder.dict.clone(),
                )
            }
            Buffered::Text(texts) => {
                let mut out = TextColumn::default();
                rows.iter().for_each(|r| out.push(texts.get(*r as usize)));
                ColumnOut::Text(out)
            }
            Buffered::Int(values) => ColumnOut::Int(rows.iter().map(|r| values[*r as usize]).collect()),
            Buffered::Point(points) => ColumnOut::Point(rows.iter().map(|r| points[*r as usize]).collect()),
        };
        if rows.len() < 256 {
            self.columns.iter().map(out).collect()
        } else {
            self.columns.par_iter().map(out).collect()
        }
    }
}

fn empty(kind: FieldType, long: bool) -> Buffered {
    match kind {
        FieldType::Text | FieldType::Code | FieldType::Region | FieldType::File | FieldType::Ref => {
            if long {
                Buffered::Text(TextColumn::default())
            } else {
                Buffered::Coded { builder: DictBuilder::default(), codes: Vec::new() }
            }
        }
        FieldType::Point => Buffered::Point(Vec::new()),
        _ => Buffered::Int(Vec::new()),
    }
}

/// Appends to one column and returns the rows' share of their hash.
fn append(column: &mut Buffered, data: &ColumnData, seed: u64, from: usize, to: usize) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(to - from);
    match (&mut *column, data) {
        (Buffered::Coded { builder, codes }, ColumnData::Text(texts)) => {
            for row in from..to {
                match texts.get(row) {
                    Some(text) => {
                        let code = builder.code(text);
                        codes.push(code);
                        hashes.push(hash::hash_u64(seed, builder.hashes[code as usize]));
                    }
                    None => {
                        codes.push(u32::MAX);
                        hashes.push(0);
                    }
                }
            }
            if codes.len() >= PROBE_ROWS && builder.dict.len() > codes.len() / 2 {
                let mut texts = TextColumn::default();
                codes.iter().for_each(|c| texts.push((*c != u32::MAX).then(|| builder.dict.get(*c as usize))));
                *column = Buffered::Text(texts);
            }
        }
        (Buffered::Text(out), ColumnData::Text(texts)) => {
            for row in from..to {
                let text = texts.get(row);
                out.push(text);
                hashes.push(text.map_or(0, |t| hash::hash_u64(seed, hash::hash_bytes(0, t.as_bytes()))));
            }
        }
        (Buffered::Point(out), ColumnData::Point(points)) => {
            for point in &points[from..to] {
                let (x, y) = point.unwrap_or((f64::NAN, f64::NAN));
                out.push((x, y));
                hashes.push(point.map_or(0, |(x, y)| hash::hash_u64(seed, x.to_bits() ^ y.to_bits().rotate_left(17))));
            }
        }
        (Buffered::Int(out), data) => {
            let mut put = |value: Option<i64>| {
                out.push(value.unwrap_or(i64::MIN));
                hashes.push(value.map_or(0, |v| hash::hash_u64(seed, v as u64)));
            };
            match data {
                ColumnData::Int(values) | ColumnData::Instant(values) => values[from..to].iter().for_each(|v| put(*v)),
                ColumnData::Date(values) => values[from..to].iter().for_each(|v| put(v.map(i64::from))),
                ColumnData::Bool(values) => values[from..to].iter().for_each(|v| put(v.map(i64::from))),
                ColumnData::Text(_) | ColumnData::Point(_) => (from..to).for_each(|_| put(None)),
            }
        }
        (Buffered::Coded { codes, .. }, _) => {
            codes.resize(codes.len() + to - from, u32::MAX);
            hashes.resize(to - from, 0);
        }
        (Buffered::Text(out), _) => {
            (from..to).for_each(|_| out.push(None));
            hashes.resize(to - from, 0);
        }
        (Buffered::Point(out), _) => {
            out.resize(out.len() + to - from, (f64::NAN, f64::NAN));
            hashes.resize(to - from, 0);
        }
    }
    hashes
}
