//! Association of matters: how much more often two things meet than they would by chance.
//!
//! Units are cells (a subdistrict in a week, by drill-across of two datasets) or cases. With n units, a of
//! them with the left thing, b with the right, and both with both: support = both / n, confidence = both / a,
//! lift = both · n / (a · b) (Agrawal, Imieliński, Swami 1993; lift: Brin et al. 1997). Lift says nothing about cause.

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zonglan_catalog::time::Grain;
use zonglan_catalog::{Catalogue, Filter, Label};

/// A file of `associations/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Association {
    pub name: String,
    pub version: String,
    pub label: Label,
    pub left: Side,
    pub right: Side,
    pub unit: Unit,
    /// Months before the data's last day.
    pub months: u32,
    /// Pairs that meet less often are left out: a lift of few units is chance.
    pub min_both: u64,
    #[serde(default)]
    pub note: Option<String>,
}

/// A dataset and the code field that tells its things apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    pub dataset: String,
    pub field: String,
    #[serde(default, rename = "where")]
    pub filter: Filter,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Unit {
    /// A region in a period: both datasets have the field and an event time. A cell has a thing from
    /// `at_least` rows on, so that busy places do not have everything.
    Cell { region: String, grain: Grain, at_least: u64 },
    /// A row of the left dataset; the rows of the right one carry the left field, one a unit and thing.
    Row,
}

impl Association {
    /// # Errors
    /// No such file, or what is wrong in it.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let found: Self = catalogue.parse_file("associations", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "关联规则",
            name: name.to_string(),
            known: catalogue.files("associations").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        for side in [&found.left, &found.right] {
            let fields = match &found.unit {
                Unit::Cell { region, .. } => vec![&side.field, region],
                Unit::Row => vec![&side.field],
            };
            // An instance without the pack of one side has no such association; see `all`.
            let Some(dataset) = catalogue.dataset(&side.dataset) else { continue };
            if let Some(missing) = fields.into_iter().find(|f| dataset.field(f).is_none()) {
                return Err(ModelError::RuleFile(format!("{name}: 数据集 {} 没有字段 {missing}", side.dataset)));
            }
        }
        Ok(found)
    }
}

/// The associations whose datasets this instance has.
///
/// # Errors
/// What is wrong in a file.
pub fn all(catalogue: &Catalogue) -> Result<Vec<Association>> {
    let mut out = Vec::new();
    for (name, _) in catalogue.files("associations") {
        let found = Association::load(catalogue, name)?;
        if [&found.left, &found.right].iter().all(|side| catalogue.dataset(&side.dataset).is_some()) {
            out.push(found);
        }
    }
    Ok(out)
}

/// Four counts of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    pub n: u64,
    pub a: u64,
    pub b: u64,
    pub both: u64,
}

impl Counts {
    /// # Errors
    /// Counts that cannot be: more with both than with either, or more with either than there are.
    pub fn check(self) -> Result<()> {
        let Self { n, a, b, both } = self;
        if both > a.min(b) || a.max(b) > n || n == 0 || a + b - both > n {
            return Err(ModelError::input(format!("计数不成立：n={n} a={a} b={b} both={both}")));
        }
        Ok(())
    }

    pub fn support(self) -> f64 {
        self.both as f64 / self.n as f64
    }

    /// Of the units with the left thing, how many have the right one.
    pub fn confidence(self) -> f64 {
        if self.a == 0 { 0.0 } else { self.both as f64 / self.a as f64 }
    }

    /// Units with both if the two had nothing to do with each other.
    pub fn expected(self) -> f64 {
        self.a as f64 * self.b as f64 / self.n as f64
    }

    /// 1 where they meet as often as by chance.
    pub fn lift(self) -> f64 {
        if self.expected() == 0.0 { 0.0 } else { self.both as f64 / self.expected() }
    }
}

/// A pair of things with its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub left: String,
    pub right: String,
    pub counts: Counts,
}

/// Pairs from the cells in which each thing is; `cells` is the number of all cells. Highest lift first.
pub fn from_cells(
    left: &BTreeMap<String, BTreeSet<u64>>,
    right: &BTreeMap<String, BTreeSet<u64>>,
    cells: u64,
    min_both: u64,
) -> Vec<Pair> {
    let mut out = Vec::new();
    for (l, in_left) in left {
        for (r, in_right) in right {
            let both = in_left.intersection(in_right).count() as u64;
            if both >= min_both.max(1) {
                let counts = Counts { n: cells, a: in_left.len() as u64, b: in_right.len() as u64, both };
                out.push(Pair { left: l.clone(), right: r.clone(), counts });
            }
        }
    }
    sort(&mut out);
    out
}

/// Pairs from counts of rows: all by the left thing, and those with the right thing by both.
pub fn from_rows(left: &BTreeMap<String, u64>, both: &BTreeMap<(String, String), u64>, min_both: u64) -> Vec<Pair> {
    let n = left.values().sum();
    let mut by_right: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, r), count) in both {
        *by_right.entry(r).or_default() += count;
    }
    let mut out: Vec<Pair> = both
        .iter()
        .filter(|(_, count)| **count >= min_both.max(1))
        .map(|((l, r), count)| Pair {
            left: l.clone(),
            right: r.clone(),
            counts: Counts { n, a: left.get(l).copied().unwrap_or(0), b: by_right[r.as_str()], both: *count },
        })
        .collect();
    sort(&mut out);
    out
}

fn sort(pairs: &mut [Pair]) {
    pairs.sort_by(|x, y| {
        y.counts.lift().total_cmp(&x.counts.lift()).then_with(|| (&x.left, &x.right).cmp(&(&y.left, &y.right)))
    });
}

/// The body of `POST /api/v1/models/association/evaluate`: `{"n","a","b","both"}`.
///
/// # Errors
/// Counts that cannot be.
pub fn evaluate(body: Value) -> Result<Value> {
    let counts: Counts = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    counts.check()?;
    let Counts { n, a, b, both } = counts;
    let (support, confidence, lift, expected) =
        (counts.support(), counts.confidence(), counts.lift(), counts.expected());
    Ok(json!({
        "value": lift, "lift": lift, "support": support, "confidence": confidence, "expected": expected,
        "explanation": [
            {"step": format!("支持度 = {both} ÷ {n} = {support:.4}"), "value": support},
            {"step": format!("置信度 = {both} ÷ {a} = {confidence:.4}"), "value": confidence},
            {"step": format!("若无关联，预期 {a} × {b} ÷ {n} = {expected:.2}"), "value": expected},
            {"step": format!("提升度 = {both} ÷ {expected:.2} = {lift:.4}"), "value": lift},
        ],
    }))
}
