//! The rows behind a number: which rows first, from narrow columns, then their cells.

use crate::column::Column;
use crate::dims::DimVal;
use crate::error::{OlapError, Result};
use crate::finish::nulls_last;
use crate::pred::{Bound, Pred};
use crate::scan::{self, Stop, field_span};
use crate::segment::Cell;
use crate::store::Inner;
use crate::stored::typed;
use crate::table::{Snapshot, View};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use zonglan_catalog::bind::{BoundQuery, mask};
use zonglan_catalog::dataset::{Dataset, Field, FieldType};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::query::MAX_LIMIT;
use zonglan_catalog::table::{Column as Heading, ColumnRole, Table};
use zonglan_catalog::value::Value;

const DEFAULT_LIMIT: usize = 50;

/// Where a page ended: the values it is ordered by and the row's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    values: Vec<DimVal>,
    key: String,
}

/// A field to order by. Rows are numbered within a segment so that order is order of numbers.
pub struct Order {
    pub field: usize,
    pub descending: bool,
}

/// A row that may be on the page.
struct Candidate {
    values: Vec<DimVal>,
    key: u128,
    view: usize,
    row: u32,
}

/// Answers a rows query. Order: as asked, else newest first; nulls last; ties by row key.
pub fn run(
    inner: &Inner,
    catalogue: &Catalogue,
    bound: &BoundQuery,
    snapshot: &Snapshot,
    cancel: &Stop,
) -> Result<(Table, u64)> {
    let part = &bound.parts()[0];
    let dataset = &part.dataset;
    let page = Page::new(bound, dataset)?;
    let (orders, limit) = (&page.orders, page.limit);
    let filter =
        Pred::new(inner, catalogue, dataset, &part.row_rule)?.and(Pred::new(inner, catalogue, dataset, &part.filter)?);
    let time = dataset.time.as_ref().and_then(|name| dataset.field_index(name));
    let spans = if bound.span().is_all() { Vec::new() } else { vec![bound.span()] };
    let chosen: Vec<usize> = (0..snapshot.views.len())
        .filter(|i| {
            let view = &snapshot.views[*i];
            let early = time.is_some_and(|t| {
                !spans.is_empty() && {
                    let (low, high) = field_span(dataset, t, bound.span());
                    Pred::Range(t, low, high).excludes(view, dataset)
                }
            });
            view.live > 0 && !early && !filter.excludes(view, dataset)
        })
        .collect();
    let search = Search { inner, dataset, filter: &filter, orders, after: page.after.as_ref(), limit, cancel };
    let found: Vec<(u64, u64, Vec<Candidate>)> = chosen
        .par_iter()
        .map(|index| {
            let view = &snapshot.views[*index];
            let (ranges, rest) = scan::time_rows(inner, view, dataset, time, &spans)?;
            search.segment(*index, view, ranges, rest)
        })
        .collect::<Result<_>>()?;
    let total = found.iter().map(|f| f.0).sum();
    let scanned = found.iter().map(|f| f.1).sum();
    let mut candidates: Vec<Candidate> = found.into_iter().flat_map(|f| f.2).collect();
    candidates.sort_unstable_by(|a, b| compare(orders, (&a.values, a.key), (&b.values, b.key)));
    let more = candidates.len() > limit;
    candidates.truncate(limit);

    let columns: Vec<Vec<Value>> = page
        .fields
        .par_iter()
        .map(|field| cells(inner, snapshot, &dataset.field[*field], &candidates))
        .collect::<Result<_>>()?;
    let mut rows: Vec<Vec<Value>> = candidates.iter().map(|_| Vec::with_capacity(columns.len())).collect();
    for column in columns {
        rows.iter_mut().zip(column).for_each(|(row, value)| row.push(value));
    }
    let last = candidates.pop().filter(|_| more).map(|c| (c.values, c.key));
    Ok((page.table(bound, dataset, rows, total, last)?, scanned))
}

/// What a rows query asks for, apart from which rows.
pub struct Page {
    pub orders: Vec<Order>,
    pub fields: Vec<usize>,
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<(Vec<DimVal>, u128)>,
}

