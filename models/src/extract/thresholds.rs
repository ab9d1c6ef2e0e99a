//! From which confidence on a value stands without confirmation, declared in a file.

use super::Extracted;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::Catalogue;

/// `extract/<name>.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub name: String,
    /// The dataset whose rows are read.
    pub dataset: String,
    /// Its field with the text.
    pub text: String,
    /// Values below these are 待确认.
    pub threshold: BTreeMap<String, f64>,
    /// Links between stages of a case below this are shown only to be confirmed.
    pub link: f64,
}

/// The fields that a threshold may be given for.
pub const FIELDS: [&str; 9] =
    ["court", "case_number", "kind", "procedure", "judged_on", "charges", "parties", "statutes", "result"];

/// A value of the extraction beside its field, for pages and rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    pub field: &'static str,
    pub value: String,
    pub confidence: f64,
    /// Below its threshold: somebody has to look.
    pub pending: bool,
    /// Characters of the text it was read from; empty where it is not one place.
    pub place: (usize, usize),
}

impl Thresholds {
    /// # Errors
    /// The file is missing or wrong.
    pub fn load(catalogue: &Catalogue, name: &str) -> Result<Self> {
        let file: Self = catalogue.parse_file("extract", name)?.ok_or_else(|| crate::ModelError::UnknownRule {
            what: "提取规则",
            name: name.to_string(),
            known: catalogue.files("extract").map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        })?;
        for field in file.threshold.keys() {
            if !FIELDS.contains(&field.as_str()) {
                return Err(crate::ModelError::RuleFile(format!(
                    "extract/{name}.toml: no field '{field}'; fields: {}",
                    FIELDS.join(", ")
                )));
            }
        }
        Ok(file)
    }

    fn of(&self, field: &str) -> f64 {
        self.threshold.get(field).copied().unwrap_or(0.8)
    }

    /// The values of an extraction in the order of a form, with what is pending.
    pub fn read(&self, extracted: &Extracted) -> Vec<Reading> {
        let mut out = Vec::new();
        let mut push = |field: &'static str, value: String, confidence: f64, place: (usize, usize)| {
            out.push(Reading { field, value, confidence, pending: confidence < self.of(field), place });
        };
        let texts = [
            ("court", &extracted.court),
            ("case_number", &extracted.case_number),
            ("kind", &extracted.kind),
            ("procedure", &extracted.procedure),
        ];
        for (field, found) in texts {
            match found {
                Some(found) => push(field, found.value.clone(), found.confidence, found.place),
                None => push(field, String::new(), 0.0, (0, 0)),
            }
        }
        match &extracted.judged_on {
            Some(found) => push("judged_on", found.value.to_string(), found.confidence, found.place),
            None => push("judged_on", String::new(), 0.0, (0, 0)),
        }
        let charges: Vec<&str> = extracted.charges.iter().map(|c| c.value.as_str()).collect();
        let lowest = extracted.charges.iter().map(|c| c.confidence).fold(f64::INFINITY, f64::min);
        push(
            "charges",
            charges.join("；"),
            if charges.is_empty() { 0.0 } else { lowest },
            extracted.charges.first().map_or((0, 0), |c| c.place),
        );
        let statutes: Vec<String> = extracted.statutes.iter().map(super::Cited::label).collect();
        push(
            "statutes",
            statutes.join("；"),
            extracted.statutes_confidence,
            extracted.statutes.first().map_or((0, 0), |c| c.place),
        );
        if let Some(outcome) = &extracted.outcome {
            push("result", outcome.text.clone(), outcome.confidence, outcome.place);
        } else {
            push("result", String::new(), 0.0, (0, 0));
        }
        for party in &extracted.parties {
            push("parties", format!("{}：{}", party.role, party.name), party.confidence, party.place);
        }
        out
    }
}
