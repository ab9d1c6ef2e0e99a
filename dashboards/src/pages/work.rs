//! Pages of work: the task centre and the official form of a record.

use super::chrome::Chrome;
use super::data_block;
use crate::error::Result;
use crate::format;
use askama::Template;
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Dataset, Field, FieldType, Value};

/// 任务中心: my tasks, those I gave, those of my regions; notices; handing over.
#[derive(Debug, Template)]
#[template(path = "tasks.html")]
pub struct TasksPage {
    pub chrome: Chrome,
    pub supervises: bool,
    /// Data block: code labels of tasks, roles, registers, whether the user may supervise.
    pub data: String,
}

impl TasksPage {
    /// `mays`: whether the user may `supervise`, and may hand over anybody's work (`users`).
    pub fn new(chrome: Chrome, catalogue: &Catalogue, user: &str, supervises: bool) -> Self {
        let lang = chrome.lang;
        let codes = |field: &str| -> BTreeMap<String, String> {
            let task = catalogue.dataset("task");
            let list = task.and_then(|d| d.field(field)).and_then(|f| catalogue.codes_of(f));
            let items = list.into_iter().flat_map(|l| &l.item);
            items.map(|i| (i.code.clone(), lang.t(&i.zh, &i.en).to_string())).collect()
        };
        let region: BTreeMap<&str, &str> = catalogue
            .codes("region")
            .into_iter()
            .flat_map(|l| &l.item)
            .filter(|i| i.code.len() == 6)
            .map(|i| (i.code.as_str(), lang.t(&i.zh, &i.en)))
            .collect();
        let roles: BTreeMap<&str, &str> =
            catalogue.policy().roles().iter().map(|r| (r.name.as_str(), lang.pick(&r.label))).collect();
        let registers: BTreeMap<&str, &str> = catalogue
            .datasets()
            .filter(|d| d.register.is_some())
            .map(|d| (d.name.as_str(), lang.pick(&d.label)))
            .collect();
        let data = data_block(&serde_json::json!({
            "lang": lang.code(), "user": user, "supervises": supervises, "kinds": codes("kind"), "statuses": codes("status"),
            "timeliness": codes("timeliness"), "urgencies": codes("urgency"), "results": codes("result"),
            "roles": roles, "regions": region, "registers": registers,
        }));
        Self { chrome, supervises, data }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

/// A field of the official form.
#[derive(Debug)]
pub struct PrintCell {
    pub label: String,
    pub text: String,
}

/// Child records on the official form.
#[derive(Debug)]
pub struct PrintTable {
    pub label: String,
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A record in its official form, for printing.
#[derive(Debug, Template)]
#[template(path = "record_print.html")]
pub struct PrintPage {
    pub chrome: Chrome,
    pub dataset: String,
    pub dataset_label: String,
    pub id: String,
    pub title: String,
    /// Two fields a row, long ones alone.
    pub rows: Vec<Vec<PrintCell>>,
    pub children: Vec<PrintTable>,
    pub signatures: Vec<String>,
    pub basis: String,
    /// Who prints, and when.
    pub watermark: String,
}

impl PrintPage {
    /// `fields` are masked as the role says; `now` in milliseconds since 1970 UTC.
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        dataset: &Dataset,
        id: &str,
        fields: &BTreeMap<String, Value>,
        children: &[(&Dataset, Vec<BTreeMap<String, Value>>)],
        now: i64,
    ) -> Self {
        let lang = chrome.lang;
        let print = dataset.register.as_ref().and_then(|r| r.print.as_ref());
        let named: Vec<&str> = match print {
            Some(p) if !p.fields.is_empty() => p.fields.iter().map(String::as_str).collect(),
            _ => dataset.field.iter().map(|f| f.name.as_str()).collect(),
        };
        let hidden =
            |f: &&Field| f.person_key || f.name == zonglan_catalog::expand::REMARKS || f.kind == FieldType::File;
        let text = |field: &Field, fields: &BTreeMap<String, Value>| {
            let value = fields.get(&field.name).filter(|v| !v.is_null());
            value.map(|v| format::field_text(catalogue, field, v, lang)).unwrap_or_default()
        };
        let mut rows: Vec<Vec<PrintCell>> = Vec::new();
        let mut half: Vec<PrintCell> = Vec::new();
        for field in named.into_iter().filter_map(|n| dataset.field(n)).filter(|f| !hidden(f)) {
            let cell = PrintCell { label: lang.pick(&field.label).to_string(), text: text(field, fields) };
            if field.max_length.is_some_and(|n| n > 100) || cell.text.chars().count() > 30 {
                if !half.is_empty() {
                    rows.push(std::mem::take(&mut half));
                }
                rows.push(vec![cell]);
                continue;
            }
            half.push(cell);
            if half.len() == 2 {
                rows.push(std::mem::take(&mut half));
            }
        }
        if !half.is_empty() {
            rows.push(half);
        }
        let children = children
            .iter()
            .filter(|(_, records)| !records.is_empty())
            .map(|(child, records)| {
                let link = child.parent.as_ref().map(|p| p.field.as_str());
                let shown: Vec<&Field> = child
                    .list_fields()
                    .into_iter()
                    .filter(|n| Some(*n) != link)
                    .filter_map(|n| child.field(n))
                    .filter(|f| !hidden(f))
                    .take(7)
                    .collect();
                PrintTable {
                    label: lang.pick(&child.label).to_string(),
                    heads: shown.iter().map(|f| lang.pick(&f.label).to_string()).collect(),
                    rows: records.iter().map(|r| shown.iter().map(|f| text(f, r)).collect()).collect(),
                }
            })
            .collect();
        let who = chrome.user.as_ref().map(|u| format!("{} ({})", u.name, u.user)).unwrap_or_default();
        Self {
            dataset: dataset.name.clone(),
            dataset_label: lang.pick(&dataset.label).to_string(),
            id: id.to_string(),
            title: print.map_or_else(|| format!("{}登记表", dataset.label.zh), |p| p.title.clone()),
            rows,
            children,
            signatures: print.map(|p| p.signatures.clone()).unwrap_or_default(),
            basis: print.and_then(|p| p.basis.clone()).unwrap_or_default(),
            watermark: format!(
                "{} {who} {} {}",
                lang.t("打印", "printed by"),
                format::minute(now),
                lang.t("编号", "No.")
            ) + " "
                + id,
            chrome,
        }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}
