//! A first look at a file: what it is, its columns, what a mapping makes of its first rows.

use crate::error::{IngestError, Result};
use crate::mapping::Mapping;
use crate::plan::{Plan, auto_source};
use crate::rows;
use crate::source::{self, Header, Piece, Stop};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use zonglan_catalog::{Catalogue, Dataset};

/// The file to look at.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    Path(&'a Path),
    /// The whole file in memory.
    Bytes(&'a [u8]),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    pub format: crate::Format,
    pub encoding: Option<&'static str>,
    /// Of delimited text.
    pub delimiter: Option<char>,
    pub sheets: Vec<String>,
    pub columns: Vec<ColumnPreview>,
    /// The first rows as they stand in the file.
    pub rows: Vec<Vec<String>>,
    /// Why the mapping does not fit the file at all.
    pub problem: Option<String>,
    /// Rows of the sample that were tried with the mapping.
    pub checked: u64,
    pub failed: u64,
    pub errors: Vec<RowError>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnPreview {
    pub name: String,
    /// Different values of the first rows, five at most.
    pub samples: Vec<String>,
    /// The field of the dataset that bears the column's name.
    pub suggested_field: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowError {
    pub line: u64,
    pub column: String,
    pub value: String,
    pub reason: String,
}

const MAX_ERRORS: usize = 100;

/// Looks at the first rows. With a dataset and its catalogue, columns get suggestions and the
/// rows are checked as an import with `mapping` (or none) would.
pub fn preview(
    input: Input,
    name: &str,
    mapping: Option<&Mapping>,
    target: Option<(&Arc<Dataset>, &Catalogue)>,
    rows: usize,
) -> Result<Preview> {
    let bytes = match input {
        Input::Path(path) => return look(path, name, mapping, target, rows),
        Input::Bytes(bytes) => bytes,
    };
    let fail = |e: std::io::Error| IngestError::unreadable(name, e);
    let mut file = tempfile::NamedTempFile::new().map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(fail)?;
    look(file.path(), name, mapping, target, rows)
}

fn look(
    path: &Path,
    name: &str,
    mapping: Option<&Mapping>,
    target: Option<(&Arc<Dataset>, &Catalogue)>,
    limit: usize,
) -> Result<Preview> {
    let identity = target.map(|(dataset, _)| Mapping::identity(dataset));
    let mapping = mapping.or(identity.as_ref());
    let options = mapping.map(|m| m.format.clone()).unwrap_or_default();
    let opened = source::open(path, name, &options, None)?;
    let layout = opened.layout.clone();
    let header = opened.header.clone();
    let mut preview = Preview {
        format: opened.format,
        encoding: opened.encoding,
        delimiter: opened.encoding.filter(|_| !header.open).map(|_| char::from(layout.dialect.delimiter)),
        sheets: opened.sheets.clone(),
        columns: Vec::new(),
        rows: Vec::new(),
        problem: None,
        checked: 0,
        failed: 0,
        errors: Vec::new(),
    };
    let mut first: Option<Piece> = None;
    opened.run(&mut |piece| {
        first = Some(piece);
        Err(Stop::Enough)
    })?;
    if let Some(piece) = first {
        preview.rows = rows::raw(&layout, &piece, &header, limit.max(1));
        if let (Some((dataset, catalogue)), Some(mapping)) = (target, mapping) {
            match Plan::new(mapping, dataset, catalogue, &header) {
                Ok(plan) => {
                    let parsed = rows::parse(&plan, &layout, piece);
                    preview.checked = parsed.read;
                    preview.failed = parsed.bad.len() as u64;
                    let errors = parsed.bad.into_iter().take(MAX_ERRORS);
                    preview.errors = errors
                        .map(|b| RowError { line: b.line, column: b.column, value: b.value, reason: b.reason })
                        .collect();
                }
                Err(error) => preview.problem = Some(error.to_string()),
            }
        }
    }
    preview.columns = columns(&header, &preview.rows, target.map(|(d, _)| d.as_ref()));
    preview.rows.truncate(limit);
    Ok(preview)
}

fn columns(header: &Header, rows: &[Vec<String>], dataset: Option<&Dataset>) -> Vec<ColumnPreview> {
    let plain = Header { open: false, ..header.clone() };
    let suggestions: Vec<(String, String)> = dataset
        .into_iter()
        .flat_map(|d| d.field.iter().map(move |f| (d, f)))
        .flat_map(|(dataset, field)| {
            let source = auto_source(dataset, field, &plain).unwrap_or_default();
            [source.column, source.x, source.y]
                .into_iter()
                .flatten()
                .map(|column| (column, field.name.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let column = |(index, name): (usize, &String)| {
        let mut samples: Vec<String> = Vec::new();
        for cell in rows.iter().filter_map(|r| r.get(index)).filter(|c| !c.is_empty()) {
            let short: String = cell.chars().take(80).collect();
            if samples.len() < 5 && !samples.contains(&short) {
                samples.push(short);
            }
        }
        let suggested_field = suggestions.iter().find(|(c, _)| c == name).map(|(_, f)| f.clone());
        ColumnPreview { name: name.clone(), samples, suggested_field }
    };
    header.names.iter().enumerate().map(column).collect()
}
