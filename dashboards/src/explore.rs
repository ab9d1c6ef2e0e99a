//! The chart of any query: which kinds fit it, and the option of the one chosen.

use crate::chart::ChartSpec;
use crate::echarts;
use crate::error::Result;
use crate::pages::Lang;
use serde_json::Value as Json;
use zonglan_catalog::board::{Element, ElementKind};
use zonglan_catalog::dataset::{Dataset, RegionLevel};
use zonglan_catalog::query::{Dim, Query};
use zonglan_catalog::table::{ColumnRole, Table};
use zonglan_catalog::time::Grain;
use zonglan_catalog::{Catalogue, Label};

/// Names on the axis of bars; the largest ones stand there.
const MOST_BARS: usize = 30;

/// A chart, and what else would fit.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub kind: ElementKind,
    pub kinds: Vec<ElementKind>,
    /// The measure that decides the axis.
    pub measure: String,
    pub option: Json,
}

/// The kinds that fit a query, best first; none without dimensions, or for rows.
pub fn kinds(query: &Query, dataset: &Dataset) -> Vec<ElementKind> {
    let cyclic = |dim: &Dim| matches!(dim, Dim::Time(t) if t.time.is_cyclic());
    let district = |dim: &Dim| match dim {
        Dim::Level(level) => level.level == RegionLevel::District,
        Dim::Field(name) => dataset.field(name).is_some_and(|f| f.level == Some(RegionLevel::District)),
        Dim::Time(_) => false,
    };
    let several = query.measures.len() + query.calc.len() > 1;
    match query.by.as_slice() {
        [] => Vec::new(),
        [Dim::Time(a), Dim::Time(b)]
            if matches!((a.time, b.time), (Grain::HourOfDay, Grain::Weekday) | (Grain::Weekday, Grain::HourOfDay)) =>
        {
            vec![ElementKind::Grid, ElementKind::Bar]
        }
        dims if time_of(dims).is_some() => vec![ElementKind::Line, ElementKind::Bar],
        [one] if cyclic(one) => vec![ElementKind::Bar, ElementKind::Line],
        [one] => {
            let mut kinds = vec![ElementKind::Bar];
            if district(one) {
                kinds.push(ElementKind::Choropleth);
            }
            kinds.push(ElementKind::Pie);
            if several {
                kinds.push(ElementKind::Scatter);
            }
            kinds
        }
        _ => vec![ElementKind::Bar],
    }
}

/// The column of the one dimension along time.
fn time_of(dims: &[Dim]) -> Option<String> {
    dims.iter().find(|d| matches!(d, Dim::Time(t) if !t.time.is_cyclic())).map(Dim::column)
}

/// Draws an answer as the kind asked for, or as the best that fits. `measure`: the one on the axis.
pub fn draw(
    catalogue: &Catalogue,
    query: &Query,
    table: &Table,
    kind: Option<ElementKind>,
    measure: Option<&str>,
    lang: Lang,
) -> Result<Option<Drawn>> {
    let Some(dataset) = catalogue.dataset(&query.dataset) else { return Ok(None) };
    let kinds = kinds(query, dataset);
    let Some(kind) = kind.filter(|k| kinds.contains(k)).or(kinds.first().copied()) else { return Ok(None) };
    let figures: Vec<(&str, &str)> = table
        .columns
        .iter()
        .filter_map(|c| match &c.role {
            ColumnRole::Measure(name) => Some((name.as_str(), c.unit.as_str())),
            _ => None,
        })
        .collect();
    let first = measure.and_then(|m| figures.iter().find(|(name, _)| *name == m)).or(figures.first());
    let Some((measure, unit)) = first.copied() else { return Ok(None) };
    if table.rows.is_empty() {
        return Ok(None);
    }
    let mut element = Element::new(Label::new("", ""), kind);
    // One axis has one unit.
    element.measures = vec![measure.to_string()];
    if kind == ElementKind::Scatter || measure == figures[0].0 {
        let more = figures.iter().filter(|(name, u)| *name != measure && (*u == unit || kind == ElementKind::Scatter));
        element.measures.extend(more.take(3).map(|(name, _)| (*name).to_string()));
    }
    element.x = time_of(&query.by);
    if kind == ElementKind::Bar && element.x.is_none() && query.by.len() == 1 {
        element.limit = Some(MOST_BARS);
    }
    let mut spec = ChartSpec::from_table(catalogue, "explore", &element, query, table, lang)?;
    if spec.is_empty() {
        return Ok(None);
    }
    spec.title = spec.series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join("、");
    Ok(Some(Drawn { kind, kinds, measure: measure.to_string(), option: echarts::option(&spec) }))
}
