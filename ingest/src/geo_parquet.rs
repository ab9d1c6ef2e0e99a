//! Parquet files through a coordinate transform: two columns more, and one for reasons.

use crate::error::{IngestError, Result};
use polars::io::parquet::write::ParquetWriter;
use polars::prelude::{Column, DataFrame, DataType, ParallelStrategy, ParquetReader, PolarsError, SerReader};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use zonglan_geo::{BadRow, StreamSummary, Transform};

/// Rows converted at once.
const SLICE: usize = 131_072;

/// Which columns hold the coordinates, and the names of the new ones.
#[derive(Debug, Clone)]
pub struct ParquetColumns {
    /// Longitude or east: a number, or text that is one.
    pub x: String,
    pub y: String,
    pub x_out: String,
    pub y_out: String,
    /// Empty where the row was converted.
    pub error_out: String,
}

/// The names of a file's columns.
pub fn parquet_columns(input: &Path) -> Result<Vec<String>> {
    let file = File::open(input).map_err(|e| IngestError::io(input, e))?;
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let schema = ParquetReader::new(file).schema().map_err(|e| IngestError::unreadable(&name, e))?;
    Ok(schema.iter_names().map(ToString::to_string).collect())
}

/// Converts a file. The columns that were there stay as they are; rows that cannot be converted keep
/// their place with null coordinates and are told to `on_bad`. `progress` gets rows done and all rows
/// and stops the work by answering false. Memory: one slice of rows.
pub fn transform_parquet(
    transform: &Transform,
    columns: &ParquetColumns,
    input: &Path,
    output: impl Write,
    mut on_bad: impl FnMut(BadRow),
    mut progress: impl FnMut(u64, u64) -> bool,
) -> Result<StreamSummary> {
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let fail = |e: PolarsError| IngestError::unreadable(&name, e);
    let open = || File::open(input).map_err(|e| IngestError::io(input, e));
    let mut reader = ParquetReader::new(open()?);
    let schema = reader.schema().map_err(fail)?;
    let metadata = reader.get_metadata().map_err(fail)?.clone();
    let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    for column in [&columns.x, &columns.y] {
        if !names.contains(column) {
            return Err(IngestError::MissingColumn { column: column.clone(), known: names.join("、"), near: None });
        }
    }
    let mut sink = None;
    let mut output = Some(output);
    let mut summary = StreamSummary::default();
    let total = metadata.num_rows;
    let mut start = 0;
    loop {
        // A file without rows still has its columns.
        let length = (total - start).min(SLICE);
        let mut slice =
            ParquetReader::new(open()?).read_parallel(ParallelStrategy::None).with_slice(Some((start, length)));
        slice.set_metadata(metadata.clone());
        let mut frame = slice.finish().map_err(fail)?;
        convert(transform, columns, &mut frame, start as u64, &mut summary, &mut on_bad).map_err(fail)?;
        if sink.is_none()
            && let Some(output) = output.take()
        {
            sink = Some(ParquetWriter::new(output).batched(frame.schema()).map_err(fail)?);
        }
        if let Some(sink) = sink.as_mut().filter(|_| frame.height() > 0) {
            sink.write_batch(&frame).map_err(fail)?;
        }
        start += length;
        if !progress(start as u64, total as u64) {
            return Err(IngestError::Cancelled);
        }
        if start >= total {
            break;
        }
    }
    if let Some(sink) = sink {
        sink.finish().map_err(fail)?;
    }
    Ok(summary)
}

fn convert(
    transform: &Transform,
    columns: &ParquetColumns,
    frame: &mut DataFrame,
    before: u64,
    summary: &mut StreamSummary,
    on_bad: &mut impl FnMut(BadRow),
) -> Result<(), PolarsError> {
    let read = |name: &str| -> Result<Vec<Option<f64>>, PolarsError> {
        let numbers = frame.column(name)?.cast(&DataType::Float64)?;
        Ok(numbers.f64()?.iter().collect())
    };
    let (x, y) = (read(&columns.x)?, read(&columns.y)?);
    let mut points: Vec<[f64; 2]> =
        x.iter().zip(&y).map(|(x, y)| [x.unwrap_or(f64::NAN), y.unwrap_or(f64::NAN)]).collect();
    let mut reasons: Vec<Option<String>> = vec![None; points.len()];
    for (i, error) in transform.points_in_place(&mut points) {
        let missing = x[i].is_none() || y[i].is_none();
        let (code, reason) =
            if missing { ("not_a_number", "坐标不是数".to_owned()) } else { (error.code(), error.zh()) };
        on_bad(BadRow { row: before + i as u64 + 1, code, reason: reason.clone() });
        reasons[i] = Some(reason);
    }
    let good = |i: usize, axis: usize| reasons[i].is_none().then(|| points[i][axis]);
    let new = |name: &str, axis: usize| {
        Column::new(name.into(), (0..points.len()).map(|i| good(i, axis)).collect::<Vec<Option<f64>>>())
    };
    let bad = reasons.iter().flatten().count() as u64;
    summary.rows += points.len() as u64;
    summary.bad += bad;
    summary.converted += points.len() as u64 - bad;
    let (x, y) = (new(&columns.x_out, 0), new(&columns.y_out, 1));
    let errors = Column::new(columns.error_out.as_str().into(), reasons);
    for column in [x, y, errors] {
        frame.with_column(column)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_geo::Crs;

    #[test]
    fn a_file_gets_its_columns_and_keeps_bad_rows() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("in.parquet"), dir.path().join("out.parquet"));
        let mut frame = DataFrame::new_infer_height(vec![
            Column::new("id".into(), vec![1i64, 2, 3]),
            Column::new("lon".into(), vec![Some(121.473701), None, Some(500.0)]),
            Column::new("lat".into(), vec!["31.230416", "31", "31"]),
        ])
        .unwrap();
        ParquetWriter::new(File::create(&from).unwrap()).finish(&mut frame).unwrap();
        let transform = Transform::new(Crs::Wgs84, Crs::Gcj02).unwrap();
        let columns = ParquetColumns {
            x: "lon".into(),
            y: "lat".into(),
            x_out: "lon_gcj02".into(),
            y_out: "lat_gcj02".into(),
            error_out: "gcj02_error".into(),
        };
        let mut bad = Vec::new();
        let out = File::create(&to).unwrap();
        let summary = transform_parquet(&transform, &columns, &from, out, |b| bad.push(b), |_, _| true).unwrap();
        assert_eq!(summary, StreamSummary { rows: 3, converted: 1, bad: 2 });
        assert_eq!(bad.iter().map(|b| (b.row, b.code)).collect::<Vec<_>>(), [(2, "not_a_number"), (3, "not_degrees")]);
        let read = ParquetReader::new(File::open(&to).unwrap()).finish().unwrap();
        assert_eq!(read.shape(), (3, 6));
        let x = read.column("lon_gcj02").unwrap().f64().unwrap();
        assert!((x.get(0).unwrap() - 121.478224057).abs() < 1e-8 && x.get(2).is_none());
        let wrong = ParquetColumns { x: "east".into(), ..columns };
        assert!(transform_parquet(&transform, &wrong, &from, Vec::new(), |_| (), |_, _| true).is_err());
    }
}
