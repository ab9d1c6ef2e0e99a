//! Every row of a bound rows query, for computations over whole datasets: no order, no page, no
//! copy of what is not asked for.

use crate::column::Column;
use crate::error::{OlapError, Result};
use crate::manifest::SegmentMeta;
use crate::pred::{Bound, Pred};
use crate::scan::{self, field_span};
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use zonglan_catalog::Dataset;
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::traits::Cancel;

/// Rows between two looks at `Cancel`.
const CHUNK: usize = 65_536;

/// Segments of a dataset by number, each with the number of its file of deleted rows.
pub type Marks = BTreeMap<u64, u64>;

/// A row as stored. Fields are numbered as the query names them.
pub struct Row<'a> {
    columns: &'a [Arc<Column>],
    row: usize,
    key: u128,
    content: u64,
}

impl Row<'_> {
    /// The text of a text, code, region or reference field.
    pub fn text(&self, field: usize) -> Option<&str> {
        self.columns[field].text(self.row)
    }

    /// The number of an int, decimal (in units of its scale), bool, date (days) or instant (milliseconds) field.
    pub fn int(&self, field: usize) -> Option<i64> {
        self.columns[field].int(self.row)
    }

    /// The row's key.
    pub fn key(&self) -> u128 {
        self.key
    }

    /// A hash of the row's content: another content has, but for accidents, another hash.
    pub fn content(&self) -> u64 {
        self.content
    }
}

impl Store {
    /// Calls `emit` with every row that a rows query reaches, whatever its limit; returns their
    /// number. Order is that of the store. Blocking.
    ///
    /// # Errors
    /// A field that the asker sees masked only: figures must not be computed from masks.
    pub fn each(&self, bound: &BoundQuery, cancel: &Cancel, emit: &mut dyn FnMut(&Row<'_>)) -> Result<u64> {
        self.each_picked(bound, None, cancel, emit)
    }

    /// As [`Self::each`], for rows only whose first field is one that `pick` wants: other fields are
    /// not read where nothing is wanted.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn each_picked(
        &self,
        bound: &BoundQuery,
        pick: Option<&dyn Fn(&str) -> bool>,
        cancel: &Cancel,
        emit: &mut dyn FnMut(&Row<'_>),
    ) -> Result<u64> {
        if let Some(hidden) = bound.masks().keys().next() {
            return Err(OlapError::Query(format!("字段 '{hidden}' 不可见，不能用于计算")));
        }
        let inner = &self.0;
        let catalogue = inner.catalogue();
        let part = &bound.parts()[0];
        let dataset = &part.dataset;
        let fields: Vec<usize> = bound
            .query()
            .rows
            .iter()
            .map(|name| dataset.field_index(name).ok_or_else(|| OlapError::Query(format!("没有字段 '{name}'"))))
            .collect::<Result<_>>()?;
        if let Some(remote) = &inner.remote {
            let mut total = 0;
            remote.each(inner, &catalogue, bound, &fields, &mut |keys, contents, columns| {
                if cancel.is_cancelled() {
                    return Err(OlapError::Cancelled);
                }
                total += keys.len() as u64;
                for (row, (key, content)) in keys.iter().zip(contents).enumerate() {
                    emit(&Row { columns, row, key: *key, content: *content });
                }
                Ok(())
            })?;
            return Ok(total);
        }
        let Some(snapshot) = inner.snapshot(&dataset.name) else { return Ok(0) };
        let filter = Pred::new(inner, &catalogue, dataset, &part.row_rule)?.and(Pred::new(
            inner,
            &catalogue,
            dataset,
            &part.filter,
        )?);
        let time = dataset.time.as_ref().and_then(|name| dataset.field_index(name));
        let spans = if bound.span().is_all() { Vec::new() } else { vec![bound.span()] };
        let (mut total, mut mask, mut rows) = (0, vec![0u64; CHUNK / 64], Vec::new());
        for view in &snapshot.views {
            let early = time.filter(|_| !spans.is_empty()).is_some_and(|t| {
                let (low, high) = field_span(dataset, t, bound.span());
                Pred::Range(t, low, high).excludes(view, dataset)
            });
            if view.live == 0 || early || filter.excludes(view, dataset) {
                continue;
            }
            let (ranges, rest) = scan::time_rows(inner, view, dataset, time, &spans)?;
            let filter = rest.and(filter.clone()).bind(inner, view, dataset)?;
            if matches!(filter, Bound::Nothing) {
                continue;
            }
            let column = |f: &usize| inner.column(&view.segment, &dataset.field[*f]);
            let mut columns: Vec<Arc<Column>> = match pick {
                Some(_) => fields.iter().take(1).map(column).collect::<Result<_>>()?,
                None => fields.iter().map(column).collect::<Result<_>>()?,
            };
            let sidecar = &view.segment.sidecar;
            for chunk in ranges.into_iter().flat_map(|range| scan::cut(range, CHUNK)) {
                if cancel.is_cancelled() {
                    return Err(OlapError::Cancelled);
                }
                scan::select(view, &filter, &chunk, &mut mask, &mut rows);
                if let (Some(pick), Some(first)) = (pick, columns.first().cloned()) {
                    rows.retain(|row| first.text(*row as usize).is_some_and(pick));
                    if rows.is_empty() {
                        continue;
                    }
                    if columns.len() < fields.len() {
                        columns = fields.iter().map(column).collect::<Result<_>>()?;
                    }
                }
                total += rows.len() as u64;
                for row in &rows {
                    emit(&Row {
                        columns: &columns,
                        row: *row as usize,
                        key: sidecar.key(*row),
                        content: sidecar.hash(*row),
                    });
                }
            }
        }
        Ok(total)
    }
    /// Where a reader stands: segments, each with the number of its file of deleted rows (0: none).
    /// Taken before a read, it misses nothing that comes later.
    pub fn marks(&self, dataset: &str) -> Marks {
        let number = |meta: &SegmentMeta| (meta.id, meta.deleted.map_or(0, |(number, _)| number));
        self.0.snapshot(dataset).map(|s| s.manifest.segments.iter().map(number).collect()).unwrap_or_default()
    }

    /// Calls `emit` with the texts of a field in all rows that may have come or gone since `marks`: more
    /// than those after a merge of segments, and fewer where whole segments have gone. `None` is passed
    /// for rows without the field. What is counted afterwards must be compared with what was counted.
    ///
    /// # Errors
    /// A segment that cannot be read, or a dataset without the field.
    pub fn since(&self, dataset: &Dataset, field: &str, marks: &Marks, emit: &mut dyn FnMut(&str)) -> Result<()> {
        let inner = &self.0;
        let field = dataset.field(field).ok_or_else(|| OlapError::Query(format!("没有字段 '{field}'")))?;
        let Some(snapshot) = inner.snapshot(&dataset.name) else { return Ok(()) };
        for (view, meta) in snapshot.views.iter().zip(&snapshot.manifest.segments) {
            let number = meta.deleted.map_or(0, |(number, _)| number);
            let before = marks.get(&meta.id).copied();
            if before == Some(number) {
                continue;
            }
            let column = inner.column(&view.segment, field)?;
            for row in 0..view.segment.rows() {
                // Of a segment that was read, rows may have gone; of a new one, rows have come.
                if view.is_live(row) == before.is_none()
                    && let Some(text) = column.text(row)
                {
                    emit(text);
                }
            }
        }
        Ok(())
    }
}
