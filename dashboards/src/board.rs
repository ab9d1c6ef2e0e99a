//! Boards: variables applied to queries, shells of the page, and the frame that is streamed.
//!
//! The frame, `GET /api/v1/boards/{name}/data?<variables>` (NDJSON, one object a line):
//! ```text
//! {"frame":"start","board":"home","title":"…","variables":{"district":"310104"}}
//! {"panel":"incidents","kind":"number","title":"…","unit":"起","number":{…},"href":"/explore?q=…","meta":{"stale":false,"data_time":"…"}}
//! {"panel":"map","kind":"choropleth","option":{…},"table":{"columns":[…],"rows":[…]},"query":{…},"meta":{…}}
//! {"frame":"end","panels":17,"took_ms":85.2,"data_time":"2026-03-15T07:30:00+08:00","data_version":{"incident":12}}
//! ```
//! Panels come in any order, each once. See [`crate::panel::Panel`] for their members.

use crate::error::{Error, Result};
use crate::pages::Lang;
use crate::panel::{Input, Panel};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use zonglan_catalog::board::{Board, Element, ElementKind, VariableKind};
use zonglan_catalog::dataset::FieldType;
use zonglan_catalog::query::Dim;
use zonglan_catalog::{Catalogue, Dataset, Filter, Query, Table};

/// The chosen values of a board's variables, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BoardVars(BTreeMap<String, String>);

impl BoardVars {
    /// Takes the board's variables out of request parameters; unknown parameters are not its business.
    pub fn read(catalogue: &Catalogue, board: &Board, params: &BTreeMap<String, String>) -> Result<Self> {
        let mut vars = BTreeMap::new();
        for (name, variable) in &board.variables {
            let Some(value) = params.get(name).filter(|v| !v.is_empty()).or(variable.default.as_ref()) else {
                continue;
            };
            let fail = |allowed: String| Error::Variable { name: name.clone(), value: value.clone(), allowed };
            match variable.kind {
                VariableKind::Region => {
                    let list = catalogue.codes("region").ok_or_else(|| fail(String::new()))?;
                    let Some(item) = list.get(value) else { return Err(fail("区划代码，如 310104".into())) };
                    if item.code != WHOLE_CITY {
                        vars.insert(name.clone(), item.replaced_by.clone().unwrap_or_else(|| item.code.clone()));
                    }
                }
                VariableKind::Code => {
                    let list = variable
                        .codes
                        .as_deref()
                        .and_then(|c| catalogue.codes(c))
                        .ok_or_else(|| fail(String::new()))?;
                    if list.get(value).is_none() {
                        return Err(fail(
                            list.item.iter().take(30).map(|i| i.code.as_str()).collect::<Vec<_>>().join(", "),
                        ));
                    }
                    vars.insert(name.clone(), value.clone());
                }
                VariableKind::Period => {
                    if !variable.options.contains(value) {
                        return Err(fail(variable.options.join(", ")));
                    }
                    vars.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(Self(vars))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A stable text of the choice, for cache keys.
    pub fn key(&self) -> String {
        self.0.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&")
    }

    /// Field and code of the chosen region.
    pub fn region<'a>(&'a self, board: &'a Board) -> Option<(&'a str, &'a str)> {
        board
            .variables
            .iter()
            .filter(|(_, v)| v.kind == VariableKind::Region)
            .find_map(|(name, v)| Some((v.field.as_deref()?, self.get(name)?)))
    }
}

const WHOLE_CITY: &str = "310000";

/// The board's queries with its variables applied, by name.
///
/// A region or code variable filters every query whose dataset has its field (with the same code
/// list). Maps keep all regions and set off the chosen one; other queries grouped by the region
/// step down to the next level of the dataset's hierarchy. A period variable replaces the range of
/// queries that read `last` = the variable's default.
pub fn board_queries(catalogue: &Catalogue, board: &Board, vars: &BoardVars) -> Result<Vec<(String, Query)>> {
    let mut queries = Vec::with_capacity(board.queries.len());
    for (name, declared) in &board.queries {
        let mut query = declared.clone();
        let Some(dataset) = catalogue.dataset(&query.dataset) else {
            return Err(Error::Panel { panel: name.clone(), reason: format!("没有数据集 '{}'", query.dataset) });
        };
        for (variable_name, variable) in &board.variables {
            let Some(value) = vars.get(variable_name) else { continue };
            match variable.kind {
                VariableKind::Period => {
                    if query.range.last.is_some() && query.range.last == variable.default {
                        query.range.last = Some(value.to_string());
                    }
                }
                VariableKind::Code => {
                    let field = variable.field.as_deref().and_then(|f| dataset.field(f));
                    if let Some(field) = field.filter(|f| f.kind == FieldType::Code && f.codes == variable.codes) {
                        query.filter = query.filter.and(Filter::eq(&field.name, value));
                    }
                }
                VariableKind::Region => {
                    let field = variable.field.as_deref().and_then(|f| dataset.field(f));
                    let Some(field) = field.filter(|f| f.kind == FieldType::Region) else { continue };
                    let grouped = query.by.iter().position(|d| matches!(d, Dim::Field(n) if *n == field.name));
                    if let Some(at) = grouped {
                        if on_map(board, name) {
                            continue;
                        }
                        if let Some(next) = next_level(dataset, &field.name) {
                            step_down(&mut query, at, &field.name, next);
                        }
                    }
                    query.filter = query.filter.and(Filter::eq(&field.name, value));
                }
            }
        }
        queries.push((name.clone(), query));
    }
    Ok(queries)
}

fn on_map(board: &Board, query: &str) -> bool {
    board.elements.values().any(|e| e.kind == ElementKind::Choropleth && e.query.as_deref() == Some(query))
}

fn next_level<'a>(dataset: &'a Dataset, field: &str) -> Option<&'a str> {
    let levels = dataset.hierarchy.iter().map(|h| &h.levels).find(|levels| levels.iter().any(|l| l == field))?;
    let at = levels.iter().position(|l| l == field)?;
    levels.get(at + 1).map(String::as_str)
}

fn step_down(query: &mut Query, at: usize, field: &str, next: &str) {
    // Measures of other datasets (per inhabitant) do not reach below the level they are kept at.
    query.by[at] = Dim::field(next);
    for order in &mut query.order {
        if order.trim_start_matches('-') == field {
            *order = order.replace(field, next);
        }
    }
}

/// The datasets that a board reads, for SSE: `/api/v1/events?datasets=a,b`.
pub fn datasets(board: &Board) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for query in board.queries.values() {
        names.insert(query.dataset.clone());
        names.extend(query.measures.iter().filter_map(|m| m.split_once('.')).map(|(dataset, _)| dataset.to_string()));
    }
    names
}

