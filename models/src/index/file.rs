//! The declared index: a file of `indices/` with bounds and weights of a version.

use super::aggregate::{Aggregation, Dimension, Indicator, Scheme};
use super::efficacy::{Bounds, Form};
use super::grade::GradeRules;
use super::weights;
use crate::error::{ModelError, Result};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use zonglan_catalog::dataset::RegionLevel;
use zonglan_catalog::{Catalogue, Label};

/// A declared index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexFile {
    pub name: String,
    /// Published values carry it; old months are computed with the version of their time.
    pub version: String,
    pub label: Label,
    /// The first period that this version scores; earlier ones keep the `previous` version.
    #[serde(default)]
    pub from: Option<NaiveDate>,
    /// The file of the version before.
    #[serde(default)]
    pub previous: Option<String>,
    pub basis: Vec<String>,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub form: Form,
    #[serde(default)]
    pub aggregation: Aggregation,
    #[serde(default = "default_t_min")]
    pub t_min: f64,
    #[serde(default)]
    pub grades: GradeRules,
    pub dimension: Vec<DimensionFile>,
}

pub(super) fn default_t_min() -> f64 {
    -0.5
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionFile {
    pub id: String,
    pub label: Label,
    pub weight: f64,
    #[serde(default)]
    pub weighting: Weighting,
    /// An unusual rise of one of its indicators raises the grade (the situation, not the prevention).
    #[serde(default)]
    pub escalates: bool,
    pub indicator: Vec<IndicatorFile>,
}

/// Where the weights of a dimension's indicators come from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Weighting {
    /// The weights of the indicators as written.
    #[default]
    Fixed,
    /// Pairwise judgements; refused where the consistency ratio is 0.10 or more.
    Ahp { matrix: Vec<Vec<f64>> },
    /// By the information in the positions t of a fixed base (units by indicators), kept in the file:
    /// never those of the current batch.
    Entropy { base: Vec<Vec<f64>> },
    /// By spread and conflict in the same.
    Critic { base: Vec<Vec<f64>> },
    /// Judgements and a base together: `alpha * AHP + (1 - alpha) * base`, or proportional to the
    /// product where `alpha` is missing.
    Combined {
        matrix: Vec<Vec<f64>>,
        method: Objective,
        base: Vec<Vec<f64>>,
        #[serde(default)]
        alpha: Option<f64>,
    },
}

/// How weights come from a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    Entropy,
    Critic,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndicatorFile {
    pub id: String,
    pub label: Label,
    /// `dataset.measure` of the catalogue.
    pub measure: String,
    /// Divides the measure, for rates per 10,000 residents.
    #[serde(default)]
    pub per: Option<String>,
    #[serde(default)]
    pub times: Option<f64>,
    /// The value is brought to so many days, so that one pair of bounds serves weeks, months and quarters.
    #[serde(default)]
    pub per_days: Option<f64>,
    #[serde(default)]
    pub unit: Option<String>,
    #[serde(default)]
    pub weight: f64,
    #[serde(default)]
    pub satisfactory: Option<f64>,
    #[serde(default)]
    pub inadmissible: Option<f64>,
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
    #[serde(default)]
    pub limits: Option<[f64; 2]>,
    /// Where the bounds come from: a policy target, or P5/P95 of a fixed base period.
    pub bounds: String,
    /// Levels at which it is measured. Empty: all.
    #[serde(default)]
    pub levels: Vec<RegionLevel>,
    /// What is measured of subdistricts instead, where nobody knows their residents.
    #[serde(default)]
    pub street: Option<StreetFile>,
}

/// An indicator at the level of subdistricts: the plain measure with bounds of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreetFile {
    pub satisfactory: f64,
    pub inadmissible: f64,
    #[serde(default)]
    pub unit: Option<String>,
    pub bounds: String,
}

impl IndexFile {
    /// # Errors
    /// No such index, or what is wrong in its file.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        catalogue.parse_file("indices", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "指数",
            name: name.to_string(),
            known: catalogue.files("indices").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })
    }

    /// The version in force and those before it, newest first.
    ///
    /// # Errors
    /// A version that there is not, or that does not begin before the one after it.
    pub fn versions(catalogue: &Catalogue, name: &str) -> Result<Vec<Self>> {
        let mut out = vec![Self::load(catalogue, name)?];
        while let Some(previous) = out.last().and_then(|file| file.previous.clone()) {
            let newer = out.last().and_then(|file| file.from);
            let file = Self::load(catalogue, &previous)?;
            if newer.is_none() || file.from.is_some_and(|from| Some(from) >= newer) {
                let what = "的上一版本应有更早的 from";
                return Err(ModelError::RuleFile(format!("{name}: {previous} {what}")));
            }
            out.push(file);
        }
        Ok(out)
    }

    /// The scheme that scores units.
    ///
    /// # Errors
    /// Bounds that are missing or contradictory, inconsistent judgements.
    pub fn scheme(&self) -> Result<Scheme> {
        self.scheme_at(RegionLevel::District)
    }

    /// The scheme of a level: indicators that are not measured there take no part.
    ///
    /// # Errors
    /// As [`Self::scheme`].
    pub fn scheme_at(&self, level: RegionLevel) -> Result<Scheme> {
        let dimensions = self.dimension.iter().map(|d| d.scheme(level)).collect::<Result<_>>()?;
        let scheme = Scheme { form: self.form, aggregation: self.aggregation, t_min: self.t_min, dimensions };
        scheme.check().map_err(|e| ModelError::RuleFile(format!("{}: {e}", self.name)))?;
        Ok(scheme)
    }
}

