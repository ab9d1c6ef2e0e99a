//! Parquet files, a part of a row group at a time.

use super::{Body, CellTable, Emit, Header, Layout, Opened, Piece, Position, Reader, Stop};
use crate::detect::Format;
use crate::error::{IngestError, Result};
use crate::split::Dialect;
use polars::prelude::{
    AnyValue, DataFrame, FileMetadataRef, ParallelStrategy, ParquetReader, PolarsError, SerReader, TimeUnit,
};
use std::fmt::Write as _;
use std::fs::File;

/// Rows decoded at once. Larger than a piece elsewhere: the start of a slice costs.
const SLICE: usize = 131_072;

pub(crate) struct ParquetSource {
    file: File,
    name: String,
    metadata: FileMetadataRef,
    position: Position,
    bytes: u64,
}

pub(crate) fn open(file: File, name: &str, position: Position, bytes: u64) -> Result<Opened> {
    let fail = |e: PolarsError| IngestError::unreadable(name, e);
    let clone = file.try_clone().map_err(|e| IngestError::unreadable(name, e))?;
    let mut reader = ParquetReader::new(clone);
    let schema = reader.schema().map_err(fail)?;
    let metadata = reader.get_metadata().map_err(fail)?.clone();
    let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    if names.is_empty() {
        return Err(IngestError::Empty);
    }
    Ok(Opened {
        header: Header { names, open: false, quarantine: false },
        format: Format::Parquet,
        layout: Layout { dialect: Dialect { delimiter: b',', quote: Some(b'"') } },
        encoding: None,
        sheets: Vec::new(),
        position: position.clone(),
        reader: Reader::Parquet(Box::new(ParquetSource { file, name: name.to_string(), metadata, position, bytes })),
    })
}

pub(crate) fn run(source: ParquetSource, emit: &mut Emit) -> Result<(), Stop> {
    let fail = |e: &dyn std::fmt::Display| Stop::Failed(IngestError::unreadable(&source.name, e));
    let total = source.metadata.num_rows;
    let mut start = 0;
    for group in &source.metadata.row_groups {
        let group_end = start + group.num_rows();
        while start < group_end {
            let length = (group_end - start).min(SLICE);
            let file = source.file.try_clone().map_err(|e| fail(&e))?;
            let mut reader =
                ParquetReader::new(file).read_parallel(ParallelStrategy::None).with_slice(Some((start, length)));
            reader.set_metadata(source.metadata.clone());
            let frame = reader.finish().map_err(|e| fail(&e))?;
            emit(Piece { first_line: start as u64 + 1, body: Body::Frame(frame) })?;
            start += length;
            source.position.set(source.bytes * start as u64 / total.max(1) as u64);
        }
    }
    Ok(())
}

/// The cells of a frame as texts; numbers and times in the forms that typing reads fastest.
pub(crate) fn cells(frame: &DataFrame, first: u64) -> CellTable {
    let mut table = CellTable::default();
    let columns: Vec<_> = frame.columns().iter().map(|c| c.as_materialized_series()).collect();
    for row in 0..frame.height() {
        for column in &columns {
            let value = column.get(row).unwrap_or(AnyValue::Null);
            table.push(|text| write(&value, text));
        }
        table.end_row(first + row as u64);
    }
    table
}

fn write(value: &AnyValue, text: &mut String) {
    match value {
        AnyValue::Null => {}
        AnyValue::String(s) => text.push_str(s),
        AnyValue::StringOwned(s) => text.push_str(s),
        AnyValue::Boolean(b) => text.push_str(if *b { "true" } else { "false" }),
        AnyValue::Float64(f) if f.is_nan() => {}
        AnyValue::Float64(f) => _ = write!(text, "{f}"),
        AnyValue::Float32(f) if f.is_nan() => {}
        AnyValue::Float32(f) => _ = write!(text, "{f}"),
        AnyValue::Date(days) => _ = write!(text, "{}", zonglan_catalog::batch::date_of(*days)),
        AnyValue::Datetime(count, unit, zone) => instant(*count, *unit, zone.is_some(), text),
        AnyValue::DatetimeOwned(count, unit, zone) => instant(*count, *unit, zone.is_some(), text),
        other => _ = write!(text, "{other}"),
    }
}

/// A time with a zone is an instant; one without is wall-clock time and stays without.
fn instant(count: i64, unit: TimeUnit, zoned: bool, text: &mut String) {
    let ms = match unit {
        TimeUnit::Nanoseconds => count.div_euclid(1_000_000),
        TimeUnit::Microseconds => count.div_euclid(1_000),
        TimeUnit::Milliseconds => count,
    };
    if let Some(when) = chrono::DateTime::from_timestamp_millis(ms) {
        let end = if zoned { "Z" } else { "" };
        _ = write!(text, "{:?}{end}", when.naive_utc());
    }
}
