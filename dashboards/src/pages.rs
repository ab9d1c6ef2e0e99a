//! Pages as askama contexts. `api` fills a struct, calls `html()` and sends it; nothing else of
//! a page is decided there. Interactive pages carry their definitions in JSON data blocks and
//! ask the HTTP API themselves, so that one policy path serves pages and clients.
//!
//! Routes the pages expect (all GET, `text/html`):
//! `/login?next=`, `/`, `/boards/{name}?layout=&theme=&<variables>`, `/boards/{name}/layout.css`
//! ([`crate::board_style::css`]), `/explore?q=`, `/cases?q=`, `/cases/{id}?q=`,
//! `/geo`, `/import`, `/tasks`, `/records`, `/records/{dataset}`, `/records/{dataset}/new`, `/records/{dataset}/{id}`,
//! `/records/{dataset}/{id}/edit`, `/datasets`, `/datasets/{name}`, `/indicators`, `/indicators/{dataset}/{measure}`, `/api`, and
//! `/assets/{file}?v=` ([`crate::assets`]).

mod chrome;
mod indicators;
mod models;
mod registers;
mod views;
mod work;

pub use chrome::{Chrome, Lang, NavItem, UserView};
pub use indicators::{IndicatorPage, IndicatorRow, IndicatorsPage, VersionRow};
pub use models::{IndexPage, IndexView, IndicatorView, ModelsPage};
pub use registers::RegistersPage;
pub use views::{
    BoardCard, DatasetCard, DatasetView, DocumentSection, FieldRow, FieldView, MeasureView, Paragraph, TableLink,
    TimelineEntry,
};

pub use work::{PrintPage, TasksPage};

use crate::error::Result;
use askama::Template;
use serde::Serialize;
use std::collections::BTreeMap;
use zonglan_catalog::board::{Board, VariableKind};
use zonglan_catalog::{Catalogue, Dataset, Query};

/// JSON for a `<script type="application/json">` block: no `<` survives, so nothing ends it.
pub fn data_block(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|_| "null".into())
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
}

macro_rules! page {
    ($($name:ident),* $(,)?) => {$(
        impl $name {
            /// The whole document.
            pub fn html(&self) -> Result<String> {
                Ok(self.render()?)
            }
        }
    )*};
}
page!(
    LoginPage,
    HomePage,
    BoardPage,
    ExplorePage,
    CasesPage,
    CasePage,
    GeoPage,
    GrantsPage,
    PendingPage,
    ImportPage,
    RecordsPage,
    RecordFormPage,
    RecordPage,
    DatasetsPage,
    DatasetPage,
    ErrorPage,
    ApiPage
);

/// Sign-in. The form posts JSON to `/api/v1/session` and goes to `next` (a path of this site).
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    pub chrome: Chrome,
    pub next: String,
}

impl LoginPage {
    /// `next` is kept only if it is a path of this site.
    pub fn new(chrome: Chrome, next: Option<&str>) -> Self {
        let next =
            next.filter(|n| n.starts_with('/') && !n.starts_with("//") && !n.contains('\\')).unwrap_or("/boards/home");
        Self { chrome, next: next.to_string() }
    }
}

/// The list of boards and datasets that the user may open.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct HomePage {
    pub chrome: Chrome,
    pub boards: Vec<BoardCard>,
    pub datasets: Vec<DatasetCard>,
}

impl HomePage {
    /// Boards under their headings, in the order given.
    pub fn groups(&self) -> Vec<(&str, &[BoardCard])> {
        self.boards.chunk_by(|a, b| a.group == b.group).map(|g| (g[0].group.as_str(), g)).collect()
    }
}

/// A board. The page draws every element empty; `board.js` fills them from the stream.
#[derive(Debug, Template)]
#[template(path = "board.html")]
pub struct BoardPage {
    pub chrome: Chrome,
    pub name: String,
    pub title: String,
    /// `auto` (by the window), `wall`, `desktop`, `mobile`.
    pub layout: String,
    /// `auto` (dark on walls, light elsewhere), `dark`, `light`.
    pub theme: String,
    pub panels: Vec<crate::board::PanelShell>,
    pub variables: Vec<crate::board::VariableView>,
    /// Data block for `board.js`: name, datasets for SSE, variables, kinds.
    pub data: String,
}

