//! `/api/v1/briefings`: declared texts with computed figures, as far as the asker may see them.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::Auth;
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::Days;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::table::Table;
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Filter, Query};
use zonglan_dashboards::format;
use zonglan_dashboards::pages::Lang;
use zonglan_models::briefing::{Briefing, Filled, change_text};

#[derive(Serialize, ToSchema)]
pub struct BriefingOut {
    pub name: String,
    pub label: String,
    pub label_en: String,
    pub version: String,
    pub href: String,
}

/// List the briefings of this instance
#[utoipa::path(get, path = "/api/v1/briefings", tag = "models", operation_id = "list_briefings",
    responses((status = 200, body = Vec<BriefingOut>), (status = 401, body = Problem)))]
pub async fn list(State(app): State<App>, _auth: Auth) -> Result<Json<Vec<BriefingOut>>> {
    let catalogue = app.catalogue();
    let one = |(name, _): (&str, _)| {
        let file = Briefing::load(&catalogue, name)?;
        Ok(BriefingOut {
            href: format!("/api/v1/briefings/{name}"),
            name: file.name,
            label: file.label.zh,
            label_en: file.label.en,
            version: file.version,
        })
    };
    Ok(Json(catalogue.files("briefings").map(one).collect::<Result<_>>()?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BriefingParams {
    /// `md` (default) or `html`: a fragment of headings, paragraphs, lists and tables.
    pub format: Option<String>,
    /// District code; the whole city, or what the asker may see of it, where left out.
    pub district: Option<String>,
}

/// Write a briefing from the figures of now
///
/// The template's queries are answered under the rights of whoever asks; each figure is the one that the same
/// query gives at `POST /api/v1/query`.
#[utoipa::path(get, path = "/api/v1/briefings/{name}", tag = "models", operation_id = "write_briefing",
    params(("name" = String, Path,), BriefingParams),
    responses((status = 200, description = "text/markdown or text/html", body = String),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
pub async fn write(
    State(app): State<App>,
    auth: Auth,
    Path(name): Path<String>,
    Params(params): Params<BriefingParams>,
) -> Result<Response> {
    let html = match params.format.as_deref() {
        None | Some("md") => false,
        Some("html") => true,
        Some(other) => return Err(Error::user("briefing.format", format!("没有格式 '{other}'")).hint("可用：md, html")),
    };
    let catalogue = app.catalogue();
    let briefing = Briefing::load(&catalogue, &name)?;
    let mut with = Filled { area: area(&app, &auth, params.district.as_deref())?, ..Filled::default() };
    for (name, figure) in &briefing.figures {
        let query = narrowed(&app, &briefing, &figure.query, params.district.as_deref());
        let bound = app.bind(&auth.principal, &query)?;
        if *name == briefing.period {
            let (from, to) = bound.span().days();
            with.from = from.to_string();
            with.to = to.checked_sub_days(Days::new(1)).unwrap_or(to).to_string();
        }
        let answer = app.answer(&bound, false).await?;
        let measure = figure.measure.as_ref().or(figure.query.measures.first()).cloned().unwrap_or_default();
        let value = answer.table.value(0, &measure).cloned().unwrap_or_default();
        with.figures.insert(name.clone(), format::figure(&value, Lang::En).0);
        if query.compare.is_some() {
            let change = change_text(answer.table.value(0, &format!("{measure}_pct")));
            with.figures.insert(format!("{name}.change"), change);
        }
    }
    for (name, spec) in &briefing.tables {
        let query = narrowed(&app, &briefing, &spec.query, params.district.as_deref());
        let answer = app.ask(&auth.principal, &query, false).await?;
        let columns: Vec<usize> = spec.columns.iter().filter_map(|c| answer.table.column(&c.name)).collect();
        let rows = answer.table.rows.iter();
        with.tables.insert(
            name.clone(),
            rows.map(|row| columns.iter().map(|c| cell(&answer.table, row, *c)).collect()).collect(),
        );
    }
    if with.from.is_empty() {
        let today = to_local(app.clock.now()).date();
        (with.from, with.to) = (today.to_string(), today.to_string());
    }
    let (kind, text) = if html {
        ("text/html; charset=utf-8", briefing.html(&with))
    } else {
        ("text/markdown; charset=utf-8", briefing.markdown(&with))
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The query of a template for the chosen district; datasets without the region field are asked as they are.
fn narrowed(app: &App, briefing: &Briefing, query: &Query, district: Option<&str>) -> Query {
    let mut query = query.clone();
    if let (Some(district), Some(field)) = (district, &briefing.region)
        && app.catalogue().dataset(&query.dataset).is_some_and(|d| d.field(field).is_some())
    {
        query.filter = query.filter.and(Filter::eq(field, district));
    }
    query
}

/// The name of what the briefing is about.
fn area(app: &App, auth: &Auth, district: Option<&str>) -> Result<String> {
    let catalogue = app.catalogue();
    let codes = catalogue.codes("region");
    let name = |code: &str| codes.and_then(|c| c.get(code)).map(|c| c.zh.clone());
    match district {
        Some(code) => name(code).ok_or_else(|| Error::user("briefing.district", format!("没有区划 '{code}'"))),
        None if auth.principal.regions.iter().any(|r| r == "310000") => Ok("全市".into()),
        None => Ok(auth.principal.regions.iter().filter_map(|r| name(r)).collect::<Vec<_>>().join("、")),
    }
}

fn cell(table: &Table, row: &[zonglan_catalog::Value], column: usize) -> String {
    let (Some(value), Some(info)) = (row.get(column), table.columns.get(column)) else { return String::new() };
    let text = value.to_text();
    let label: Option<&String> = value.as_str().and_then(|code| info.labels.get(code));
    match label {
        Some(name) => name.clone(),
        None if value.as_f64().is_some() => format::figure(value, Lang::En).0,
        None => text,
    }
}