impl Page {
    pub fn new(bound: &BoundQuery, dataset: &Dataset) -> Result<Self> {
        let query = bound.query();
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let mut orders = Vec::new();
        for name in &query.order {
            let (name, descending) = name.strip_prefix('-').map_or((name.as_str(), false), |n| (n, true));
            let field =
                dataset.field_index(name).ok_or_else(|| OlapError::Query(format!("order: 没有字段 '{name}'")))?;
            if dataset.field[field].kind == FieldType::Point
                || dataset.field[field].search == zonglan_catalog::dataset::SearchMode::Zh
            {
                return Err(OlapError::Query(format!("不能按字段 '{name}' 排序 (cannot order by it)")));
            }
            // The order of what is hidden tells of it.
            if bound.masks().contains_key(name) {
                return Err(OlapError::Query(format!("不能按不可见的字段 '{name}' 排序")));
            }
            orders.push(Order { field, descending });
        }
        if orders.is_empty()
            && let Some(field) = dataset.time.as_ref().and_then(|name| dataset.field_index(name))
        {
            orders.push(Order { field, descending: true });
        }
        let after = query.cursor.as_deref().map(|text| read_cursor(text, orders.len())).transpose()?;
        let fields: Vec<usize> = query
            .rows
            .iter()
            .map(|name| dataset.field_index(name).ok_or_else(|| OlapError::Query(format!("没有字段 '{name}'"))))
            .collect::<Result<_>>()?;
        Ok(Self { orders, fields, limit, after })
    }

    /// The answer with its rows masked; `last`, where there is another page, is where this one ends.
    pub fn table(
        &self,
        bound: &BoundQuery,
        dataset: &Dataset,
        mut rows: Vec<Vec<Value>>,
        total: u64,
        last: Option<(Vec<DimVal>, u128)>,
    ) -> Result<Table> {
        for (at, field) in self.fields.iter().enumerate() {
            if let Some(how) = bound.masks().get(&dataset.field[*field].name) {
                rows.iter_mut().for_each(|row| row[at] = mask(&row[at], *how));
            }
        }
        let headings = self
            .fields
            .iter()
            .map(|f| {
                let field = &dataset.field[*f];
                let kind = if bound.masks().contains_key(&field.name) && !field.kind.is_textual() {
                    FieldType::Text
                } else {
                    field.kind
                };
                let mut heading = Heading::new(field.name.clone(), kind.into(), ColumnRole::Row);
                heading.unit = field.unit.clone().unwrap_or_default();
                heading
            })
            .collect();
        let mut table = Table { columns: headings, rows, ..Table::default() };
        table.meta.total = Some(total);
        if let Some((values, key)) = last {
            table.meta.cursor = Some(write_cursor(&Position { values, key: format!("{key:032x}") })?);
        }
        Ok(table)
    }
}

struct Search<'a> {
    inner: &'a Inner,
    dataset: &'a Dataset,
    filter: &'a Pred,
    orders: &'a [Order],
    after: Option<&'a (Vec<DimVal>, u128)>,
    limit: usize,
    cancel: &'a Stop,
}