impl BoardPage {
    /// `params` are the query parameters of the page: `layout`, `theme` and the board's variables;
    /// `map` the configured ground of maps.
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        board: &Board,
        params: &BTreeMap<String, String>,
        map: &serde_json::Value,
    ) -> Result<Self> {
        let vars = crate::board::BoardVars::read(catalogue, board, params)?;
        let one_of = |key: &str, allowed: &[&str]| {
            params.get(key).filter(|v| allowed.contains(&v.as_str())).cloned().unwrap_or_else(|| "auto".into())
        };
        let layout = one_of("layout", &["wall", "desktop", "mobile"]);
        let lang = chrome.lang;
        let variables = crate::board::variable_views(catalogue, board, &vars, lang);
        let data = data_block(&serde_json::json!({
            "board": board.name,
            "datasets": crate::board::datasets(board),
            "rowPages": row_pages(catalogue, crate::board::datasets(board).iter().map(String::as_str)),
            "variables": variables,
            "regionVariable": board.variables.iter().find(|(_, v)| v.kind == VariableKind::Region).map(|(n, v)| (n, v.field.clone())),
            "lang": lang.code(),
            "demo": chrome.demo,
            "map": map,
            // What the user sees without a choice: the whole city or the own districts.
            "scope": chrome.user.as_ref().map(|u| &u.regions),
        }));
        Ok(Self {
            name: board.name.clone(),
            title: lang.pick(&board.title).to_string(),
            theme: match (one_of("theme", &["dark", "light"]).as_str(), layout.as_str()) {
                // A chosen layout fixes the ground, too: walls are dark, desks light.
                ("auto", "wall") => "dark".into(),
                ("auto", "desktop" | "mobile") => "light".into(),
                (theme, _) => theme.to_string(),
            },
            layout,
            panels: crate::board::shells(board, lang),
            variables,
            data,
            chrome,
        })
    }
}

/// Where the rows of datasets have pages of their own: `/records/x/` or `/cases/`, by dataset.
fn row_pages<'a>(catalogue: &Catalogue, names: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    names
        .filter_map(|name| catalogue.dataset(name))
        .filter_map(|d| {
            let page = if d.register.is_some() {
                format!("/records/{}/", d.name)
            } else if d.is_searchable() && d.key.len() == 1 {
                "/cases/".to_string()
            } else {
                return None;
            };
            Some((d.name.clone(), page))
        })
        .collect()
}

/// Figures and rows of one query. The query lives in `?q=`; without it the page offers datasets.
#[derive(Debug, Template)]
#[template(path = "explore.html")]
pub struct ExplorePage {
    pub chrome: Chrome,
    /// Data block: `{datasets: {name: DatasetView}, rowPages, exportRows, roles, plan, user, lang}`.
    pub data: String,
}

impl ExplorePage {
    /// `datasets` are those that the user may read; `export_rows` of them may leave at once;
    /// `plan`: explanations tell of the plan.
    pub fn new(chrome: Chrome, catalogue: &Catalogue, datasets: &[&Dataset], export_rows: usize, plan: bool) -> Self {
        let user = chrome.user.as_ref().map(|u| u.user.clone()).unwrap_or_default();
        let roles: Vec<(&str, &str)> =
            catalogue.policy().roles().iter().map(|r| (r.name.as_str(), chrome.lang.pick(&r.label))).collect();
        let views: BTreeMap<&str, DatasetView> =
            datasets.iter().map(|d| (d.name.as_str(), DatasetView::brief(catalogue, d, chrome.lang))).collect();
        let pages = row_pages(catalogue, datasets.iter().map(|d| d.name.as_str()));
        let data = data_block(
            &serde_json::json!({"datasets": views, "rowPages": pages, "exportRows": export_rows, "roles": roles, "plan": plan, "user": user, "lang": chrome.lang.code()}),
        );
        Self { chrome, data }
    }
}

