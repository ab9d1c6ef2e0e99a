//! Documents: tables written row by row as CSV or XLSX, reports as DOCX or PDF. A document says who made it, when, from
//! which conditions, and that demo data is demo data.

mod csv;
mod docx;
mod pdf;
pub mod report;
mod sheet;
mod template;
mod workbook;
mod xlsx;

pub use csv::CsvWriter;
pub use report::{Block, Report, Run, Style};
pub use sheet::BoardSheet;
pub(crate) use sheet::has_chart;
pub use template::template;
pub use workbook::Workbook;
pub use xlsx::XlsxWriter;

use crate::error::{Error, Result};
use zonglan_catalog::Value;
use zonglan_catalog::table::{Column, ColumnType};

/// What a table document states about itself.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    pub title: String,
    /// Name and account of the user.
    pub user: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// The conditions in words or as JSON.
    pub filter: String,
    pub demo: bool,
}

impl Provenance {
    /// One line for the foot or head of the document.
    pub fn line(&self) -> String {
        let demo = if self.demo { "　演示数据 (demo data)" } else { "" };
        format!(
            "{}　导出人: {}　时间: {}　条件: {}{demo}",
            self.title,
            self.user,
            zonglan_catalog::value::instant_text(self.at),
            if self.filter.is_empty() { "无" } else { &self.filter },
        )
    }
}

/// Writes one table. Memory does not grow with the rows.
pub trait TableWriter {
    /// The head: names of the columns in the reader's language.
    fn begin(&mut self, columns: &[Column]) -> Result<()>;
    fn row(&mut self, row: &[Value]) -> Result<()>;
    /// Ends the document with its provenance.
    fn finish(&mut self) -> Result<()>;
}

/// The head of a column: its label and unit, or its name.
pub(crate) fn heading(column: &Column) -> String {
    let name = if column.label.is_empty() { &column.name } else { &column.label };
    if column.unit.is_empty() { name.clone() } else { format!("{name}({})", column.unit) }
}

/// Codes get their names where the column has them.
pub(crate) fn cell_text(column: Option<&Column>, value: &Value) -> String {
    match (column, value) {
        (Some(c), Value::Text(code)) if matches!(c.kind, ColumnType::Code | ColumnType::Region) => {
            c.labels.get(code).cloned().unwrap_or_else(|| code.clone())
        }
        (_, value) => value.to_text(),
    }
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    Error::Document(error.to_string())
}