/// The queries that a panel waits for.
pub fn panel_needs(element: &Element) -> Vec<&str> {
    [&element.query, &element.spark, &element.versus].into_iter().flatten().map(String::as_str).collect()
}

/// The elements that a frame carries: those of any layout that have something to say.
pub fn panel_ids(board: &Board) -> Vec<&str> {
    board.elements.iter().filter(|(_, e)| e.kind != ElementKind::Title).map(|(id, _)| id.as_str()).collect()
}

/// Draws one panel from the answers at hand. `answer` gives the query after variables and its
/// table by the query's name.
pub fn draw<'a>(
    catalogue: &'a Catalogue,
    board: &'a Board,
    vars: &'a BoardVars,
    id: &'a str,
    lang: Lang,
    answer: &dyn Fn(&str) -> Option<(&'a Query, &'a Table)>,
) -> Result<Panel> {
    Panel::draw(&input(catalogue, board, vars, id, lang, answer)?)
}

/// What [`draw`] draws from; the image renderers take the same.
pub fn input<'a>(
    catalogue: &'a Catalogue,
    board: &'a Board,
    vars: &'a BoardVars,
    id: &'a str,
    lang: Lang,
    answer: &dyn Fn(&str) -> Option<(&'a Query, &'a Table)>,
) -> Result<Input<'a>> {
    let element = board
        .elements
        .get(id)
        .ok_or_else(|| Error::UnknownPanel { board: board.name.clone(), panel: id.to_string() })?;
    let find = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) => {
            answer(name).map(Some).ok_or_else(|| Error::MissingAnswer { panel: id.to_string(), query: name.clone() })
        }
    };
    Ok(Input {
        catalogue,
        id,
        element,
        main: find(&element.query)?,
        spark: find(&element.spark)?,
        versus: find(&element.versus)?,
        lang,
        selected: vars.region(board),
    })
}

