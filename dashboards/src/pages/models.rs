//! Pages of the models: what runs and how it is doing, and an index explained.

use super::{Chrome, data_block};
use crate::error::Result;
use askama::Template;
use serde::Serialize;
use serde_json::Value as Json;

/// The run engine: models with health, runs, schedule and benefit. `models.js` fills it.
#[derive(Debug, Template)]
#[template(path = "models.html")]
pub struct ModelsPage {
    pub chrome: Chrome,
    pub data: String,
}

impl ModelsPage {
    /// `chosen`: the model whose runs are shown first.
    pub fn new(chrome: Chrome, may_act: bool, chosen: Option<&str>) -> Self {
        let data = data_block(&serde_json::json!({"mayAct": may_act, "chosen": chosen}));
        Self { chrome, data }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

/// What an indicator counts, for the way from a score to the rows behind it.
#[derive(Debug, Clone, Serialize)]
pub struct IndicatorView {
    pub id: String,
    pub label: String,
    pub dimension: String,
    /// Where the bounds come from, of districts and of subdistricts.
    pub bounds: String,
    pub street_bounds: String,
    /// The dataset of its measure, and the measure's own condition.
    pub dataset: String,
    pub measure: String,
    #[serde(rename = "where")]
    pub filter: Json,
    pub definition: String,
    /// Fields that the list of the rows shows.
    pub rows: Vec<String>,
}

/// What the page of an index says beside the scores.
#[derive(Debug, Clone, Serialize)]
pub struct IndexView {
    pub name: String,
    pub label: String,
    pub version: String,
    pub basis: Vec<String>,
    pub note: String,
    pub form: String,
    pub aggregation: String,
    pub t_min: f64,
    /// Lower ends of normal, blue, yellow, orange.
    pub bands: [f64; 4],
    pub dimensions: Vec<(String, String, f64)>,
    pub indicators: Vec<IndicatorView>,
    /// The dataset that holds the scores.
    pub dataset: String,
    /// Regions that may be chosen: code and name, districts before their subdistricts.
    pub regions: Vec<(String, String)>,
}

/// An index of a region explained. `indices.js` asks for the scores and fills it.
#[derive(Debug, Template)]
#[template(path = "index.html")]
pub struct IndexPage {
    pub chrome: Chrome,
    pub label: String,
    pub data: String,
}

impl IndexPage {
    pub fn new(chrome: Chrome, view: &IndexView) -> Self {
        Self { chrome, label: view.label.clone(), data: data_block(view) }
    }

    /// The whole document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}