/// Full-text search; `?dataset=&q=` restore it. Asks `POST /api/v1/search`.
#[derive(Debug, Template)]
#[template(path = "cases.html")]
pub struct CasesPage {
    pub chrome: Chrome,
    /// Data block: searchable datasets with their facet fields, and which is chosen.
    pub data: String,
}

impl CasesPage {
    /// `datasets`: the searchable ones that the user may list, the default first.
    pub fn new(chrome: Chrome, catalogue: &Catalogue, datasets: &[&Dataset]) -> Self {
        let views: Vec<DatasetView> = datasets.iter().map(|d| DatasetView::brief(catalogue, d, chrome.lang)).collect();
        let data = data_block(&serde_json::json!({"datasets": views, "lang": chrome.lang.code()}));
        Self { chrome, data }
    }
}

/// Query rights: applications, decisions.
#[derive(Debug, Template)]
#[template(path = "grants.html")]
pub struct GrantsPage {
    pub chrome: Chrome,
    /// Data block: datasets with their regions and personal fields.
    pub data: String,
}

impl GrantsPage {
    /// `datasets`: those that may be applied for.
    pub fn new(chrome: Chrome, catalogue: &Catalogue, datasets: &[&Dataset]) -> Self {
        let lang = chrome.lang;
        let regions: Vec<(String, String)> = catalogue
            .codes("region")
            .into_iter()
            .flat_map(|list| &list.item)
            .filter(|i| i.code.len() == 6 && i.replaced_by.is_none())
            .map(|i| (i.code.clone(), lang.t(&i.zh, &i.en).to_string()))
            .collect();
        let views: Vec<_> = datasets
            .iter()
            .map(|d| {
                let personal = |f: &&zonglan_catalog::Field| {
                    !f.person_key && f.sensitivity >= zonglan_catalog::dataset::Sensitivity::Personal
                };
                let fields: Vec<_> = d
                    .field
                    .iter()
                    .filter(personal)
                    .map(|f| (f.name.clone(), lang.pick(&f.label).to_string()))
                    .collect();
                serde_json::json!({
                    "name": d.name, "label": lang.pick(&d.label), "fields": fields,
                    "regions": if d.region.is_some() { regions.as_slice() } else { &[] },
                })
            })
            .collect();
        let data = data_block(&serde_json::json!({"datasets": views}));
        Self { chrome, data }
    }
}

/// Documents with values that somebody has to confirm.
#[derive(Debug, Template)]
#[template(path = "pending.html")]
pub struct PendingPage {
    pub chrome: Chrome,
    pub dataset: String,
}

/// One document with its sections; words of `?q=` are marked by the page.
#[derive(Debug, Template)]
#[template(path = "case.html")]
pub struct CasePage {
    pub chrome: Chrome,
    pub dataset: String,
    pub dataset_label: String,
    pub id: String,
    pub title: String,
    /// Short fields, label and text, masked as the role says.
    pub fields: Vec<FieldRow>,
    /// Long texts.
    pub sections: Vec<DocumentSection>,
    /// Stage events (case_event), oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// The words searched for, for marking.
    pub words: String,
}

impl CasePage {
    /// From the values of one row (as a rows query with all permitted fields answers them).
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        dataset: &Dataset,
        id: &str,
        row: &BTreeMap<String, zonglan_catalog::Value>,
        words: &str,
    ) -> Self {
        let (fields, sections) = views::document(catalogue, dataset, row, chrome.lang);
        let title = dataset
            .title
            .as_ref()
            .and_then(|t| row.get(t))
            .map(zonglan_catalog::Value::to_text)
            .filter(|t| !t.is_empty());
        Self {
            dataset: dataset.name.clone(),
            dataset_label: chrome.lang.pick(&dataset.label).to_string(),
            id: id.to_string(),
            title: title.unwrap_or_else(|| id.to_string()),
            fields,
            sections,
            timeline: Vec::new(),
            words: words.to_string(),
            chrome,
        }
    }
}

/// Coordinates and places: conversion, addresses, control points, boundaries, densities.
#[derive(Debug, Template)]
#[template(path = "geo.html")]
pub struct GeoPage {
    pub chrome: Chrome,
    /// Data block: what the user may do, the configured map, datasets with places.
    pub data: String,
}

