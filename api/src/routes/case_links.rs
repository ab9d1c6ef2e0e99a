//! Documents that belong together: linked by a record, or by what their texts say.

use super::cases::Found;
use crate::app::App;
use crate::error::{Error, Result};
use crate::extract::Auth;
use crate::extracting::rules;
use crate::store::Confirmation;
use serde::Serialize;
use std::collections::BTreeMap;
use zonglan_catalog::dataset::{FieldType, SearchMode};
use zonglan_catalog::{Dataset, SearchRequest, Value};
use zonglan_models::extract::{self, Extracted, link};

/// Documents looked at for links.
const MOST_CANDIDATES: usize = 40;

#[derive(Serialize)]
pub struct LinkedOut {
    pub dataset: String,
    pub id: String,
    pub title: String,
    pub label: String,
    /// 1 where a record names the other; below, how sure the texts are.
    pub confidence: f64,
    pub reasons: Vec<String>,
    /// Shown to be confirmed.
    pub pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
}

fn refers(dataset: &Dataset, target: &str) -> Option<String> {
    let field = dataset.field.iter().find(|f| {
        f.kind == FieldType::Ref
            && (f.refers.as_deref() == Some(target) || f.refers.is_none() && f.name == format!("{target}_id"))
    });
    field.map(|f| f.name.clone())
}

/// Documents that name this one, and the one that this names.
pub async fn referring(app: &App, auth: &Auth, found: &Found) -> Result<Vec<LinkedOut>> {
    let catalogue = app.catalogue();
    let policy = catalogue.policy();
    let mut wanted: Vec<(&Dataset, String, String)> = Vec::new();
    for other in catalogue.datasets().filter(|d| policy.may_list_rows(&auth.principal, d) && d.is_searchable()) {
        let child = other.parent.as_ref().is_some_and(|p| p.dataset == found.dataset.name);
        if let Some(field) = refers(other, &found.dataset.name).filter(|_| !child) {
            wanted.push((other, field, found.id.clone()));
        }
        if let (Some(field), [key]) = (refers(&found.dataset, &other.name), other.key.as_slice())
            && let Some(id) = found.fields.get(&field).map(Value::to_text).filter(|id| !id.is_empty())
        {
            wanted.push((other, key.clone(), id));
        }
    }
    let mut out = Vec::new();
    for (dataset, field, id) in wanted {
        if dataset.field(&field).is_none_or(|f| f.search == SearchMode::None) {
            continue;
        }
        let request = SearchRequest {
            dataset: dataset.name.clone(),
            filters: super::search::equals(&field, &id),
            limit: 20,
            ..SearchRequest::default()
        };
        let page = app.search(&app.bind_search(&auth.principal, &request)?).await?;
        out.extend(page.hits.into_iter().map(|hit| LinkedOut {
            dataset: dataset.name.clone(),
            title: title(dataset, &hit.fields, &hit.id),
            label: dataset.label.zh.clone(),
            id: hit.id,
            confidence: 1.0,
            reasons: vec![format!(
                "登记的关联：{}",
                dataset.field(&field).map_or(field.as_str(), |f| f.label.zh.as_str())
            )],
            pending: false,
            confirmed: None,
        }));
    }
    Ok(out)
}

pub fn title(dataset: &Dataset, fields: &BTreeMap<String, Value>, id: &str) -> String {
    let text = dataset.title.as_ref().and_then(|t| fields.get(t)).map(Value::to_text).filter(|t| !t.is_empty());
    text.unwrap_or_else(|| id.to_string())
}

/// The text of a hit, as the asker may see it.
pub async fn text_of(app: &App, bound: &zonglan_catalog::BoundSearch, id: &str, field: &str) -> Result<Option<String>> {
    let (index, bound, id) = (app.index.clone(), bound.clone(), id.to_string());
    let document = tokio::task::spawn_blocking(move || index.get(&bound, &id)).await.map_err(Error::internal)??;
    Ok(document.and_then(|mut d| match d.fields.remove(field) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }))
}

/// Other documents of the same case: those that cite its number, and those that it cites.
pub async fn linked_by_text(
    app: &App,
    auth: &Auth,
    found: &Found,
    read: &Extracted,
    said: &[Confirmation],
) -> Result<Vec<LinkedOut>> {
    let Some(rules) = rules(&app.catalogue(), &found.dataset.name) else { return Ok(Vec::new()) };
    let own = link::Stage::of(&found.id, read);
    let numbers: Vec<&String> = own.number.iter().chain(&own.cites).take(8).collect();
    let mut out: Vec<LinkedOut> = Vec::new();
    for number in numbers {
        let request = SearchRequest {
            dataset: found.dataset.name.clone(),
            query: format!("\"{number}\""),
            limit: 10,
            ..SearchRequest::default()
        };
        let bound = app.bind_search(&auth.principal, &request)?;
        let page = app.search(&bound).await?;
        for hit in page.hits {
            if hit.id == found.id || out.iter().any(|l| l.id == hit.id) || out.len() >= MOST_CANDIDATES {
                continue;
            }
            let Some(text) = text_of(app, &bound, &hit.id, &rules.text).await? else { continue };
            let Some(link) = link::link(&own, &link::Stage::of(&hit.id, &extract::judgment(&text))) else { continue };
            let confirmed = said.iter().find(|c| c.item == format!("link:{}/{}", found.dataset.name, hit.id)).cloned();
            out.push(LinkedOut {
                dataset: found.dataset.name.clone(),
                title: title(&found.dataset, &hit.fields, &hit.id),
                label: found.dataset.label.zh.clone(),
                pending: link.confidence < rules.link && confirmed.is_none(),
                confidence: link.confidence,
                reasons: link.reasons,
                id: hit.id,
                confirmed,
            });
        }
    }
    out.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(out)
}
