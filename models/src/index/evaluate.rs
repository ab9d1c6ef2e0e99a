//! The body of `POST /api/v1/models/security-index/evaluate`.

use super::aggregate::{Aggregation, Dimension, Scheme, score_unit};
use super::efficacy::Form;
use super::file::{IndexFile, default_t_min};
use super::grade::{GradeInput, GradeRules, grade};
use super::sensitivity::{Units, sensitivity};
use crate::error::{ModelError, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zonglan_catalog::Catalogue;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// A declared index; its file then gives what the body leaves out.
    index: Option<String>,
    form: Option<Form>,
    aggregation: Option<Aggregation>,
    t_min: Option<f64>,
    dimensions: Option<Vec<Dimension>>,
    units: Units,
    /// Also rank the units with each weight a fifth larger and smaller.
    #[serde(default)]
    sensitivity: bool,
}

/// Units, indicators and variations of one request: what a second of one core can do.
const MOST_CELLS: usize = 200_000;

/// # Errors
/// What is missing or contradictory in the body.
pub fn evaluate(body: Value, catalogue: &Catalogue) -> Result<Value> {
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    let file = body.index.as_deref().map(|name| IndexFile::load(catalogue, name)).transpose()?;
    let declared = file.as_ref().map(IndexFile::scheme).transpose()?;
    let dimensions = body.dimensions.or_else(|| declared.as_ref().map(|d| d.dimensions.clone()));
    let scheme = Scheme {
        form: body.form.or(declared.as_ref().map(|d| d.form)).unwrap_or_default(),
        aggregation: body.aggregation.or(declared.as_ref().map(|d| d.aggregation)).unwrap_or_default(),
        t_min: body.t_min.or(declared.as_ref().map(|d| d.t_min)).unwrap_or_else(default_t_min),
        dimensions: dimensions.ok_or_else(|| ModelError::input("请给出 dimensions,或 index(已声明的指数)"))?,
    };
    scheme.check()?;
    let indicators: usize = scheme.dimensions.iter().map(|d| d.indicators.len()).sum();
    let variations = if body.sensitivity { 2 * (indicators + scheme.dimensions.len()) } else { 1 };
    if body.units.len() * indicators * variations > MOST_CELLS {
        return Err(ModelError::input(format!("units: 单位 × 指标(× 敏感性)超过 {MOST_CELLS},请分批")));
    }
    let rules = file.as_ref().map_or_else(GradeRules::default, |f| f.grades.clone());
    let mut units = Map::new();
    for (unit, values) in &body.units {
        let score = score_unit(&scheme, values);
        let graded = score.value.map(|value| grade(&GradeInput { value, ..GradeInput::default() }, &rules));
        let mut out = serde_json::to_value(&score).map_err(|e| ModelError::input(e.to_string()))?;
        if let (Some(out), Some(graded)) = (out.as_object_mut(), graded) {
            out.insert("grade".into(), json!(graded.grade));
            out.insert("grade_reasons".into(), json!(graded.reasons));
        }
        units.insert(unit.clone(), out);
    }
    let mut out = json!({
        "units": units,
        "scheme": {"form": scheme.form, "aggregation": scheme.aggregation, "t_min": scheme.t_min,
                   "index": file.as_ref().map(|f| &f.name), "version": file.as_ref().map(|f| &f.version)},
    });
    if body.sensitivity {
        out["sensitivity"] = json!(sensitivity(&scheme, &body.units, 0.2));
    }
    Ok(out)
}
