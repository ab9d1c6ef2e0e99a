//! What a panel of a board carries over the wire: one JSON object a line of the frame.

use crate::chart::{self, ChartSpec, SeriesRole};
use crate::error::{Error, Result};
use crate::format;
use crate::pages::{Lang, explore_href};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use zonglan_catalog::board::{Element, ElementKind};
use zonglan_catalog::dataset::{Aggregate, Direction};
use zonglan_catalog::query::{Compare, Dim};
use zonglan_catalog::table::{ColumnRole, ColumnType, Table};
use zonglan_catalog::{Catalogue, Query, Value};

/// One drawn panel. Which of `option`, `number`, `ranking`, `rows` and `facts` is there follows
/// the kind; `table` is the same numbers as a table, for every chart.
#[derive(Debug, Clone, Serialize)]
pub struct Panel {
    /// The element's id.
    pub panel: String,
    pub kind: ElementKind,
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// An ECharts option without functions: `$name` is a colour, `@name` a formatter of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Vec<RankRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsView>,
    /// Weather: the fields of the newest row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Vec<Fact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<RowsView>,
    /// The logical query behind; with a mark's `cell` it goes to `/api/v1/query/drills`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
    /// `drill`, `rows` or a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click: Option<String>,
    /// Where the panel as a whole leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
    pub meta: PanelMeta,
}

/// How fresh the panel is. A panel whose query failed keeps its last good content with `stale`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PanelMeta {
    pub stale: bool,
    /// Latest event time of the data, RFC 3339 in Asia/Shanghai.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Cells hidden because they are small figures about people.
    #[serde(skip_serializing_if = "is_zero")]
    pub suppressed: u64,
    /// What went wrong, where `stale` is set or there is nothing to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One big figure.
#[derive(Debug, Clone, Serialize)]
pub struct NumberView {
    pub value: Option<f64>,
    /// `12,345`; with `scale` before the unit: `2,487.09` `万` `人`.
    pub text: String,
    pub scale: &'static str,
    pub unit: String,
    /// 同比, 环比 in the order of the element's queries.
    pub comparisons: Vec<Comparison>,
    /// Points of the spark line, oldest first.
    pub spark: Vec<Option<f64>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub label: String,
    /// `+12.3%`; percentages change by points: `+1.2 个百分点`.
    pub text: String,
    /// In percent, or in points where the figure is a percentage.
    pub change: Option<f64>,
    pub tone: Tone,
}

/// What a change means, from the measure's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Good,
    Bad,
    Neutral,
}

#[derive(Debug, Clone, Serialize)]
pub struct RankRow {
    pub rank: usize,
    pub label: String,
    pub text: String,
    /// Share of the largest value, 0 to 1, for the bar.
    pub share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<Json>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub selected: bool,
}

/// Rows as text, with numbers to the right.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RowsView {
    pub columns: Vec<ColumnView>,
    pub rows: Vec<Vec<String>>,
    /// One per row where rows lead somewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hrefs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnView {
    pub name: String,
    pub label: String,
    pub numeric: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fact {
    pub name: String,
    pub label: String,
    /// The code or number as it is, for the page to choose a sign by.
    pub value: Json,
    pub text: String,
}

/// Everything that one panel is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub catalogue: &'a Catalogue,
    pub id: &'a str,
    pub element: &'a Element,
    /// The element's query after variables, and its answer.
    pub main: Option<(&'a Query, &'a Table)>,
    pub spark: Option<(&'a Query, &'a Table)>,
    pub versus: Option<(&'a Query, &'a Table)>,
    pub lang: Lang,
    /// Column and code of the region that a board variable has chosen.
    pub selected: Option<(&'a str, &'a str)>,
}