/// A panel with its place on paper.
#[derive(Debug)]
pub struct PaperPanel {
    /// Column, row, columns and rows of the print layout.
    pub place: (u16, u16, u16, u16),
    pub panel: Panel,
    /// What the picture of it is drawn from.
    pub chart: Option<crate::chart::ChartSpec>,
}

/// The panels of the print layout, and its columns. A panel whose answer is missing says why.
pub fn on_paper<'a>(
    catalogue: &'a Catalogue,
    board: &'a Board,
    vars: &'a BoardVars,
    lang: Lang,
    answer: &dyn Fn(&str) -> Option<(&'a Query, &'a Table)>,
    failed: &dyn Fn(&str) -> Option<String>,
) -> (u16, Vec<PaperPanel>) {
    let layout = board.layouts.print.as_ref().unwrap_or(&board.layouts.desktop);
    let mut panels = Vec::new();
    for place in &layout.items {
        let Some((id, element)) = board.elements.get_key_value(&place.0) else { continue };
        if element.kind == ElementKind::Title {
            continue;
        }
        let reason = panel_needs(element).into_iter().find_map(failed);
        let made = match reason {
            Some(reason) => Err(reason),
            None => input(catalogue, board, vars, id, lang, answer).map_err(|e| e.to_string()),
        };
        let (panel, chart) = match made.and_then(|input| Ok((Panel::draw(&input).map_err(|e| e.to_string())?, input))) {
            Ok((panel, input)) => {
                let drawn = crate::documents::has_chart(&panel);
                let chart = input.main.filter(|_| drawn).and_then(|(query, table)| input.spec(query, table).ok());
                (panel, chart)
            }
            Err(reason) => (Panel::failed(id, element, lang, &reason), None),
        };
        panels.push(PaperPanel { place: (place.1, place.2, place.3, place.4), panel, chart });
    }
    // The title bar stands at the head of the page, not among the panels.
    let top = panels.iter().map(|p| p.place.1).min().unwrap_or(0);
    for paper in &mut panels {
        paper.place.1 -= top;
    }
    (layout.columns, panels)
}

/// A line of the frame.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum FrameLine {
    Start(FrameStart),
    Panel(Box<Panel>),
    End(FrameEnd),
}

#[derive(Debug, Serialize)]
pub struct FrameStart {
    frame: &'static str,
    board: String,
    title: String,
    variables: BoardVars,
}

#[derive(Debug, Serialize)]
pub struct FrameEnd {
    frame: &'static str,
    panels: usize,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_time: Option<String>,
    data_version: BTreeMap<String, u64>,
}

impl FrameLine {
    pub fn start(board: &Board, vars: &BoardVars, lang: Lang) -> Self {
        Self::Start(FrameStart {
            frame: "start",
            board: board.name.clone(),
            title: lang.pick(&board.title).to_string(),
            variables: vars.clone(),
        })
    }

    pub fn panel(panel: Panel) -> Self {
        Self::Panel(Box::new(panel))
    }

    /// `data_time`: the latest watermark of the answers, milliseconds since 1970 UTC.
    pub fn end(panels: usize, took_ms: f64, data_time: Option<i64>, data_version: BTreeMap<String, u64>) -> Self {
        Self::End(FrameEnd {
            frame: "end",
            panels,
            took_ms: (took_ms * 10.0).round() / 10.0,
            data_time: data_time.map(zonglan_catalog::value::instant_text),
            data_version,
        })
    }

