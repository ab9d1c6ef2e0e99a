//! A segment: up to a million rows as one Parquet file with a sidecar, never changed.

use crate::column::{Codes, Column, Dict, DictBuilder};
use crate::error::{OlapError, Result};
use crate::manifest::{ColumnMeta, Layout, SegmentMeta};
use crate::sidecar::{self, Sidecar};
use memmap2::Mmap;
use polars::io::SerReader;
use polars::io::parquet::metadata::FileMetadataRef;
use polars::io::parquet::read::{ParallelStrategy, ParquetReader};
use polars::io::parquet::write::{ParquetCompression, ParquetWriter, StatisticsOptions};
use polars::prelude::{
    Column as Series, DataFrame, Float64Chunked, Int32Chunked, Int64Chunked, IntoColumn, IntoSeries, NewChunkedArray,
    PlSmallStr, StringChunked, UInt8Chunked, UInt16Chunked, UInt32Chunked,
};
use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use zonglan_catalog::batch::TextColumn;
use zonglan_catalog::dataset::FieldType;

/// Rows of a row group: what a fetch of single rows has to decode.
pub const ROW_GROUP: usize = 65_536;

static NEXT_UID: AtomicU64 = AtomicU64::new(1);

/// A column on its way into a segment, rows in their final order. `i64::MIN` and NaN are null.
#[derive(Debug)]
pub enum ColumnOut {
    Codes(Codes, Dict),
    Text(TextColumn),
    Int(Vec<i64>),
    Point(Vec<(f64, f64)>),
}

/// One cell, untyped.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
    Point(f64, f64),
}

/// An open segment. Its files are removed when the last user lets go of a doomed one.
#[derive(Debug)]
pub struct Segment {
    /// Differs between all segments that this process ever opened.
    pub uid: u64,
    pub meta: SegmentMeta,
    pub sidecar: Sidecar,
    parquet: Mmap,
    path: PathBuf,
    metadata: OnceLock<FileMetadataRef>,
    doomed: AtomicBool,
    /// Columns of a segment that has no files.
    held: Vec<Arc<Column>>,
}

pub fn parquet_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id}.parquet"))
}

pub fn sidecar_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id}.side"))
}

/// Writes a segment and makes it durable. The result is doomed until a manifest names it.
pub fn write(
    folder: &Path,
    id: u64,
    sorted_by: Option<String>,
    fields: &[(String, FieldType, u8)],
    mut columns: Vec<ColumnOut>,
    keys: &[u128],
    hashes: &[u64],
) -> Result<Segment> {
    let rows = keys.len();
    let metas: Vec<ColumnMeta> = fields
        .iter()
        .zip(&columns)
        .map(|((name, kind, scale), column)| {
            let (layout, range) = match column {
                ColumnOut::Codes(..) => (Layout::Codes, None),
                ColumnOut::Text(_) => (Layout::Text, None),
                ColumnOut::Int(values) => (Layout::Int, range_of(values)),
                ColumnOut::Point(_) => (Layout::Point, None),
            };
            ColumnMeta { name: name.clone(), kind: *kind, scale: *scale, layout, range }
        })
        .collect();
    let dicts: Vec<(u32, Dict)> = columns
        .iter_mut()
        .zip(0u32..)
        .filter_map(|(column, index)| match column {
            ColumnOut::Codes(_, dict) => Some((index, std::mem::take(dict))),
            _ => None,
        })
        .collect();
    let side_path = sidecar_path(folder, id);
    let path = parquet_path(folder, id);
    let (side, written) = rayon::join(
        || sidecar::write(&side_path, keys, hashes, &dicts),
        || write_parquet(&path, rows, fields, columns),
    );
    let bytes = side? + written?;
    let meta = SegmentMeta { id, rows: rows as u32, bytes, sorted_by, columns: metas, deleted: None };
    let segment = Segment::open(folder, meta)?;
    segment.doom();
    Ok(segment)
}

fn range_of(values: &[i64]) -> Option<(i64, i64)> {
    let mut range: Option<(i64, i64)> = None;
    for &v in values.iter().filter(|v| **v != i64::MIN) {
        range = Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))));
    }
    range
}

