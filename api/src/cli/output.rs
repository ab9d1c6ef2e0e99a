//! Printing answers: as a table for people, CSV or JSON for programs.

use clap::ValueEnum;
use std::io::Write;
use zonglan_catalog::table::{Column, ColumnType};
use zonglan_catalog::{Table, Value};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Csv,
    Json,
}

/// Prints an answer to standard output.
pub fn print(table: &Table, format: Format) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer(&mut out, table)?;
            writeln!(out)?;
        }
        Format::Csv => {
            writeln!(out, "{}", table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(","))?;
            for row in &table.rows {
                writeln!(out, "{}", row.iter().map(|v| quote(&v.to_text())).collect::<Vec<_>>().join(","))?;
            }
        }
        Format::Table => {
            let heads: Vec<String> = table.columns.iter().map(heading).collect();
            let rows: Vec<Vec<String>> = table
                .rows
                .iter()
                .map(|row| row.iter().zip(&table.columns).map(|(v, c)| cell(c, v)).collect())
                .collect();
            let numeric: Vec<bool> = table
                .columns
                .iter()
                .map(|c| matches!(c.kind, ColumnType::Int | ColumnType::Decimal | ColumnType::Float))
                .collect();
            grid(&mut out, &heads, &rows, &numeric)?;
            let total = table
                .meta
                .total
                .filter(|total| *total as usize > rows.len())
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            eprintln!("{} rows{total}", rows.len());
        }
    }
    Ok(())
}

fn heading(column: &Column) -> String {
    let label = if column.label.is_empty() { &column.name } else { &column.label };
    if column.unit.is_empty() { label.clone() } else { format!("{label} ({})", column.unit) }
}

fn cell(column: &Column, value: &Value) -> String {
    let text = value.to_text();
    match column.labels.get(&text) {
        Some(label) => format!("{text} {label}"),
        None => text,
    }
}

/// Columns aligned by the width that terminals give to characters.
pub fn grid(out: &mut impl Write, heads: &[String], rows: &[Vec<String>], numeric: &[bool]) -> std::io::Result<()> {
    // Long texts would push the other columns off the screen.
    const WIDEST: usize = 60;
    let short = |text: &str| -> String {
        let line = text.split(['\n', '\r']).next().unwrap_or_default();
        let mut used = 0;
        let cut: String = line
            .chars()
            .take_while(|c| {
                used += wide(*c);
                used <= WIDEST
            })
            .collect();
        if cut.len() < text.len() { format!("{cut}…") } else { cut }
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| short(text)).collect()).collect();
    let width = |text: &str| text.chars().map(wide).sum::<usize>();
    let widths: Vec<usize> = (0..heads.len())
        .map(|i| {
            rows.iter().filter_map(|row| row.get(i)).map(|t| width(t)).chain([width(&heads[i])]).max().unwrap_or(0)
        })
        .collect();
    let mut line = |cells: &[String]| -> std::io::Result<()> {
        let mut text = String::new();
        for (i, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[i] - width(cell).min(widths[i]));
            let (left, right) = if numeric.get(i) == Some(&true) { (pad.as_str(), "") } else { ("", pad.as_str()) };
            text.push_str(&format!("{}{left}{cell}{right}", if i > 0 { "  " } else { "" }));
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(heads)?;
    line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>())?;
    rows.iter().try_for_each(|row| line(row))
}

/// Cells that a character takes: two for Chinese and full-width ones.
fn wide(c: char) -> usize {
    if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
    {
        2
    } else {
        1
    }
}

pub fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_with_chinese() {
        let mut out = Vec::new();
        grid(
            &mut out,
            &["区".into(), "数".into()],
            &[vec!["徐汇区".into(), "5".into()], vec!["x".into(), "1234".into()]],
            &[false, true],
        )
        .expect("writes");
        assert_eq!(String::from_utf8(out).expect("utf-8"), "区        数\n------  ----\n徐汇区     5\nx       1234\n");
    }
}
