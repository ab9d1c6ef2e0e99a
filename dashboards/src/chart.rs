//! `ChartSpec`: what a chart shows, as plain numbers with names and drill cells. Renderers
//! ([`crate::echarts`], [`crate::render`]) turn the same spec into page options and images.

mod heat;
mod names;
mod order;

pub use heat::{Disc, HeatLayer, Patch};
pub use names::{short_region, value_names};

use crate::error::{Error, Result};
use crate::format;
use crate::pages::Lang;
use crate::palette::Color;
use names::date_of;
use order::{fold_slices, rank};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use zonglan_catalog::board::{Element, ElementKind, HeatStyle};
use zonglan_catalog::dataset::Additivity;
use zonglan_catalog::query::{Compare, Dim};
use zonglan_catalog::table::{Column, ColumnRole, ColumnType, Table};
use zonglan_catalog::time::Grain;
use zonglan_catalog::{Catalogue, Dataset, Query, Value};

/// A chart without a look: axes, series and what each mark means.
#[derive(Debug, Clone, Serialize)]
pub struct ChartSpec {
    pub kind: ElementKind,
    pub title: String,
    /// Unit of the values, such as `件` or `%`.
    pub unit: String,
    pub lang: Lang,
    pub stacked: bool,
    /// The axis runs through time or the clock, not through names.
    pub ordered: bool,
    /// Names on the axis, slices, regions, or hours of the grid.
    pub categories: Vec<Category>,
    /// One row of values per series; weekdays of the grid.
    pub series: Vec<Series>,
    /// Heat layer: longitude, latitude (WGS-84) and weight.
    pub points: Vec<[f64; 3]>,
    pub heat: HeatStyle,
    /// Metres of the heat layer's cells, where the element names them.
    pub size_m: Option<f64>,
    /// The category chosen by a board variable, to be set off.
    pub selected: Option<usize>,
}

/// A place on the axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Category {
    pub label: String,
    /// The longer name in tips and tables (`2026-03-15` where the axis says `15`).
    pub full: String,
    /// The drill cell: column of the answer and its value. `None`: leads nowhere (其他, gaps).
    pub cell: Option<(String, Json)>,
}

/// What a series is to the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesRole {
    Main,
    /// The period compared with: drawn thin behind, leads nowhere.
    Reference,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    pub name: String,
    pub role: SeriesRole,
    pub color: Color,
    pub unit: String,
    /// Decimals of the values.
    pub digits: u8,
    pub cell: Option<(String, Json)>,
    /// One per category.
    pub values: Vec<Option<f64>>,
}

impl Series {
    pub fn text(&self, index: usize) -> String {
        match self.values.get(index).copied().flatten() {
            Some(x) => format::decimal(x, usize::from(self.digits)),
            None => "–".into(),
        }
    }
}

impl ChartSpec {
    /// The spec of an element over the answer to its query.
    pub fn from_table(
        catalogue: &Catalogue,
        id: &str,
        element: &Element,
        query: &Query,
        table: &Table,
        lang: Lang,
    ) -> Result<Self> {
        Builder { catalogue, id, element, query, table, lang, dataset: dataset_of(catalogue, id, query)? }.build()
    }

    /// What a click on a mark hands to `POST /api/v1/query/drills`.
    pub fn cell(&self, category: usize, series: usize) -> Option<Json> {
        let (column, value) = self.categories.get(category)?.cell.clone()?;
        let mut cell = Map::from_iter([(column, value)]);
        match self.series.get(series) {
            Some(s) if s.role == SeriesRole::Reference => return None,
            Some(s) => cell.extend(s.cell.clone()),
            None => {}
        }
        Some(Json::Object(cell))
    }