fn write_parquet(path: &Path, rows: usize, fields: &[(String, FieldType, u8)], columns: Vec<ColumnOut>) -> Result<u64> {
    let mut series: Vec<Series> = Vec::new();
    for ((name, ..), column) in fields.iter().zip(columns) {
        let name = PlSmallStr::from_str(name);
        match column {
            ColumnOut::Codes(codes, _) => series.push(match codes {
                Codes::U8(c) => UInt8Chunked::from_vec(name, c).into_column(),
                Codes::U16(c) => UInt16Chunked::from_vec(name, c).into_column(),
                Codes::U32(c) => UInt32Chunked::from_vec(name, c).into_column(),
                Codes::I64(c) => Int64Chunked::from_vec(name, c).into_column(),
            }),
            ColumnOut::Text(texts) => series.push(StringChunked::from_iter_options(name, texts.iter()).into_column()),
            ColumnOut::Int(values) => {
                let narrow = values.iter().all(|v| *v == i64::MIN || i32::try_from(*v).is_ok());
                let whole = !values.contains(&i64::MIN);
                let some = |v: &i64| (*v != i64::MIN).then_some(*v);
                series.push(match (narrow, whole) {
                    (true, true) => {
                        Int32Chunked::from_vec(name, values.iter().map(|v| *v as i32).collect()).into_column()
                    }
                    (true, false) => {
                        Int32Chunked::from_iter_options(name, values.iter().map(|v| some(v).map(|v| v as i32)))
                            .into_column()
                    }
                    (false, true) => Int64Chunked::from_vec(name, values).into_column(),
                    (false, false) => Int64Chunked::from_iter_options(name, values.iter().map(some)).into_column(),
                });
            }
            ColumnOut::Point(points) => {
                let lon = Float64Chunked::from_vec(
                    PlSmallStr::from_string(format!("{name}.lon")),
                    points.iter().map(|p| p.0).collect(),
                );
                let lat = Float64Chunked::from_vec(
                    PlSmallStr::from_string(format!("{name}.lat")),
                    points.iter().map(|p| p.1).collect(),
                );
                series.push(lon.into_series().into_column());
                series.push(lat.into_series().into_column());
            }
        }
    }
    let mut frame = DataFrame::new(rows, series)?;
    let file = File::create(path).map_err(OlapError::io(path))?;
    let sync = file.try_clone().map_err(OlapError::io(path))?;
    let bytes = ParquetWriter::new(std::io::BufWriter::with_capacity(1 << 20, file))
        .with_compression(ParquetCompression::Lz4Raw)
        .with_statistics(StatisticsOptions::default())
        .with_row_group_size(Some(ROW_GROUP))
        .finish(&mut frame)?;
    sync.sync_all().map_err(OlapError::io(path))?;
    Ok(bytes)
}

impl Segment {
    pub fn open(folder: &Path, meta: SegmentMeta) -> Result<Self> {
        let path = parquet_path(folder, meta.id);
        let file = File::open(&path).map_err(OlapError::io(&path))?;
        // SAFETY: segments are written once, fsynced before the manifest names them, and never
        // changed or truncated afterwards; the folder belongs to this program alone.
        let parquet = unsafe { Mmap::map(&file) }.map_err(OlapError::io(&path))?;
        let sidecar = Sidecar::open(&sidecar_path(folder, meta.id))?;
        if sidecar.rows() != meta.rows as usize {
            return Err(OlapError::corrupt(&path, "the sidecar holds another number of rows"));
        }
        Ok(Self {
            uid: NEXT_UID.fetch_add(1, Ordering::Relaxed),
            meta,
            sidecar,
            parquet,
            path,
            metadata: OnceLock::new(),
            doomed: AtomicBool::new(false),
            held: Vec::new(),
        })
    }

    /// Columns in memory, read as any segment is; without keys and files.
    pub fn in_memory(meta: SegmentMeta, columns: Vec<Arc<Column>>) -> Result<Self> {
        let path = PathBuf::new();
        let nothing = memmap2::MmapMut::map_anon(64).and_then(|m| m.make_read_only());
        Ok(Self {
            uid: NEXT_UID.fetch_add(1, Ordering::Relaxed),
            meta,
            sidecar: Sidecar::none().map_err(OlapError::io(&path))?,
            parquet: nothing.map_err(OlapError::io(&path))?,
            path,
            metadata: OnceLock::new(),
            doomed: AtomicBool::new(false),
            held: columns,
        })
    }

    /// A column of a segment without files.
    pub fn held(&self, place: usize) -> Option<&Arc<Column>> {
        self.held.get(place)
    }

