//! Briefings by template: a declared text whose figures are computed by logical queries, as Markdown or HTML.
//!
//! In the body `{{name}}` is a figure, `{{name.change}}` its change against the period compared with, `{{from}}`,
//! `{{to}}` and `{{area}}` what it is about; a line `{{table:name}}` becomes a table. A name that is not declared
//! is an error of the file, not a gap in the text.

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Label, Query, Value};

/// A file of `briefings/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Briefing {
    pub name: String,
    pub version: String,
    pub label: Label,
    /// The region field that a chosen district filters.
    #[serde(default)]
    pub region: Option<String>,
    /// The query whose range the briefing is about.
    pub period: String,
    #[serde(default)]
    pub figures: BTreeMap<String, Figure>,
    #[serde(default)]
    pub tables: BTreeMap<String, TableSpec>,
    pub body: String,
}

/// A figure: the first row's value of a measure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    pub query: Query,
    /// The query's first measure where left out.
    #[serde(default)]
    pub measure: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    pub query: Query,
    /// Columns with their headings, in order.
    pub columns: Vec<Heading>,
    /// What stands instead of an empty table.
    pub empty: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heading {
    pub name: String,
    pub label: String,
}

/// What the body is filled with.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    pub area: String,
    pub from: String,
    pub to: String,
    /// Texts by `name` and `name.change`.
    pub figures: BTreeMap<String, String>,
    /// Rows of texts by name.
    pub tables: BTreeMap<String, Vec<Vec<String>>>,
}

/// A piece of the body.
enum Piece<'a> {
    Text(&'a str),
    Slot(&'a str),
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    let (mut out, mut rest) = (Vec::new(), line);
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}") else { break };
        out.push(Piece::Text(&rest[..open]));
        out.push(Piece::Slot(rest[open + 2..open + close].trim()));
        rest = &rest[open + close + 2..];
    }
    out.push(Piece::Text(rest));
    out
}

impl Briefing {
    /// # Errors
    /// No such file, or what is wrong in it.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let found: Self = catalogue.parse_file("briefings", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "简报模板",
            name: name.to_string(),
            known: catalogue.files("briefings").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        found.check(catalogue).map_err(|e| ModelError::RuleFile(format!("{name}: {e}")))?;
        Ok(found)
    }

    fn check(&self, catalogue: &Catalogue) -> std::result::Result<(), String> {
        for slot in
            self.body.lines().flat_map(pieces).filter_map(|p| if let Piece::Slot(s) = p { Some(s) } else { None })
        {
            let figure = slot.strip_suffix(".change").unwrap_or(slot);
            let known = match slot.strip_prefix("table:") {
                Some(table) => self.tables.contains_key(table),
                None => matches!(slot, "area" | "from" | "to") || self.figures.contains_key(figure),
            };
            if !known {
                return Err(format!("正文中的 {{{{{slot}}}}} 没有声明"));
            }
        }
        if !self.figures.contains_key(&self.period) {
            return Err(format!("period: 没有数字 {}", self.period));
        }
        for (name, query) in self.queries() {
            let Some(dataset) = catalogue.dataset(&query.dataset) else {
                return Err(format!("{name}: 没有数据集 {}", query.dataset));
            };
            if let Some(wrong) = query.measures.iter().find(|m| catalogue.measure(&dataset.name, m).is_none()) {
                return Err(format!("{name}: 数据集 {} 没有指标 {wrong}", dataset.name));
            }
        }
        for (name, table) in &self.tables {
            let columns = table.query.columns();
            if let Some(wrong) = table.columns.iter().find(|c| !columns.contains(&c.name)) {
                return Err(format!("{name}: 查询没有列 {}", wrong.name));
            }
        }
        Ok(())
    }

    /// Every query by the name of its figure or table.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &Query)> {
        let figures = self.figures.iter().map(|(n, f)| (n.as_str(), &f.query));
        figures.chain(self.tables.iter().map(|(n, t)| (n.as_str(), &t.query)))
    }

    /// The text as Markdown.
    pub fn markdown(&self, with: &Filled) -> String {
        let mut out = String::new();
        for line in self.body.trim().lines() {
            if let Some(name) = table_of(line) {
                self.table(name, with, &mut out);
            } else {
                out.push_str(&fill(line, with));
                out.push('\n');
            }
        }
        out
    }

    fn table(&self, name: &str, with: &Filled, out: &mut String) {
        let Some(spec) = self.tables.get(name) else { return };
        let rows = with.tables.get(name).map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            out.push_str(&spec.empty);
            out.push('\n');
            return;
        }
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            out.push('|');
            cells.for_each(|cell| {
                out.push(' ');
                out.push_str(&cell.replace('|', "\\|").replace('\n', " "));
                out.push_str(" |");
            });
            out.push('\n');
        };
        line(&mut spec.columns.iter().map(|c| c.label.clone()));
        line(&mut spec.columns.iter().map(|_| "---".to_string()));
        rows.iter().for_each(|row| line(&mut row.iter().cloned()));
    }

    /// The text as an HTML fragment: headings, paragraphs, lists and tables, every text escaped.
    pub fn html(&self, with: &Filled) -> String {
        let mut out = String::new();
        let mut list = false;
        for line in self.body.trim().lines() {
            let item = line.strip_prefix("- ");
            if list && item.is_none() {
                out.push_str("</ul>\n");
            }
            if item.is_some() && !list {
                out.push_str("<ul>\n");
            }
            list = item.is_some();
            let text = |line: &str| escape(&fill(line, with));
            if let Some(name) = table_of(line) {
                self.html_table(name, with, &mut out);
            } else if let Some(item) = item {
                out.push_str(&format!("<li>{}</li>\n", text(item)));
            } else if let Some(title) = line.strip_prefix("## ") {
                out.push_str(&format!("<h2>{}</h2>\n", text(title)));
            } else if let Some(title) = line.strip_prefix("# ") {
                out.push_str(&format!("<h1>{}</h1>\n", text(title)));
            } else if !line.trim().is_empty() {
                out.push_str(&format!("<p>{}</p>\n", text(line)));
            }
        }
        if list {
            out.push_str("</ul>\n");
        }
        out
    }

    fn html_table(&self, name: &str, with: &Filled, out: &mut String) {
        let Some(spec) = self.tables.get(name) else { return };
        let rows = with.tables.get(name).map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            out.push_str(&format!("<p>{}</p>\n", escape(&spec.empty)));
            return;
        }
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &String>| {
            cells.map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect::<String>()
        };
        out.push_str(&format!(
            "<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
            cells("th", &mut spec.columns.iter().map(|c| &c.label))
        ));
        rows.iter().for_each(|row| out.push_str(&format!("<tr>{}</tr>\n", cells("td", &mut row.iter()))));
        out.push_str("</tbody>\n</table>\n");
    }
}

