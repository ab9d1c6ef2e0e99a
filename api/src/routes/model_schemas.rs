//! The bodies of `/api/v1/models/{model}/evaluate` in the OpenAPI document. They are read and
//! checked by `zonglan-models`, which knows nothing of HTTP.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A step of an explanation.
#[derive(ToSchema)]
pub struct ModelStep {
    pub step: String,
    /// Dates of deadlines only.
    #[schema(format = Date)]
    pub date: Option<String>,
    /// Value of the step; indices only.
    pub value: Option<f64>,
    /// Articles or publications that it rests on.
    pub basis: Vec<String>,
}

/// Either `trigger` (with `params`, else the rule's own): one period is counted; months first, then
/// days, then excluded days, then the roll. Or `events` with `as_of`: the state of a case.
#[derive(ToSchema)]
pub struct DeadlineIn {
    /// Name of a rule: `R1`, `R4b`, ...; `GET /api/v1/models` lists them.
    #[schema(example = "R1")]
    pub rule: String,
    /// One of the rule's limits; all where missing.
    pub limit: Option<String>,
    #[schema(format = Date, example = "2026-01-10")]
    pub trigger: Option<String>,
    pub params: Option<DeadlineParams>,
    /// Events as in the rule's file, `trigger` and `end` for the rule's own: a date, a list of dates,
    /// `{"date","to"}`, or recipients with a date or null each.
    #[schema(value_type = Option<Object>)]
    pub events: Option<Json>,
    pub facts: Option<BTreeMap<String, bool>>,
    #[schema(format = Date)]
    pub as_of: Option<String>,
}

#[derive(ToSchema)]
pub struct DeadlineParams {
    /// Negative: counted backwards.
    pub months: Option<i32>,
    pub days: Option<i32>,
    pub working_days: Option<i32>,
    /// Days that do not count, such as a psychiatric assessment.
    pub excl: Option<i32>,
    /// Days off at the end move the due day to the next working day.
    pub roll: Option<bool>,
    /// In custody nothing is rolled.
    pub custody: Option<bool>,
    /// `same_day` (default) or `day_before`.
    pub month_end_mode: Option<String>,
}

#[derive(ToSchema)]
pub struct DeadlineOut {
    pub rule: String,
    pub version: String,
    /// 已确认 or 未确认.
    pub status: String,
    /// Before the roll; for `trigger` only.
    #[schema(format = Date)]
    pub raw_due: Option<String>,
    #[schema(format = Date)]
    pub due: Option<String>,
    /// 未到期, 临期, 到期当日, 超期未办, 超期已办, 按期办结 or 无法判断; for `events` only.
    pub state: Option<String>,
    pub explanation: Vec<ModelStep>,
    /// For `events`: due day, state and spells of each limit.
    pub limits: Option<Vec<Json>>,
    /// Years without a calendar of holidays, and the like.
    pub warnings: Option<Vec<String>>,
}

/// What a declared `index` gives may be left out.
#[derive(ToSchema)]
pub struct SecurityIndexIn {
    /// A declared index, such as `security_index`.
    pub index: Option<String>,
    /// `linear` (default), `exponential` or `logarithmic`.
    pub form: Option<String>,
    /// `arithmetic` (default) or `geometric`; acts on both levels.
    pub aggregation: Option<String>,
    /// Least position of an indicator; -0.5 unless given, so that red can show.
    pub t_min: Option<f64>,
    pub dimensions: Option<Vec<IndexDimension>>,
    /// Values by unit and indicator; a missing or null one is renormalised and named.
    pub units: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// Also rank the units with each weight 20 % smaller and larger.
    pub sensitivity: Option<bool>,
}

#[derive(ToSchema)]
pub struct IndexDimension {
    pub id: String,
    pub weight: f64,
    pub indicators: Vec<IndexIndicator>,
}

/// With `satisfactory` and `inadmissible`, or with `interval` and `limits`.
#[derive(ToSchema)]
pub struct IndexIndicator {
    pub id: String,
    pub weight: f64,
    pub satisfactory: Option<f64>,
    pub inadmissible: Option<f64>,
    /// Best inside these two.
    pub interval: Option<Vec<f64>>,
    /// Inadmissible at these two.
    pub limits: Option<Vec<f64>>,
}

