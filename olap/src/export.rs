//! Answers as Parquet, written row group by row group to any writer, such as the body of a response.

use crate::error::{OlapError, Result};
use polars::io::parquet::write::{
    BatchedWriter, KeyValueMetadata, ParquetCompression, ParquetWriter, StatisticsOptions,
};
use polars::prelude::{
    BooleanChunked, Column as Series, DataFrame, Float64Chunked, Int64Chunked, IntoColumn, NewChunkedArray, PlSmallStr,
    StringChunked,
};
use std::io::Write;
use zonglan_catalog::table::{Column, ColumnType};
use zonglan_catalog::value::Value;

/// Rows of a row group.
const ROWS: usize = 50_000;

/// Writes one table. Whole numbers are INT64, decimals and other numbers DOUBLE, truth values
/// BOOLEAN, points two columns `.lon` and `.lat`, everything else UTF-8 text as the API writes it
/// (dates `2025-01-31`, instants with zone), codes as codes. Memory holds one row group.
pub struct ParquetTable<W: Write> {
    out: Option<W>,
    writer: Option<BatchedWriter<W>>,
    columns: Vec<Column>,
    /// What the file says of itself, as key-value metadata.
    about: Vec<(String, String)>,
    rows: Vec<Vec<Value>>,
}

impl<W: Write> ParquetTable<W> {
    pub fn new(out: W, about: Vec<(String, String)>) -> Self {
        Self { out: Some(out), writer: None, columns: Vec::new(), about, rows: Vec::new() }
    }

    pub fn begin(&mut self, columns: &[Column]) -> Result<()> {
        self.columns = columns.to_vec();
        let Some(out) = self.out.take() else { return Err(OlapError::Internal("the file was begun twice".into())) };
        let schema = frame(&self.columns, &[])?.schema().as_ref().clone();
        let writer = ParquetWriter::new(out)
            .with_compression(ParquetCompression::Lz4Raw)
            .with_statistics(StatisticsOptions::default())
            .set_parallel(false)
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(self.about.clone())))
            .batched(&schema)?;
        self.writer = Some(writer);
        Ok(())
    }

    pub fn row(&mut self, row: &[Value]) -> Result<()> {
        self.rows.push(row.to_vec());
        if self.rows.len() >= ROWS { self.group() } else { Ok(()) }
    }

    pub fn finish(&mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        if let Some(writer) = &self.writer {
            writer.finish()?;
        }
        Ok(())
    }

    fn group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let frame = frame(&self.columns, &rows)?;
        match &mut self.writer {
            Some(writer) => Ok(writer.write_batch(&frame)?),
            None => Err(OlapError::Internal("the file was not begun".into())),
        }
    }
}

fn frame(columns: &[Column], rows: &[Vec<Value>]) -> Result<DataFrame> {
    let mut all: Vec<Series> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let name = PlSmallStr::from_str(&column.name);
        let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
        match column.kind {
            ColumnType::Int => all.push(
                Int64Chunked::from_iter_options(
                    name,
                    cells.map(|v| if let Value::Int(n) = v { Some(*n) } else { None }),
                )
                .into_column(),
            ),
            ColumnType::Decimal | ColumnType::Float => {
                all.push(Float64Chunked::from_iter_options(name, cells.map(Value::as_f64)).into_column());
            }
            ColumnType::Bool => all.push(
                BooleanChunked::from_iter_options(
                    name,
                    cells.map(|v| if let Value::Bool(b) = v { Some(*b) } else { None }),
                )
                .into_column(),
            ),
            ColumnType::Point => {
                let part = |suffix: &str, pick: fn(&Value) -> Option<f64>| {
                    let name = PlSmallStr::from_string(format!("{}.{suffix}", column.name));
                    Float64Chunked::from_iter_options(name, cells.clone().map(pick)).into_column()
                };
                all.push(part("lon", |v| if let Value::Point(x, _) = v { Some(*x) } else { None }));
                all.push(part("lat", |v| if let Value::Point(_, y) = v { Some(*y) } else { None }));
            }
            _ => {
                let texts = cells.map(|v| (!v.is_null()).then(|| v.to_text()));
                all.push(StringChunked::from_iter_options(name, texts).into_column());
            }
        }
    }
    Ok(DataFrame::new(rows.len(), all)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::io::SerReader;
    use polars::io::parquet::read::ParquetReader;
    use std::sync::{Arc, Mutex};
    use zonglan_catalog::table::ColumnRole;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let out = Shared::default();
        let column = |name: &str, kind| Column::new(name, kind, ColumnRole::Row);
        let columns = [
            column("n", ColumnType::Int),
            column("loss", ColumnType::Decimal),
            column("open", ColumnType::Bool),
            column("day", ColumnType::Date),
            column("at", ColumnType::Point),
        ];
        let mut writer = ParquetTable::new(out.clone(), vec![("exported_by".into(), "分析员".into())]);
        writer.begin(&columns).expect("begins");
        for n in 0..ROWS as i64 + 10 {
            let day = Value::Date("2025-01-31".parse().expect("date"));
            writer
                .row(&[
                    Value::Int(n),
                    Value::Decimal { units: n, scale: 2 },
                    if n == 0 { Value::Null } else { Value::Bool(n % 2 == 0) },
                    day,
                    Value::Point(121.5, 31.2),
                ])
                .expect("row");
        }
        assert!(!out.0.lock().expect("lock").is_empty(), "the first group is out before the end");
        writer.finish().expect("ends");
        let bytes = out.0.lock().expect("lock").clone();
        assert!(bytes.windows("exported_by".len()).any(|w| w == b"exported_by"));
        let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().expect("reads");
        assert_eq!(frame.shape(), (ROWS + 10, 6));
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["n", "loss", "open", "day", "at.lon", "at.lat"]);
        let of = |name: &str| frame.column(name).expect("a column").clone();
        assert_eq!(of("n").i64().expect("integers").get(50_003), Some(50_003));
        assert_eq!(of("loss").f64().expect("numbers").get(7), Some(0.07));
        assert_eq!(of("open").bool().expect("truth").get(0), None);
        assert_eq!(of("day").str().expect("text").get(3), Some("2025-01-31"));
        assert_eq!(of("at.lat").f64().expect("numbers").get(9), Some(31.2));
    }
}