fn table_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix("{{table:")?.strip_suffix("}}").map(str::trim)
}

fn fill(line: &str, with: &Filled) -> String {
    let mut out = String::new();
    for piece in pieces(line) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Slot("area") => out.push_str(&with.area),
            Piece::Slot("from") => out.push_str(&with.from),
            Piece::Slot("to") => out.push_str(&with.to),
            Piece::Slot(name) => out.push_str(with.figures.get(name).map_or("无数据", String::as_str)),
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A change in percent as words: `上升 12.3%`, `下降 3.0%`, `持平`; no comparison where there was nothing before.
pub fn change_text(percent: Option<&Value>) -> String {
    match percent.and_then(Value::as_f64) {
        None => "无可比数据".into(),
        Some(p) if p.abs() < 0.05 => "持平".into(),
        Some(p) if p > 0.0 => format!("上升 {p:.1}%"),
        Some(p) => format!("下降 {:.1}%", -p),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_tables_are_filled_and_escaped() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        for (name, _) in catalogue.files("briefings") {
            Briefing::load(&catalogue, name).unwrap_or_else(|e| panic!("{e}"));
        }
        let weekly = Briefing::load(&catalogue, "opinion_weekly").expect("valid");
        let mut with =
            Filled { area: "全市".into(), from: "2026-03-02".into(), to: "2026-03-08".into(), ..Filled::default() };
        for name in weekly.figures.keys() {
            with.figures.insert(name.clone(), "1,234".into());
            with.figures.insert(format!("{name}.change"), change_text(Some(&Value::Float(-3.0))));
        }
        with.tables.insert("topics".into(), vec![vec!["噪声<b>".into(), "1|2".into(), "3".into()]]);
        let text = weekly.markdown(&with);
        assert!(text.starts_with("# 舆情周报") && text.contains("2026-03-02") && text.contains("1,234"), "{text}");
        assert!(text.contains("下降 3.0%") && text.contains("| 噪声<b> | 1\\|2 | 3 |"), "{text}");
        assert!(!text.contains("{{"), "{text}");
        let html = weekly.html(&with);
        assert!(
            html.contains("<h1>舆情周报") && html.contains("<td>噪声&lt;b&gt;</td>") && !html.contains("{{"),
            "{html}"
        );
        assert_eq!(html.matches("<ul>").count(), html.matches("</ul>").count());
        // Without rows the table says so.
        with.tables.clear();
        assert!(weekly.markdown(&with).contains(&weekly.tables["topics"].empty));
    }

    #[test]
    fn wrong_templates_are_refused() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let mut weekly = Briefing::load(&catalogue, "opinion_weekly").expect("valid");
        weekly.body.push_str("\n{{nobody}}");
        assert!(weekly.check(&catalogue).expect_err("refused").contains("nobody"));
    }
}
