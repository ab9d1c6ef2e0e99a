//! The score of one indicator.

use serde::{Deserialize, Serialize};

/// Shape of the score between inadmissible (60) and satisfactory (100).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    #[default]
    Linear,
    /// Convex: punishes the middle, rewards the top.
    Exponential,
    /// Concave.
    Logarithmic,
}

/// What is good and what is not tolerable; constants of a version, never taken from the batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "指标应有 satisfactory 与 inadmissible,或 interval 与 limits")]
pub enum Bounds {
    /// More is better where `satisfactory` is the larger, less is better where it is the smaller.
    Monotone { satisfactory: f64, inadmissible: f64 },
    /// Best inside `interval`, intolerable at `limits` (below and above).
    Interval { interval: [f64; 2], limits: [f64; 2] },
}

impl Bounds {
    /// The position of `x`: 0 inadmissible, 1 satisfactory; not clamped. `None` where the bounds
    /// do not span anything or `x` is not a number.
    pub fn position(&self, x: f64) -> Option<f64> {
        let t = match *self {
            Self::Monotone { satisfactory, inadmissible } => (x - inadmissible) / (satisfactory - inadmissible),
            Self::Interval { interval: [a, b], limits: [low, high] } => {
                if x < a {
                    (x - low) / (a - low)
                } else if x > b {
                    (high - x) / (high - b)
                } else {
                    1.0
                }
            }
        };
        t.is_finite().then_some(t)
    }

    /// # Errors
    /// Bounds in the wrong order.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Self::Monotone { satisfactory: s, inadmissible: i } if !(s.is_finite() && i.is_finite()) => {
                Err("满意值、不允许值应为数字".into())
            }
            Self::Interval { interval: [a, b], limits: [low, high] }
                if !(low < a && a <= b && b < high && low.is_finite() && high.is_finite()) =>
            {
                Err(format!("区间应满足 下限 < 区间下端 ≤ 区间上端 < 上限,现为 {low}, {a}, {b}, {high}"))
            }
            Self::Monotone { .. } | Self::Interval { .. } => Ok(()),
        }
    }

    /// Where more of the measure is worse: the sign that turns a rise into a deterioration.
    pub fn worsening_sign(&self) -> f64 {
        match *self {
            Self::Monotone { satisfactory, inadmissible } if satisfactory > inadmissible => -1.0,
            Self::Monotone { .. } | Self::Interval { .. } => 1.0,
        }
    }

    /// The nearest value that scores 100.
    pub fn target(&self, x: f64) -> f64 {
        match *self {
            Self::Monotone { satisfactory, .. } => satisfactory,
            Self::Interval { interval: [a, b], .. } => x.clamp(a, b),
        }
    }

    /// Bounds from a fixed base period: P5 and P95 of its values (type 7 quantiles).
    /// `None` with fewer than 20 values or where both are equal.
    pub fn of_base_period(values: &[f64], more_is_better: bool) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if sorted.len() < 20 {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let quantile = |p: f64| {
            let at = p * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            low + (high - low) * at.fract()
        };
        let (low, high) = (quantile(0.05), quantile(0.95));
        let (satisfactory, inadmissible) = if more_is_better { (high, low) } else { (low, high) };
        (low < high).then_some(Self::Monotone { satisfactory, inadmissible })
    }
}

impl Form {
    /// The score at position `t`: 60 at 0 and 100 at 1 in every form.
    pub fn score(self, t: f64) -> f64 {
        match self {
            Self::Linear => t * 40.0 + 60.0,
            // A exp(B t) with A = 60, B = -ln 0.6.
            Self::Exponential => 60.0 * (-(0.6f64.ln()) * t).exp(),
            Self::Logarithmic => {
                let inner = 1.0 + (std::f64::consts::E - 1.0) * t;
                60.0 + 40.0 * inner.max(f64::MIN_POSITIVE).ln()
            }
        }
    }
}