impl Panel {
    /// Draws a panel from answers.
    pub fn draw(input: &Input<'_>) -> Result<Self> {
        let element = input.element;
        let mut panel = Self {
            click: element.click.clone(),
            meta: PanelMeta {
                note: element.note.as_ref().map(|n| input.lang.pick(n).to_string()).unwrap_or_default(),
                ..PanelMeta::default()
            },
            ..Self::empty(input.id, element, input.lang)
        };
        match element.kind {
            ElementKind::Title => return Ok(panel),
            ElementKind::Text => {
                panel.text = element.note.as_ref().map(|n| input.lang.pick(n).to_string());
                return Ok(panel);
            }
            _ => {}
        }
        let (query, table) = input.need_main()?;
        panel.meta.data_time = table.meta.watermark.map(zonglan_catalog::value::instant_text);
        panel.meta.suppressed = table.meta.suppressed;
        panel.query = Some(query.clone());
        panel.href = Some(match &element.click {
            Some(path) if path.starts_with('/') && !path.contains('{') => path.clone(),
            _ => explore_href(query),
        });
        match element.kind {
            ElementKind::Number | ElementKind::Gauge => panel.number = Some(number(input, query, table)?),
            ElementKind::Weather => panel.facts = Some(facts(input, query, table)),
            ElementKind::Table | ElementKind::Feed | ElementKind::Duty => panel.rows = Some(rows(input, query, table)),
            ElementKind::Ranking | ElementKind::Cloud => {
                let spec = input.spec(query, table)?;
                panel.unit.clone_from(&spec.unit);
                panel.ranking = Some(ranking(input, query, table, &spec));
                panel.table = Some(chart_table(&spec));
            }
            _ => {
                let spec = input.spec(query, table)?;
                panel.unit.clone_from(&spec.unit);
                panel.table = Some(chart_table(&spec));
                panel.option = Some(crate::echarts::option(&spec));
            }
        }
        if let Some(number) = &panel.number {
            panel.unit.clone_from(&number.unit);
        }
        Ok(panel)
    }

    fn empty(id: &str, element: &Element, lang: Lang) -> Self {
        Self {
            panel: id.to_string(),
            kind: element.kind,
            title: lang.pick(&element.title).to_string(),
            unit: String::new(),
            option: None,
            number: None,
            ranking: None,
            rows: None,
            facts: None,
            text: None,
            table: None,
            query: None,
            click: None,
            href: None,
            meta: PanelMeta::default(),
        }
    }

    /// A panel whose answer failed: what went wrong, as the user may know it.
    pub fn failed(id: &str, element: &Element, lang: Lang, message: &str) -> Self {
        Self {
            meta: PanelMeta { stale: true, error: Some(message.to_string()), ..PanelMeta::default() },
            ..Self::empty(id, element, lang)
        }
    }
}

impl<'a> Input<'a> {
    fn need_main(&self) -> Result<(&'a Query, &'a Table)> {
        self.main.ok_or_else(|| Error::MissingAnswer {
            panel: self.id.to_string(),
            query: self.element.query.clone().unwrap_or_default(),
        })
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Panel { panel: self.id.to_string(), reason: reason.into() })
    }

    /// The chart of this panel, with the chosen region set off.
    pub fn spec(&self, query: &Query, table: &Table) -> Result<ChartSpec> {
        let mut spec = ChartSpec::from_table(self.catalogue, self.id, self.element, query, table, self.lang)?;
        if let Some((column, code)) = self.selected {
            spec.select(column, code);
        }
        Ok(spec)
    }
}

/// The comparison of a row with the period that its query compares with.
fn comparison(input: &Input<'_>, query: &Query, table: &Table, row: usize, measure: &str) -> Option<Comparison> {
    let compare = query.compare?;
    let (_, definition) = input.catalogue.measure(&query.dataset, measure)?;
    let lang = input.lang;
    let label = match compare {
        Compare::Yoy => lang.t("同比", "YoY"),
        Compare::Mom => lang.t("环比", "PoP"),
        Compare::YoyWorkday => lang.t("同比(工作日)", "YoY (workday)"),
    };
    let number = |suffix: &str| table.value(row, &format!("{measure}_{suffix}")).and_then(Value::as_f64);
    let points = definition.agg == Aggregate::Ratio && definition.unit == "%";
    let change = if points { number("delta") } else { number("pct") };
    let text = match (points, change) {
        (false, change) => format::percent_change(change),
        (true, None) => "–".into(),
        (true, Some(x)) => {
            format!("{}{}", format::percent_change(Some(x)).trim_end_matches('%'), lang.t(" 个百分点", " pp"))
        }
    };
    let tone = match (definition.direction, change) {
        (Direction::Neutral, _) | (_, None) => Tone::Neutral,
        // Below half a step of what is shown there is no change to judge.
        (_, Some(x)) if x.abs() < 0.05 => Tone::Neutral,
        (Direction::HigherIsBetter, Some(x)) => {
            if x > 0.0 {
                Tone::Good
            } else {
                Tone::Bad
            }
        }
        (Direction::LowerIsBetter, Some(x)) => {
            if x < 0.0 {
                Tone::Good
            } else {
                Tone::Bad
            }
        }
    };
    Some(Comparison { label: label.to_string(), text, change, tone })
}

