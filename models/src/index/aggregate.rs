//! From indicators to dimensions to the index of one unit, with contributions.

use super::efficacy::{Bounds, Form};
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How scores are put together; acts on both levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    #[default]
    Arithmetic,
    /// One bad indicator cannot be bought off.
    Geometric,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    pub id: String,
    pub weight: f64,
    #[serde(flatten)]
    pub bounds: Bounds,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    pub id: String,
    pub weight: f64,
    pub indicators: Vec<Indicator>,
}

/// Everything that decides a score but the values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheme {
    pub form: Form,
    pub aggregation: Aggregation,
    /// Positions are clamped to `[t_min, 1]`. At 0 no score could ever be below 60, and red never show.
    pub t_min: f64,
    pub dimensions: Vec<Dimension>,
}

/// What one indicator does to the index.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    pub indicator: String,
    pub dimension: String,
    pub x: f64,
    pub t: f64,
    pub score: f64,
    /// Weight in the index after renormalising.
    pub weight: f64,
    /// Points of the index (arithmetic), or its share of the logarithm times the index (geometric).
    pub points: f64,
    /// How many points the index would rise if this indicator alone became satisfactory.
    pub gain: f64,
    /// The nearest value that is satisfactory.
    pub target: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitScore {
    /// `None` where no indicator has a value.
    pub value: Option<f64>,
    pub dimensions: BTreeMap<String, Option<f64>>,
    pub indicators: BTreeMap<String, Option<f64>>,
    /// Indicators without a value or with bounds that span nothing; weights were renormalised without them.
    pub missing: Vec<String>,
    /// Share of the declared weight that has values.
    pub coverage: f64,
    /// By gain, largest first: what would raise the index most.
    pub contributions: Vec<Contribution>,
}

impl Scheme {
    /// # Errors
    /// Names used twice, weights that are negative or all zero, bounds in the wrong order.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(ModelError::input(what));
        if !(-10.0..=0.99).contains(&self.t_min) {
            return wrong(format!("t_min: {} 应在 -10 与 0.99 之间", self.t_min));
        }
        if self.dimensions.is_empty() {
            return wrong("dimensions: 至少一个维度".into());
        }
        let mut seen = std::collections::BTreeSet::new();
        for dimension in &self.dimensions {
            let weights = dimension.indicators.iter().map(|i| i.weight);
            if weights.clone().chain([dimension.weight]).any(|w| !(w.is_finite() && w >= 0.0)) {
                return wrong(format!("{}: 权重应为非负数", dimension.id));
            }
            if weights.sum::<f64>() <= 0.0 {
                return wrong(format!("{}: 指标权重之和应大于零", dimension.id));
            }
            for indicator in &dimension.indicators {
                if !seen.insert(&indicator.id) {
                    return wrong(format!("指标 {} 重复", indicator.id));
                }
                indicator.bounds.check().map_err(|e| ModelError::input(format!("{}: {e}", indicator.id)))?;
            }
        }
        if self.dimensions.iter().map(|d| d.weight).sum::<f64>() <= 0.0 {
            return wrong("dimensions: 权重之和应大于零".into());
        }
        Ok(())
    }

    fn position(&self, indicator: &Indicator, x: Option<f64>) -> Option<f64> {
        Some(indicator.bounds.position(x?)?.clamp(self.t_min, 1.0))
    }

    /// The index and its dimensions from positions; `None` where all are missing.
    fn aggregate(&self, positions: &[Vec<Option<f64>>]) -> (Option<f64>, Vec<Option<f64>>) {
        let dimensions: Vec<Option<f64>> = self
            .dimensions
            .iter()
            .zip(positions)
            .map(|(dimension, ts)| {
                let scores = dimension.indicators.iter().zip(ts);
                self.mean(scores.filter_map(|(i, t)| Some((i.weight, self.form.score((*t)?)))))
            })
            .collect();
        let value = self.mean(self.dimensions.iter().zip(&dimensions).filter_map(|(d, s)| Some((d.weight, (*s)?))));
        (value, dimensions)
    }

    /// Weighted mean; the weights of what is there are renormalised.
    fn mean(&self, scores: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
        let (mut weight, mut sum) = (0.0, 0.0);
        for (w, score) in scores.filter(|(w, _)| *w > 0.0) {
            weight += w;
            sum += match self.aggregation {
                Aggregation::Arithmetic => w * score,
                // A score of zero or less makes the product zero.
                Aggregation::Geometric => w * score.max(0.0).ln(),
            };
        }
        (weight > 0.0).then(|| match self.aggregation {
            Aggregation::Arithmetic => sum / weight,
            Aggregation::Geometric => (sum / weight).exp(),
        })
    }
}

