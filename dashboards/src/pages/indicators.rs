//! Indicators: what each measure means, who answers for it, and what it meant before.

use super::views::MeasureView;
use super::{Chrome, Lang};
use crate::error::Result;
use askama::Template;
use zonglan_catalog::dataset::{Additivity, Measure};
use zonglan_catalog::{Catalogue, Dataset};

/// A measure in the list and on its page.
#[derive(Debug, Clone)]
pub struct IndicatorRow {
    pub dataset: String,
    pub dataset_label: String,
    pub measure: MeasureView,
    /// The measure's own department, or the dataset's.
    pub owner: String,
    /// The day from which the newest definition holds, or empty.
    pub since: String,
    pub versions: usize,
    pub additivity: &'static str,
    /// The measure's filter as JSON, or empty.
    pub condition: String,
}

impl IndicatorRow {
    pub fn new(catalogue: &Catalogue, dataset: &Dataset, measure: &Measure, lang: Lang) -> Self {
        let view = MeasureView::new(catalogue, dataset, measure, lang);
        Self {
            dataset: dataset.name.clone(),
            dataset_label: lang.pick(&dataset.label).to_string(),
            owner: if view.owner.is_empty() { dataset.owner.clone() } else { view.owner.clone() },
            since: measure.newest_from().map(|d| d.to_string()).unwrap_or_default(),
            versions: measure.newest_version(),
            additivity: match measure.agg.additivity() {
                Additivity::Full => lang.t("各组可相加", "over every dimension"),
                Additivity::SemiTime => lang.t("除时间外可相加", "over every dimension but time"),
                Additivity::Extreme => lang.t("取最大或最小，不可相加", "no; largest and smallest merge"),
                Additivity::None => lang.t("不可相加，按明细重算", "no; worked out from rows"),
                Additivity::Ratio => lang.t("不可相加，由分子分母重算", "no; worked out from its parts"),
            },
            condition: if measure.filter.is_true() { String::new() } else { measure.filter.to_json().to_string() },
            measure: view,
        }
    }

    fn says(&self, words: &str) -> bool {
        let texts =
            [&self.measure.label, &self.measure.name, &self.measure.definition, &self.owner, &self.dataset_label];
        words.split_whitespace().all(|word| texts.iter().any(|text| text.to_lowercase().contains(&word.to_lowercase())))
    }
}

/// One definition of a measure.
#[derive(Debug, Clone)]
pub struct VersionRow {
    pub number: usize,
    pub newest: bool,
    pub period: String,
    pub definition: String,
    pub note: String,
    pub basis: String,
    pub owner: String,
    /// What a question about that time is answered with.
    pub used: &'static str,
}

fn versions(row: &IndicatorRow, measure: &Measure, lang: Lang) -> Vec<VersionRow> {
    let mut rows: Vec<VersionRow> = measure
        .version
        .iter()
        .enumerate()
        .map(|(at, v)| VersionRow {
            number: at + 1,
            newest: false,
            period: format!("{} – {}", v.from, v.to.pred_opt().unwrap_or(v.to)),
            definition: v.definition.clone(),
            note: v.note.clone().unwrap_or_default(),
            basis: v.basis.clone().unwrap_or_default(),
            owner: v.owner.clone().unwrap_or_else(|| row.owner.clone()),
            used: if v.computed_by.is_some() {
                lang.t("按这一版计算", "this definition is used")
            } else {
                lang.t("按现行口径计算并注明", "the newest is used, and said so")
            },
        })
        .collect();
    rows.push(VersionRow {
        number: measure.newest_version(),
        newest: true,
        period: measure.newest_from().map_or_else(|| lang.t("未限定", "always").to_string(), |d| format!("{d} –")),
        definition: measure.definition.clone(),
        note: String::new(),
        basis: measure.basis.clone().unwrap_or_default(),
        owner: row.owner.clone(),
        used: lang.t("按这一版计算", "this definition is used"),
    });
    rows.reverse();
    rows
}

/// `/indicators`: all measures of the datasets that one may read.
#[derive(Debug, Template)]
#[template(path = "indicators.html")]
pub struct IndicatorsPage {
    pub chrome: Chrome,
    pub words: String,
    pub rows: Vec<IndicatorRow>,
    pub total: usize,
}

impl IndicatorsPage {
    pub fn new(chrome: Chrome, catalogue: &Catalogue, datasets: &[&Dataset], words: &str) -> Self {
        let lang = chrome.lang;
        let mut rows: Vec<IndicatorRow> = datasets
            .iter()
            .flat_map(|d| d.measure.iter().map(move |m| IndicatorRow::new(catalogue, d, m, lang)))
            .collect();
        let total = rows.len();
        rows.retain(|row| row.says(words));
        // Those with a history first; otherwise as the datasets come.
        rows.sort_by_key(|row| std::cmp::Reverse(row.versions));
        Self { chrome, words: words.to_string(), rows, total }
    }

    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

/// `/indicators/{dataset}/{measure}`: one measure with its versions.
#[derive(Debug, Template)]
#[template(path = "indicator.html")]
pub struct IndicatorPage {
    pub chrome: Chrome,
    pub row: IndicatorRow,
    pub versions: Vec<VersionRow>,
    /// The link to its figures.
    pub explore: String,
}

impl IndicatorPage {
    pub fn new(chrome: Chrome, catalogue: &Catalogue, dataset: &Dataset, measure: &Measure, explore: String) -> Self {
        let row = IndicatorRow::new(catalogue, dataset, measure, chrome.lang);
        let versions = versions(&row, measure, chrome.lang);
        Self { chrome, row, versions, explore }
    }

    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}
