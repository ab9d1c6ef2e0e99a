//! One pass over the matching rows: their exact number, the best of them, and counts of values.

use crate::rules::{Factors, mentioned};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentId;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};
use zonglan_catalog::traits::Cancel;

/// A column of the index and whether it holds texts.
#[derive(Debug, Clone)]
pub(crate) struct ColumnName {
    pub name: String,
    pub text: bool,
}

/// What rows are sorted by. Rows without a value come last either way; equal rows by time, newest
/// first, then by key, so that pages neither repeat nor miss a row.
#[derive(Debug, Clone)]
pub(crate) enum Sort {
    Score,
    By { column: ColumnName, descending: bool },
}

pub(crate) struct Gather {
    /// How many of the best to keep.
    pub top: usize,
    pub sort: Sort,
    pub scoring: bool,
    /// Column of the event time.
    pub time: Option<String>,
    pub facets: Vec<ColumnName>,
    /// Column to count by day, and whether it holds instants.
    pub days: Option<(String, bool)>,
    /// Factors of scores by segment; all apply.
    pub factors: Vec<HashMap<SegmentId, Factors>>,
    /// Columns whose value is named in the query: name, text of the query, weight.
    pub mentions: Vec<(String, f32)>,
    pub text: Vec<char>,
    pub cancel: Cancel,
}