impl Search<'_> {
    /// Matches, rows scanned and the first rows of one segment. One more than the limit is kept,
    /// to know whether there is another page.
    fn segment(
        &self,
        index: usize,
        view: &View,
        ranges: Vec<Range<usize>>,
        rest: Pred,
    ) -> Result<(u64, u64, Vec<Candidate>)> {
        let keep = self.limit + 1;
        let filter = rest.and(self.filter.clone()).bind(self.inner, view, self.dataset)?;
        let scanned = ranges.iter().map(|r| r.len() as u64).sum();
        if matches!(filter, Bound::Nothing) {
            return Ok((0, scanned, Vec::new()));
        }
        let columns: Vec<Arc<Column>> = self
            .orders
            .iter()
            .map(|o| self.inner.column(&view.segment, &self.dataset.field[o.field]))
            .collect::<Result<_>>()?;
        let ranks: Vec<Rank> =
            columns.iter().zip(self.orders).map(|(c, o)| Rank::new(c.clone(), o.descending)).collect();
        let bar: Option<Vec<i64>> =
            self.after.map(|(values, _)| ranks.iter().zip(values).map(|(rank, value)| rank.of_value(value)).collect());
        let sidecar = &view.segment.sidecar;
        let rank =
            |row: u32| -> [i64; 2] { [ranks.first().map_or(0, |r| r.of(row)), ranks.get(1).map_or(0, |r| r.of(row))] };
        let order = |a: u32, b: u32| {
            let firsts = rank(a).cmp(&rank(b));
            let others =
                || ranks.iter().skip(2).map(|r| r.of(a).cmp(&r.of(b))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal);
            firsts.then_with(others).then_with(|| sidecar.key(a).cmp(&sidecar.key(b)))
        };
        let is_after = |row: u32| match (&bar, self.after) {
            (Some(bar), Some((_, key))) => ranks
                .iter()
                .zip(bar)
                .map(|(r, b)| r.of(row).cmp(b))
                .find(|o| o.is_ne())
                .unwrap_or_else(|| sidecar.key(row).cmp(key))
                .is_gt(),
            _ => true,
        };
        let (mut total, mut best): (u64, Vec<u32>) = (0, Vec::new());
        let mut mask = vec![0u64; 1024];
        let mut rows = Vec::new();
        // The worst rank that can still be on the page, once it is full.
        let mut worst: Option<i64> = None;
        for range in ranges.into_iter().rev() {
            let chunks: Vec<Range<usize>> = scan::cut(range, 65_536).collect();
            for chunk in chunks.into_iter().rev() {
                if self.cancel.is_cancelled() {
                    return Err(OlapError::Cancelled);
                }
                scan::select(view, &filter, &chunk, &mut mask, &mut rows);
                total += rows.len() as u64;
                // From the end: there are the newest rows, which most pages show.
                for row in rows.iter().rev() {
                    if worst.is_some_and(|w| ranks[0].of(*row) > w) || !is_after(*row) {
                        continue;
                    }
                    best.push(*row);
                    if best.len() >= keep * 4 + 256 {
                        best.select_nth_unstable_by(keep - 1, |a, b| order(*a, *b));
                        best.truncate(keep);
                        worst = if ranks.is_empty() { None } else { best.iter().map(|r| ranks[0].of(*r)).max() };
                    }
                }
            }
        }
        best.sort_unstable_by(|a, b| order(*a, *b));
        best.truncate(keep);
        let value = |column: &Column, row: u32| match column.text(row as usize) {
            Some(text) => DimVal::Text(text.into()),
            None => column.int(row as usize).map_or(DimVal::Null, DimVal::Int),
        };
        let candidates = best
            .into_iter()
            .map(|row| Candidate {
                values: columns.iter().map(|c| value(c, row)).collect(),
                key: sidecar.key(row),
                view: index,
                row,
            })
            .collect();
        Ok((total, scanned, candidates))
    }
}

/// Numbers that sort as a column's values do, in the direction asked, nulls last.
struct Rank {
    column: Arc<Column>,
    descending: bool,
    /// For text: twice the place of each code in order.
    places: Vec<i64>,
    sorted: Vec<u32>,
}

impl Rank {
    fn new(column: Arc<Column>, descending: bool) -> Self {
        let (mut places, mut sorted) = (Vec::new(), Vec::new());
        if let Column::Dict { dict, .. } = &*column {
            sorted = (0..dict.len() as u32).collect();
            sorted.sort_unstable_by(|a, b| dict.get(*a as usize).cmp(dict.get(*b as usize)));
            places = vec![0; dict.len()];
            sorted.iter().enumerate().for_each(|(place, code)| places[*code as usize] = place as i64 * 2);
        }
        Self { column, descending, places, sorted }
    }

    fn turn(&self, place: Option<i64>) -> i64 {
        match place {
            None => i64::MAX,
            Some(place) if self.descending => -place,
            Some(place) => place,
        }
    }