    /// Smallest and largest value of the main series; a map colours by its first one only.
    pub fn extent(&self) -> Option<(f64, f64)> {
        let shown = if self.kind == ElementKind::Choropleth { 1 } else { usize::MAX };
        let values = || {
            self.series
                .iter()
                .filter(|s| s.role == SeriesRole::Main)
                .take(shown)
                .flat_map(|s| s.values.iter().copied().flatten())
        };
        let low = values().min_by(f64::total_cmp)?;
        let high = values().max_by(f64::total_cmp)?;
        Some((low, high))
    }

    /// Whether the value axis starts at zero. Bars and areas always do; lines that all run high
    /// above zero would lie flat on each other, so their axis starts near them.
    pub fn from_zero(&self) -> bool {
        if self.kind != ElementKind::Line || self.stacked {
            return true;
        }
        let all = || self.series.iter().flat_map(|s| s.values.iter().copied().flatten());
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        // Below a twentieth there is nothing to see but the rounding of the axis.
        !(low > 0.0 && (0.05 * high..0.3 * high).contains(&(high - low)))
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.extent().is_none()
    }

    /// Names the region whose code a board variable holds.
    pub fn select(&mut self, column: &str, code: &str) {
        self.selected = self
            .categories
            .iter()
            .position(|c| c.cell.as_ref().is_some_and(|(name, value)| name == column && value.as_str() == Some(code)));
    }
}

fn dataset_of<'a>(catalogue: &'a Catalogue, id: &str, query: &Query) -> Result<&'a Dataset> {
    catalogue
        .dataset(&query.dataset)
        .map(|d| &**d)
        .ok_or_else(|| Error::Panel { panel: id.to_string(), reason: format!("没有数据集 '{}'", query.dataset) })
}

/// The decimals in which a column's values are written: those that they carry, but none for whole
/// numbers that are kept with three or more, and two where such numbers are large.
pub fn digits_of(table: &Table, column: usize) -> u8 {
    let values = || table.rows.iter().filter_map(|row| row.get(column));
    let carried = values()
        .find_map(|value| match value {
            Value::Int(_) => Some(0),
            Value::Decimal { scale, .. } => Some(*scale),
            Value::Float(_) => Some(2),
            _ => None,
        })
        .unwrap_or(0);
    let numbers = || values().filter_map(Value::as_f64);
    match carried {
        0..3 => carried,
        _ if numbers().all(|x| x.fract() == 0.0) => 0,
        _ if numbers().any(|x| x.abs() >= 10.0) => 2,
        _ => carried,
    }
}

/// What a period compared with is called.
pub fn reference_name(compare: Compare, lang: Lang) -> &'static str {
    match compare {
        Compare::Yoy => lang.t("上年同期", "year before"),
        Compare::Mom => lang.t("上期", "period before"),
        Compare::YoyWorkday => lang.t("上年同一工作日", "same working day, year before"),
    }
}

struct Builder<'a> {
    catalogue: &'a Catalogue,
    id: &'a str,
    element: &'a Element,
    query: &'a Query,
    table: &'a Table,
    lang: Lang,
    dataset: &'a Dataset,
}

/// Slices beyond this number become 其他.
const MAX_SLICES: usize = 8;
/// Series beyond this number are not told apart by colour.
const MAX_SERIES: usize = 7;

