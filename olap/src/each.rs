//! Every row of a bound rows query, for computations over whole datasets: no order, no page, no
//! copy of what is not asked for.

use crate::column::Column;
use crate::error::{OlapError, Result};
use crate::pred::{Bound, Pred};
use crate::scan::{self, field_span};
use crate::store::Store;
use std::sync::Arc;
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::traits::Cancel;

/// Rows between two looks at `Cancel`.
const CHUNK: usize = 65_536;

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
        if let Some(hidden) = bound.masks().keys().next() {
            return Err(OlapError::Query(format!("字段 '{hidden}' 不可见，不能用于计算")));
        }
        let inner = &self.0;
        let catalogue = inner.catalogue();
        let part = &bound.parts()[0];
        let dataset = &part.dataset;
        let Some(snapshot) = inner.snapshot(&dataset.name) else { return Ok(0) };
        let filter = Pred::new(inner, &catalogue, dataset, &part.row_rule)?.and(Pred::new(
            inner,
            &catalogue,
            dataset,
            &part.filter,
        )?);
        let time = dataset.time.as_ref().and_then(|name| dataset.field_index(name));
        let spans = if bound.span().is_all() { Vec::new() } else { vec![bound.span()] };
        let fields: Vec<usize> = bound
            .query()
            .rows
            .iter()
            .map(|name| dataset.field_index(name).ok_or_else(|| OlapError::Query(format!("没有字段 '{name}'"))))
            .collect::<Result<_>>()?;
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
            let columns: Vec<Arc<Column>> =
                fields.iter().map(|f| inner.column(&view.segment, &dataset.field[*f])).collect::<Result<_>>()?;
            let sidecar = &view.segment.sidecar;
            for chunk in ranges.into_iter().flat_map(|range| scan::cut(range, CHUNK)) {
                if cancel.is_cancelled() {
                    return Err(OlapError::Cancelled);
                }
                scan::select(view, &filter, &chunk, &mut mask, &mut rows);
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
}
