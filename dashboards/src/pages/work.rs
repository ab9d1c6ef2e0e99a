//! Pages of work: the task centre and the list of registers.

use super::chrome::{Chrome, Lang};
use super::data_block;
use crate::error::Result;
use askama::Template;
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Dataset};

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

/// Registers of one pack.
#[derive(Debug)]
pub struct RegisterGroup {
    pub label: String,
    pub registers: Vec<RegisterCard>,
}

#[derive(Debug)]
pub struct RegisterCard {
    pub href: String,
    pub label: String,
    pub description: String,
    pub owner: String,
}

/// All registers that the user may open, by system.
#[derive(Debug, Template)]
#[template(path = "registers.html")]
pub struct RegistersPage {
    pub chrome: Chrome,
    pub groups: Vec<RegisterGroup>,
}

impl RegistersPage {
    /// `datasets`: registers without a parent that the user may list.
    pub fn new(chrome: Chrome, datasets: &[&Dataset]) -> Self {
        let lang = chrome.lang;
        let mut groups: BTreeMap<&str, Vec<RegisterCard>> = BTreeMap::new();
        for dataset in datasets {
            groups.entry(&dataset.pack).or_default().push(RegisterCard {
                href: format!("/records/{}", dataset.name),
                label: lang.pick(&dataset.label).to_string(),
                description: dataset.description.clone(),
                owner: dataset.owner.clone(),
            });
        }
        let groups = groups
            .into_iter()
            .map(|(pack, registers)| RegisterGroup { label: pack_label(pack, lang).to_string(), registers })
            .collect();
        Self { chrome, groups }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

fn pack_label(pack: &str, lang: Lang) -> &str {
    match pack {
        "base" => lang.t("公共", "Shared"),
        "police" => lang.t("公安", "Police"),
        "politics_law" => lang.t("政法", "Politics and law"),
        "urban_management" => lang.t("城市管理", "Urban management"),
        "governance" => lang.t("城市治理", "Governance"),
        "justice" => lang.t("司法行政", "Justice"),
        "office" => lang.t("政务办公", "Government office"),
        other => other,
    }
}