/// A counted value: a text, or the integer of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Counted {
    Text(String),
    Int(i64),
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub total: u64,
    /// Best first.
    pub top: Vec<Ranked>,
    pub facets: Vec<HashMap<Counted, u64>>,
    /// By days since 1970, local.
    pub days: BTreeMap<i64, u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ranked {
    primary: Primary,
    time: u64,
    key: u64,
    pub score: f32,
    pub address: DocAddress,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Primary {
    /// Bigger is better; the first part is 0 for rows without a value.
    Number(u8, u64),
    Text {
        value: Option<String>,
        descending: bool,
    },
}

impl Ranked {
    /// Changes the score and with it the place.
    pub fn multiply(&mut self, factor: f32) {
        self.score *= factor;
        if let Primary::Number(_, value) = &mut self.primary {
            *value = u64::from(self.score.max(0.0).to_bits());
        }
    }

    /// Less is better.
    pub fn order(&self, other: &Self) -> Ordering {
        let primary = match (&self.primary, &other.primary) {
            (Primary::Text { value: Some(a), descending }, Primary::Text { value: Some(b), .. }) => {
                if *descending {
                    b.cmp(a)
                } else {
                    a.cmp(b)
                }
            }
            (Primary::Text { value: a, .. }, Primary::Text { value: b, .. }) => b.is_some().cmp(&a.is_some()),
            (Primary::Number(a, x), Primary::Number(b, y)) => (b, y).cmp(&(a, x)),
            _ => Ordering::Equal,
        };
        primary.then(other.time.cmp(&self.time)).then(self.key.cmp(&other.key))
    }
}

impl Collector for Gather {
    type Fruit = Found;
    type Child = SegmentGather;

    fn for_segment(&self, ordinal: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentGather> {
        if self.cancel.is_cancelled() {
            return Err(tantivy::TantivyError::InternalError("cancelled".into()));
        }
        let fast = segment.fast_fields();
        let primary = match &self.sort {
            Sort::Score => PrimaryColumn::Score,
            Sort::By { column, descending } if column.text => match fast.str(&column.name)? {
                Some(values) => PrimaryColumn::Text { ords: values.ords().clone(), values, descending: *descending },
                None => PrimaryColumn::Missing { text: true, descending: *descending },
            },
            Sort::By { column, descending } => match fast.column_opt::<i64>(&column.name)? {
                Some(values) => PrimaryColumn::Int { values, descending: *descending },
                None => PrimaryColumn::Missing { text: false, descending: *descending },
            },
        };
        let time = match &self.time {
            Some(name) => fast.column_opt::<i64>(name)?,
            None => None,
        };
        let facets = self
            .facets
            .iter()
            .map(|column| {
                Ok(if column.text {
                    fast.str(&column.name)?.map_or(FacetColumn::Missing, |values| FacetColumn::Text {
                        counts: vec![0; values.num_terms()],
                        ords: values.ords().clone(),
                        values,
                    })
                } else {
                    fast.column_opt::<i64>(&column.name)?
                        .map_or(FacetColumn::Missing, |values| FacetColumn::Int { values, counts: HashMap::new() })
                })
            })
            .collect::<tantivy::Result<_>>()?;
        let days = match &self.days {
            Some((name, instant)) => fast.column_opt::<i64>(name)?.map(|values| (values, *instant)),
            None => None,
        };
        let mut mentions = Vec::new();
        for (name, weight) in &self.mentions {
            let Some(values) = fast.str(name)? else { continue };
            let mut named = Vec::with_capacity(values.num_terms());
            let mut stream = values.dictionary().stream()?;
            while stream.advance() {
                named.push(std::str::from_utf8(stream.key()).is_ok_and(|value| mentioned(value, &self.text)));
            }
            if named.contains(&true) {
                mentions.push((values.ords().clone(), named, *weight));
            }
        }
        Ok(SegmentGather {
            ordinal,
            days,
            counted: BTreeMap::new(),
            factors: self.factors.iter().filter_map(|f| f.get(&segment.segment_id()).cloned()).collect(),
            mentions,
            top: self.top,
            heap: BinaryHeap::new(),
            primary,
            time,
            key: fast.u64("key_lo")?,
            facets,
            total: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.scoring
    }

    fn merge_fruits(&self, fruits: Vec<tantivy::Result<Found>>) -> tantivy::Result<Found> {
        let mut merged = Found { facets: vec![HashMap::new(); self.facets.len()], ..Found::default() };
        for fruit in fruits {
            let fruit = fruit?;
            merged.total += fruit.total;
            merged.top.extend(fruit.top);
            for (day, count) in fruit.days {
                *merged.days.entry(day).or_default() += count;
            }
            for (all, part) in merged.facets.iter_mut().zip(fruit.facets) {
                for (value, count) in part {
                    *all.entry(value).or_default() += count;
                }
            }
        }
        merged.top.sort_by(Ranked::order);
        merged.top.truncate(self.top);
        Ok(merged)
    }
}

enum PrimaryColumn {
    Score,
    Int { values: Column<i64>, descending: bool },
    Text { values: StrColumn, ords: Column<u64>, descending: bool },
    Missing { text: bool, descending: bool },
}

impl PrimaryColumn {
    /// Comparable within the segment; bigger is better.
    fn of(&self, doc: DocId, score: Score) -> (u8, u64) {
        let directed = |value: u64, descending: bool| (1, if descending { value } else { u64::MAX - value });
        match self {
            // Scores are not negative, so their bits are in their order.
            Self::Score => (1, u64::from(score.max(0.0).to_bits())),
            Self::Int { values, descending } => values.first(doc).map_or((0, 0), |v| directed(ordered(v), *descending)),
            Self::Text { ords, descending, .. } => ords.first(doc).map_or((0, 0), |ord| directed(ord, *descending)),
            Self::Missing { .. } => (0, 0),
        }
    }

    fn global(&self, (has, value): (u8, u64)) -> tantivy::Result<Primary> {
        Ok(match self {
            Self::Text { values, descending, .. } => {
                let mut text = String::new();
                let ord = if *descending { value } else { u64::MAX - value };
                let found = has == 1 && values.ord_to_str(ord, &mut text)?;
                Primary::Text { value: found.then_some(text), descending: *descending }
            }
            Self::Missing { text: true, descending } => Primary::Text { value: None, descending: *descending },
            _ => Primary::Number(has, value),
        })
    }
}

/// An integer in the order of unsigned ones.
fn ordered(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

enum FacetColumn {
    Text { values: StrColumn, ords: Column<u64>, counts: Vec<u64> },
    Int { values: Column<i64>, counts: HashMap<i64, u64> },
    Missing,
}

/// Better entries are greater: primary, time, key, document, bits of the score.
type Entry = ((u8, u64), u64, u64, DocId, u32);

pub(crate) struct SegmentGather {
    ordinal: SegmentOrdinal,
    top: usize,
    heap: BinaryHeap<Reverse<Entry>>,
    primary: PrimaryColumn,
    time: Option<Column<i64>>,
    key: Column<u64>,
    facets: Vec<FacetColumn>,
    days: Option<(Column<i64>, bool)>,
    counted: BTreeMap<i64, u64>,
    factors: Vec<Factors>,
    /// Values by document, which of them are named, weight.
    mentions: Vec<(Column<u64>, Vec<bool>, f32)>,
    total: u64,
}

impl SegmentGather {
    /// The score of the words and what else speaks for the document.
    fn weighed(&self, doc: DocId, score: Score) -> Score {
        let factor: f32 = self.factors.iter().filter_map(|f| f.get(doc as usize)).product();
        let named = self.mentions.iter().filter(|(ords, named, _)| {
            ords.values_for_doc(doc).any(|ord| named.get(ord as usize).copied().unwrap_or(false))
        });
        score.max(0.0) * (factor + named.map(|(_, _, weight)| weight).sum::<f32>())
    }
}

/// The local day of an instant. Shanghai is eight hours ahead but for summer time from 1986 to 1991
/// and the years before 1950, which the table of the zone knows.
fn local_day(ms: i64) -> i64 {
    const STEADY: i64 = 694_224_000_000; // 1992-01-01
    if ms >= STEADY {
        return (ms + 8 * 3_600_000).div_euclid(86_400_000);
    }
    i64::from(zonglan_catalog::batch::days(zonglan_catalog::time::to_local(ms).date()))
}

impl SegmentCollector for SegmentGather {
    type Fruit = tantivy::Result<Found>;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.total += 1;
        for facet in &mut self.facets {
            match facet {
                FacetColumn::Text { ords, counts, .. } => {
                    if let Some(count) = ords.first(doc).and_then(|ord| counts.get_mut(ord as usize)) {
                        *count += 1;
                    }
                }
                FacetColumn::Int { values, counts } => {
                    if let Some(value) = values.first(doc) {
                        *counts.entry(value).or_default() += 1;
                    }
                }
                FacetColumn::Missing => {}
            }
        }
        if let Some((values, instant)) = &self.days
            && let Some(value) = values.first(doc)
        {
            *self.counted.entry(if *instant { local_day(value) } else { value }).or_default() += 1;
        }
        if self.top == 0 {
            return;
        }
        let score = self.weighed(doc, score);
        let primary = self.primary.of(doc, score);
        let full = self.heap.len() >= self.top;
        if full && self.heap.peek().is_some_and(|Reverse(worst)| primary < worst.0) {
            return;
        }
        let time = self.time.as_ref().and_then(|t| t.first(doc)).map_or(0, ordered);
        let key = u64::MAX - self.key.first(doc).unwrap_or_default();
        let entry = Reverse((primary, time, key, doc, score.max(0.0).to_bits()));
        if !full {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    fn harvest(self) -> tantivy::Result<Found> {
        let top = self
            .heap
            .into_iter()
            .map(|Reverse((primary, time, key, doc, score))| {
                Ok(Ranked {
                    primary: self.primary.global(primary)?,
                    time,
                    key: u64::MAX - key,
                    score: f32::from_bits(score),
                    address: DocAddress::new(self.ordinal, doc),
                })
            })
            .collect::<tantivy::Result<_>>()?;
        let facets = self
            .facets
            .into_iter()
            .map(|facet| {
                Ok(match facet {
                    FacetColumn::Text { values, counts, .. } => {
                        let mut named = HashMap::new();
                        for (ord, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                            let mut text = String::new();
                            values.ord_to_str(ord as u64, &mut text)?;
                            named.insert(Counted::Text(text), count);
                        }
                        named
                    }
                    FacetColumn::Int { counts, .. } => counts.into_iter().map(|(v, n)| (Counted::Int(v), n)).collect(),
                    FacetColumn::Missing => HashMap::new(),
                })
            })
            .collect::<tantivy::Result<_>>()?;
        Ok(Found { total: self.total, top, facets, days: self.counted })
    }
}
