//! The discretion calculator (裁量基准计算器): from the facts of a case to the range of the fine, each step with its basis.
//!
//! The file of a matter (`discretion/`) declares the statutory range, the facts to ask for, and steps in order.
//! The result helps an officer; the decision and its reasons stay with the officer.

use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zonglan_catalog::{Catalogue, Label};

/// The standard of one matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    pub name: String,
    pub version: String,
    pub label: Label,
    pub unit: String,
    pub range: Range,
    pub basis: Vec<String>,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub fact: Vec<Fact>,
    pub step: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub min: f64,
    pub max: f64,
}

/// A fact the officer states.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub name: String,
    pub label: String,
    pub kind: FactKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    Bool,
    Number,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// All must hold; a fact that is not stated does not hold.
    pub when: Vec<Condition>,
    pub condition: String,
    pub effect: Effect,
    pub basis: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub fact: String,
    #[serde(default)]
    pub is: Option<bool>,
    #[serde(default)]
    pub above: Option<f64>,
    #[serde(default)]
    pub up_to: Option<f64>,
}

/// What a step does to the range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing is fined; the calculation ends.
    NoPenalty,
    /// The officer may refrain from a fine; the lower end becomes zero.
    MayExempt,
    /// Between two shares of the statutory range; the heavier of several counts.
    Narrow([f64; 2]),
    /// Lighter within the range or below it (从轻或者减轻): the lower third, and below the minimum if mitigated.
    Lighter,
}

