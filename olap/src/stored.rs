//! All rows of a dataset as they were written, for a store that is to be filled anew from this one.

use crate::column::Column;
use crate::error::Result;
use crate::store::Store;
use std::sync::Arc;
use zonglan_catalog::batch::{Batch, RowKey, date_of};
use zonglan_catalog::dataset::{Dataset, Field, FieldType};
use zonglan_catalog::value::Value;

impl Store {
    /// Calls `emit` with every live row of the last commit, in batches of at most `size` rows, until
    /// it returns false. No policy is applied: the rows may go to another store only. Blocking;
    /// holds the columns of one segment at a time.
    pub fn batches(
        &self,
        dataset: &Arc<Dataset>,
        size: usize,
        emit: &mut dyn FnMut(&Batch) -> std::result::Result<bool, zonglan_catalog::Error>,
    ) -> std::result::Result<(), zonglan_catalog::Error> {
        let inner = &self.0;
        if let Some(remote) = &inner.remote {
            return remote.batches(dataset, size, emit);
        }
        let Some(snapshot) = inner.snapshot(&dataset.name) else { return Ok(()) };
        for view in snapshot.views.iter().filter(|v| v.live > 0) {
            let columns: Vec<Arc<Column>> =
                dataset.field.iter().map(|f| inner.column(&view.segment, f)).collect::<Result<_>>()?;
            let sidecar = &view.segment.sidecar;
            let mut batch = Batch::new(dataset);
            for row in (0..view.segment.rows()).filter(|row| view.is_live(*row)) {
                for ((field, column), into) in dataset.field.iter().zip(&columns).zip(&mut batch.columns) {
                    into.push(&cell(field, column, row), field.scale);
                }
                batch.keys.push(RowKey(sidecar.key(row as u32)));
                if batch.len() >= size {
                    if !emit(&batch)? {
                        return Ok(());
                    }
                    batch = Batch::new(dataset);
                }
            }
            if !batch.is_empty() && !emit(&batch)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn cell(field: &Field, column: &Column, row: usize) -> Value {
    match column {
        Column::Dict { .. } => column.text(row).map_or(Value::Null, |t| Value::Text(t.to_string())),
        Column::Int { .. } => column.int(row).map_or(Value::Null, |v| typed(field, v)),
        Column::Point(_) => column.point(row).map_or(Value::Null, |(x, y)| Value::Point(x, y)),
        Column::Missing => Value::Null,
    }
}

/// The value that a stored number stands for.
pub fn typed(field: &Field, v: i64) -> Value {
    match field.kind {
        FieldType::Decimal => Value::Decimal { units: v, scale: field.scale },
        FieldType::Bool => Value::Bool(v != 0),
        FieldType::Date => Value::Date(date_of(v as i32)),
        FieldType::Instant => Value::Instant(v),
        _ => Value::Int(v),
    }
}
