//! `/api/v1/datasets`: what there is to ask, what it means and how fresh it is.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, Language, readable};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use zonglan_catalog::traits::{DatasetState, QueryEngine};
use zonglan_catalog::{Dataset, value::instant_text};
use zonglan_dashboards::pages::DatasetView;

#[derive(Serialize, ToSchema)]
pub struct DatasetOut {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub definition: DatasetView,
    pub description: String,
    pub owner: String,
    pub modules: Vec<String>,
    pub children: Vec<String>,
    pub may: May,
    pub state: StateOut,
}

/// What the asker may do with a dataset.
#[derive(Serialize, ToSchema)]
pub struct May {
    pub rows: bool,
    pub write: bool,
    pub import: bool,
    pub search: bool,
}

/// How fresh the columnar store's rows are.
#[derive(Serialize, ToSchema)]
pub struct StateOut {
    pub version: u64,
    /// Rows of everybody; only for those who see the whole city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Earliest and latest event, and the last load: instants with zone.
    pub first_event: Option<String>,
    pub watermark: Option<String>,
    pub loaded_at: Option<String>,
}

impl StateOut {
    fn new(state: &DatasetState, whole: bool) -> Self {
        Self {
            version: state.version,
            rows: whole.then_some(state.rows),
            first_event: state.first_event.map(instant_text),
            watermark: state.watermark.map(instant_text),
            loaded_at: state.loaded_at.map(instant_text),
        }
    }
}

fn describe(app: &App, auth: &Auth, dataset: &Dataset, language: Language) -> DatasetOut {
    let catalogue = app.catalogue();
    let policy = catalogue.policy();
    let rows = policy.may_list_rows(&auth.principal, dataset);
    DatasetOut {
        definition: DatasetView::new(&catalogue, dataset, language.0),
        description: dataset.description.clone(),
        owner: dataset.owner.clone(),
        modules: dataset.modules.clone(),
        children: catalogue.children(&dataset.name).map(|d| d.name.clone()).collect(),
        may: May {
            rows,
            write: policy.may_write(&auth.principal, dataset),
            import: policy.may_import(&auth.principal, dataset),
            search: rows && dataset.is_searchable(),
        },
        state: StateOut::new(&QueryEngine::state(&app.columns, &dataset.name), policy.full_view(&auth.principal)),
    }
}

/// List the datasets that one may read
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", operation_id = "list_datasets", responses((status = 200, body = Vec<DatasetOut>)))]
pub async fn list(State(app): State<App>, auth: Auth, language: Language) -> Json<Vec<DatasetOut>> {
    let catalogue = app.catalogue();
    let readable = catalogue.datasets().filter(|d| catalogue.policy().may_read(&auth.principal, d));
    Json(readable.map(|d| describe(&app, &auth, d, language)).collect())
}

/// One dataset with fields, measures and freshness
#[utoipa::path(get, path = "/api/v1/datasets/{name}", tag = "datasets", operation_id = "get_dataset", params(("name" = String, Path)),
    responses((status = 200, body = DatasetOut), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path(name): Path<String>,
) -> Result<Json<DatasetOut>> {
    let dataset = readable(&app, &auth, &name)?;
    Ok(Json(describe(&app, &auth, &dataset, language)))
}