    /// The JSON with its line end.
    pub fn bytes(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// An element before its data: what the server writes into the page.
#[derive(Debug, Clone)]
pub struct PanelShell {
    pub id: String,
    pub kind: &'static str,
    pub title: String,
    pub section: String,
    pub note: String,
}

/// The elements in reading order of the desktop layout.
pub fn shells(board: &Board, lang: Lang) -> Vec<PanelShell> {
    let mut order: Vec<(u16, u16, &str)> =
        board.layouts.desktop.items.iter().map(|p| (p.2, p.1, p.0.as_str())).collect();
    order.sort_unstable();
    let mut ids: Vec<&str> = order.into_iter().map(|(_, _, id)| id).collect();
    ids.extend(
        board.elements.keys().map(String::as_str).filter(|id| !board.layouts.desktop.items.iter().any(|p| p.0 == *id)),
    );
    ids.into_iter()
        .filter_map(|id| {
            let element = board.elements.get(id)?;
            Some(PanelShell {
                id: id.to_string(),
                kind: kind_name(element.kind),
                title: lang.pick(&element.title).to_string(),
                section: element.section.as_ref().map(|s| lang.pick(s).to_string()).unwrap_or_default(),
                note: element.note.as_ref().map(|s| lang.pick(s).to_string()).unwrap_or_default(),
            })
        })
        .collect()
}

pub fn kind_name(kind: ElementKind) -> &'static str {
    match kind {
        ElementKind::Title => "title",
        ElementKind::Number => "number",
        ElementKind::Choropleth => "choropleth",
        ElementKind::Heatmap => "heatmap",
        ElementKind::Line => "line",
        ElementKind::Bar => "bar",
        ElementKind::Pie => "pie",
        ElementKind::Ranking => "ranking",
        ElementKind::Grid => "grid",
        ElementKind::Funnel => "funnel",
        ElementKind::Radar => "radar",
        ElementKind::Gauge => "gauge",
        ElementKind::Calendar => "calendar",
        ElementKind::Scatter => "scatter",
        ElementKind::Cloud => "cloud",
        ElementKind::Table => "table",
        ElementKind::Feed => "feed",
        ElementKind::Weather => "weather",
        ElementKind::Duty => "duty",
        ElementKind::Text => "text",
    }
}

/// A variable with its choices, for the bar at the top of a board.
#[derive(Debug, Clone, Serialize)]
pub struct VariableView {
    pub name: String,
    pub label: String,
    pub kind: VariableKind,
    pub field: Option<String>,
    pub value: String,
    /// Name of the value: the breadcrumb.
    pub value_label: String,
    /// The value that means no choice.
    pub none: String,
    /// `[value, name]`.
    pub choices: Vec<(String, String)>,
}

pub fn variable_views(catalogue: &Catalogue, board: &Board, vars: &BoardVars, lang: Lang) -> Vec<VariableView> {
    let codes = |list: &str, keep: &dyn Fn(&str) -> bool| -> Vec<(String, String)> {
        let list = catalogue.codes(list);
        let items = list.iter().flat_map(|l| &l.item).filter(|i| i.replaced_by.is_none() && keep(&i.code));
        items.map(|i| (i.code.clone(), lang.t(&i.zh, &i.en).to_string())).collect()
    };
    board
        .variables
        .iter()
        .map(|(name, variable)| {
            let all = (String::new(), lang.t("全部", "all").to_string());
            let choices = match variable.kind {
                VariableKind::Region => {
                    let mut list = vec![(String::new(), lang.t("全市", "whole city").to_string())];
                    list.extend(codes("region", &|code| code.len() == 6 && code != WHOLE_CITY));
                    list
                }
                VariableKind::Code => {
                    let mut list = vec![all];
                    list.extend(codes(variable.codes.as_deref().unwrap_or_default(), &|_| true));
                    list
                }
                VariableKind::Period => variable.options.iter().map(|o| (o.clone(), period_label(o, lang))).collect(),
            };
            let value = vars.get(name).unwrap_or_default().to_string();
            let value_label =
                choices.iter().find(|(v, _)| *v == value).map(|(_, l)| l.clone()).unwrap_or_else(|| value.clone());
            VariableView {
                name: name.clone(),
                label: lang.pick(&variable.label).to_string(),
                kind: variable.kind,
                field: variable.field.clone(),
                none: if variable.kind == VariableKind::Period {
                    variable.default.clone().unwrap_or_default()
                } else {
                    String::new()
                },
                value,
                value_label,
                choices,
            }
        })
        .collect()
}

/// `30d` as 近30天.
pub fn period_label(option: &str, lang: Lang) -> String {
    let (count, unit) = option.split_at(option.len().saturating_sub(1));
    let (zh, en) = match unit {
        "d" => ("天", "days"),
        "w" => ("周", "weeks"),
        "m" => ("个月", "months"),
        "y" => ("年", "years"),
        _ => return option.to_string(),
    };
    match lang {
        Lang::Zh => format!("近{count}{zh}"),
        Lang::En => format!("last {count} {en}"),
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
