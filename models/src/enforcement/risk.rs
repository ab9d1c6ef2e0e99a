//! Which organisations (shops, works) to visit first (高风险商铺预警): points for openly declared facts of the last
//! months. Facts of a place of business, never of its keeper; sole traders are natural persons and are refused.

use super::only_organisations;
use super::row::{self, Fields};
use crate::deadline::rule::Status;
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Filter, Label};

/// A file of `risks/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    pub name: String,
    pub version: String,
    pub label: Label,
    pub status: Status,
    pub dataset: String,
    /// Months before the data's last day.
    pub months: u32,
    pub factor: Vec<Factor>,
    /// Highest first.
    pub level: Vec<Level>,
    pub basis: Vec<String>,
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    pub id: String,
    pub label: String,
    /// Rows that count; where the factor is about repetition, rows that repeat.
    #[serde(default, rename = "where")]
    pub filter: Filter,
    /// Counts only rows after the first of the same value in this field.
    #[serde(default)]
    pub repeats: Option<String>,
    pub points: f64,
    /// At most so many points.
    pub cap: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub code: String,
    pub label: String,
    pub at_least: f64,
}

/// The outcome for one organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    pub points: f64,
    /// Code of the level.
    pub level: String,
    /// Count and points of each factor, as declared.
    pub factors: Vec<(u64, f64)>,
}

impl Risk {
    /// # Errors
    /// No such file, or what is wrong in it.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let risk: Self = catalogue.parse_file("risks", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "风险规则",
            name: name.to_string(),
            known: catalogue.files("risks").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        let wrong = |e: String| ModelError::RuleFile(format!("{name}: {e}"));
        let dataset = catalogue.dataset(&risk.dataset).ok_or_else(|| wrong(format!("没有数据集 {}", risk.dataset)))?;
        for factor in &risk.factor {
            row::check(&factor.filter, dataset).map_err(|e| wrong(format!("{}: {e}", factor.id)))?;
            if let Some(field) = factor.repeats.as_ref().filter(|f| dataset.field(f).is_none()) {
                return Err(wrong(format!("{}: 没有字段 {field}", factor.id)));
            }
            if factor.points < 0.0 || factor.cap < factor.points {
                return Err(wrong(format!("{}: 分值应不小于 0 且不超过上限", factor.id)));
            }
        }
        if risk.level.is_empty() || risk.level.windows(2).any(|w| w[0].at_least <= w[1].at_least) {
            return Err(wrong("等级应由高到低".into()));
        }
        Ok(risk)
    }

    /// The fields that the factors read.
    pub fn fields(&self) -> Vec<String> {
        let mut out: Vec<String> = self.factor.iter().flat_map(|f| f.filter.fields()).map(str::to_string).collect();
        out.extend(self.factor.iter().filter_map(|f| f.repeats.clone()));
        out.sort();
        out.dedup();
        out
    }

    /// Counts of each factor over the rows of one organisation.
    pub fn counts(&self, rows: &[Fields]) -> Vec<u64> {
        self.factor
            .iter()
            .map(|factor| {
                let hit = rows.iter().filter(|r| row::holds(&factor.filter, r));
                match &factor.repeats {
                    None => hit.count() as u64,
                    Some(field) => {
                        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
                        hit.for_each(|r| {
                            *seen.entry(r.get(field).map(|v| v.to_text()).unwrap_or_default()).or_default() += 1
                        });
                        seen.values().map(|n| n - 1).sum()
                    }
                }
            })
            .collect()
    }

    /// Points and level from the counts, in the order of the factors.
    pub fn assess(&self, counts: &[u64]) -> Assessment {
        let factors: Vec<(u64, f64)> =
            self.factor.iter().zip(counts).map(|(f, n)| (*n, (f.points * *n as f64).min(f.cap))).collect();
        let points: f64 = factors.iter().map(|(_, p)| p).sum();
        let level = self.level.iter().find(|l| points >= l.at_least).or(self.level.last());
        Assessment { points, level: level.map(|l| l.code.clone()).unwrap_or_default(), factors }
    }

    /// Each factor with its count and points, in words.
    pub fn explain(&self, assessment: &Assessment) -> Vec<String> {
        self.factor
            .iter()
            .zip(&assessment.factors)
            .filter(|(_, (n, _))| *n > 0)
            .map(|(f, (n, p))| format!("{} {n} 次，每次 {} 分，计 {p} 分（上限 {}）", f.label, f.points, f.cap))
            .collect()
    }
}

/// The body of `POST /api/v1/models/shop-risk/evaluate`: `{"party_kind":"organisation","counts":{"penalties":2}}`.
///
/// # Errors
/// A party that is a natural person, or a factor that is not declared.
pub fn evaluate(body: Value, catalogue: &Catalogue) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        risk: Option<String>,
        party_kind: String,
        counts: BTreeMap<String, u64>,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    only_organisations(&body.party_kind)?;
    let risk = Risk::load(catalogue, body.risk.as_deref().unwrap_or("shop"))?;
    if let Some(unknown) = body.counts.keys().find(|k| !risk.factor.iter().any(|f| f.id == **k)) {
        let known: Vec<_> = risk.factor.iter().map(|f| f.id.as_str()).collect();
        return Err(ModelError::input(format!("counts.{unknown}: 没有这个因素；可用：{}", known.join("、"))));
    }
    let counts: Vec<u64> = risk.factor.iter().map(|f| body.counts.get(&f.id).copied().unwrap_or(0)).collect();
    let outcome = risk.assess(&counts);
    let factors: Vec<Value> = risk
        .factor
        .iter()
        .zip(&outcome.factors)
        .map(|(f, (n, p))| json!({"factor": f.id, "label": f.label, "count": n, "points": p, "cap": f.cap}))
        .collect();
    Ok(json!({
        "value": outcome.points, "level": outcome.level, "factors": factors, "basis": risk.basis, "version": risk.version,
        "status": risk.status, "note": risk.note, "explanation": risk.explain(&outcome),
    }))
}