    /// Bytes of columns that only this segment holds.
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|c| c.bytes()).sum()
    }

    /// The files go when nobody uses the segment any more.
    pub fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    pub fn keep(&self) {
        self.doomed.store(false, Ordering::Release);
    }

    pub fn rows(&self) -> usize {
        self.meta.rows as usize
    }

    /// The place of a field in this segment; `None` when the segment is older than the field or
    /// holds it as another kind of value.
    pub fn place(&self, name: &str, kind: FieldType) -> Option<usize> {
        self.meta.columns.iter().position(|c| c.name == name && family(c.kind) == family(kind))
    }

    fn reader(&self) -> Result<ParquetReader<Cursor<&[u8]>>> {
        let mut reader = ParquetReader::new(Cursor::new(&self.parquet[..]));
        match self.metadata.get() {
            Some(metadata) => reader.set_metadata(metadata.clone()),
            None => {
                let metadata = reader.get_metadata()?.clone();
                // Another thread may have been first; both read the same footer.
                let _ = self.metadata.set(metadata);
            }
        }
        Ok(reader)
    }

    fn read(&self, names: Vec<String>, slice: Option<(usize, usize)>) -> Result<DataFrame> {
        Ok(self.reader()?.with_columns(Some(names)).with_slice(slice).read_parallel(ParallelStrategy::None).finish()?)
    }

    fn names(&self, place: usize) -> Vec<String> {
        let meta = &self.meta.columns[place];
        match meta.layout {
            Layout::Point => vec![format!("{}.lon", meta.name), format!("{}.lat", meta.name)],
            _ => vec![meta.name.clone()],
        }
    }

    /// A whole column, decoded; decimals in units of `scale`.
    pub fn column(&self, place: usize, scale: u8) -> Result<Column> {
        let meta = &self.meta.columns[place];
        let frame = self.read(self.names(place), None)?;
        Ok(match meta.layout {
            Layout::Codes => {
                let dict = Arc::new(self.sidecar.dict(place as u32)?);
                let codes = codes(&frame.columns()[0])?;
                let fits = with_max(&codes) <= dict.len() as i64;
                if !fits || codes.len() != self.rows() {
                    return Err(OlapError::corrupt(
                        &self.path,
                        format!("column '{}' and its dictionary differ", meta.name),
                    ));
                }
                Column::Dict { codes, dict }
            }
            Layout::Text => {
                let mut builder = DictBuilder::default();
                let mut codes = Vec::with_capacity(self.rows());
                for text in frame.columns()[0].as_materialized_series().str()?.iter() {
                    codes.push(text.map_or(u32::MAX, |t| builder.code(t)));
                }
                let null = builder.dict.len() as u32;
                Column::Dict {
                    codes: Codes::pack(codes.into_iter().map(|c| c.min(null)), null),
                    dict: Arc::new(builder.dict),
                }
            }
            Layout::Int => {
                let mut values = ints(&frame.columns()[0])?;
                if meta.scale != scale {
                    values.iter_mut().for_each(|v| *v = rescale(*v, meta.scale, scale));
                }
                Column::ints(&values)
            }
            Layout::Point => Column::Point(points(&frame)?),
        })
    }

    /// Cells of a column in some rows, in the order asked. Decodes only the row groups that hold them.
    pub fn cells(&self, place: usize, scale: u8, rows: &[u32]) -> Result<Vec<Cell>> {
        let meta = &self.meta.columns[place];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|i| rows[*i]);
        let mut cells = vec![Cell::Null; rows.len()];
        let dict = if meta.layout == Layout::Codes { Some(self.sidecar.dict(place as u32)?) } else { None };
        for group in order.chunk_by(|a, b| rows[*a] as usize / ROW_GROUP == rows[*b] as usize / ROW_GROUP) {
            let first = rows[group[0]] as usize;
            let last = rows[group[group.len() - 1]] as usize;
            let frame = self.read(self.names(place), Some((first, last - first + 1)))?;
            let at = |i: usize| rows[i] as usize - first;
            match meta.layout {
                Layout::Codes => {
                    let codes = codes(&frame.columns()[0])?;
                    let dict = dict.as_ref().ok_or_else(|| OlapError::Internal("no dictionary".into()))?;
                    for &i in group {
                        let code = codes.get(at(i)) as usize;
                        cells[i] = if code < dict.len() { Cell::Text(dict.get(code).to_string()) } else { Cell::Null };
                    }
                }
                Layout::Text => {
                    let texts = frame.columns()[0].as_materialized_series().str()?;
                    for &i in group {
                        cells[i] = texts.get(at(i)).map_or(Cell::Null, |t| Cell::Text(t.to_string()));
                    }
                }
                Layout::Int => {
                    let values = ints(&frame.columns()[0])?;
                    for &i in group {
                        let value = values[at(i)];
                        cells[i] =
                            if value == i64::MIN { Cell::Null } else { Cell::Int(rescale(value, meta.scale, scale)) };
                    }
                }
                Layout::Point => {
                    let points = points(&frame)?;
                    for &i in group {
                        let (x, y) = points[at(i)];
                        cells[i] = if x.is_nan() { Cell::Null } else { Cell::Point(x, y) };
                    }
                }
            }
        }
        Ok(cells)
    }

    /// A column as it goes into another segment, only `rows`.
    pub fn column_out(&self, place: usize, scale: u8, rows: &[u32]) -> Result<ColumnOut> {
        Ok(match self.meta.columns[place].layout {
            Layout::Text => {
                let frame = self.read(self.names(place), None)?;
                let texts = frame.columns()[0].as_materialized_series().rechunk();
                let texts = texts.str()?;
                let mut out = TextColumn::default();
                rows.iter().for_each(|row| out.push(texts.get(*row as usize)));
                ColumnOut::Text(out)
            }
            _ => match self.column(place, scale)? {
                Column::Dict { codes, dict } => ColumnOut::Codes(
                    Codes::U32(rows.iter().map(|r| codes.get(*r as usize) as u32).collect()),
                    (*dict).clone(),
                ),
                column @ Column::Int { .. } => {
                    ColumnOut::Int(rows.iter().map(|r| column.int(*r as usize).unwrap_or(i64::MIN)).collect())
                }
                Column::Point(points) => ColumnOut::Point(rows.iter().map(|r| points[*r as usize]).collect()),
                Column::Missing => ColumnOut::Int(vec![i64::MIN; rows.len()]),
            },
        })
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if *self.doomed.get_mut() {
            // What cannot be removed now is removed when the store is opened again.
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_file(self.path.with_extension("side"));
        }
    }
}

