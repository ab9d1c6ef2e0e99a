//! The pages of the models: the run engine, and an index explained.

use super::pages::{Page, Parameters, Visitor};
use crate::app::App;
use crate::engine;
use crate::error::{Error, Result};
use crate::extract::readable;
use axum::extract::{Path, Query as Params, State};
use zonglan_catalog::dataset::Aggregate;
use zonglan_catalog::policy::WHOLE_CITY;
use zonglan_catalog::{Catalogue, Measure};
use zonglan_dashboards::pages::{IndexPage, IndexView, IndicatorView, ModelsPage};
use zonglan_models::index::file::{IndexFile, IndicatorFile};

pub async fn models(visitor: Visitor, Params(params): Parameters) -> Page {
    let may_act = visitor.catalogue.policy().may(&visitor.auth.principal, "jobs");
    let html = ModelsPage::new(visitor.chrome.clone(), may_act, params.get("model").map(String::as_str)).html();
    Visitor::show(visitor.chrome, html)
}

pub async fn index(State(app): State<App>, visitor: Visitor, Path(name): Path<String>) -> Page {
    let build = || -> Result<String> {
        let scores = readable(&app, &visitor.auth, engine::SCORES)?;
        let file = IndexFile::load(&visitor.catalogue, &name)?;
        let english = visitor.chrome.lang == zonglan_dashboards::pages::Lang::En;
        let lang = visitor.chrome.lang;
        let written = |value: serde_json::Value| value.as_str().unwrap_or_default().to_string();
        let view = IndexView {
            name: file.name.clone(),
            label: lang.pick(&file.label).to_string(),
            version: file.version.clone(),
            basis: file.basis.clone(),
            note: file.note.clone().unwrap_or_default(),
            form: written(serde_json::to_value(file.form).map_err(Error::internal)?),
            aggregation: written(serde_json::to_value(file.aggregation).map_err(Error::internal)?),
            t_min: file.t_min,
            bands: file.grades.bands,
            dimensions: file
                .dimension
                .iter()
                .map(|d| (d.id.clone(), lang.pick(&d.label).to_string(), d.weight))
                .collect(),
            indicators: file
                .dimension
                .iter()
                .flat_map(|d| d.indicator.iter().map(move |i| (d, i)))
                .map(|(d, i)| indicator(&visitor.catalogue, &d.id, i, lang.pick(&i.label)))
                .collect(),
            dataset: scores.name.clone(),
            regions: regions(&visitor, english),
        };
        Ok(IndexPage::new(visitor.chrome.clone(), &view).html()?)
    };
    let html = build();
    Visitor::show(visitor.chrome, html)
}

fn indicator(catalogue: &Catalogue, dimension: &str, file: &IndicatorFile, label: &str) -> IndicatorView {
    let (dataset, name) = file.measure.split_once('.').unwrap_or((file.measure.as_str(), ""));
    let measure = catalogue.dataset(dataset).and_then(|d| d.measure(name));
    // The rows of a ratio are those that its denominator counts.
    let counted = measure.map(|m| match (m.agg, &m.denominator) {
        (Aggregate::Ratio, Some(below)) => {
            catalogue.dataset(dataset).and_then(|d| d.measure(below)).map_or(m, |found| found)
        }
        _ => m,
    });
    let filter = |m: &Measure| m.filter.to_json();
    IndicatorView {
        id: file.id.clone(),
        label: label.to_string(),
        dimension: dimension.to_string(),
        bounds: file.bounds.clone(),
        street_bounds: file.street.as_ref().map(|s| s.bounds.clone()).unwrap_or_default(),
        dataset: dataset.to_string(),
        measure: name.to_string(),
        filter: counted.filter(|m| !m.filter.is_true()).map(filter).unwrap_or_default(),
        definition: measure.map(|m| m.definition.clone()).unwrap_or_default(),
        rows: catalogue
            .dataset(dataset)
            .map(|d| d.list_fields().into_iter().map(str::to_string).collect())
            .unwrap_or_default(),
    }
}

/// The regions that somebody may choose: their own, each before its subdistricts.
fn regions(visitor: &Visitor, english: bool) -> Vec<(String, String)> {
    let own = &visitor.auth.principal.regions;
    let whole = own.iter().any(|r| r == WHOLE_CITY);
    let Some(list) = visitor.catalogue.codes("region") else { return Vec::new() };
    let mut out: Vec<(String, String)> = list
        .item
        .iter()
        .filter(|item| whole || own.iter().any(|r| item.code.starts_with(r.as_str())))
        .map(|item| (item.code.clone(), if english { item.en.clone() } else { item.zh.clone() }))
        .collect();
    out.sort();
    if whole && !out.iter().any(|(code, _)| code == WHOLE_CITY) {
        let name = if english { "Whole city" } else { "全市" };
        out.insert(0, (WHOLE_CITY.into(), name.into()));
    }
    out
}
