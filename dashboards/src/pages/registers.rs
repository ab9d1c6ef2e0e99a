//! The index of the registers: by system and business area, found by typing.

use super::{Chrome, Lang};
use crate::error::Result;
use crate::format;
use askama::Template;
use zonglan_catalog::{Catalogue, Dataset};

/// All registers that the user may list.
#[derive(Debug, Template)]
#[template(path = "registers.html")]
pub struct RegistersPage {
    pub chrome: Chrome,
    pub systems: Vec<System>,
    pub total: usize,
}

/// A system with its business areas; what names none comes last.
#[derive(Debug, Clone)]
pub struct System {
    pub id: String,
    pub title: String,
    pub count: usize,
    pub areas: Vec<Area>,
}

#[derive(Debug, Clone)]
pub struct Area {
    pub title: String,
    pub items: Vec<Item>,
}

#[derive(Debug, Clone)]
pub struct Item {
    pub name: String,
    pub label: String,
    pub description: String,
    /// Records in force, where they may be told.
    pub rows: String,
    /// What typing is matched against.
    pub words: String,
    pub has_board: bool,
}

impl RegistersPage {
    /// `rows` tells how many records a register has; `None` where the user sees only some of them.
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        datasets: &[&Dataset],
        rows: impl Fn(&Dataset) -> Option<u64>,
    ) -> Self {
        let lang = chrome.lang;
        let list = catalogue.codes("business_area");
        let name = |code: &str| match list.and_then(|l| l.get(code)) {
            Some(item) => lang.t(&item.zh, &item.en).to_string(),
            None => lang.t("其他", "Other").to_string(),
        };
        let order = |code: &str| list.and_then(|l| l.item.iter().position(|i| i.code == code)).unwrap_or(usize::MAX);
        let area = |d: &Dataset| d.register.as_ref().and_then(|r| r.area.clone()).unwrap_or_default();
        let mut sorted: Vec<&&Dataset> = datasets.iter().collect();
        sorted.sort_by_key(|d| (order(&area(d)), d.label.zh.clone()));
        let mut systems: Vec<System> = Vec::new();
        for dataset in sorted {
            let code = area(dataset);
            let system = code.split('/').next().unwrap_or_default().to_string();
            let (title, system_title) = (name(&code), name(&system));
            if systems.last().is_none_or(|s| s.id != system) {
                systems.push(System { id: system, title: system_title.clone(), count: 0, areas: Vec::new() });
            }
            let Some(group) = systems.last_mut() else { continue };
            if group.areas.last().is_none_or(|a| a.title != title) {
                group.areas.push(Area { title: title.clone(), items: Vec::new() });
            }
            group.count += 1;
            let item = item(catalogue, dataset, lang, rows(dataset), &format!("{title} {system_title}"));
            if let Some(last) = group.areas.last_mut() {
                last.items.push(item);
            }
        }
        Self { chrome, total: datasets.len(), systems }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

fn item(catalogue: &Catalogue, dataset: &Dataset, lang: Lang, rows: Option<u64>, place: &str) -> Item {
    let label = &dataset.label;
    Item {
        name: dataset.name.clone(),
        label: lang.pick(label).to_string(),
        description: dataset.description.clone(),
        rows: rows.map(|n| format::integer(i64::try_from(n).unwrap_or(i64::MAX))).unwrap_or_default(),
        words: format!("{} {} {} {place} {}", label.zh, label.en, dataset.name, dataset.description).to_lowercase(),
        has_board: catalogue.board(&dataset.name).is_some(),
    }
}