fn measure_of<'a>(input: &Input<'a>, query: &'a Query) -> Result<&'a str> {
    match input.element.measures.first().or(query.measures.first()) {
        Some(name) => Ok(name),
        None => input.fail("查询没有指标 (the query has no measure)"),
    }
}

fn number(input: &Input<'_>, query: &Query, table: &Table) -> Result<NumberView> {
    let measure = measure_of(input, query)?;
    let value = table.value(0, measure).cloned().unwrap_or(Value::Null);
    let (text, scale) = format::figure(&value, input.lang);
    let unit = input.catalogue.measure(&query.dataset, measure).map(|(_, m)| m.unit.clone()).unwrap_or_default();
    let mut comparisons = Vec::new();
    for (query, table) in [Some((query, table)), input.versus].into_iter().flatten() {
        comparisons.extend(comparison(input, query, table, 0, measure));
    }
    let spark = match input.spark {
        None => Vec::new(),
        Some((query, table)) => {
            let element =
                Element { kind: ElementKind::Line, measures: vec![measure.to_string()], ..input.element.clone() };
            let spec = ChartSpec::from_table(
                input.catalogue,
                input.id,
                &element,
                &Query { compare: None, ..query.clone() },
                table,
                input.lang,
            )?;
            spec.series.into_iter().find(|s| s.role == SeriesRole::Main).map(|s| s.values).unwrap_or_default()
        }
    };
    Ok(NumberView { value: value.as_f64(), text, scale, unit, comparisons, spark })
}

fn ranking(input: &Input<'_>, query: &Query, table: &Table, spec: &ChartSpec) -> Vec<RankRow> {
    let Some(series) = spec.series.first() else { return Vec::new() };
    let top = series.values.iter().copied().flatten().fold(0.0, f64::max);
    let measure = measure_of(input, query).unwrap_or_default();
    let row_of = |category: &chart::Category| {
        let (column, value) = category.cell.as_ref()?;
        let at = table.column(column)?;
        table.rows.iter().position(|row| row.get(at).and_then(|v| serde_json::to_value(v).ok()).as_ref() == Some(value))
    };
    spec.categories
        .iter()
        .enumerate()
        .map(|(i, category)| RankRow {
            rank: i + 1,
            label: category.label.clone(),
            text: if series.unit == "%" { format!("{}%", series.text(i)) } else { series.text(i) },
            share: series.values[i].filter(|_| top > 0.0).map_or(0.0, |v| (v / top).clamp(0.0, 1.0)),
            change: row_of(category).and_then(|row| comparison(input, query, table, row, measure)),
            cell: spec.cell(i, 0),
            selected: spec.selected == Some(i),
        })
        .collect()
}

fn cell_text(input: &Input<'_>, query: &Query, table: &Table, row: &[Value], column: usize) -> String {
    let (Some(value), Some(info), Some(dataset)) =
        (row.get(column), table.columns.get(column), input.catalogue.dataset(&query.dataset))
    else {
        return String::new();
    };
    match &info.role {
        ColumnRole::Row => match dataset.field(&info.name) {
            Some(field) => format::field_text(input.catalogue, field, value, input.lang),
            None => value.to_text(),
        },
        ColumnRole::Dimension(_) => chart::value_names(input.catalogue, dataset, info, value, input.lang).1,
        _ => format::figure(value, Lang::En).0,
    }
}