/// Only the index of one unit, for comparing many weightings.
pub fn value_of(scheme: &Scheme, values: &BTreeMap<String, Option<f64>>) -> Option<f64> {
    let at = |i: &Indicator| scheme.position(i, values.get(&i.id).copied().flatten());
    let positions: Vec<Vec<Option<f64>>> =
        scheme.dimensions.iter().map(|d| d.indicators.iter().map(at).collect()).collect();
    scheme.aggregate(&positions).0
}

/// The index of one unit from its values; a missing value is renormalised and named, never zero.
pub fn score_unit(scheme: &Scheme, values: &BTreeMap<String, Option<f64>>) -> UnitScore {
    let x = |i: &Indicator| values.get(&i.id).copied().flatten();
    let mut positions: Vec<Vec<Option<f64>>> =
        scheme.dimensions.iter().map(|d| d.indicators.iter().map(|i| scheme.position(i, x(i))).collect()).collect();
    let (value, dimension_scores) = scheme.aggregate(&positions);
    let mut out = UnitScore {
        value,
        dimensions: scheme.dimensions.iter().map(|d| d.id.clone()).zip(dimension_scores.iter().copied()).collect(),
        indicators: BTreeMap::new(),
        missing: Vec::new(),
        coverage: 0.0,
        contributions: Vec::new(),
    };
    let present: f64 =
        scheme.dimensions.iter().zip(&dimension_scores).filter(|(_, s)| s.is_some()).map(|(d, _)| d.weight).sum();
    let declared: f64 = scheme.dimensions.iter().map(|d| d.weight).sum();
    let value = value.unwrap_or(0.0);
    for (d, dimension) in scheme.dimensions.iter().enumerate() {
        let total: f64 = dimension.indicators.iter().map(|i| i.weight).sum();
        let with_value = dimension.indicators.iter().zip(&positions[d]).filter(|(_, t)| t.is_some());
        let inside: f64 = with_value.map(|(i, _)| i.weight).sum();
        out.coverage += dimension.weight / declared * inside / total;
        for (i, indicator) in dimension.indicators.iter().enumerate() {
            let (Some(t), Some(x)) = (positions[d][i], x(indicator)) else {
                out.missing.push(indicator.id.clone());
                out.indicators.insert(indicator.id.clone(), None);
                continue;
            };
            let score = scheme.form.score(t);
            out.indicators.insert(indicator.id.clone(), Some(score));
            positions[d][i] = Some(1.0);
            let raised = scheme.aggregate(&positions).0.unwrap_or(value);
            positions[d][i] = Some(t);
            let weight = dimension.weight / present * indicator.weight / inside;
            let points = match scheme.aggregation {
                Aggregation::Arithmetic => weight * score,
                Aggregation::Geometric if value > 1.0 && score > 0.0 => weight * score.ln() / value.ln() * value,
                Aggregation::Geometric => 0.0,
            };
            out.contributions.push(Contribution {
                indicator: indicator.id.clone(),
                dimension: dimension.id.clone(),
                x,
                t,
                score,
                weight,
                points,
                gain: raised - value,
                target: indicator.bounds.target(x),
            });
        }
    }
    out.contributions.sort_by(|a, b| b.gain.total_cmp(&a.gain).then_with(|| a.indicator.cmp(&b.indicator)));
    out
}