impl Builder<'_> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Panel { panel: self.id.to_string(), reason: reason.into() })
    }

    fn build(&self) -> Result<ChartSpec> {
        let mut spec = ChartSpec {
            kind: self.element.kind,
            title: self.lang.pick(&self.element.title).to_string(),
            unit: String::new(),
            lang: self.lang,
            stacked: self.element.stacked,
            ordered: false,
            categories: Vec::new(),
            series: Vec::new(),
            points: Vec::new(),
            heat: self.element.heat,
            size_m: self.element.size_m,
            selected: None,
        };
        if self.element.kind == ElementKind::Heatmap {
            spec.points = self.points()?;
            return Ok(spec);
        }
        let dims: Vec<usize> = (0..self.table.columns.len())
            .filter(|i| matches!(self.table.columns[*i].role, ColumnRole::Dimension(_)))
            .collect();
        let x = match &self.element.x {
            Some(name) => self.table.column(name),
            None => dims.first().copied(),
        };
        let Some(x) = x else {
            return self.fail("查询没有可作横轴的维度 (the query has no dimension for the axis)");
        };
        let split = match &self.element.series {
            Some(name) => self.table.column(name),
            None => dims.iter().copied().find(|d| *d != x),
        };
        let measures: Vec<usize> = self
            .table
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| matches!(&c.role, ColumnRole::Measure(m) if self.element.measures.is_empty() || self.element.measures.contains(m)))
            .map(|(i, _)| i)
            .collect();
        let Some(&first) = measures.first() else { return self.fail("查询没有指标 (the query has no measure)") };
        spec.unit = self.unit(first);
        spec.ordered = matches!(self.table.columns[x].role, ColumnRole::Dimension(Dim::Time(_)));
        let keys = self.keys(x);
        spec.categories = keys.iter().map(|key| self.category(x, key)).collect();
        let index: BTreeMap<String, usize> = keys.iter().enumerate().map(|(i, k)| (k.to_text(), i)).collect();
        match split {
            Some(split) => self.split_series(&mut spec, &index, x, split, first),
            None => self.plain_series(&mut spec, &index, x, &measures),
        }
        if self.element.kind == ElementKind::Pie {
            fold_slices(&mut spec, self.element.limit.unwrap_or(MAX_SLICES).min(MAX_SLICES), self.lang);
        }
        if matches!(self.element.kind, ElementKind::Ranking | ElementKind::Cloud)
            || (self.element.kind == ElementKind::Bar && self.element.limit.is_some() && !spec.ordered)
        {
            // A ranking goes the way its query is ordered: the lowest first where that is asked.
            let upwards = self.element.kind == ElementKind::Ranking && self.query.order.first() == self.first_measure();
            rank(&mut spec, self.element.limit, upwards);
        }
        Ok(spec)
    }

    fn first_measure(&self) -> Option<&String> {
        self.element.measures.first().or(self.query.measures.first())
    }

    fn unit(&self, column: usize) -> String {
        if let ColumnRole::Measure(name) | ColumnRole::Comparison(name) = &self.table.columns[column].role
            && let Some((_, measure)) = self.catalogue.measure(&self.dataset.name, name)
        {
            return measure.unit.clone();
        }
        self.table.columns[column].unit.clone()
    }

    fn measure_label(&self, column: usize) -> String {
        let column = &self.table.columns[column];
        if let ColumnRole::Measure(name) | ColumnRole::Comparison(name) = &column.role
            && let Some((_, measure)) = self.catalogue.measure(&self.dataset.name, name)
        {
            return self.lang.pick(&measure.label).to_string();
        }
        if column.label.is_empty() { column.name.clone() } else { column.label.clone() }
    }

    /// Periods that add up show 0 where nothing happened; others stay open.
    fn gap(&self, column: usize) -> Option<f64> {
        let ColumnRole::Measure(name) = &self.table.columns[column].role else { return None };
        let (_, measure) = self.catalogue.measure(&self.dataset.name, name)?;
        (measure.agg.additivity() == Additivity::Full).then_some(0.0)
    }

    /// The values of the axis in order: all hours, all weekdays, every period between the first
    /// and the last; the code list's regions on maps; otherwise as the answer orders them.
    fn keys(&self, x: usize) -> Vec<Value> {
        let mut keys: Vec<Value> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in &self.table.rows {
            if let Some(value) = row.get(x)
                && seen.insert(value.to_text())
            {
                keys.push(value.clone());
            }
        }
        match &self.table.columns[x].role {
            ColumnRole::Dimension(Dim::Time(dim)) => self.whole(dim.time, self.periods(dim.time, keys)),
            _ => {
                if self.element.kind == ElementKind::Funnel {
                    self.by_code_list(x, &mut keys);
                }
                keys
            }
        }
    }

    /// Stages stand in the order of their code list, whatever the order of the answer.
    fn by_code_list(&self, x: usize, keys: &mut [Value]) {
        let list = self.dataset.field(&self.table.columns[x].name).and_then(|f| self.catalogue.codes_of(f));
        let Some(list) = list else { return };
        keys.sort_by_key(|key| list.item.iter().position(|i| i.code == key.to_text()).unwrap_or(usize::MAX));
    }

    /// A line leaves out periods that the range or the data covers only in part: a week of two
    /// days is no fall of the figures.
    fn whole(&self, grain: Grain, mut keys: Vec<Value>) -> Vec<Value> {
        if self.element.kind != ElementKind::Line || grain.is_cyclic() || grain == Grain::Hour || keys.len() < 5 {
            return keys;
        }
        let Some(watermark) = self.table.meta.watermark else { return keys };
        let Ok(span) = self.query.range.resolve(watermark) else { return keys };
        let covered = |key: &Value| {
            let Some(start) = date_of(key) else { return true };
            let day = |date| zonglan_catalog::time::local_midnight(date);
            day(start) >= span.from && day(grain.next_date(start)) <= watermark.min(span.to)
        };
        keys.retain(covered);
        keys
    }

    fn periods(&self, grain: Grain, mut keys: Vec<Value>) -> Vec<Value> {
        match grain {
            Grain::HourOfDay => (0..24).map(Value::Int).collect(),
            Grain::Weekday => (1..=7).map(Value::Int).collect(),
            Grain::Hour => {
                keys.retain(|k| !k.is_null());
                keys.sort_by(Value::total_cmp);
                keys
            }
            _ => {
                let mut dates: Vec<chrono::NaiveDate> = keys.iter().filter_map(date_of).collect();
                dates.sort_unstable();
                let (Some(&first), Some(&last)) = (dates.first(), dates.last()) else { return keys };
                let instants = keys.iter().any(|k| matches!(k, Value::Instant(_)));
                let mut filled = Vec::new();
                let mut date = first;
                // 40,000 days: a century of days; more is a broken date, not a chart.
                while date <= last && filled.len() < 40_000 {
                    filled.push(if instants {
                        Value::Instant(zonglan_catalog::time::local_midnight(date))
                    } else {
                        Value::Date(date)
                    });
                    date = grain.next_date(date);
                }
                filled
            }
        }
    }

    fn category(&self, x: usize, key: &Value) -> Category {
        let column = &self.table.columns[x];
        let (label, full) = value_names(self.catalogue, self.dataset, column, key, self.lang);
        let cell = (!key.is_null()).then(|| (column.name.clone(), serde_json::to_value(key).unwrap_or(Json::Null)));
        Category { label, full, cell }
    }

    fn plain_series(&self, spec: &mut ChartSpec, index: &BTreeMap<String, usize>, x: usize, measures: &[usize]) {
        let one = measures.len() == 1;
        for (n, &column) in measures.iter().take(MAX_SERIES).enumerate() {
            let ColumnRole::Measure(measure) = &self.table.columns[column].role else { continue };
            let prev = self.table.column(&format!("{measure}_prev"));
            if let (Some(prev), Some(compare), ElementKind::Line | ElementKind::Bar | ElementKind::Radar) =
                (prev, self.query.compare, self.element.kind)
                && one
            {
                spec.series.push(Series {
                    name: reference_name(compare, self.lang).to_string(),
                    role: SeriesRole::Reference,
                    color: Color::Reference,
                    unit: spec.unit.clone(),
                    digits: digits_of(self.table, column),
                    cell: None,
                    values: self.column_values(index, x, prev, None),
                });
            }
            let name = match (one, self.query.compare) {
                (true, Some(_)) if prev.is_some() => self.lang.t("本期", "this period").to_string(),
                _ => self.measure_label(column),
            };
            spec.series.push(Series {
                name,
                role: SeriesRole::Main,
                color: Color::series(n),
                unit: self.unit(column),
                digits: digits_of(self.table, column),
                cell: None,
                values: self.column_values(index, x, column, self.gap(column)),
            });
        }
    }

    fn column_values(
        &self,
        index: &BTreeMap<String, usize>,
        x: usize,
        column: usize,
        gap: Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut values = vec![gap; index.len()];
        for row in &self.table.rows {
            if let (Some(key), Some(value)) = (row.get(x), row.get(column))
                && let Some(&at) = index.get(&self.key_text(x, key))
            {
                values[at] = value.as_f64();
            }
        }
        values
    }

    /// Keys of filled periods are dates at the floor of their grain.
    fn key_text(&self, x: usize, key: &Value) -> String {
        match (&self.table.columns[x].role, key) {
            (ColumnRole::Dimension(Dim::Time(dim)), Value::Date(date)) => {
                Value::Date(dim.time.floor_date(*date)).to_text()
            }
            _ => key.to_text(),
        }
    }

    fn split_series(
        &self,
        spec: &mut ChartSpec,
        index: &BTreeMap<String, usize>,
        x: usize,
        split: usize,
        measure: usize,
    ) {
        let column = &self.table.columns[split];
        let mut keys = self.keys(split);
        if !matches!(column.role, ColumnRole::Dimension(Dim::Time(_))) && keys.len() > MAX_SERIES {
            let total = |key: &Value| -> f64 {
                let text = key.to_text();
                self.table
                    .rows
                    .iter()
                    .filter(|r| r.get(split).is_some_and(|v| v.to_text() == text))
                    .filter_map(|r| r.get(measure)?.as_f64())
                    .sum()
            };
            keys.sort_by(|a, b| total(b).total_cmp(&total(a)));
            keys.truncate(MAX_SERIES);
        }
        let gap = self.gap(measure);
        let digits = digits_of(self.table, measure);
        for (n, key) in keys.iter().enumerate() {
            let text = key.to_text();
            let mut values = vec![gap; index.len()];
            for row in self.table.rows.iter().filter(|r| r.get(split).is_some_and(|v| v.to_text() == text)) {
                if let (Some(at), Some(value)) = (row.get(x), row.get(measure))
                    && let Some(&at) = index.get(&self.key_text(x, at))
                {
                    values[at] = value.as_f64();
                }
            }
            let category = self.category(split, key);
            let color = self.code_color(column, &text).or_else(|| Color::of_level(&category.label));
            spec.series.push(Series {
                name: category.label,
                role: SeriesRole::Main,
                color: color.unwrap_or_else(|| Color::series(n)),
                unit: spec.unit.clone(),
                digits,
                cell: category.cell,
                values,
            });
        }
    }

    /// A code list may fix the colour of a value.
    fn code_color(&self, column: &Column, code: &str) -> Option<Color> {
        let field = self.dataset.field(&column.name)?;
        let hex = self.catalogue.codes_of(field)?.get(code)?.color.clone()?;
        Some(Color::Fixed(hex))
    }

    fn points(&self) -> Result<Vec<[f64; 3]>> {
        let Some(place) = self.table.columns.iter().position(|c| c.kind == ColumnType::Point) else {
            return self.fail("热力图需要坐标字段 (a heat layer needs a field of points)");
        };
        let weight = self.table.columns.iter().position(|c| matches!(c.role, ColumnRole::Measure(_)));
        Ok(self
            .table
            .rows
            .iter()
            .filter_map(|row| match row.get(place)? {
                Value::Point(x, y) => Some([*x, *y, weight.and_then(|w| row.get(w)?.as_f64()).unwrap_or(1.0)]),
                _ => None,
            })
            .collect())
    }
}
