//! Completeness checks of a case file (案件要素核查): where a condition holds, something must be there.

use super::row::{self, Fields};
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use zonglan_catalog::{Catalogue, Filter, Label, Value};

/// A file of `checks/`: the rules for rows of one dataset.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    pub name: String,
    pub version: String,
    pub label: Label,
    pub dataset: String,
    pub rule: Vec<CheckRule>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRule {
    pub id: String,
    pub label: String,
    pub severity: Severity,
    /// The rows that the rule is about.
    #[serde(default)]
    pub when: Filter,
    /// What must hold there.
    pub require: Filter,
    /// What to do about it.
    pub advice: String,
    pub basis: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be closed like this.
    Missing,
    /// Somebody should look.
    Doubt,
}

impl Checks {
    /// # Errors
    /// No such file, or what is wrong in it.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let checks: Self = catalogue.parse_file("checks", name)?.ok_or_else(|| ModelError::UnknownRule {
            what: "要素核查规则",
            name: name.to_string(),
            known: catalogue.files("checks").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        let dataset = catalogue
            .dataset(&checks.dataset)
            .ok_or_else(|| ModelError::RuleFile(format!("{name}: 没有数据集 {}", checks.dataset)))?;
        for (at, rule) in checks.rule.iter().enumerate() {
            let wrong = |e: String| ModelError::RuleFile(format!("{name} {}: {e}", rule.id));
            row::check(&rule.when, dataset).map_err(wrong)?;
            row::check(&rule.require, dataset).map_err(wrong)?;
            if checks.rule[..at].iter().any(|other| other.id == rule.id) {
                return Err(wrong("编号重复".into()));
            }
        }
        Ok(checks)
    }

    /// The fields that the rules read.
    pub fn fields(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for field in self.rule.iter().flat_map(|r| r.when.fields().into_iter().chain(r.require.fields())) {
            if !out.iter().any(|f| f == field) {
                out.push(field.to_string());
            }
        }
        out
    }

    /// The rules that apply to a row, and whether each is met.
    pub fn apply<'a>(&'a self, fields: &'a Fields) -> impl Iterator<Item = (&'a CheckRule, bool)> {
        self.rule.iter().filter(|r| row::holds(&r.when, fields)).map(|r| (r, row::holds(&r.require, fields)))
    }
}

/// The body of `POST /api/v1/models/case-check/evaluate`: `{"checks":"enforcement_case","fields":{}}`.
///
/// # Errors
/// An unknown file, or a field that the dataset does not have.
pub fn evaluate(body: Json, catalogue: &Catalogue) -> Result<Json> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        checks: String,
        fields: Map<String, Json>,
    }
    let body: Body = serde_json::from_value(body).map_err(|e| ModelError::input(e.to_string()))?;
    let checks = Checks::load(catalogue, &body.checks)?;
    let mut fields = Fields::new();
    for (name, value) in body.fields {
        let known = catalogue.dataset(&checks.dataset).is_some_and(|d| d.field(&name).is_some());
        let value = Value::from_json(&value).filter(|_| known);
        fields.insert(
            name.clone(),
            value.ok_or_else(|| ModelError::input(format!("fields.{name}: 没有这个字段，或不是单个值")))?,
        );
    }
    let applied: Vec<_> = checks.apply(&fields).collect();
    let met = applied.iter().filter(|(_, met)| *met).count();
    let findings: Vec<Json> = applied
        .iter()
        .filter(|(_, met)| !met)
        .map(|(r, _)| json!({"rule": r.id, "label": r.label, "severity": r.severity, "advice": r.advice, "basis": r.basis}))
        .collect();
    let value = if applied.is_empty() { 100.0 } else { (met as f64 / applied.len() as f64 * 1000.0).round() / 10.0 };
    Ok(json!({
        "value": value, "applied": applied.len(), "met": met, "findings": findings,
        "checks": checks.name, "version": checks.version,
        "explanation": format!("适用 {} 项，符合 {met} 项，完整度 {value}%", applied.len()),
    }))
}
