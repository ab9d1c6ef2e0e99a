//! Files through a coordinate transform: one function for requests, jobs and the command line.

use crate::error::{Error, Result};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use zonglan_geo::{BadRow, Column, CsvOptions, StreamError, StreamSummary, Transform, stream_csv, stream_geojson_with};
use zonglan_ingest::{ParquetColumns, transform_parquet};

/// Formats that are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Csv,
    Tsv,
    GeoJson,
    Parquet,
}

impl Kind {
    /// By the content type of a request.
    pub fn of_content_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim() {
            "text/csv" => Some(Self::Csv),
            "text/tab-separated-values" => Some(Self::Tsv),
            "application/geo+json" | "application/vnd.geo+json" => Some(Self::GeoJson),
            "application/vnd.apache.parquet" | "application/x-parquet" | "application/parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// By the name of a file.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit('.').next()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "geojson" | "json" => Some(Self::GeoJson),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Tsv => "text/tab-separated-values; charset=utf-8",
            Self::GeoJson => "application/geo+json",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::GeoJson => "geojson",
            Self::Parquet => "parquet",
        }
    }
}

/// Names that columns of coordinates usually have, longitude or east first.
const USUAL: [(&str, &str); 8] = [
    ("lon", "lat"),
    ("lng", "lat"),
    ("longitude", "latitude"),
    ("x", "y"),
    ("经度", "纬度"),
    ("east", "north"),
    ("东坐标", "北坐标"),
    ("jd", "wd"),
];

/// Which columns hold the coordinates.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Columns {
    /// Longitude or east; without it the usual names are tried.
    pub x: Option<String>,
    pub y: Option<String>,
}

impl Columns {
    /// The columns of a header, as given or by their usual names.
    fn find(&self, header: &[String]) -> Result<(String, String)> {
        if let (Some(x), Some(y)) = (&self.x, &self.y) {
            return Ok((x.clone(), y.clone()));
        }
        let has = |name: &str| header.iter().find(|h| h.trim().eq_ignore_ascii_case(name)).cloned();
        USUAL.iter().find_map(|(x, y)| Some((has(x)?, has(y)?))).ok_or_else(|| {
            Error::user("geo.columns", format!("请用 x 和 y 指明坐标所在的列 (columns): {}", header.join(", ")))
        })
    }
}

/// What [`run`] reads.
pub enum Input<'a> {
    Stream(Box<dyn Read + 'a>),
    /// Parquet needs to jump about in its file.
    File(&'a Path),
}

/// Bad rows that a GeoJSON answer shows.
const SHOWN: usize = 1_000;

/// Converts a file. Rows that cannot be converted are passed by and told to `on_bad`; in CSV and Parquet
/// they keep their place with a reason in the last new column, in GeoJSON they are members of `errors`.
/// `go_on` is asked now and then, with the rows done where they are known.
pub fn run(
    kind: Kind,
    transform: &Transform,
    columns: &Columns,
    input: Input,
    output: impl Write,
    mut on_bad: impl FnMut(&BadRow),
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<StreamSummary> {
    let to = transform.to();
    match (kind, input) {
        (Kind::Parquet, Input::File(path)) => {
            let header = zonglan_ingest::parquet_columns(path)?;
            let (x, y) = columns.find(&header)?;
            let columns = ParquetColumns {
                x_out: format!("{x}_{to}"),
                y_out: format!("{y}_{to}"),
                error_out: format!("{to}_error"),
                x,
                y,
            };
            let output = BufWriter::with_capacity(1 << 20, output);
            Ok(transform_parquet(transform, &columns, path, output, |bad| on_bad(&bad), |done, _| go_on(done))?)
        }
        (Kind::Parquet, Input::Stream(_)) => Err(Error::internal("a Parquet file is read from disk")),
        (_, Input::File(path)) => {
            let file = std::fs::File::open(path).map_err(Error::internal)?;
            run(kind, transform, columns, Input::Stream(Box::new(file)), output, on_bad, go_on)
        }
        (Kind::GeoJson, Input::Stream(input)) => {
            let errors = std::cell::RefCell::new(Vec::new());
            let note = |bad: BadRow| {
                on_bad(&bad);
                if errors.borrow().len() < SHOWN {
                    errors.borrow_mut().push(bad);
                }
            };
            let tail = |summary: &StreamSummary| {
                let info = transform.info();
                vec![
                    ("errors".to_string(), serde_json::to_value(&*errors.borrow()).unwrap_or_default()),
                    ("summary".to_string(), serde_json::to_value(summary).unwrap_or_default()),
                    ("transform".to_string(), serde_json::to_value(info).unwrap_or_default()),
                ]
            };
            stream_geojson_with(transform, input, output, note, tail).map_err(failed)
        }
        (Kind::Csv | Kind::Tsv, Input::Stream(input)) => {
            let delimiter = if kind == Kind::Tsv { b'\t' } else { b',' };
            let mut input = BufReader::with_capacity(1 << 18, input);
            let header = {
                let ahead = input.fill_buf().map_err(Error::internal)?;
                let line = ahead.split(|b| *b == b'\n').next().unwrap_or_default();
                let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
                let text = String::from_utf8_lossy(line);
                text.split(char::from(delimiter)).map(|h| h.trim().trim_matches('"').to_string()).collect::<Vec<_>>()
            };
            let (x, y) = columns.find(&header)?;
            let mut options =
                CsvOptions::new(Column::Name(x.clone()), Column::Name(y.clone()), transform).with_errors(transform);
            options.delimiter = delimiter;
            (options.x_out, options.y_out) = (format!("{x}_{to}"), format!("{y}_{to}"));
            let mut output = Watched { inner: output, bytes: 0, go_on: || go_on(0) };
            stream_csv(transform, &options, input, &mut output, |bad| on_bad(&bad)).map_err(failed)
        }
    }
}

/// Asks every few megabytes whether to go on.
struct Watched<W, F> {
    inner: W,
    bytes: u64,
    go_on: F,
}

impl<W: Write, F: FnMut() -> bool> Write for Watched<W, F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        let before = self.bytes >> 21;
        self.bytes += n as u64;
        if self.bytes >> 21 != before && !(self.go_on)() {
            return Err(std::io::Error::other("cancelled"));
        }
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn failed(error: StreamError) -> Error {
    match error {
        StreamError::NoColumn { wanted, header } => {
            Error::user("geo.columns", format!("没有列「{wanted}」(no such column)；文件的列：{header}"))
        }
        StreamError::Json(e) => Error::user("geo.json", format!("不是正确的 GeoJSON (not GeoJSON): {e}")),
        other => Error::user("geo.stream", format!("文件没有读完 (the file broke off): {other}")),
    }
}