impl GeoPage {
    pub fn new(chrome: Chrome, settings: &serde_json::Value) -> Self {
        Self { data: data_block(settings), chrome }
    }
}

/// Upload, preview, map columns, see errors, correct and retry.
#[derive(Debug, Template)]
#[template(path = "import.html")]
pub struct ImportPage {
    pub chrome: Chrome,
    /// Data block: datasets that the user may import, with fields.
    pub data: String,
    pub empty: bool,
}

impl ImportPage {
    pub fn new(chrome: Chrome, catalogue: &Catalogue, datasets: &[&Dataset], chosen: Option<&str>) -> Self {
        let views: Vec<DatasetView> = datasets.iter().map(|d| DatasetView::brief(catalogue, d, chrome.lang)).collect();
        let data = data_block(&serde_json::json!({"datasets": views, "chosen": chosen, "lang": chrome.lang.code()}));
        Self { empty: datasets.is_empty(), chrome, data }
    }
}

/// What somebody may do with a register.
#[derive(Debug, Clone, Copy, Default)]
pub struct May {
    pub write: bool,
    pub import: bool,
    pub export: bool,
    /// May start supervision orders.
    pub supervise: bool,
}

/// The list of a register.
#[derive(Debug, Template)]
#[template(path = "records.html")]
pub struct RecordsPage {
    pub chrome: Chrome,
    pub dataset: String,
    pub title: String,
    pub description: String,
    pub may_write: bool,
    pub data: String,
}

impl RecordsPage {
    /// `may`: what the user may do with the register.
    pub fn new(chrome: Chrome, catalogue: &Catalogue, dataset: &Dataset, may: &May) -> Self {
        let view = DatasetView::new(catalogue, dataset, chrome.lang);
        let may_write = may.write;
        let data = data_block(&serde_json::json!({
            "dataset": view, "mayWrite": may.write, "mayImport": may.import, "mayExport": may.export, "lang": chrome.lang.code(),
        }));
        Self {
            dataset: dataset.name.clone(),
            title: chrome.lang.pick(&dataset.label).to_string(),
            description: dataset.description.clone(),
            may_write,
            chrome,
            data,
        }
    }
}

/// The form of a new record (`id` none) or of a change to one.
#[derive(Debug, Template)]
#[template(path = "record_form.html")]
pub struct RecordFormPage {
    pub chrome: Chrome,
    pub dataset: String,
    pub dataset_label: String,
    pub id: Option<String>,
    pub data: String,
}

impl RecordFormPage {
    /// `parent`: field and key of the parent record, when a child is added under it.
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        dataset: &Dataset,
        id: Option<&str>,
        parent: Option<(&str, &str)>,
    ) -> Self {
        let view = DatasetView::new(catalogue, dataset, chrome.lang);
        let data = data_block(&serde_json::json!({
            "dataset": view,
            "id": id,
            "parent": parent.map(|(field, key)| serde_json::json!({"field": field, "key": key, "dataset": dataset.parent.as_ref().map(|p| &p.dataset)})),
            "user": chrome.user.as_ref().map(|u| &u.user),
            "lang": chrome.lang.code(),
        }));
        Self {
            dataset: dataset.name.clone(),
            dataset_label: chrome.lang.pick(&dataset.label).to_string(),
            id: id.map(str::to_string),
            chrome,
            data,
        }
    }
}

/// One record with its history and children.
#[derive(Debug, Template)]
#[template(path = "record.html")]
pub struct RecordPage {
    pub chrome: Chrome,
    pub dataset: String,
    pub dataset_label: String,
    pub id: String,
    pub may_write: bool,
    pub data: String,
}

impl RecordPage {
    /// `children`: child datasets that the user may read.
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        dataset: &Dataset,
        children: &[&Dataset],
        id: &str,
        may: &May,
    ) -> Self {
        let may_write = may.write;
        let view = DatasetView::new(catalogue, dataset, chrome.lang);
        let children: Vec<DatasetView> = children.iter().map(|d| DatasetView::new(catalogue, d, chrome.lang)).collect();
        let data = data_block(
            &serde_json::json!({"dataset": view, "children": children, "id": id, "mayWrite": may_write, "supervises": may.supervise, "lang": chrome.lang.code()}),
        );
        Self {
            dataset: dataset.name.clone(),
            dataset_label: chrome.lang.pick(&dataset.label).to_string(),
            id: id.to_string(),
            may_write,
            chrome,
            data,
        }
    }
}