    #[inline]
    fn of(&self, row: u32) -> i64 {
        self.turn(match &*self.column {
            Column::Dict { codes, .. } => self.places.get(codes.get(row as usize) as usize).copied(),
            column => column.int(row as usize),
        })
    }

    /// The rank of a value of another segment: between two ranks where it does not occur here.
    fn of_value(&self, value: &DimVal) -> i64 {
        self.turn(match (value, &*self.column) {
            (DimVal::Null, _) => None,
            (DimVal::Int(v), _) => Some(*v),
            (DimVal::Text(text), Column::Dict { dict, .. }) => {
                Some(match self.sorted.binary_search_by(|code| dict.get(*code as usize).cmp(text)) {
                    Ok(place) => place as i64 * 2,
                    Err(place) => place as i64 * 2 - 1,
                })
            }
            (DimVal::Text(_), _) => None,
        })
    }
}

fn compare(orders: &[Order], a: (&[DimVal], u128), b: (&[DimVal], u128)) -> Ordering {
    let one = |a: &DimVal, b: &DimVal, descending: bool| match (a, b) {
        (DimVal::Null, _) | (_, DimVal::Null) => nulls_last(&plain(a), &plain(b), descending),
        _ if descending => b.cmp(a),
        _ => a.cmp(b),
    };
    orders
        .iter()
        .zip(a.0.iter().zip(b.0))
        .map(|(o, (a, b))| one(a, b, o.descending))
        .find(|o| o.is_ne())
        .unwrap_or_else(|| a.1.cmp(&b.1))
}

fn plain(value: &DimVal) -> Value {
    if *value == DimVal::Null { Value::Null } else { Value::Int(0) }
}

/// One field of the page's rows, from memory where it is there, else only the row groups needed.
fn cells(inner: &Inner, snapshot: &Snapshot, field: &Field, page: &[Candidate]) -> Result<Vec<Value>> {
    let mut out = vec![Value::Null; page.len()];
    let mut order: Vec<usize> = (0..page.len()).collect();
    order.sort_unstable_by_key(|i| page[*i].view);
    for group in order.chunk_by(|a, b| page[*a].view == page[*b].view) {
        let segment = &snapshot.views[page[group[0]].view].segment;
        let Some(place) = segment.place(&field.name, field.kind) else { continue };
        if let Some(column) = inner.cache.peek((segment.uid, place as u32, field.scale)) {
            for i in group {
                let row = page[*i].row as usize;
                out[*i] = match &*column {
                    Column::Dict { .. } => column.text(row).map_or(Value::Null, |t| Value::Text(t.to_string())),
                    Column::Int { .. } => column.int(row).map_or(Value::Null, |v| typed(field, v)),
                    Column::Point(_) => column.point(row).map_or(Value::Null, |(x, y)| Value::Point(x, y)),
                    Column::Missing => Value::Null,
                };
            }
            continue;
        }
        let rows: Vec<u32> = group.iter().map(|i| page[*i].row).collect();
        for (i, cell) in group.iter().zip(segment.cells(place, field.scale, &rows)?) {
            out[*i] = value(field, cell);
        }
    }
    Ok(out)
}

/// A cell of a field.
pub fn value(field: &Field, cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(v) => typed(field, v),
        Cell::Text(text) => Value::Text(text),
        Cell::Point(x, y) => Value::Point(x, y),
    }
}

fn write_cursor(position: &Position) -> Result<String> {
    let json = serde_json::to_vec(position).map_err(|e| OlapError::Internal(e.to_string()))?;
    Ok(json.iter().map(|b| format!("{b:02x}")).collect())
}

fn read_cursor(text: &str, orders: usize) -> Result<(Vec<DimVal>, u128)> {
    let bad = || OlapError::Query("cursor 无效，请从第一页重新开始 (start again from the first page)".into());
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(bad());
    }
    let bytes: Vec<u8> = (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16))
        .collect::<Result<_, _>>()
        .map_err(|_| bad())?;
    let position: Position = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if position.values.len() != orders {
        return Err(bad());
    }
    Ok((position.values, u128::from_str_radix(&position.key, 16).map_err(|_| bad())?))
}