/// Kinds whose stored values mean the same.
pub fn family(kind: FieldType) -> u8 {
    match kind {
        FieldType::Text | FieldType::Code | FieldType::Region | FieldType::File | FieldType::Ref => 0,
        FieldType::Int | FieldType::Decimal => 1,
        FieldType::Bool => 2,
        FieldType::Date => 3,
        FieldType::Instant => 4,
        FieldType::Point => 5,
    }
}

/// Units of 10^-from as units of 10^-to; digits that fall away are rounded half to even.
fn rescale(value: i64, from: u8, to: u8) -> i64 {
    if value == i64::MIN || from == to {
        return value;
    }
    let wide = if to > from {
        i128::from(value) * 10i128.pow(u32::from(to - from))
    } else {
        zonglan_catalog::value::div_half_even(i128::from(value), 10i128.pow(u32::from(from - to))).unwrap_or_default()
    };
    i64::try_from(wide).unwrap_or(i64::MIN)
}

fn with_max(codes: &Codes) -> i64 {
    match codes {
        Codes::U8(c) => c.iter().max().map_or(0, |v| i64::from(*v)),
        Codes::U16(c) => c.iter().max().map_or(0, |v| i64::from(*v)),
        Codes::U32(c) => c.iter().max().map_or(0, |v| i64::from(*v)),
        Codes::I64(c) => c.iter().max().copied().unwrap_or(0),
    }
}

fn codes(column: &Series) -> Result<Codes> {
    let series = column.as_materialized_series();
    macro_rules! copy {
        ($chunked:expr, $variant:ident) => {{
            let mut codes = Vec::with_capacity(series.len());
            $chunked.downcast_iter().for_each(|chunk| codes.extend_from_slice(chunk.values()));
            Codes::$variant(codes)
        }};
    }
    if let Ok(c) = series.u8() {
        return Ok(copy!(c, U8));
    }
    if let Ok(c) = series.u16() {
        return Ok(copy!(c, U16));
    }
    Ok(copy!(series.u32()?, U32))
}

fn ints(column: &Series) -> Result<Vec<i64>> {
    let series = column.as_materialized_series();
    let mut values = Vec::with_capacity(series.len());
    macro_rules! copy {
        ($chunked:expr) => {
            for chunk in $chunked.downcast_iter() {
                match chunk.validity() {
                    Some(valid) if valid.unset_bits() > 0 => values.extend(
                        chunk
                            .values()
                            .iter()
                            .zip(valid.iter())
                            .map(|(v, ok)| if ok { i64::from(*v) } else { i64::MIN }),
                    ),
                    _ => values.extend(chunk.values().iter().map(|v| i64::from(*v))),
                }
            }
        };
    }
    match series.i32() {
        Ok(c) => copy!(c),
        Err(_) => copy!(series.i64()?),
    }
    Ok(values)
}

fn points(frame: &DataFrame) -> Result<Vec<(f64, f64)>> {
    let column = |index: usize| -> Result<Vec<f64>> {
        let series = frame.columns()[index].as_materialized_series();
        let mut values = Vec::with_capacity(series.len());
        series.f64()?.downcast_iter().for_each(|chunk| values.extend_from_slice(chunk.values()));
        Ok(values)
    };
    Ok(column(0)?.into_iter().zip(column(1)?).collect())
}