fn rows(input: &Input<'_>, query: &Query, table: &Table) -> RowsView {
    let shown: Vec<usize> = (0..table.columns.len())
        .filter(|i| input.element.measures.is_empty() || input.element.measures.contains(&table.columns[*i].name))
        .collect();
    let dataset = input.catalogue.dataset(&query.dataset);
    let columns = shown
        .iter()
        .map(|&i| {
            let column = &table.columns[i];
            let label = match &column.role {
                ColumnRole::Measure(name) => {
                    input.catalogue.measure(&query.dataset, name).map(|(_, m)| input.lang.pick(&m.label).to_string())
                }
                ColumnRole::Dimension(Dim::Time(_)) => Some(input.lang.t("时间", "time").to_string()),
                _ => dataset.and_then(|d| d.field(&column.name)).map(|f| input.lang.pick(&f.label).to_string()),
            };
            ColumnView {
                label: label.unwrap_or_else(|| column.name.clone()),
                name: column.name.clone(),
                numeric: matches!(column.kind, ColumnType::Int | ColumnType::Decimal | ColumnType::Float),
            }
        })
        .collect();
    let limit = input.element.limit.unwrap_or(usize::MAX);
    let taken: Vec<&Vec<Value>> = table.rows.iter().take(limit).collect();
    let key = dataset.filter(|d| d.key.len() == 1).and_then(|d| Some((d, table.column(&d.key[0])?)));
    let template = input.element.click.as_deref().filter(|path| path.starts_with('/') && path.contains('{'));
    let hrefs = match key {
        _ if template.is_some() => {
            taken.iter().map(|row| template.map(|path| filled(path, table, row)).unwrap_or_default()).collect()
        }
        Some((dataset, key)) => taken.iter().map(|row| row_href(dataset, &row[key].to_text())).collect(),
        None => Vec::new(),
    };
    RowsView {
        columns,
        rows: taken.iter().map(|row| shown.iter().map(|&i| cell_text(input, query, table, row, i)).collect()).collect(),
        hrefs,
    }
}

/// A path with `{field}` replaced by the row's values.
fn filled(path: &str, table: &Table, row: &[Value]) -> String {
    let mut out = path.to_string();
    for (column, value) in table.columns.iter().zip(row) {
        out = out.replace(&format!("{{{}}}", column.name), &format::percent_encode(&value.to_text()));
    }
    out
}

/// The page of one row: its record, its document, or the rows page that shows it alone.
pub fn row_href(dataset: &zonglan_catalog::Dataset, key: &str) -> String {
    let id = format::percent_encode(key);
    if dataset.register.is_some() {
        format!("/records/{}/{id}", dataset.name)
    } else if dataset.is_searchable() {
        format!("/cases/{id}?dataset={}", dataset.name)
    } else {
        let filter = zonglan_catalog::Filter::eq(dataset.key.first().cloned().unwrap_or_default(), key);
        explore_href(&Query {
            dataset: dataset.name.clone(),
            rows: dataset.list_fields().into_iter().map(str::to_string).collect(),
            filter,
            ..Query::default()
        })
    }
}

fn facts(input: &Input<'_>, query: &Query, table: &Table) -> Vec<Fact> {
    let Some(row) = table.rows.first() else { return Vec::new() };
    let dataset = input.catalogue.dataset(&query.dataset);
    table
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| Fact {
            name: column.name.clone(),
            label: dataset
                .and_then(|d| d.field(&column.name))
                .map_or_else(|| column.name.clone(), |f| input.lang.pick(&f.label).to_string()),
            value: serde_json::to_value(&row[i]).unwrap_or(Json::Null),
            text: cell_text(input, query, table, row, i),
        })
        .collect()
}

/// The numbers of a chart as a table: categories down, series across.
pub fn chart_table(spec: &ChartSpec) -> RowsView {
    if !spec.points.is_empty() {
        let columns =
            ["经度", "纬度", "数量"].map(|label| ColumnView { name: label.into(), label: label.into(), numeric: true });
        let rows = spec
            .points
            .iter()
            .take(200)
            .map(|[x, y, n]| vec![format!("{x:.5}"), format!("{y:.5}"), format::decimal(*n, 0)])
            .collect();
        return RowsView { columns: columns.into(), rows, hrefs: Vec::new() };
    }
    let mut columns = vec![ColumnView { name: "category".into(), label: String::new(), numeric: false }];
    columns.extend(spec.series.iter().map(|s| ColumnView {
        name: s.name.clone(),
        label: s.name.clone(),
        numeric: true,
    }));
    let rows = (0..spec.categories.len())
        .map(|i| {
            std::iter::once(spec.categories[i].full.clone()).chain(spec.series.iter().map(|s| s.text(i))).collect()
        })
        .collect();
    RowsView { columns, rows, hrefs: Vec::new() }
}

/// A drill cell as JSON, from dimension columns of a row.
pub fn cell_of(table: &Table, row: usize) -> Json {
    let mut cell = Map::new();
    for (i, column) in table.columns.iter().enumerate() {
        if matches!(column.role, ColumnRole::Dimension(_))
            && let Some(value) = table.rows.get(row).and_then(|r| r.get(i))
        {
            cell.insert(column.name.clone(), json!(value));
        }
    }
    Json::Object(cell)
}
