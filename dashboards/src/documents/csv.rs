//! CSV (RFC 4180, UTF-8), written as rows come.

use super::{Provenance, TableWriter, cell_text, failed, heading};
use crate::error::Result;
use std::io::Write;
use zonglan_catalog::Value;
use zonglan_catalog::table::Column;

/// Streams to any writer, such as the body of a response.
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    out: W,
    bom: bool,
    provenance: Provenance,
    columns: Vec<Column>,
    line: Vec<u8>,
    /// Fields written on this line.
    fields: usize,
}

impl<W: Write> CsvWriter<W> {
    /// `bom`: begin with a byte order mark, without which spreadsheet programs misread Chinese.
    pub fn new(out: W, provenance: Provenance, bom: bool) -> Self {
        Self { out, bom, provenance, columns: Vec::new(), line: Vec::new(), fields: 0 }
    }

    pub fn into_inner(self) -> W {
        self.out
    }

    fn field(&mut self, text: &str) {
        if self.fields > 0 {
            self.line.push(b',');
        }
        self.fields += 1;
        // A spreadsheet would run these as formulas; the apostrophe makes them text. Numbers stay.
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
        if formula || text.contains(['"', ',', '\n', '\r']) {
            self.line.push(b'"');
            if formula {
                self.line.push(b'\'');
            }
            for byte in text.bytes() {
                if byte == b'"' {
                    self.line.push(b'"');
                }
                self.line.push(byte);
            }
            self.line.push(b'"');
        } else if text.is_empty() && self.fields == 1 {
            // A line of one empty field must not look like an empty line.
            self.line.extend_from_slice(b"\"\"");
        } else {
            self.line.extend_from_slice(text.as_bytes());
        }
    }

    fn end_line(&mut self) -> Result<()> {
        self.line.extend_from_slice(b"\r\n");
        self.out.write_all(&self.line).map_err(failed)?;
        self.line.clear();
        self.fields = 0;
        Ok(())
    }
}

impl<W: Write> TableWriter for CsvWriter<W> {
    fn begin(&mut self, columns: &[Column]) -> Result<()> {
        if self.bom {
            self.out.write_all("\u{feff}".as_bytes()).map_err(failed)?;
        }
        self.columns = columns.to_vec();
        // Who, when and from which conditions stands first: a file that was cut short has it, too.
        let line = format!("# {}", self.provenance.line());
        self.field(&line);
        self.end_line()?;
        for column in columns {
            self.field(&heading(column));
        }
        self.end_line()
    }

    fn row(&mut self, row: &[Value]) -> Result<()> {
        for (i, value) in row.iter().enumerate() {
            let text = cell_text(self.columns.get(i), value);
            self.field(&text);
        }
        self.end_line()
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_catalog::table::{ColumnRole, ColumnType};

    #[test]
    fn quotes_names_codes_and_tells_where_it_comes_from() {
        let mut district = Column::new("district", ColumnType::Region, ColumnRole::Row);
        district.labels.insert("310104".into(), "徐汇区".into());
        let mut count = Column::new("count", ColumnType::Int, ColumnRole::Row);
        count.label = "警情数".into();
        count.unit = "起".into();
        let provenance = Provenance {
            title: "110警情".into(),
            user: "分析员 (analyst)".into(),
            at: 0,
            filter: "{\"district\":1}".into(),
            demo: true,
        };
        let mut writer = CsvWriter::new(Vec::new(), provenance, true);
        writer.begin(&[district, count, Column::new("note", ColumnType::Text, ColumnRole::Row)]).expect("head");
        writer.row(&[Value::Text("310104".into()), Value::Int(-5), Value::Text("a,\"b\"\nc".into())]).expect("row");
        writer.row(&[Value::Null, Value::Null, Value::Text("=1+1".into())]).expect("row");
        writer.finish().expect("end");
        let text = String::from_utf8(writer.into_inner()).expect("utf-8");
        assert_eq!(
            text,
            "\u{feff}\"# 110警情　导出人: 分析员 (analyst)　时间: 1970-01-01T08:00:00+08:00　条件: {\"\"district\"\":1}　演示数据 (demo data)\"\r\n\
             district,警情数(起),note\r\n徐汇区,-5,\"a,\"\"b\"\"\nc\"\r\n\"\",,\"'=1+1\"\r\n"
        );
    }
}