#[derive(ToSchema)]
pub struct SecurityIndexOut {
    pub units: BTreeMap<String, IndexUnit>,
    /// Form, aggregation, least position, name and version of the index.
    #[schema(value_type = Object)]
    pub scheme: Json,
    #[schema(value_type = Option<Object>)]
    pub sensitivity: Option<Json>,
}

#[derive(ToSchema)]
pub struct IndexUnit {
    /// Null where no indicator has a value.
    pub value: Option<f64>,
    pub dimensions: BTreeMap<String, Option<f64>>,
    pub indicators: BTreeMap<String, Option<f64>>,
    /// Indicators without a value; the weights were renormalised without them.
    pub missing: Vec<String>,
    /// Share of the declared weight that has values.
    pub coverage: f64,
    /// Position, score, weight, points and gain of each indicator, largest gain first.
    pub contributions: Vec<Json>,
    pub grade: Option<String>,
    pub grade_reasons: Option<Vec<String>>,
}

/// The figures of a WeChat account in a period. 「10万+」 counts as 100001.
#[derive(ToSchema)]
pub struct WciIn {
    /// `14.2`, `13`, `12` or `2`.
    #[schema(example = "14.2")]
    pub version: String,
    pub days: f64,
    pub articles: f64,
    pub reads: f64,
    pub wows: f64,
    /// From version 13.
    pub likes: Option<f64>,
    pub shares: Option<f64>,
    pub headline: Option<WciFigures>,
    pub max: Option<WciFigures>,
}

#[derive(ToSchema)]
pub struct WciFigures {
    /// Of headlines only.
    pub articles: Option<f64>,
    pub reads: Option<f64>,
    pub wows: Option<f64>,
    pub likes: Option<f64>,
    pub shares: Option<f64>,
}

/// The figures of a Weibo account in a period. A version reads the figures of its own formula.
#[derive(ToSchema)]
pub struct BciIn {
    /// `7` or `4`.
    #[schema(example = "7")]
    pub version: String,
    pub posts: Option<f64>,
    pub original: Option<f64>,
    pub reposts: Option<f64>,
    pub comments: Option<f64>,
    pub original_reposts: Option<f64>,
    pub original_comments: Option<f64>,
    pub likes: Option<f64>,
}

#[derive(ToSchema)]
pub struct InfluenceOut {
    pub value: f64,
    pub formula: String,
    pub version: String,
    /// 已确认 or 未确认.
    pub status: String,
    pub parts: Vec<InfluencePart>,
    pub explanation: Vec<ModelStep>,
}

#[derive(ToSchema)]
pub struct InfluencePart {
    pub id: String,
    pub label: String,
    pub weight: f64,
    pub value: f64,
}

/// Texts only: nothing here says who wrote them.
#[derive(ToSchema)]
pub struct SentimentIn {
    /// At most 10000.
    pub texts: Vec<String>,
}

#[derive(ToSchema)]
pub struct SentimentOut {
    pub results: Vec<SentimentResult>,
    /// Version of the trained model.
    pub model: String,
    /// Positive probabilities inside it are labelled `uncertain`.
    pub uncertain_band: Vec<f64>,
}

#[derive(ToSchema)]
pub struct SentimentResult {
    /// `positive`, `negative` or `uncertain`.
    pub label: String,
    /// Of the label; of the likelier side where uncertain.
    pub probability: f64,
    pub positive: f64,
}

#[derive(ToSchema)]
pub struct DiscretionIn {
    /// Name of a standard; `GET /api/v1/models` lists them.
    #[schema(example = "street_stall")]
    pub matter: String,
    /// Facts as declared by the standard: true, false or a number. One that is not stated does not hold.
    #[schema(value_type = Option<Object>)]
    pub facts: Option<Json>,
}

#[derive(ToSchema)]
pub struct DiscretionOut {
    pub matter: String,
    pub version: String,
    pub unit: String,
    /// What is not confirmed.
    pub note: Option<String>,
    pub range: DiscretionRange,
    pub no_penalty: bool,
    pub may_exempt: bool,
    pub steps: Vec<DiscretionStep>,
    /// The same as `steps`.
    pub explanation: Vec<DiscretionStep>,
}

#[derive(ToSchema)]
pub struct DiscretionRange {
    pub min: f64,
    pub max: f64,
}

#[derive(ToSchema)]
pub struct DiscretionStep {
    pub condition: String,
    pub effect: String,
    pub basis: String,
}