impl DimensionFile {
    fn scheme(&self, level: RegionLevel) -> Result<Dimension> {
        let weights = match &self.weighting {
            Weighting::Fixed => self.indicator.iter().map(|i| i.weight).collect(),
            Weighting::Ahp { matrix } => self.judged(matrix)?,
            Weighting::Entropy { base } => self.objective(Objective::Entropy, base)?,
            Weighting::Critic { base } => self.objective(Objective::Critic, base)?,
            Weighting::Combined { matrix, method, base, alpha } => {
                let (judged, objective) = (self.judged(matrix)?, self.objective(*method, base)?);
                match alpha {
                    Some(alpha) if (0.0..=1.0).contains(alpha) => weights::combined(&judged, &objective, *alpha),
                    Some(_) => return Err(ModelError::RuleFile(format!("{}: alpha 应在 0 与 1 之间", self.id))),
                    None => weights::multiplied(&judged, &objective),
                }
            }
        };
        let indicators = self
            .indicator
            .iter()
            .zip(weights)
            .filter(|(file, _)| file.is_measured_at(level))
            .map(|(file, weight)| Ok(Indicator { id: file.id.clone(), weight, bounds: file.bounds_at(level)? }))
            .collect::<Result<_>>()?;
        Ok(Dimension { id: self.id.clone(), weight: self.weight, indicators })
    }
}

impl DimensionFile {
    /// Weights by pairwise judgements that are consistent.
    fn judged(&self, matrix: &[Vec<f64>]) -> Result<Vec<f64>> {
        let ahp = weights::ahp(matrix)?;
        if !ahp.is_consistent() || ahp.weights.len() != self.indicator.len() {
            let ratio = ahp.ratio;
            return Err(ModelError::RuleFile(format!(
                "{}: 判断矩阵一致性比率 {ratio:.3}(应小于 0.10),阶数 {}(指标 {} 个)",
                self.id,
                ahp.weights.len(),
                self.indicator.len()
            )));
        }
        Ok(ahp.weights)
    }

    /// Weights by the positions of a base.
    fn objective(&self, method: Objective, base: &[Vec<f64>]) -> Result<Vec<f64>> {
        let found = match method {
            Objective::Entropy => weights::entropy(base)?,
            Objective::Critic => weights::critic(base)?,
        };
        if found.len() != self.indicator.len() {
            let (have, want) = (found.len(), self.indicator.len());
            return Err(ModelError::RuleFile(format!("{}: base 有 {have} 列,指标 {want} 个", self.id)));
        }
        Ok(found)
    }
}

impl IndicatorFile {
    pub fn is_measured_at(&self, level: RegionLevel) -> bool {
        self.levels.is_empty() || self.levels.contains(&level)
    }

    /// The value from the measure, its divisor and the length of the period.
    pub fn value(&self, level: RegionLevel, measured: f64, per: Option<f64>, days: f64) -> Option<f64> {
        let mut x = measured;
        if self.per.is_some() && !(level == RegionLevel::Street && self.street.is_some()) {
            x = x / per.filter(|p| *p > 0.0)? * self.times.unwrap_or(1.0);
        }
        if let Some(per_days) = self.per_days {
            x = x / days * per_days;
        }
        x.is_finite().then_some(x)
    }

    /// Unit and origin of the bounds at a level.
    pub fn said_at(&self, level: RegionLevel) -> (Option<&str>, &str) {
        match &self.street {
            Some(street) if level == RegionLevel::Street => {
                (street.unit.as_deref().or(self.unit.as_deref()), &street.bounds)
            }
            _ => (self.unit.as_deref(), &self.bounds),
        }
    }

    fn bounds_at(&self, level: RegionLevel) -> Result<Bounds> {
        match &self.street {
            Some(s) if level == RegionLevel::Street => {
                Ok(Bounds::Monotone { satisfactory: s.satisfactory, inadmissible: s.inadmissible })
            }
            _ => self.bounds(),
        }
    }

    fn bounds(&self) -> Result<Bounds> {
        match (self.satisfactory, self.inadmissible, self.interval, self.limits) {
            (Some(satisfactory), Some(inadmissible), None, None) => Ok(Bounds::Monotone { satisfactory, inadmissible }),
            (None, None, Some(interval), Some(limits)) => Ok(Bounds::Interval { interval, limits }),
            _ => Err(ModelError::RuleFile(format!(
                "{}: 请给出 satisfactory 与 inadmissible,或 interval 与 limits",
                self.id
            ))),
        }
    }
}
