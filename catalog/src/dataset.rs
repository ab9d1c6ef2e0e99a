//! Dataset definitions: fields, measures, hierarchies, rollups and registers, as read from files.

use crate::codes::Label;
use crate::filter::Filter;
pub use crate::register::{Lifecycle, Register};
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One file of `packs/<system>/datasets/`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    pub name: String,
    pub label: Label,
    #[serde(default)]
    pub description: String,
    pub source: Source,
    /// Fields that identify a row. Empty: the row's content and its occurrence number do.
    #[serde(default)]
    pub key: Vec<String>,
    /// The field of the event time (type instant or date).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The field of the place (type point).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The region field on which row rules act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Every signed-in role may read all rows (weather, statutes), whatever its regions.
    #[serde(default)]
    pub shared: bool,
    /// The department that answers for these figures.
    pub owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// A child whose rows are seen within one parent only (guests of a hotel): rows are listed for
    /// one parent's key, and there is no search over all of them.
    #[serde(default)]
    pub within_parent: bool,
    /// Figures about people: suppression and declared dimensions only.
    #[serde(default)]
    pub people: bool,
    /// Dimension sets that may be asked together where `people` is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people_dimensions: Vec<Vec<String>>,
    /// The field shown as a row's title in lists and hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Fields shown in lists, in order. Empty: every field that is not text for search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<String>,
    /// Rows of the module list that this dataset serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    pub field: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measure: Vec<Measure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hierarchy: Vec<Hierarchy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollup: Vec<Rollup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<Register>,
    /// Groups of fields (`packs/<system>/parts/`) that are added behind the own fields.
    #[serde(default, rename = "use", skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// The pack of the file; roles may name all datasets of one as `pack:police`.
    #[serde(skip)]
    pub pack: String,
    /// Made by the catalogue from a part, not by a file of its own.
    #[serde(skip)]
    pub made: bool,
}

/// Who writes the rows. Never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Kept by hand: everything, imports too, goes through the records store and its log.
    Records,
    /// Loaded from other systems; read-only on pages.
    Import,
}

/// A child dataset names its parent and the field that holds the parent's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub dataset: String,
    pub field: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    pub label: Label,
    #[serde(rename = "type")]
    pub kind: FieldType,
    #[serde(default)]
    pub required: bool,
    /// The code list of a `code` field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<String>,
    #[serde(default)]
    pub sensitivity: Sensitivity,
    #[serde(default)]
    pub mask: Mask,
    #[serde(default)]
    pub search: SearchMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The standard or form that the field follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// Decimal digits of a `decimal` field: values are integers of 10^-scale.
    #[serde(default)]
    pub scale: u8,
    /// The level of a `region` field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<RegionLevel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// A keyed hash of a person's identity: usable inside `distinct` only.
    #[serde(default)]
    pub person_key: bool,
    /// Heading under which forms show the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The code list of a `code` field in place: `[["open", "营业", "Open"], ...]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String, String)>,
    /// What texts of the field look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<crate::register::Format>,
    /// What a form offers at first: a value, or `today`, `now`, `user` (who fills it in).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<serde_json::Value>,
    /// Set by actions only; forms do not show it.
    #[serde(default)]
    pub by_action: bool,
    /// Must be filled in where the record meets this.
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub required_when: Filter,
    /// Forms show it only where the record meets this.
    #[serde(default, skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub shown_when: Filter,
    /// The dataset of a `ref` field: its key must exist there, pages link to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    Text,
    /// A value of a code list; stored as the code.
    Code,
    Int,
    /// A scaled integer; see `scale`.
    Decimal,
    Bool,
    Date,
    /// A moment with zone; dates without a zone are read as Asia/Shanghai.
    Instant,
    /// Longitude, latitude in degrees, WGS-84.
    Point,
    /// A region code: six, nine or twelve digits, or a grid cell.
    Region,
    /// The key of an attachment in the blob store.
    File,
    /// The key of a row of another dataset.
    Ref,
}

impl FieldType {
    /// Stored as text, with few or many distinct values.
    pub fn is_textual(self) -> bool {
        matches!(self, Self::Text | Self::Code | Self::Region | Self::File | Self::Ref)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Decimal)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    Public,
    #[default]
    Internal,
    Personal,
    Secret,
}