impl Standard {
    /// # Errors
    /// No such matter, or what is wrong in its file.
    pub fn load(catalogue: &Catalogue, matter: &str) -> Result<Self> {
        let standard: Self = catalogue.parse_file("discretion", matter)?.ok_or_else(|| ModelError::UnknownRule {
            what: "裁量基准",
            name: matter.to_string(),
            known: catalogue.files("discretion").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        standard.check().map_err(ModelError::RuleFile)?;
        Ok(standard)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let name = &self.name;
        if !(0.0 <= self.range.min && self.range.min <= self.range.max) {
            return Err(format!("{name}: 幅度的下限应不大于上限"));
        }
        for step in &self.step {
            for condition in &step.when {
                let Some(fact) = self.fact.iter().find(|f| f.name == condition.fact) else {
                    return Err(format!("{name}: 步骤“{}”用到未声明的事实 {}", step.condition, condition.fact));
                };
                let number = condition.above.is_some() || condition.up_to.is_some();
                if number == condition.is.is_some() || number != (fact.kind == FactKind::Number) {
                    return Err(format!("{name}: 步骤“{}”的条件与事实 {} 的类型不符", step.condition, fact.name));
                }
            }
            if let Effect::Narrow([low, high]) = step.effect
                && !(0.0 <= low && low <= high && high <= 1.0)
            {
                return Err(format!("{name}: 步骤“{}”的幅度应在 0 与 1 之间", step.condition));
            }
        }
        Ok(())
    }

    /// The range of the fine and the steps that lead to it.
    ///
    /// # Errors
    /// A fact that is not declared, or of the wrong kind.
    pub fn calculate(&self, facts: &Map<String, Value>) -> Result<Calculation> {
        for (name, value) in facts {
            let fact = self.fact.iter().find(|f| f.name == *name).ok_or_else(|| {
                let known: Vec<_> = self.fact.iter().map(|f| f.name.as_str()).collect();
                ModelError::input(format!("facts.{name}: 没有这项事实;可用:{}", known.join(", ")))
            })?;
            let fits = match fact.kind {
                FactKind::Bool => value.is_boolean(),
                FactKind::Number => value.as_f64().is_some_and(|n| n >= 0.0),
            };
            if !fits && !value.is_null() {
                return Err(ModelError::input(format!("facts.{name}({}): 类型不符", fact.label)));
            }
        }
        let Range { min, max } = self.range;
        let unit = &self.unit;
        let mut steps = vec![Step {
            condition: format!("法定幅度({})", self.label.zh),
            effect: format!("{min} 至 {max} {unit}"),
            basis: self.basis.join(";"),
        }];
        let mut shares: Option<[f64; 2]> = None;
        let (mut lighter, mut may_exempt) = (false, false);
        for rule in self.step.iter().filter(|r| r.when.iter().all(|c| c.holds(facts))) {
            let effect = match rule.effect {
                Effect::NoPenalty => {
                    steps.push(Step::of(rule, "不予行政处罚".into()));
                    return Ok(Calculation {
                        range: Range { min: 0.0, max: 0.0 },
                        no_penalty: true,
                        may_exempt: false,
                        steps,
                    });
                }
                Effect::MayExempt => {
                    may_exempt = true;
                    "可以不予行政处罚".into()
                }
                Effect::Narrow([low, high]) => {
                    let heavier = shares.is_none_or(|[l, _]| low > l);
                    if heavier {
                        shares = Some([low, high]);
                    }
                    let range = share(self.range, [low, high]);
                    let kept = if heavier { "" } else { "(已适用更重的一档)" };
                    format!("{} 至 {} {unit}{kept}", range.min, range.max)
                }
                Effect::Lighter => {
                    lighter = true;
                    "从轻:不超过所在幅度的下三分之一;减轻:可以低于法定最低幅度".into()
                }
            };
            steps.push(Step::of(rule, effect));
        }
        let mut range = share(self.range, shares.unwrap_or([0.0, 1.0]));
        if lighter {
            range = Range { min: 0.0, max: share(range, [0.0, 1.0 / 3.0]).max };
        }
        if may_exempt {
            range.min = 0.0;
        }
        Ok(Calculation { range, no_penalty: false, may_exempt, steps })
    }
}

/// A range of the range, in whole units.
fn share(range: Range, [low, high]: [f64; 2]) -> Range {
    let at = |share: f64| (range.min + (range.max - range.min) * share).round();
    Range { min: at(low), max: at(high) }
}

impl Condition {
    fn holds(&self, facts: &Map<String, Value>) -> bool {
        let Some(value) = facts.get(&self.fact) else { return false };
        if let Some(is) = self.is {
            return value.as_bool() == Some(is);
        }
        value.as_f64().is_some_and(|x| self.above.is_none_or(|a| x > a) && self.up_to.is_none_or(|b| x <= b))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calculation {
    pub range: Range,
    pub no_penalty: bool,
    pub may_exempt: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub condition: String,
    pub effect: String,
    pub basis: String,
}

impl Step {
    fn of(rule: &Rule, effect: String) -> Self {
        Self { condition: rule.condition.clone(), effect, basis: rule.basis.clone() }
    }
}

/// The body of `POST /api/v1/models/discretion/evaluate`: `{"matter","facts":{}}`.
///
/// # Errors
/// An unknown matter, or facts that do not fit.
pub fn evaluate(body: Value, catalogue: &Catalogue) -> Result<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        matter: String,
        #[serde(default)]
        facts: Map<String, Value>,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    let standard = Standard::load(catalogue, &body.matter)?;
    let result = standard.calculate(&body.facts)?;
    Ok(json!({
        "matter": standard.name, "version": standard.version, "unit": standard.unit, "note": standard.note,
        "range": result.range, "no_penalty": result.no_penalty, "may_exempt": result.may_exempt, "steps": result.steps,
        "explanation": result.steps,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    // modules: C065
    #[test]
    fn the_range_follows_the_facts() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let run = |facts: Value| evaluate(json!({"matter": "street_stall", "facts": facts}), &catalogue);
        let range = |facts: Value| run(facts).unwrap_or_else(|e| panic!("{e}"))["range"].clone();
        assert_eq!(range(json!({})), json!({"min": 50.0, "max": 500.0}));
        assert_eq!(range(json!({"area": 1.5, "times_in_year": 1})), json!({"min": 50.0, "max": 185.0}));
        assert_eq!(range(json!({"area": 5})), json!({"min": 185.0, "max": 365.0}));
        // The heavier of two steps counts.
        assert_eq!(range(json!({"area": 5, "times_in_year": 3})), json!({"min": 365.0, "max": 500.0}));
        assert_eq!(range(json!({"area": 5, "removed_harm": true})), json!({"min": 0.0, "max": 245.0}));
        assert_eq!(range(json!({"area": 20, "under_14": true})), json!({"min": 0.0, "max": 0.0}));
        let out = run(json!({"first_minor_corrected": true})).expect("valid");
        assert_eq!(out["may_exempt"], json!(true));
        assert!(
            out["steps"]
                .as_array()
                .is_some_and(|s| s.iter().all(|s| s["basis"].as_str().is_some_and(|b| !b.is_empty())))
        );
        assert!(run(json!({"size": 3})).is_err());
        assert!(run(json!({"area": "big"})).is_err());
        assert!(evaluate(json!({"matter": "none"}), &catalogue).is_err());
    }

    #[test]
    fn all_standards_are_valid() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        for (name, _) in catalogue.files("discretion") {
            let standard = Standard::load(&catalogue, name).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(standard.name, name);
        }
    }
}