/// All datasets that the user may read.
#[derive(Debug, Template)]
#[template(path = "datasets.html")]
pub struct DatasetsPage {
    pub chrome: Chrome,
    pub datasets: Vec<DatasetCard>,
}

/// What a dataset and its measures mean (口径), and how fresh it is.
#[derive(Debug, Template)]
#[template(path = "dataset.html")]
pub struct DatasetPage {
    pub chrome: Chrome,
    pub card: DatasetCard,
    pub source: String,
    pub owner: String,
    pub fields: Vec<FieldView>,
    pub measures: Vec<MeasureView>,
    pub children: Vec<TableLink>,
    pub is_register: bool,
    pub is_searchable: bool,
}

impl DatasetPage {
    pub fn new(
        chrome: Chrome,
        catalogue: &Catalogue,
        dataset: &Dataset,
        state: &zonglan_catalog::traits::DatasetState,
    ) -> Self {
        let view = DatasetView::new(catalogue, dataset, chrome.lang);
        let zh = chrome.lang == Lang::Zh;
        let source = match (dataset.source, zh) {
            (zonglan_catalog::dataset::Source::Records, true) => "登记（人工维护，逐笔留痕）",
            (zonglan_catalog::dataset::Source::Records, false) => "records (kept by hand, every write logged)",
            (zonglan_catalog::dataset::Source::Import, true) => "导入（外部系统，只读）",
            (zonglan_catalog::dataset::Source::Import, false) => "import (other systems, read-only)",
        };
        Self {
            card: DatasetCard::new(dataset, state, chrome.lang),
            source: source.to_string(),
            owner: dataset.owner.clone(),
            children: catalogue.children(&dataset.name).map(|c| TableLink::dataset(c, chrome.lang)).collect(),
            is_register: dataset.register.is_some(),
            is_searchable: dataset.is_searchable(),
            fields: view.fields,
            measures: view.measures,
            chrome,
        }
    }
}

/// Something went wrong: what, and what to do.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub chrome: Chrome,
    pub status: u16,
    pub title: String,
    pub message: String,
    pub hint: Option<String>,
    pub request_id: Option<String>,
}

impl ErrorPage {
    /// A page for a status; `message` as the user may see it, empty for the usual one.
    pub fn new(chrome: Chrome, status: u16, message: &str, hint: Option<String>, request_id: Option<String>) -> Self {
        let zh = chrome.lang == Lang::Zh;
        let (title, usual) = match (status, zh) {
            (403, true) => ("无权查看", "您的角色或辖区不能查看此页。"),
            (403, false) => ("Not allowed", "Your role or region may not see this page."),
            (404, true) => ("没有这个页面", "地址有误，或内容已移走。"),
            (404, false) => ("No such page", "The address is wrong or the content has moved."),
            (429 | 503, true) => ("暂时繁忙", "请稍后再试。"),
            (429 | 503, false) => ("Busy", "Please try again later."),
            (400..=499, true) => ("请求有误", "请检查输入后重试。"),
            (400..=499, false) => ("Bad request", "Please check the input and try again."),
            (_, true) => ("系统出错", "我们已记录此问题。请把下面的编号告诉管理员。"),
            (_, false) => {
                ("Something broke", "The problem has been recorded. Please tell the administrator the id below.")
            }
        };
        let message = if message.is_empty() || status >= 500 { usual.to_string() } else { message.to_string() };
        Self { chrome, status, title: title.to_string(), message, hint, request_id }
    }
}

/// The browsable page of the OpenAPI document (`/api/openapi.json`).
#[derive(Debug, Template)]
#[template(path = "api.html")]
pub struct ApiPage {
    pub chrome: Chrome,
}

/// A link to rows or figures of a query.
pub fn explore_href(query: &Query) -> String {
    let json = serde_json::to_string(query).unwrap_or_default();
    format!("/explore?q={}", crate::format::percent_encode(&json))
}
