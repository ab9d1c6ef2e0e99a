//! Board files: shared queries, elements, and layouts over the same elements.

use crate::codes::Label;
use crate::query::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One file of `packs/<system>/boards/`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub name: String,
    pub title: Label,
    #[serde(default)]
    pub modules: Vec<String>,
    /// Order in the list of boards.
    #[serde(default)]
    pub order: i32,
    /// Heading in the list of boards under which this one stands.
    #[serde(default)]
    pub group: Option<Label>,
    /// Roles that see the board. Empty: everybody who may read its datasets.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Choices at the top of the board; they add conditions to its queries.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub queries: BTreeMap<String, Query>,
    pub elements: BTreeMap<String, Element>,
    /// Rows of elements from top to bottom, `name` or `name:weight` (its share of the row's
    /// width); the layouts that the file leaves out are made from it.
    #[serde(default)]
    pub flow: Vec<Vec<String>>,
    #[serde(default)]
    pub layouts: Layouts,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub label: Label,
    pub kind: VariableKind,
    /// The field that the variable filters in every query whose dataset has it.
    #[serde(default)]
    pub field: Option<String>,
    /// For `code`: the list of values.
    #[serde(default)]
    pub codes: Option<String>,
    /// For `period`: the choices, such as `7d`, `30d`, `12m`.
    #[serde(default)]
    pub options: Vec<String>,
    #[serde(default)]
    pub default: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableKind {
    Region,
    Code,
    Period,
}

/// A panel: what it shows of which query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Element {
    pub title: Label,
    #[serde(rename = "type")]
    pub kind: ElementKind,
    #[serde(default)]
    pub query: Option<String>,
    /// The query itself, where no other element shares it; it gets the element's name.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub ask: Option<Query>,
    /// Measures (or row fields) shown, in order. Empty: all of the query.
    #[serde(default)]
    pub measures: Vec<String>,
    /// The dimension on the axis, and the one that splits series.
    #[serde(default)]
    pub x: Option<String>,
    #[serde(default)]
    pub series: Option<String>,
    /// Further query whose points make the spark line of a number.
    #[serde(default)]
    pub spark: Option<String>,
    /// A second comparison query for numbers (the first is the query's own `compare`).
    #[serde(default)]
    pub versus: Option<String>,
    #[serde(default)]
    pub stacked: bool,
    /// How a `heatmap` shows its points.
    #[serde(default)]
    pub heat: HeatStyle,
    /// Metres of a hexagon, of the kernel's bandwidth, of a cluster: 20 to 20,000.
    #[serde(default)]
    pub size_m: Option<f64>,
    #[serde(default)]
    pub limit: Option<usize>,
    /// Where a click leads: `drill` (the server's drills, default), `rows`, or a path.
    #[serde(default)]
    pub click: Option<String>,
    /// Heading of the section that the panel belongs to.
    #[serde(default)]
    pub section: Option<Label>,
    #[serde(default)]
    pub note: Option<Label>,
}

impl Element {
    /// A panel that shows nothing yet.
    pub fn new(title: Label, kind: ElementKind) -> Self {
        Self {
            title,
            kind,
            query: None,
            ask: None,
            measures: Vec::new(),
            x: None,
            series: None,
            spark: None,
            versus: None,
            stacked: false,
            heat: HeatStyle::Glow,
            size_m: None,
            limit: None,
            click: None,
            section: None,
            note: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ElementKind {
    /// Title bar with clock, data time and the demo mark.
    Title,
    /// One figure with comparisons and a spark line.
    Number,
    Choropleth,
    /// Points as a heat layer.
    Heatmap,
    Line,
    Bar,
    Pie,
    Ranking,
    /// Hour of day by weekday.
    Grid,
    /// Stages from first to last, each as wide as its figure.
    Funnel,
    /// Several measures of a few units, each axis from 0 to the largest.
    Radar,
    /// One percentage on a dial.
    Gauge,
    /// Days of a year as cells.
    Calendar,
    /// Two measures of each unit against each other.
    Scatter,
    /// Words by size.
    Cloud,
    /// Rows of a query.
    Table,
    /// A rolling list of the newest rows.
    Feed,
    Weather,
    Duty,
    Text,
}

/// How points are laid over a map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeatStyle {
    /// Each point shines; where many are it gets hot.
    #[default]
    Glow,
    /// Counts in hexagons.
    Hex,
    /// Kernel density.
    Density,
    /// Discs with the count of the points that stand together.
    Clusters,
}

/// Where elements stand. What a file leaves empty is made from its `flow`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layouts {
    #[serde(default)]
    pub wall: Layout,
    #[serde(default)]
    pub desktop: Layout,
    #[serde(default)]
    pub mobile: Layout,
    #[serde(default)]
    pub print: Option<Layout>,
}

/// A grid of columns and rows on which elements are placed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub columns: u16,
    /// Wall: rows that fill the canvas. Others: height of a row in CSS pixels follows the renderer.
    #[serde(default)]
    pub rows: Option<u16>,
    pub items: Vec<Placement>,
}

/// `[element, x, y, width, height]` in grid units.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Placement(pub String, pub u16, pub u16, pub u16, pub u16);
