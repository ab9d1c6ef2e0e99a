//! The declared index: a file of `indices/` with bounds and weights of a version.

use super::aggregate::{Aggregation, Dimension, Indicator, Scheme};
use super::efficacy::{Bounds, Form};
use super::grade::GradeRules;
use super::weights;
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use zonglan_catalog::{Catalogue, Label};

/// A declared index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexFile {
    pub name: String,
    /// Published values carry it; old months are computed with the version of their time.
    pub version: String,
    pub label: Label,
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

    /// The scheme that scores units.
    ///
    /// # Errors
    /// Bounds that are missing or contradictory, inconsistent judgements.
    pub fn scheme(&self) -> Result<Scheme> {
        let dimensions = self.dimension.iter().map(DimensionFile::scheme).collect::<Result<_>>()?;
        let scheme = Scheme { form: self.form, aggregation: self.aggregation, t_min: self.t_min, dimensions };
        scheme.check().map_err(|e| ModelError::RuleFile(format!("{}: {e}", self.name)))?;
        Ok(scheme)
    }
}

impl DimensionFile {
    fn scheme(&self) -> Result<Dimension> {
        let weights = match &self.weighting {
            Weighting::Fixed => self.indicator.iter().map(|i| i.weight).collect(),
            Weighting::Ahp { matrix } => {
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
                ahp.weights
            }
        };
        let indicators = self
            .indicator
            .iter()
            .zip(weights)
            .map(|(file, weight)| Ok(Indicator { id: file.id.clone(), weight, bounds: file.bounds()? }))
            .collect::<Result<_>>()?;
        Ok(Dimension { id: self.id.clone(), weight: self.weight, indicators })
    }
}

impl IndicatorFile {
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