/// How a field looks to those who may not see it in clear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Personal fields without a rule of their own are hidden whole.
    #[default]
    Hidden,
    /// 张*, the first character kept.
    Name,
    /// 138****5678.
    Phone,
    /// 310***********1234.
    IdNumber,
    /// The street kept, house numbers hidden.
    Address,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    #[default]
    None,
    /// Whole value, as facet and filter.
    Keyword,
    /// Every fragment of one character or more.
    Zh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegionLevel {
    City,
    District,
    Street,
    Neighbourhood,
    Grid,
}

/// A figure with its definition.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    pub name: String,
    pub label: Label,
    pub agg: Aggregate,
    /// The field that the aggregate reads; none for `count` and `ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Only rows that meet this filter.
    #[serde(default, rename = "where", skip_serializing_if = "Filter::is_true")]
    #[schemars(with = "serde_json::Value")]
    pub filter: Filter,
    /// `quantile`: which, between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// `ratio`: a measure of this dataset, or `dataset.measure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<String>,
    /// `ratio`: the quotient is multiplied by this (100 for percent, 10000 for per ten thousand).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// `stock`: rows with start <= date < end are open at the date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Digits after the point in answers (averages, ratios, quantiles).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
    #[serde(default)]
    pub unit: String,
    /// 口径: what is counted, in words.
    #[serde(default)]
    pub definition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_from: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub effective_to: Option<NaiveDate>,
    #[serde(default)]
    pub direction: Direction,
    /// Definitions that were in force before, oldest first; the measure itself is the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub version: Vec<MeasureVersion>,
}

/// An earlier definition of a measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureVersion {
    #[schemars(with = "String")]
    pub from: NaiveDate,
    /// The first day on which it is no longer in force.
    #[schemars(with = "String")]
    pub to: NaiveDate,
    /// 口径 at that time.
    pub definition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// A measure of this dataset that computes it. Without: the definition is told, and answers
    /// say that they use the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    Count,
    Sum,
    /// Exact sum / count of non-null values, rounded half to even at `digits`.
    Avg,
    Min,
    Max,
    /// Exact number of different non-null values.
    Distinct,
    /// Nearest rank: the smallest value with at least q·n values at or below it.
    Quantile,
    Ratio,
    /// Rows open at the end of each period.
    Stock,
}

/// How partial results of a measure combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Additivity {
    /// Adds up over every dimension.
    Full,
    /// Adds up over every dimension but time.
    SemiTime,
    /// Minimum and maximum: merge, cannot be taken back.
    Extreme,
    /// Distinct and quantile: need their state, not their value.
    None,
    /// Computed at the end from measures that add up.
    Ratio,
}

impl Aggregate {
    pub fn additivity(self) -> Additivity {
        match self {
            Self::Count | Self::Sum => Additivity::Full,
            Self::Stock => Additivity::SemiTime,
            Self::Min | Self::Max => Additivity::Extreme,
            Self::Distinct | Self::Quantile => Additivity::None,
            Self::Avg | Self::Ratio => Additivity::Ratio,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    HigherIsBetter,
    LowerIsBetter,
    #[default]
    Neutral,
}

/// Dimensions from coarse to fine, the declared order of a drill.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hierarchy {
    pub name: String,
    pub label: Label,
    pub levels: Vec<String>,
}

/// A prepared aggregate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollup {
    pub name: String,
    pub grain: crate::time::Grain,
    pub dimensions: Vec<String>,
    pub measures: Vec<String>,
}

impl Dataset {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field.iter().find(|f| f.name == name)
    }

    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.field.iter().position(|f| f.name == name)
    }

    pub fn measure(&self, name: &str) -> Option<&Measure> {
        self.measure.iter().find(|m| m.name == name)
    }

    /// Fields with their own text in the full-text index.
    pub fn searched(&self) -> impl Iterator<Item = &Field> {
        self.field.iter().filter(|f| f.search == SearchMode::Zh)
    }

    pub fn is_searchable(&self) -> bool {
        !self.within_parent && self.field.iter().any(|f| f.search != SearchMode::None)
    }

    /// The fields of a list page, in order.
    pub fn list_fields(&self) -> Vec<&str> {
        if self.list.is_empty() {
            let shown = |f: &&Field| f.search != SearchMode::Zh && f.name != crate::expand::REMARKS;
            self.field.iter().filter(shown).map(|f| f.name.as_str()).collect()
        } else {
            self.list.iter().map(String::as_str).collect()
        }
    }
}
